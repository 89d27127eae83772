//! Sealing piece by piece.

use std::fmt;
use std::io::{self, Write};

use zeroize::Zeroizing;

use super::SealOptions;
use super::chunk::{ChunkCipher, Place};
use super::header::Header;
use crate::cipher::TAG_LEN;
use crate::credential::Lock;
use crate::error::{Error, Result};

/// Seals what is written to it into `W`.
///
/// Only [`SealedWriter::finish`] marks the end: without it, the file does not open. After a failed
/// write the writer stays failed.
pub struct SealedWriter<W: Write> {
    out: W,
    cipher: ChunkCipher,
    /// One chunk of plaintext and room for its tag.
    buf: Zeroizing<Vec<u8>>,
    filled: usize,
    number: u64,
    failed: bool,
}

impl<W: Write> SealedWriter<W> {
    /// Starts a sealed file that each of the locks opens, by writing its header.
    ///
    /// Blocks for as long as the locks' key derivations take.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options or locks out of range.
    pub fn new(mut out: W, locks: &[Lock<'_>], options: SealOptions) -> Result<Self> {
        let (header, cipher) = Header::create(locks, options)?;
        out.write_all(header.bytes()).map_err(Error::writing)?;
        Ok(Self {
            out,
            buf: Zeroizing::new(vec![0; cipher.stride()]),
            cipher,
            filled: 0,
            number: 0,
            failed: false,
        })
    }

    /// Writes the last chunk, flushes, and gives the output back.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> Result<W> {
        self.seal_chunk(true).map_err(Error::writing)?;
        self.out.flush().map_err(Error::writing)?;
        Ok(self.out)
    }

    fn seal_chunk(&mut self, last: bool) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let place = Place {
            number: self.number,
            last,
        };
        let chunk = &mut self.buf[..self.filled + TAG_LEN];
        self.cipher.seal(place, chunk);
        // Whatever becomes of this write, the nonce must not be used for anything else.
        self.failed = true;
        self.out.write_all(chunk)?;
        self.failed = false;
        self.number += 1;
        self.filled = 0;
        Ok(())
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // A full chunk is held back until it is known not to be the last.
        if self.filled == self.cipher.chunk_size || self.failed {
            self.seal_chunk(false)?;
        }
        let room = &mut self.buf[self.filled..self.cipher.chunk_size];
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.filled += len;
        Ok(len)
    }

    /// Flushes the output; up to one chunk stays here until [`SealedWriter::finish`].
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> fmt::Debug for SealedWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedWriter")
            .field("chunk_size", &self.cipher.chunk_size)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
