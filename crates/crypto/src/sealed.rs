//! Sealed files: data of any length for any number of credentials (FORMAT.md, section 2).
//!
//! A header with a slot for each [`Lock`](crate::Lock), then chunks in the STREAM construction
//! (Hoang, Reyhanitabar, Rogaway and Vizár, 2015): each authenticates its number and whether it is
//! the last, so that a file cut short, made longer, reordered or spliced does not open.
//!
//! | to | use |
//! |---|---|
//! | seal or open a whole stream, on several cores | [`seal_stream`], [`open_stream`] |
//! | seal or open a file, on several cores | [`seal_at`], [`open_at`] |
//! | write piece by piece | [`SealedWriter`] |
//! | read at any place of a file | [`SealedReader`] |
//! | read from a pipe | [`StreamReader`] |
//! | look at a header without a key | [`Info`], [`is_sealed`] |
//!
//! Everything but [`SealedReader`] hands out plaintext chunk by chunk, each authenticated, before it
//! knows that the end is intact. Until the call that reports the end has succeeded, what was
//! written is provisional: write to a temporary file and rename it.

mod batch;
mod chunk;
mod header;
mod positioned;
mod reader;
mod stream;
mod stream_reader;
mod writer;

use std::io::Read;

use crate::error::Result;
use crate::suite::Suite;

use header::{Header, MAGIC};

pub use positioned::{open_at, seal_at};
pub use reader::SealedReader;
pub use stream::{open_stream, seal_stream};
pub use stream_reader::StreamReader;
pub use writer::SealedWriter;

/// How a sealed file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealOptions {
    /// The cipher suite.
    pub suite: Suite,
    /// The chunk size as a power of two, 12 (4 KiB) to 24 (16 MiB). It is what one random access
    /// costs, and 16 bytes of overhead.
    pub chunk_size_log2: u8,
}

impl Default for SealOptions {
    /// The recommended suite and chunks of 64 KiB.
    fn default() -> Self {
        Self {
            suite: Suite::recommended(),
            chunk_size_log2: 16,
        }
    }
}

/// What anyone can read in the header of a sealed file.
///
/// None of it is authenticated until the file is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The cipher suite.
    pub suite: Suite,
    /// The chunk size in bytes.
    pub chunk_size: u32,
    /// What opens each slot, as [`slot::Wrapped::describe`](crate::slot::Wrapped::describe) says it.
    pub slots: Vec<String>,
    /// The length of the header in bytes.
    pub header_len: u32,
}

impl Info {
    /// Reads the header at the reader's position, and nothing beyond it.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) when it is not a sealed file,
    /// [`Error::Unsupported`](crate::Error::Unsupported) when a newer release wrote it.
    pub fn read(reader: impl Read) -> Result<Self> {
        Ok(Header::read(reader)?.info())
    }

    /// The length of the plaintext of a file of `file_len` bytes; none if no file has that length.
    pub fn plaintext_len(&self, file_len: u64) -> Option<u64> {
        let body = file_len.checked_sub(self.header_len.into())?;
        Some(chunk::Layout::of(body, self.chunk_size as usize)?.plaintext)
    }
}

/// Whether a file that begins with `prefix` is a sealed file; eight bytes are needed to tell.
pub fn is_sealed(prefix: &[u8]) -> bool {
    prefix.starts_with(MAGIC)
}
