//! Snapshots and what is kept beside them (FORMAT.md, sections 4.7 to 4.9).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::tree::Content;

/// How a backup decides which files to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Reads every file.
    Full,
    /// Reads what has changed since the last backup of the same paths.
    #[default]
    Incremental,
    /// Reads what has changed since the last full backup of the same paths.
    Differential,
}

/// A file name or path, which need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NameRecord<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes {
        #[serde(with = "hex::serde")]
        hex: Vec<u8>,
    },
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => NameRecord::Text(text.into()),
            Err(_) => NameRecord::Bytes {
                hex: self.0.clone(),
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match NameRecord::deserialize(deserializer)? {
            NameRecord::Text(text) => Self(text.into_owned().into_bytes()),
            NameRecord::Bytes { hex } => Self(hex),
        })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentRecord {
    level: u8,
    ids: Vec<Id>,
}

mod content {
    use super::{Content, ContentRecord};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(content: &Content, serializer: S) -> Result<S::Ok, S::Error> {
        ContentRecord {
            level: content.level,
            ids: content.ids.clone(),
        }
        .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Content, D::Error> {
        let ContentRecord { level, ids } = ContentRecord::deserialize(deserializer)?;
        Ok(Content { level, ids })
    }
}

/// A snapshot's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub(crate) version: u32,
    /// When the backup began.
    pub time: Timestamp,
    /// The machine it was made on.
    pub host: String,
    /// The user who made it.
    pub user: String,
    /// The client that made it, 16 random bytes chosen once for each cache.
    #[serde(with = "hex::serde")]
    pub client: [u8; 16],
    /// What was backed up.
    pub paths: Vec<Name>,
    /// Words given by the user.
    pub tags: Vec<String>,
    /// How it decided what to read.
    pub mode: Mode,
    /// The snapshot it was compared with.
    pub parent: Option<Id>,
    /// The top directory.
    #[serde(with = "content")]
    pub root: Content,
    /// How many files it holds.
    pub files: u64,
    /// How many directories it holds.
    pub dirs: u64,
    /// How many bytes its files have.
    pub bytes: u64,
    /// How many bytes it added to the repository.
    pub stored: u64,
    /// How many entries could not be read.
    pub failed: u64,
    /// How long the backup took, in seconds.
    pub duration_s: f64,
    /// The program that made it.
    pub program: String,
}

/// A forgotten snapshot, kept until the next `prune`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trashed {
    pub(crate) version: u32,
    /// The id it had.
    pub snapshot: Id,
    /// When it was forgotten.
    pub forgotten: Timestamp,
    /// What it was.
    pub record: Snapshot,
}

/// A backup that is being made: what it rests on must stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pending {
    pub version: u32,
    #[serde(with = "hex::serde")]
    pub client: [u8; 16],
    pub set: Id,
    pub packs: Vec<Id>,
    pub snapshot: Option<Id>,
}

/// How far a collector has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GcPhase {
    Tombstone,
    Sweep,
}

/// What a collector is about to remove.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GcRecord {
    pub version: u32,
    #[serde(with = "hex::serde")]
    pub run: [u8; 16],
    pub phase: GcPhase,
    pub packs: Vec<Id>,
}
