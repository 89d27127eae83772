//! An open file: any place of it, with what comes next read ahead.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepwatch_core::{Error, FilePart, FileReader, Id, Result};

use crate::chunks::ChunkCache;

/// How far a read may lie from the end of the one before, in bytes, and still go on from it: the
/// kernel asks for several pieces at once, and they come in any order.
const NEAR: u64 = 4 << 20;

/// The content of a file. Several threads may read it at once.
pub struct OpenFile {
    chunks: Arc<ChunkCache>,
    /// How many bytes are read ahead.
    window: u64,
    layout: Mutex<Layout>,
    size: u64,
}

struct Layout {
    reader: FileReader,
    /// The furthest end of the reads that go on from each other.
    end: u64,
    /// Up to here, chunks were asked to be read ahead.
    ahead: u64,
}

impl OpenFile {
    pub(crate) fn new(chunks: Arc<ChunkCache>, reader: FileReader, window: u64) -> Self {
        Self {
            chunks,
            window,
            size: reader.len(),
            layout: Mutex::new(Layout {
                reader,
                end: 0,
                ahead: 0,
            }),
        }
    }

    /// The length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    fn layout(&self) -> MutexGuard<'_, Layout> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `len` bytes at `offset`, fewer at the end of the file only.
    ///
    /// # Errors
    /// Chunks that are missing or damaged.
    pub fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let len = usize::try_from(self.size.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(len);
        if len == 0 {
            return Ok(Vec::new());
        }
        let (parts, ahead) = self.layout().plan(offset, len, self.window)?;
        self.chunks.read_ahead(ahead);
        let mut out = Vec::with_capacity(len);
        for part in parts {
            let room = len - out.len();
            match part {
                FilePart::Hole { len } => {
                    let count = usize::try_from(len).unwrap_or(usize::MAX).min(room);
                    out.resize(out.len() + count, 0);
                }
                FilePart::Stored { chunk, from, len } => {
                    let content = self.chunks.get(chunk.id)?;
                    if content.len() != chunk.len as usize {
                        return Err(Error::Damaged {
                            object: format!("chunk {}", chunk.id),
                            detail: "it has another length than the index says".to_owned(),
                        });
                    }
                    let from = from as usize;
                    let count = (len as usize).min(room);
                    out.extend_from_slice(&content[from..from + count]);
                }
            }
        }
        Ok(out)
    }
}

impl Layout {
    /// What makes up a read, and which chunks come after it.
    fn plan(&mut self, offset: u64, len: usize, window: u64) -> Result<(Vec<FilePart>, Vec<Id>)> {
        let end = offset + len as u64;
        let mut parts = Vec::new();
        let mut at = offset;
        while at < end {
            let Some(part) = self.reader.part_at(at)? else {
                break;
            };
            at += length(&part);
            parts.push(part);
        }
        let goes_on = offset.abs_diff(self.end) <= NEAR;
        self.end = if goes_on { self.end.max(end) } else { end };
        if !goes_on {
            self.ahead = 0;
        }
        let mut ahead = Vec::new();
        // Small steps would cost more than they bring.
        let due = self.ahead < self.end + window / 2;
        if goes_on && due {
            let mut at = self.ahead.max(at);
            while at < self.end + window {
                // What is wrong there is told to whoever reads it.
                let Ok(Some(part)) = self.reader.part_at(at) else {
                    break;
                };
                at += length(&part);
                if let FilePart::Stored { chunk, .. } = part {
                    ahead.push(chunk.id);
                }
            }
            self.ahead = at;
        }
        Ok((parts, ahead))
    }
}

fn length(part: &FilePart) -> u64 {
    match part {
        FilePart::Hole { len } => *len,
        FilePart::Stored { len, .. } => u64::from(*len),
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
