//! Key slot objects: who may open the repository (FORMAT.md, section 4.3).

use keepwatch_crypto::{
    Credential, Key, Lock, PublicKey, SecretKey, Suite, ct_eq, random_bytes, slot,
};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::keyring::{Keyring, Role};

const MAGIC: &[u8; 4] = b"KWKS";
const FIXED: usize = 72;
const MAX_LABEL: usize = 255;
const MAX_BOX: usize = 1 << 20;
const PAYLOAD: usize = 64;
const BOX_CONTEXT: &str = "keepwatch v1 keyring";

/// A key slot as it lies in storage.
#[derive(Clone, Debug)]
pub(crate) struct KeySlot {
    bytes: Vec<u8>,
    pub suite: Suite,
    pub role: Role,
    pub slot_id: [u8; 16],
    pub created: u64,
    pub epoch: u32,
    pub label: String,
    pub credential: String,
    /// What trying a passphrase on it costs; see `slot::Wrapped::work`.
    pub work: u64,
    slot_at: usize,
    box_at: usize,
}

impl KeySlot {
    /// A new slot that `lock` opens, holding the keyring as `role` may have it.
    pub fn create(
        lock: &Lock<'_>,
        suite: Suite,
        repository: &[u8; 16],
        role: Role,
        label: &str,
        created: u64,
        ring: &Keyring,
    ) -> Result<Self> {
        if label.len() > MAX_LABEL {
            return Err(Error::Invalid {
                what: "label",
                problem: format!("it is longer than {MAX_LABEL} bytes"),
            });
        }
        let slot_id: [u8; 16] = random_bytes()?;
        let secret = SecretKey::generate()?;
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&[1, suite.byte(), role.byte(), 0]);
        head.extend_from_slice(repository);
        head.extend_from_slice(&slot_id);
        head.extend_from_slice(secret.public().as_bytes());
        let authentication = slot_authentication(ring, &slot_id)?;
        let mut payload = Zeroizing::new([0; PAYLOAD]);
        payload[..32].copy_from_slice(secret.expose());
        payload[32..].copy_from_slice(authentication.expose());
        let wrapped = slot::write(lock, suite, &head, payload.as_slice())?;
        finish(head, created, label, &wrapped, role, ring)
    }

    /// The same slot with the keyring as it is now, without knowing what opens it.
    pub fn renewed(&self, ring: &Keyring) -> Result<Self> {
        if !ct_eq(
            &self.mac_with(&slot_authentication(ring, &self.slot_id)?),
            self.mac(),
        ) {
            return Err(Error::damaged(
                "a key slot",
                "it was not written by a full key",
            ));
        }
        finish(
            self.bytes[..FIXED].to_vec(),
            self.created,
            &self.label,
            &self.bytes[self.slot_at..self.box_at],
            self.role,
            ring,
        )
    }

    /// Whether this is a slot of another repository, as an interrupted `init` leaves one.
    pub fn is_foreign(bytes: &[u8], repository: &[u8; 16]) -> bool {
        bytes.starts_with(MAGIC) && bytes.get(8..24).is_some_and(|id| id != repository)
    }

    pub fn parse(bytes: Vec<u8>, repository: &[u8; 16]) -> Result<Self> {
        let bad = |problem: &str| Error::damaged("a key slot", problem);
        if bytes.len() < FIXED + 14 || &bytes[..4] != MAGIC {
            return Err(bad("it is not a key slot"));
        }
        if bytes[4] != 1 || bytes[7] != 0 {
            return Err(Error::Unsupported {
                what: "key slot version",
                value: bytes[4].to_string(),
            });
        }
        let suite = Suite::from_byte(bytes[5])?;
        let role = Role::from_byte(bytes[6]).ok_or_else(|| bad("unknown role"))?;
        if &bytes[8..24] != repository {
            return Err(bad("it belongs to another repository"));
        }
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let created = u64::from_le_bytes(bytes[72..80].try_into().expect("8 bytes"));
        let label_len = usize::from(u16::from_le_bytes([bytes[84], bytes[85]]));
        if label_len > MAX_LABEL {
            return Err(bad("its label is too long"));
        }
        let slot_at = 86 + label_len;
        let label = bytes.get(86..slot_at).ok_or_else(|| bad("it is cut off"))?;
        let label = String::from_utf8(label.to_vec()).map_err(|_| bad("its label is not text"))?;
        let (wrapped, used) = slot::parse(&bytes[slot_at..], PAYLOAD)?;
        let (credential, work) = (wrapped.describe(), wrapped.work());
        let box_at = slot_at + used;
        if bytes.len() < box_at + 4 + 32 {
            return Err(bad("it is cut off"));
        }
        let box_len = u32_at(box_at) as usize;
        if box_len > MAX_BOX || bytes.len() != box_at + 4 + box_len + 32 {
            return Err(bad("its length is wrong"));
        }
        Ok(Self {
            suite,
            role,
            slot_id: bytes[24..40].try_into().expect("16 bytes"),
            created,
            epoch: u32_at(80),
            label,
            credential,
            work,
            slot_at,
            box_at,
            bytes,
        })
    }

    /// The keyring, if the credential opens this slot.
    pub fn open(&self, credential: &Credential) -> Result<Option<Keyring>> {
        let (wrapped, _) = slot::parse(&self.bytes[self.slot_at..], PAYLOAD)?;
        let Some(payload) = wrapped.open(credential, self.suite, &self.bytes[..FIXED])? else {
            return Ok(None);
        };
        let half = |range: std::ops::Range<usize>| -> [u8; 32] {
            payload[range].try_into().expect("the payload has 64 bytes")
        };
        let (secret, authentication) = (
            SecretKey::from_bytes(half(0..32)),
            Key::from_bytes(half(32..64)),
        );
        let damaged = || Error::damaged("a key slot", "it does not authenticate");
        if !ct_eq(&self.mac_with(&authentication), self.mac())
            || secret.public().as_bytes() != &self.bytes[40..FIXED]
        {
            return Err(damaged());
        }
        let sealed = &self.bytes[self.box_at + 4..self.bytes.len() - 32];
        let aad = &self.bytes[..FIXED];
        let json = keepwatch_crypto::open_from(&secret, BOX_CONTEXT, aad, sealed)
            .map_err(|_| damaged())?;
        Keyring::from_json(&json, self.role).map(Some)
    }

    /// Whether a full keyring vouches for this slot.
    pub fn is_authentic(&self, ring: &Keyring) -> Result<bool> {
        let key = slot_authentication(ring, &self.slot_id)?;
        Ok(ct_eq(&self.mac_with(&key), self.mac()))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn mac(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - 32..]
    }

    fn mac_with(&self, key: &Key) -> [u8; 32] {
        key.mac(&[&self.bytes[..self.bytes.len() - 32]])
    }
}

