//! The repository's `config` object: what every client must agree on (FORMAT.md, section 4.2).

use jiff::Timestamp;
use keepwatch_crypto::Suite;
use serde::{Deserialize, Serialize};

use crate::chunker::{Chunker, ChunkerId, ChunkerParams};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::storage::{ObjectName, Storage};

/// The format version that this crate writes.
pub const FORMAT_VERSION: u8 = 1;
/// Chunks are never larger than this, in bytes of plaintext.
pub const MAX_CHUNK: u32 = 16 << 20;
/// Packs are never larger than this, in bytes.
pub const MAX_PACK: u64 = 128 << 20;
/// A config object is never larger than this, in bytes.
const MAX_CONFIG: usize = 64 << 10;

/// Whether packs are padded so that their sizes tell less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Packs are as large as their content.
    #[default]
    None,
    /// Packs are padded to Padmé sizes (Nikitin et al., PETS 2019): at most 12 % more.
    Padme,
}

/// How content is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkerConfig {
    /// The algorithm.
    pub id: ChunkerId,
    /// Smallest chunk in bytes, but for the last of a file.
    pub min: u32,
    /// Average chunk in bytes, a power of two.
    pub avg: u32,
    /// Largest chunk in bytes.
    pub max: u32,
}

impl ChunkerConfig {
    /// The configuration of an algorithm with these sizes.
    pub fn new(id: ChunkerId, params: ChunkerParams) -> Self {
        let ChunkerParams { min, avg, max } = params;
        Self { id, min, avg, max }
    }

    /// The sizes of chunks.
    pub fn params(&self) -> ChunkerParams {
        ChunkerParams {
            min: self.min,
            avg: self.avg,
            max: self.max,
        }
    }

    /// The chunker that cuts so, with the repository's secret.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the sizes are out of range.
    pub fn chunker(&self, secret: &[u8; 32]) -> Result<Chunker> {
        Chunker::new(self.id, self.params(), secret).map_err(|error| Error::Invalid {
            what: "chunker",
            problem: error.to_string(),
        })
    }
}

/// The content of the `config` object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    version: u8,
    #[serde(with = "hex::serde")]
    id: [u8; 16],
    created: Timestamp,
    suite: String,
    chunker: ChunkerConfig,
    pack_size: u32,
    padding: Padding,
}

impl Config {
    pub(crate) fn new(
        id: [u8; 16],
        created: Timestamp,
        suite: Suite,
        chunker: ChunkerConfig,
        pack_size: u32,
        padding: Padding,
    ) -> Result<Self> {
        let config = Self {
            version: FORMAT_VERSION,
            id,
            created,
            suite: suite.name().to_owned(),
            chunker,
            pack_size,
            padding,
        };
        config.validated()
    }

    /// Reads a config object. Nothing in it is authenticated until a keyring confirms its hash.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_CONFIG {
            return Err(Error::damaged("config", "it is too large"));
        }
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let Version { version } =
            serde_json::from_slice(bytes).map_err(|error| Error::damaged("config", error))?;
        if version != u64::from(FORMAT_VERSION) {
            return Err(Error::Unsupported {
                what: "repository version",
                value: version.to_string(),
            });
        }
        serde_json::from_slice::<Self>(bytes)
            .map_err(|error| Error::damaged("config", error))?
            .validated()
    }

    /// The id of the repository in a storage, if one is there and says it. Nobody has proven it.
    pub fn id_in(storage: &dyn Storage) -> Option<[u8; 16]> {
        let bytes = storage.read(&ObjectName::config()).ok()?;
        Some(*Self::parse(&bytes).ok()?.id())
    }

    fn validated(self) -> Result<Self> {
        self.parsed_suite()?;
        self.chunker.chunker(&[0; 32])?;
        if self.chunker.max > MAX_CHUNK {
            return Err(Error::Invalid {
                what: "chunker",
                problem: format!("chunks above {MAX_CHUNK} bytes are not allowed"),
            });
        }
        let largest = (MAX_PACK / 2) as u32;
        if !(64 << 10..=largest).contains(&self.pack_size) {
            return Err(Error::Invalid {
                what: "pack size",
                problem: format!(
                    "{} is not between 65536 and {largest} bytes",
                    self.pack_size
                ),
            });
        }
        Ok(self)
    }

    fn parsed_suite(&self) -> Result<Suite> {
        self.suite.parse().map_err(|_| Error::Unsupported {
            what: "suite",
            value: self.suite.clone(),
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a config has no map keys that JSON refuses")
    }

    pub(crate) fn hash(bytes: &[u8]) -> Id {
        Id::of(bytes)
    }

    /// The repository's id, 16 random bytes.
    pub fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// When the repository was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// What new data is sealed with.
    pub fn suite(&self) -> Suite {
        self.parsed_suite().expect("checked when it was read")
    }

    /// How content is cut.
    pub fn chunker(&self) -> &ChunkerConfig {
        &self.chunker
    }

    /// The size in bytes at which a pack is closed.
    pub fn pack_size(&self) -> u32 {
        self.pack_size
    }

    /// Whether packs are padded.
    pub fn padding(&self) -> Padding {
        self.padding
    }
}
