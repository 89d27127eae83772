//! Consecutive chunks in one buffer: the unit of work when a whole stream is sealed or opened.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::chunk::{ChunkCipher, Layout, Place};
use crate::cipher::TAG_LEN;
use crate::error::{Error, Result};
use crate::read_full::read_full;

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Seal,
    Open,
}

/// Chunks at intervals of a sealed chunk's length, so that sealing and opening happen in place.
pub(super) struct Batch {
    buf: Zeroizing<Vec<u8>>,
    stride: usize,
    first: u64,
    chunks: usize,
    /// The sealed length of the last chunk here; all others are full.
    tail: usize,
    /// Whether the stream ends here.
    last: bool,
}

impl Batch {
    /// Room for `chunks` chunks.
    pub fn with_room_for(chunks: usize, cipher: &ChunkCipher) -> Self {
        let stride = cipher.stride();
        Self {
            buf: Zeroizing::new(vec![0; chunks * stride]),
            stride,
            first: 0,
            chunks: 0,
            tail: 0,
            last: false,
        }
    }

    /// Makes it the chunks from `first` on, as many as it has room for or the file has.
    pub fn place(&mut self, first: u64, layout: Layout) {
        let room = (self.buf.len() / self.stride) as u64;
        let chunks = room.min(layout.chunks - first);
        self.first = first;
        self.chunks = usize::try_from(chunks).expect("no more than there is room for");
        self.last = first + chunks == layout.chunks;
        self.tail = match self.last {
            true => layout.tail(self.stride),
            false => self.stride,
        };
    }

    /// The sealed bytes of all chunks.
    pub fn sealed_mut(&mut self) -> &mut [u8] {
        let len = self.sealed_len();
        &mut self.buf[..len]
    }

    /// Calls `each` with the number and the plaintext of every chunk.
    pub fn for_each_plaintext_mut(
        &mut self,
        mut each: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        (0..self.chunks).try_for_each(|index| {
            let range = self.range(index);
            let plaintext = &mut self.buf[range.start..range.end - TAG_LEN];
            each(self.first + index as u64, plaintext)
        })
    }

    /// Seals or opens every chunk in place.
    pub fn process(&mut self, cipher: &ChunkCipher, direction: Direction) -> Result<()> {
        for index in 0..self.chunks {
            let place = Place {
                number: self.first + index as u64,
                last: self.last && index + 1 == self.chunks,
            };
            let range = self.range(index);
            let chunk = &mut self.buf[range];
            match direction {
                Direction::Seal => cipher.seal(place, chunk),
                Direction::Open => drop(cipher.open(place, chunk)?),
            }
        }
        Ok(())
    }

    /// Writes out what [`Batch::process`] made; gives the number of plaintext bytes.
    pub fn write_to(&self, out: &mut impl Write, direction: Direction) -> io::Result<u64> {
        match direction {
            Direction::Seal => out.write_all(&self.buf[..self.sealed_len()])?,
            Direction::Open => {
                for index in 0..self.chunks {
                    out.write_all(self.plaintext(index))?;
                }
            }
        }
        Ok((self.sealed_len() - self.chunks * TAG_LEN) as u64)
    }

    /// The plaintext of a chunk that is opened.
    pub fn plaintext(&self, index: usize) -> &[u8] {
        let range = self.range(index);
        &self.buf[range.start..range.end - TAG_LEN]
    }

    pub fn is_last(&self) -> bool {
        self.last
    }

    fn sealed_len(&self) -> usize {
        self.range(self.chunks - 1).end
    }

    fn range(&self, index: usize) -> std::ops::Range<usize> {
        let at = index * self.stride;
        let len = if index + 1 == self.chunks {
            self.tail
        } else {
            self.stride
        };
        at..at + len
    }
}

/// Cuts a stream into batches and knows which is the last.
pub(super) struct Batches<R> {
    reader: R,
    direction: Direction,
    next: u64,
    /// A byte read to see whether the stream goes on.
    ahead: Option<u8>,
}

impl<R: Read> Batches<R> {
    pub fn new(reader: R, direction: Direction) -> Self {
        Self {
            reader,
            direction,
            next: 0,
            ahead: None,
        }
    }

    /// Fills the batch from the stream. Not to be called after the last one.
    pub fn fill(&mut self, batch: &mut Batch) -> Result<()> {
        let gap = match self.direction {
            Direction::Seal => TAG_LEN,
            Direction::Open => 0,
        };
        let room = batch.buf.len() / batch.stride;
        batch.first = self.next;
        batch.chunks = 0;
        batch.tail = gap;
        batch.last = false;
        while batch.chunks < room && !batch.last {
            let at = batch.chunks * batch.stride;
            let input = &mut batch.buf[at..at + batch.stride - gap];
            let len = self.read_full(input).map_err(Error::reading)?;
            batch.last = len < input.len();
            if len > 0 {
                batch.chunks += 1;
                batch.tail = len + gap;
            }
        }
        if !batch.last {
            let mut byte = [0];
            if self.read_full(&mut byte).map_err(Error::reading)? == 0 {
                batch.last = true;
            } else {
                self.ahead = Some(byte[0]);
            }
        }
        if batch.chunks == 0 {
            // An empty stream is one chunk without content; to an opener, one without a tag.
            batch.chunks = 1;
        }
        if batch.tail < TAG_LEN {
            return Err(Error::Open);
        }
        self.next += batch.chunks as u64;
        Ok(())
    }

    /// Reads until `buf` is full or the stream ends.
    fn read_full(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut len = 0;
        if let Some(byte) = self.ahead.take() {
            buf[0] = byte;
            len = 1;
        }
        Ok(len + read_full(&mut self.reader, &mut buf[len..])?)
    }
}
