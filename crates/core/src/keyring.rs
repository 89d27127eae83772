//! The secrets of a repository, and what each role holds of them (FORMAT.md, section 4.3).

use keepwatch_crypto::{Key, PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::id::Id;

/// What the holder of a key slot may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Full,
    /// Add backups and find duplicates; read nothing back.
    Writer,
}

impl Role {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Role::Full => 1,
            Role::Writer => 2,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Role::Full),
            2 => Some(Role::Writer),
            _ => None,
        }
    }
}

/// The keys of one epoch.
#[derive(Clone, Debug)]
pub(crate) struct Epoch {
    pub number: u32,
    /// Only full keyrings have it.
    pub secret: Option<SecretKey>,
    pub public: PublicKey,
    pub index_key: Key,
}

/// All secrets of a repository that a role may hold.
#[derive(Clone, Debug)]
pub(crate) struct Keyring {
    pub config: Id,
    pub id_key: Key,
    pub chunker_key: Key,
    /// Only full keyrings have it.
    pub slot_master: Option<Key>,
    /// Oldest first, never empty.
    pub epochs: Vec<Epoch>,
}

impl Keyring {
    /// Fresh secrets for a new repository.
    pub fn generate(config: Id) -> Result<Self> {
        let mut ring = Self {
            config,
            id_key: Key::generate()?,
            chunker_key: Key::generate()?,
            slot_master: Some(Key::generate()?),
            epochs: Vec::new(),
        };
        ring.add_epoch()?;
        Ok(ring)
    }

    /// Starts a new epoch; what is written from now on uses it.
    pub fn add_epoch(&mut self) -> Result<u32> {
        let number = self.epochs.last().map_or(1, |epoch| epoch.number + 1);
        let secret = SecretKey::generate()?;
        self.epochs.push(Epoch {
            number,
            public: secret.public(),
            secret: Some(secret),
            index_key: Key::generate()?,
        });
        Ok(number)
    }

    pub fn role(&self) -> Role {
        if self.slot_master.is_some() {
            Role::Full
        } else {
            Role::Writer
        }
    }

    /// The epoch that is written with.
    pub fn current(&self) -> &Epoch {
        self.epochs.last().expect("a keyring has an epoch")
    }

    pub fn epoch(&self, number: u32) -> Result<&Epoch> {
        self.epochs
            .iter()
            .find(|epoch| epoch.number == number)
            .ok_or_else(|| Error::Unsupported {
                what: "key epoch",
                value: number.to_string(),
            })
    }

    /// The JSON that goes into the slot of a role.
    pub fn to_json(&self, role: Role) -> Result<Zeroizing<Vec<u8>>> {
        let full = role == Role::Full;
        if full && self.slot_master.is_none() {
            return Err(Error::NeedsFullKey {
                operation: "renewing a key slot",
            });
        }
        let record = RingRecord {
            version: 1,
            config: self.config,
            id_key: Secret32::of(&self.id_key),
            chunker_key: Secret32::of(&self.chunker_key),
            slot_master: self.slot_master.as_ref().filter(|_| full).map(Secret32::of),
            epochs: self
                .epochs
                .iter()
                .map(|epoch| EpochRecord {
                    epoch: epoch.number,
                    secret: epoch
                        .secret
                        .as_ref()
                        .filter(|_| full)
                        .map(|secret| Secret32(*secret.expose())),
                    public: (!full).then(|| Secret32(*epoch.public.as_bytes())),
                    index_key: Secret32::of(&epoch.index_key),
                })
                .collect(),
        };
        // Of the size it will need: a vector that grows leaves copies behind that nobody wipes.
        let room = 1024 + 256 * self.epochs.len();
        let mut json = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *json, &record).expect("a keyring is plain JSON");
        debug_assert!(json.len() <= room);
        Ok(json)
    }

    pub fn from_json(bytes: &[u8], role: Role) -> Result<Self> {
        let bad = |problem: &str| Error::damaged("the keyring", problem);
        let record: RingRecord =
            serde_json::from_slice(bytes).map_err(|_| bad("it is not a keyring"))?;
        if record.version != 1 {
            return Err(Error::Unsupported {
                what: "keyring version",
                value: record.version.to_string(),
            });
        }
        if record.slot_master.is_some() != (role == Role::Full) || record.epochs.is_empty() {
            return Err(bad("it does not fit its role"));
        }
        let epochs = record
            .epochs
            .iter()
            .map(|epoch| {
                let secret = epoch.secret.as_ref().map(|s| SecretKey::from_bytes(s.0));
                let public = match (&secret, &epoch.public) {
                    (Some(secret), None) if role == Role::Full => secret.public(),
                    (None, Some(public)) if role == Role::Writer => PublicKey::from_bytes(public.0),
                    _ => return Err(bad("it does not fit its role")),
                };
                Ok(Epoch {
                    number: epoch.epoch,
                    secret,
                    public,
                    index_key: epoch.index_key.key(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        if epochs
            .windows(2)
            .any(|pair| pair[0].number >= pair[1].number)
        {
            return Err(bad("its epochs are out of order"));
        }
        Ok(Self {
            config: record.config,
            id_key: record.id_key.key(),
            chunker_key: record.chunker_key.key(),
            slot_master: record.slot_master.as_ref().map(Secret32::key),
            epochs,
        })
    }
}

/// 32 secret bytes as hexadecimal digits in JSON.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Secret32(#[serde(with = "hex::serde")] [u8; 32]);

impl Secret32 {
    fn of(key: &Key) -> Self {
        Self(*key.expose())
    }

    fn key(&self) -> Key {
        Key::from_bytes(self.0)
    }
}

impl Drop for Secret32 {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingRecord {
    version: u32,
    config: Id,
    id_key: Secret32,
    chunker_key: Secret32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slot_master: Option<Secret32>,
    epochs: Vec<EpochRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochRecord {
    epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Secret32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public: Option<Secret32>,
    index_key: Secret32,
}
