//! Content-defined chunking: where a file is cut into the pieces that are stored once.
//!
//! A cut depends only on the 64 bytes before it, on the vault's secret and on how long the
//! chunk has become, so an insertion moves the cuts near it and no others. Two chunkers exist:
//!
//! - [`ChunkerId::GearKeyed`], a gear hash with a secret table, fast;
//! - [`ChunkerId::Prf`], where AES-128 decides, so that the cuts, visible to whoever holds the
//!   storage as sizes of objects, say nothing about the secret.
//!
//! The second exists because the cuts of a rolling hash can be attacked even when it is keyed:
//! Alexeev, Percival and Zhang (eprint 2025/532) and Truong et al. (eprint 2025/558) work back
//! from chunk sizes to the secret, then test for known files.
//!
//! Start with [`Chunker::new`]; [`ChunkBuffer`] cuts anything that implements
//! [`Read`](std::io::Read).
//!
//! ```
//! use keepwatch_core::chunker::{ChunkBuffer, Chunker, ChunkerId, ChunkerParams};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let chunker = Chunker::new(ChunkerId::GearKeyed, ChunkerParams::default(), &[7; 32])?;
//! let mut buffer = ChunkBuffer::new(chunker);
//! let mut stream = buffer.stream(&b"a small file is one chunk"[..]);
//! assert_eq!(stream.next_chunk()?, Some(&b"a small file is one chunk"[..]));
//! assert_eq!(stream.next_chunk()?, None);
//! # Ok(())
//! # }
//! ```

mod buffer;
mod gear;
mod prf;
mod rabin;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::buffer::{ChunkBuffer, ChunkStream};
use self::gear::Gear;
use self::prf::Prf;

/// How many bytes before a position decide whether it is a cut.
const WINDOW: usize = 64;

/// The largest chunk any vault may hold, in bytes.
const MAX_CHUNK: u32 = 16 << 20;

/// How far the cut probability is moved either way from one in `avg`, in powers of two: the
/// "normalisation level" of Xia et al., FastCDC (USENIX ATC 2016; IEEE TPDS 2020).
const NORMALISATION: u32 = 2;

/// Chunk sizes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkerParams {
    /// No chunk is shorter, except the last of a file. At least 64.
    pub min: u32,
    /// The usual length, a power of two. The true mean is up to 30 % away.
    pub avg: u32,
    /// No chunk is longer. At most 16 MiB.
    pub max: u32,
}

impl Default for ChunkerParams {
    fn default() -> Self {
        Self {
            min: 512 << 10,
            avg: 1 << 20,
            max: 4 << 20,
        }
    }
}

impl ChunkerParams {
    /// Checks the limits that each field states.
    ///
    /// # Errors
    ///
    /// The first limit that does not hold.
    pub fn validate(&self) -> Result<(), ChunkerError> {
        let Self { min, avg, max } = *self;
        if (min as usize) < WINDOW {
            return Err(ChunkerError::MinTooSmall { min });
        }
        if max > MAX_CHUNK {
            return Err(ChunkerError::MaxTooLarge { max });
        }
        if !avg.is_power_of_two() {
            return Err(ChunkerError::AvgNotPowerOfTwo { avg });
        }
        if min >= avg || avg >= max {
            return Err(ChunkerError::Order { min, avg, max });
        }
        Ok(())
    }
}

/// Which chunker a vault uses. It never changes during the life of a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChunkerId {
    /// FastCDC over a gear hash whose whole table is secret.
    #[serde(rename = "gear-keyed")]
    GearKeyed,
    /// AES-128 over a secret Rabin fingerprint. Slower, and does not leak.
    #[serde(rename = "prf")]
    Prf,
}

impl ChunkerId {
    /// The name in the vault's configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GearKeyed => "gear-keyed",
            Self::Prf => "prf",
        }
    }
}