fn slot_authentication(ring: &Keyring, slot_id: &[u8; 16]) -> Result<Key> {
    let master = ring.slot_master.as_ref().ok_or(Error::NeedsFullKey {
        operation: "changing key slots",
    })?;
    let bytes = master.mac(&[b"keepwatch v1 slot authentication", slot_id]);
    Ok(Key::from_bytes(bytes))
}

fn finish(
    head: Vec<u8>,
    created: u64,
    label: &str,
    wrapped: &[u8],
    role: Role,
    ring: &Keyring,
) -> Result<KeySlot> {
    let public = PublicKey::from_bytes(head[40..FIXED].try_into().expect("32 bytes"));
    let repository: [u8; 16] = head[8..24].try_into().expect("16 bytes");
    let slot_id: [u8; 16] = head[24..40].try_into().expect("16 bytes");
    let sealed = keepwatch_crypto::seal_to(&public, BOX_CONTEXT, &head, &ring.to_json(role)?)?;
    let mut bytes = head;
    bytes.extend_from_slice(&created.to_le_bytes());
    bytes.extend_from_slice(&ring.current().number.to_le_bytes());
    bytes.extend_from_slice(&(label.len() as u16).to_le_bytes());
    bytes.extend_from_slice(label.as_bytes());
    bytes.extend_from_slice(wrapped);
    bytes.extend_from_slice(&(sealed.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&sealed);
    let mac = slot_authentication(ring, &slot_id)?.mac(&[&bytes]);
    bytes.extend_from_slice(&mac);
    KeySlot::parse(bytes, &repository)
}
