//! Reading a sealed file that cannot seek.

use std::fmt;
use std::io::{self, Read};

use super::batch::{Batch, Batches, Direction};
use super::chunk::ChunkCipher;
use super::header::Header;
use crate::credential::Credential;
use crate::error::{Error, Result};

/// The plaintext of a sealed file that comes through a pipe.
///
/// Plaintext is handed out chunk by chunk, each authenticated. The end is reported, with a read of
/// 0 bytes, only when the last chunk says that it is the last; a stream that was cut short gives an
/// error instead, and goes on giving it.
pub struct StreamReader<R> {
    batches: Batches<R>,
    cipher: ChunkCipher,
    /// One chunk.
    batch: Batch,
    read: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The batch holds nothing yet.
    Start,
    /// The batch is opened.
    Open,
    Failed,
}

impl<R: Read> StreamReader<R> {
    /// Reads the header and opens it.
    ///
    /// # Errors
    /// As [`SealedReader::open`](super::SealedReader::open).
    pub fn open(mut reader: R, credential: &Credential) -> Result<Self> {
        let cipher = Header::read(&mut reader)?.unlock(credential)?;
        Ok(Self {
            batches: Batches::new(reader, Direction::Open),
            batch: Batch::with_room_for(1, &cipher),
            cipher,
            read: 0,
            state: State::Start,
        })
    }

    fn next_chunk(&mut self) -> Result<()> {
        self.state = State::Failed;
        self.batches.fill(&mut self.batch)?;
        self.batch.process(&self.cipher, Direction::Open)?;
        self.read = 0;
        self.state = State::Open;
        Ok(())
    }
}

impl<R: Read> Read for StreamReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.state == State::Failed {
            return Err(Error::Open.into());
        }
        if self.state == State::Start {
            self.next_chunk()?;
        }
        if self.read == self.batch.plaintext(0).len() && !self.batch.is_last() {
            self.next_chunk()?;
        }
        let part = &self.batch.plaintext(0)[self.read..];
        let count = part.len().min(out.len());
        out[..count].copy_from_slice(&part[..count]);
        self.read += count;
        Ok(count)
    }
}

impl<R> fmt::Debug for StreamReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReader")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
