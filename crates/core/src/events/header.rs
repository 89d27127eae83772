//! The `store` file: what an event store is, authenticated (FORMAT.md, section 7.1).

use std::fmt;
use std::fs;
use std::path::Path;

use keepwatch_crypto::{Key, PublicKey, Suite, ct_eq};
use serde::{Deserialize, Serialize};

use super::files;
use super::shelf::Shelf;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"\x89KWEVST\n";
const FIXED: usize = 16;
const MAC_LEN: usize = 32;
const MAX_HEADER: u64 = 64 << 10;
const MAX_RECIPIENTS: usize = 60;
const MAC_CONTEXT: &str = "keepwatch v1 event store header";
const OBJECT: &str = "the file `store`";

/// What the `store` file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub id: [u8; 16],
    pub suite: Suite,
    /// The ed25519 public key that checkpoints are signed with.
    pub signer: [u8; 32],
    /// The store's own X25519 key.
    pub identity: PublicKey,
    /// Whether media is sealed to `identity` as well.
    pub own_identity: bool,
    pub recipients: Vec<PublicKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderRecord {
    #[serde(with = "hex::serde")]
    id: [u8; 16],
    suite: String,
    #[serde(with = "hex::serde")]
    signer: [u8; 32],
    identity: String,
    own_identity: bool,
    recipients: Vec<String>,
}

impl Header {
    /// Whom media is sealed to.
    pub fn media_recipients(&self) -> Vec<PublicKey> {
        let own = self.own_identity.then(|| self.identity.clone());
        self.recipients.iter().cloned().chain(own).collect()
    }

    pub fn check(&self) -> Result<()> {
        let problem = if self.recipients.len() > MAX_RECIPIENTS {
            "there are too many"
        } else if self.recipients.is_empty() && !self.own_identity {
            "nobody could open what is recorded"
        } else {
            return Ok(());
        };
        Err(Error::Invalid {
            what: "recipients",
            problem: problem.to_owned(),
        })
    }

    pub fn to_bytes(&self, store_key: &Key) -> Vec<u8> {
        let record = HeaderRecord {
            id: self.id,
            suite: self.suite.name().to_owned(),
            signer: self.signer,
            identity: self.identity.to_string(),
            own_identity: self.own_identity,
            recipients: self.recipients.iter().map(PublicKey::to_string).collect(),
        };
        let json = serde_json::to_vec(&record).expect("a header is plain JSON");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0, 0, 0]);
        bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&json);
        let mac = store_key.derive(MAC_CONTEXT).mac(&[&bytes]);
        bytes.extend_from_slice(&mac);
        bytes
    }

    /// Reads what `bytes` say; nothing of it is to be relied on before [`authenticate`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bad = |problem: &str| Error::damaged(OBJECT, problem);
        if bytes.len() < FIXED + MAC_LEN || !bytes.starts_with(MAGIC) {
            return Err(bad("it is no event store"));
        }
        if bytes[8] != 1 || bytes[9..12] != [0; 3] {
            return Err(Error::Unsupported {
                what: "event store version",
                value: bytes[8].to_string(),
            });
        }
        let len = u32::from_le_bytes(bytes[12..16].try_into().expect("4 bytes")) as usize;
        if bytes.len() - FIXED - MAC_LEN != len {
            return Err(bad("its length is wrong"));
        }
        let json = &bytes[FIXED..FIXED + len];
        let record: HeaderRecord =
            serde_json::from_slice(json).map_err(|_| bad("it is not readable"))?;
        let key = |text: &str| text.parse().map_err(|_| bad("a recipient is not readable"));
        let header = Self {
            id: record.id,
            suite: record.suite.parse()?,
            signer: record.signer,
            identity: key(&record.identity)?,
            own_identity: record.own_identity,
            recipients: record
                .recipients
                .iter()
                .take(MAX_RECIPIENTS + 1)
                .map(|text| key(text))
                .collect::<Result<_>>()?,
        };
        header
            .check()
            .map_err(|_| bad("its recipients are wrong"))?;
        Ok(header)
    }

    /// Checks that a holder of the store's key wrote `bytes`.
    pub fn authenticate(bytes: &[u8], store_key: &Key) -> Result<()> {
        let (signed, mac) = bytes.split_at(bytes.len().saturating_sub(MAC_LEN));
        if ct_eq(&store_key.derive(MAC_CONTEXT).mac(&[signed]), mac) {
            return Ok(());
        }
        Err(Error::damaged(OBJECT, "it does not authenticate"))
    }

    /// The bytes of the `store` file of the store at `location`.
    pub fn read(shelf: &Shelf<'_>, location: &dyn fmt::Display) -> Result<Vec<u8>> {
        let bytes = shelf.read(files::STORE, MAX_HEADER + 1)?;
        let bytes = bytes.ok_or_else(|| Error::NoStore {
            location: location.to_string(),
        })?;
        if bytes.len() as u64 > MAX_HEADER {
            return Err(Error::damaged(OBJECT, "it is too long"));
        }
        Ok(bytes)
    }
}

/// Whether `dir` may become an event store: there is nothing in it.
pub(crate) fn refuse_content(dir: &Path) -> Result<()> {
    let mut entries = fs::read_dir(dir).map_err(Error::io("read", dir))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::StoreExists {
            location: dir.display().to_string(),
        }),
    }
}
