//! The index: which chunk lies where (FORMAT.md, section 4.6).
//!
//! A [`Segment`] is the content of one index object of the repository. [`LocalIndex`] is this
//! machine's copy of all of them, sorted into a few files so that a lookup costs microseconds and
//! little memory is used however large the repository is.

mod bitmap;
mod file;
mod filter;
mod local;
mod merge;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

pub use bitmap::Bitmap;
pub use local::{Frozen, LocalIndex};
pub use segment::{Entry, Segment};

use crate::id::Id;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BlobKind {
    /// Content of files.
    Data = 0,
    /// Entries of directories, or lists of chunk ids.
    Tree = 1,
}

/// How a chunk is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// As it is.
    Raw = 0,
    /// Compressed as one zstd frame.
    Zstd = 1,
}

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The pack that holds it.
    pub pack: Id,
    /// Where it begins in the pack, in bytes.
    pub offset: u32,
    /// How many bytes it takes there, nonce and tag included.
    pub stored_len: u32,
    /// How many bytes of plaintext it has, at most 16 MiB.
    pub raw_len: u32,
    /// What it holds.
    pub kind: BlobKind,
    /// How it is stored.
    pub encoding: Encoding,
}

/// What can go wrong with index objects and their local copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// An index object breaks the format.
    #[error("an index object is malformed: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An index object of a later version.
    #[error("an index object has version {version}, which this version does not know")]
    Unsupported {
        /// The version found.
        version: u8,
    },
    /// A chunk is larger than any chunk may be.
    #[error("a chunk of {len} bytes is larger than any chunk")]
    ChunkTooLarge {
        /// Its length in bytes.
        len: u32,
    },
    /// A file of the local copy is not as it was written. It has been removed; what it held is
    /// read anew when the index is brought up to date the next time.
    #[error("the local copy of the index was damaged and is made anew ({})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Positions exist only while the local copy is one file.
    #[error("the local index has not been merged")]
    NotMerged,
    /// A file operation failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl IndexError {
    fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| IndexError::Io {
            operation,
            path,
            source,
        }
    }
}
