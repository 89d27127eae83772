//! Cutting a stream into chunks through one reused buffer.

use std::io::{self, ErrorKind, Read};

use super::Chunker;

/// Room beyond one maximal chunk never falls below this, or small chunk sizes would mean small
/// reads.
const MIN_READ_AHEAD: usize = 256 << 10;

/// A chunker with the buffer it cuts in, for reading any number of files one after another.
///
/// Holds two maximal chunks: a full refill then moves less than it reads.
#[derive(Debug)]
pub struct ChunkBuffer {
    chunker: Chunker,
    bytes: Box<[u8]>,
}

impl ChunkBuffer {
    /// Allocates the buffer, 8 MiB with the default sizes.
    pub fn new(chunker: Chunker) -> Self {
        let max = chunker.params().max as usize;
        Self {
            chunker,
            bytes: vec![0; max + max.max(MIN_READ_AHEAD)].into_boxed_slice(),
        }
    }

    /// Starts on a new file.
    pub fn stream<R: Read>(&mut self, reader: R) -> ChunkStream<'_, R> {
        ChunkStream {
            buffer: self,
            reader,
            start: 0,
            end: 0,
            at_eof: false,
        }
    }
}

/// The chunks of one file.
#[derive(Debug)]
pub struct ChunkStream<'b, R> {
    buffer: &'b mut ChunkBuffer,
    reader: R,
    /// What is read and not yet handed out lies at `start..end`.
    start: usize,
    end: usize,
    at_eof: bool,
}

impl<R: Read> ChunkStream<'_, R> {
    /// The next chunk, or `None` at the end of the file. Blocks on the reader.
    ///
    /// Where chunks end does not depend on how many bytes each read returns.
    ///
    /// # Errors
    ///
    /// What the reader reports, except [`ErrorKind::Interrupted`], after which reading goes on.
    /// Bytes read before the error are kept, so a caller may try again.
    pub fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        let max = self.buffer.chunker.params().max as usize;
        if self.end - self.start < max && !self.at_eof {
            self.refill()?;
        }
        let rest = &self.buffer.bytes[self.start..self.end];
        let length = self.buffer.chunker.cut(rest);
        self.start += length;
        Ok((length > 0).then(|| &rest[..length]))
    }

    fn refill(&mut self) -> io::Result<()> {
        let bytes = &mut self.buffer.bytes;
        bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < bytes.len() {
            match self.reader.read(&mut bytes[self.end..]) {
                Ok(0) => {
                    self.at_eof = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