impl fmt::Display for ChunkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Chunk sizes that no chunker accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChunkerError {
    /// The hash window would not fit into the shortest chunk.
    #[error("the minimum chunk size is {min} bytes; at least 64 are needed")]
    MinTooSmall {
        /// The size asked for.
        min: u32,
    },
    /// A chunk is held in memory whole, so its size has a limit.
    #[error("the maximum chunk size is {max} bytes; 16777216 are allowed")]
    MaxTooLarge {
        /// The size asked for.
        max: u32,
    },
    /// The average decides how many bits of the hash must be zero.
    #[error("the average chunk size is {avg} bytes, not a power of two")]
    AvgNotPowerOfTwo {
        /// The size asked for.
        avg: u32,
    },
    /// The three sizes are not in order.
    #[error("chunk sizes must grow from minimum to average to maximum, not {min}, {avg}, {max}")]
    Order {
        /// The minimum asked for.
        min: u32,
        /// The average asked for.
        avg: u32,
        /// The maximum asked for.
        max: u32,
    },
}

/// Decides where chunks end. Cloning shares the secret tables.
#[derive(Clone)]
pub struct Chunker {
    id: ChunkerId,
    params: ChunkerParams,
    /// Of the hash, before the chunk has reached `avg`: a cut is four times rarer.
    strict: u64,
    /// Of the hash, beyond `avg`: a cut is four times likelier. A subset of `strict`, so that
    /// two streams whose cuts differ meet again at the first strict one.
    loose: u64,
    hash: Hash,
}

#[derive(Clone)]
enum Hash {
    Gear(Arc<Gear>),
    Prf(Arc<Prf>),
}

impl Chunker {
    /// Derives the tables of chunker `id` from the vault's chunker secret.
    ///
    /// Takes about a millisecond, so share the result.
    ///
    /// # Errors
    ///
    /// When `params` are not valid, see [`ChunkerParams::validate`].
    pub fn new(
        id: ChunkerId,
        params: ChunkerParams,
        secret: &[u8; 32],
    ) -> Result<Self, ChunkerError> {
        params.validate()?;
        let bits = params.avg.trailing_zeros();
        let mask: fn(u32) -> u64 = match id {
            ChunkerId::GearKeyed => gear::mask,
            ChunkerId::Prf => prf::mask,
        };
        Ok(Self {
            id,
            params,
            strict: mask(bits + NORMALISATION),
            loose: mask(bits - NORMALISATION),
            hash: match id {
                ChunkerId::GearKeyed => Hash::Gear(Arc::new(Gear::new(secret))),
                ChunkerId::Prf => Hash::Prf(Arc::new(Prf::new(secret))),
            },
        })
    }

    /// Which chunker this is.
    pub fn id(&self) -> ChunkerId {
        self.id
    }

    /// The sizes it was made with.
    pub fn params(&self) -> ChunkerParams {
        self.params
    }

    /// The length of the first chunk of `data`, which starts where a chunk starts.
    ///
    /// `data` must hold at least `max` bytes, or all bytes up to the end of the file; with fewer
    /// the answer may be wrong. It is 0 only when `data` is empty.
    pub fn cut(&self, data: &[u8]) -> usize {
        let min = self.params.min as usize;
        let avg = self.params.avg as usize;
        let end = data.len().min(self.params.max as usize);
        if end <= min {
            return end;
        }
        self.find(data, min, avg.min(end), self.strict)
            .or_else(|| self.find(data, avg + 1, end, self.loose))
            .unwrap_or(end)
    }

    /// The first length in `from..=to` whose window matches `mask`; `from` is at least [`WINDOW`].
    fn find(&self, data: &[u8], from: usize, to: usize, mask: u64) -> Option<usize> {
        if from > to {
            return None;
        }
        match &self.hash {
            Hash::Gear(gear) => gear.find(data, from, to, mask),
            Hash::Prf(prf) => prf.find(data, from, to, mask),
        }
    }
}

impl fmt::Debug for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunker")
            .field("id", &self.id)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
