//! Key slots of an event store: who may open it (FORMAT.md, section 7.2).

use std::fmt;

use jiff::Timestamp;
use keepwatch_crypto::{Credential, Key, Lock, SecretKey, Suite, slot};
use serde::Serialize;
use zeroize::Zeroizing;

use super::files;
use super::shelf::Shelf;
use crate::error::{Error, Result};
use crate::keyring::Role;

const MAGIC: &[u8; 4] = b"KWES";
const HEAD: usize = 40;
const MAX_SLOT: u64 = 16 << 10;
const MAX_SLOTS: usize = 256;
/// The longest name of a key in bytes.
const MAX_NAME: usize = 64;

/// The secrets of a store, as far as a role has them.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    /// The database and the header are authenticated with what is derived from it.
    pub store: Key,
    /// The seed of the ed25519 key.
    pub signing: Key,
    /// Opens media that is sealed to the store; only full keys have it.
    pub identity: Option<SecretKey>,
}

/// A key of an event store, as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreKey {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What opens it.
    pub credential: String,
    /// When it was made.
    pub created: Timestamp,
}

fn payload_len(role: Role) -> usize {
    match role {
        Role::Full => 96,
        Role::Writer => 64,
    }
}

/// A slot that was read and not yet opened.
pub(crate) struct StoredSlot {
    bytes: Vec<u8>,
    suite: Suite,
    role: Role,
    created: Timestamp,
    name: String,
}

/// The bytes of a new slot.
pub(crate) fn create(
    lock: &Lock<'_>,
    suite: Suite,
    store: &[u8; 16],
    role: Role,
    name: &str,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<Vec<u8>> {
    check_name(name)?;
    let mut payload = Zeroizing::new(Vec::with_capacity(payload_len(role)));
    payload.extend_from_slice(secrets.store.expose());
    payload.extend_from_slice(secrets.signing.expose());
    if role == Role::Full {
        let identity = secrets.identity.as_ref().ok_or(Error::NeedsFullKey {
            operation: "adding a key",
        })?;
        payload.extend_from_slice(identity.expose());
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[1, suite.byte(), role.byte(), 0]);
    bytes.extend_from_slice(store);
    bytes.extend_from_slice(&now.as_second().to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    let mut aad = bytes.clone();
    aad.extend_from_slice(name.as_bytes());
    let wrapped = slot::write(lock, suite, &aad, &payload)?;
    bytes.extend_from_slice(&wrapped);
    Ok(bytes)
}

/// Key names become file names.
fn check_name(name: &str) -> Result<()> {
    let valid = super::media::is_plain_name(name, MAX_NAME);
    valid.then_some(()).ok_or_else(|| Error::Invalid {
        what: "key name",
        problem: format!("{name:?} is not made of letters, digits, `.`, `_` and `-`"),
    })
}

impl StoredSlot {
    pub fn parse(name: &str, bytes: Vec<u8>, store: &[u8; 16]) -> Result<Self> {
        let bad = |problem: &str| Error::damaged(format!("the key {name:?}"), problem);
        if bytes.len() < HEAD || &bytes[..4] != MAGIC {
            return Err(bad("it is not a key slot"));
        }
        if bytes[4] != 1 || bytes[7] != 0 || bytes[32..40] != [0; 8] {
            return Err(Error::Unsupported {
                what: "key slot version",
                value: bytes[4].to_string(),
            });
        }
        let suite = Suite::from_byte(bytes[5])?;
        let role = Role::from_byte(bytes[6]).ok_or_else(|| bad("unknown role"))?;
        if &bytes[8..24] != store {
            return Err(bad("it belongs to another store"));
        }
        let seconds = i64::from_le_bytes(bytes[24..32].try_into().expect("8 bytes"));
        let created = Timestamp::from_second(seconds).map_err(|_| bad("its time is wrong"))?;
        let (_, used) = slot::parse(&bytes[HEAD..], payload_len(role))?;
        if HEAD + used != bytes.len() {
            return Err(bad("its length is wrong"));
        }
        Ok(Self {
            bytes,
            suite,
            role,
            created,
            name: name.to_owned(),
        })
    }

    fn wrapped(&self) -> Result<slot::Wrapped<'_>> {
        Ok(slot::parse(&self.bytes[HEAD..], payload_len(self.role))?.0)
    }

    fn open(&self, credential: &Credential) -> Result<Option<Secrets>> {
        let mut aad = self.bytes[..HEAD].to_vec();
        aad.extend_from_slice(self.name.as_bytes());
        let Some(payload) = self.wrapped()?.open(credential, self.suite, &aad)? else {
            return Ok(None);
        };
        let part = |index: usize| -> [u8; 32] {
            let at = index * 32;
            payload[at..at + 32].try_into().expect("32 bytes")
        };
        Ok(Some(Secrets {
            store: Key::from_bytes(part(0)),
            signing: Key::from_bytes(part(1)),
            identity: (self.role == Role::Full).then(|| SecretKey::from_bytes(part(2))),
        }))
    }

    pub fn info(&self) -> Result<StoreKey> {
        Ok(StoreKey {
            name: self.name.clone(),
            role: self.role,
            credential: self.wrapped()?.describe(),
            created: self.created,
        })
    }

    pub fn work(&self) -> Result<u64> {
        Ok(self.wrapped()?.work())
    }
}

/// All slots that can be read.
pub(crate) fn read_all(shelf: &Shelf<'_>, store: &[u8; 16]) -> Result<Vec<StoredSlot>> {
    let mut names = shelf.list(files::KEYS)?;
    names.retain(|name| check_name(name).is_ok());
    names.sort();
    if names.len() > MAX_SLOTS {
        return Err(Error::damaged("the folder of keys", "it holds too many"));
    }
    let mut slots = Vec::new();
    for name in names {
        let read = shelf.read(&path(&name), MAX_SLOT + 1);
        let parse = |bytes: Option<Vec<u8>>| {
            let bytes = bytes.unwrap_or_default();
            StoredSlot::parse(&name, bytes, store)
        };
        match read.and_then(parse) {
            Ok(slot) => slots.push(slot),
            Err(error @ Error::Unavailable { .. }) => return Err(error),
            Err(error) => tracing::warn!(key = name, %error, "a key slot is left out"),
        }
    }
    Ok(slots)
}

/// Where a slot is.
pub(crate) fn path(name: &str) -> String {
    format!("{}/{name}", files::KEYS)
}

/// The secrets that `credential` opens, of the store at `location`.
pub(crate) fn open(
    shelf: &Shelf<'_>,
    location: &dyn fmt::Display,
    store: &[u8; 16],
    credential: &Credential,
) -> Result<Secrets> {
    let mut work = 0;
    let mut failure = None;
    for slot in read_all(shelf, store)? {
        if slot.wrapped()?.is_for(credential) {
            // What others put into the folder must not make opening take for ever.
            work += slot.work()?;
            if work > slot::MAX_WORK {
                return Err(Error::damaged(
                    "the folder of keys",
                    "trying all passphrases would cost too much",
                ));
            }
        }
        match slot.open(credential) {
            Ok(Some(secrets)) => return Ok(secrets),
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| Error::WrongKey {
        location: location.to_string(),
    }))
}
