//! Who may open a store (FORMAT.md, section 5.2).

use keepwatch_crypto::{Credential, Key, Lock, SecretKey, Suite, slot};
use zeroize::Zeroizing;

use super::layout::StoreRole;
use crate::error::{Error, Result};

const MAGIC: &[u8; 4] = b"KWES";
const VERSION: u8 = 1;
const HEAD: usize = 24;

/// The keys of a store.
pub(super) struct Keys {
    /// Encrypts the database, and authenticates the store's description.
    pub database: Key,
    /// Makes the signing key of checkpoints.
    pub signing: Key,
    /// Opens clips that are sealed to the store itself; a writer has none.
    pub own: Option<SecretKey>,
}

impl Keys {
    /// New random keys.
    pub fn generate() -> Result<Self> {
        Ok(Self {
            database: Key::generate()?,
            signing: Key::generate()?,
            own: Some(SecretKey::generate()?),
        })
    }
}

/// A slot that `lock` opens, holding the keys as `role` may have them.
pub(super) fn write(
    lock: &Lock<'_>,
    role: StoreRole,
    store: &[u8; 16],
    keys: &Keys,
) -> Result<Vec<u8>> {
    let suite = Suite::recommended();
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, suite.byte(), role.byte(), 0]);
    bytes.extend_from_slice(store);
    let mut payload = Zeroizing::new(Vec::with_capacity(role.payload_len()));
    payload.extend_from_slice(keys.database.expose());
    payload.extend_from_slice(keys.signing.expose());
    if role == StoreRole::Full {
        let own = keys.own.as_ref().ok_or(Error::NeedsFullKey {
            operation: "making a full key",
        })?;
        payload.extend_from_slice(own.expose());
    }
    let slot = slot::write(lock, suite, &bytes, &payload)?;
    bytes.extend_from_slice(&slot);
    Ok(bytes)
}

/// The keys, if the credential opens this slot.
pub(super) fn open(
    bytes: &[u8],
    store: &[u8; 16],
    credential: &Credential,
) -> Result<Option<Keys>> {
    let damaged = |problem: &str| Error::damaged("a key slot of the event store", problem);
    let head = bytes.get(..HEAD).ok_or_else(|| damaged("it is cut off"))?;
    if &head[..4] != MAGIC || &head[8..] != store {
        return Err(damaged("it does not belong to this store"));
    }
    if head[4] != VERSION {
        return Err(Error::Unsupported {
            what: "key slot version",
            value: head[4].to_string(),
        });
    }
    let suite = Suite::from_byte(head[5])?;
    let role = StoreRole::from_byte(head[6]).ok_or_else(|| damaged("its role is unknown"))?;
    let (wrapped, _) = slot::parse(&bytes[HEAD..], role.payload_len())?;
    if !wrapped.is_for(credential) {
        return Ok(None);
    }
    let Some(payload) = wrapped.open(credential, suite, head)? else {
        return Ok(None);
    };
    let part = |at: usize| -> Option<[u8; 32]> { payload.get(at..at + 32)?.try_into().ok() };
    let key = |at| {
        part(at)
            .map(Key::from_bytes)
            .ok_or_else(|| damaged("it is cut off"))
    };
    Ok(Some(Keys {
        database: key(0)?,
        signing: key(32)?,
        own: part(64).map(SecretKey::from_bytes),
    }))
}

/// The role that a slot says it has.
pub(super) fn role_of(bytes: &[u8]) -> Option<StoreRole> {
    StoreRole::from_byte(*bytes.get(6)?)
}
