//! Reading a file of a snapshot at any place.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::BlobKind;
use crate::read::{ContentIds, Scratch};
use crate::repository::Repository;
use crate::snapshot::Snapshot;

/// A chunk of a file: where its bytes begin in the file's stored content, and how many they are.
///
/// Stored content leaves out the holes of a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileChunk {
    /// Its id.
    pub id: Id,
    /// Where it begins, in bytes of stored content.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u32,
}

/// The content of a file of a snapshot, with random access.
///
/// One chunk is kept: reading in order fetches and verifies each chunk once. Where chunks are is
/// looked up as far as reading comes, 48 bytes of memory for each chunk.
pub struct FileReader {
    repository: Arc<Repository>,
    size: u64,
    /// Stretches of the file that are stored, as offset and length, in order; the rest is zeros.
    extents: Vec<(u64, u64)>,
    /// Where each extent begins in stored content.
    stored_at: Vec<u64>,
    stored: u64,
    ids: ContentIds,
    known: Vec<FileChunk>,
    position: u64,
    scratch: Scratch,
    loaded: Option<FileChunk>,
    content: Vec<u8>,
}

impl Repository {
    /// Opens a file of a snapshot.
    ///
    /// # Errors
    /// [`Error::NoSuchPath`]; [`Error::Invalid`] for what is no file.
    pub fn open_file(self: &Arc<Self>, snapshot: &Snapshot, path: &[u8]) -> Result<FileReader> {
        self.needs_full("reading a file")?;
        let (size, content, extents) = self.file_at(snapshot, path)?;
        let extents = extents.unwrap_or_else(|| vec![(0, size)]);
        let mut stored = 0;
        let mut stored_at = Vec::with_capacity(extents.len());
        for (_, len) in &extents {
            stored_at.push(stored);
            stored += len;
        }
        Ok(FileReader {
            repository: self.clone(),
            size,
            extents,
            stored_at,
            stored,
            ids: ContentIds::new(&content)?,
            known: Vec::new(),
            position: 0,
            scratch: Scratch::new()?,
            loaded: None,
            content: Vec::new(),
        })
    }

    /// The content of one chunk of a file, verified.
    ///
    /// # Errors
    /// [`Error::Missing`] when no pack has it.
    pub fn read_data_chunk(&self, id: Id) -> Result<Vec<u8>> {
        self.needs_full("reading a chunk")?;
        let mut scratch = Scratch::new()?;
        self.read_chunk(BlobKind::Data, id, &mut scratch)
            .map(<[u8]>::to_vec)
    }
}

impl FileReader {
    /// The length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The n-th chunk of the file, or none after the last.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the chunks do not make up the file.
    pub fn chunk(&mut self, n: usize) -> Result<Option<FileChunk>> {
        while self.known.len() <= n {
            if !self.find_next()? {
                return Ok(None);
            }
        }
        Ok(Some(self.known[n]))
    }

    /// Looks one more chunk up; gives whether there was one.
    fn find_next(&mut self) -> Result<bool> {
        let offset = self
            .known
            .last()
            .map_or(0, |last| last.offset + u64::from(last.len));
        let Some(id) = self.ids.next(&self.repository, &mut self.scratch)? else {
            return match offset == self.stored {
                true => Ok(false),
                false => Err(damaged("there is less content than the file has")),
            };
        };
        let len = self.repository.raw_len(&id)?;
        // Only the last chunk is shorter than the chunker cuts: otherwise a hostile tree could make
        // us remember more chunks than any memory holds.
        let min = self.repository.config().chunker().params().min;
        let left = self.stored - offset;
        if u64::from(len) > left || len == 0 || (len < min && u64::from(len) < left) {
            return Err(damaged("its chunks do not make up the file"));
        }
        self.known.push(FileChunk { id, offset, len });
        Ok(true)
    }

    /// The chunk that holds this byte of stored content.
    fn chunk_at(&mut self, at: u64) -> Result<FileChunk> {
        let end = |chunk: &FileChunk| chunk.offset + u64::from(chunk.len);
        while self.known.last().is_none_or(|last| end(last) <= at) {
            if !self.find_next()? {
                return Err(damaged("there is less content than the file has"));
            }
        }
        let n = self.known.partition_point(|chunk| end(chunk) <= at);
        Ok(self.known[n])
    }

    /// Where the position lies: in stored content, with the bytes that follow there, or in a hole,
    /// with the bytes that it still has.
    fn place(&self) -> Place {
        let n = self
            .extents
            .partition_point(|(at, len)| at + len <= self.position);
        match self.extents.get(n) {
            Some(&(at, len)) if at <= self.position => Place::Stored {
                at: self.stored_at[n] + (self.position - at),
                left: at + len - self.position,
            },
            Some(&(at, _)) => Place::Hole(at.min(self.size) - self.position),
            None => Place::Hole(self.size - self.position),
        }
    }

    /// Reads some bytes at the position, as many as one chunk or hole gives.
    ///
    /// # Errors
    /// As [`Repository::dump`].
    pub fn read_some(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.position >= self.size || out.is_empty() {
            return Ok(0);
        }
        let count = match self.place() {
            Place::Hole(left) => {
                let count = clamp(left, out.len());
                out[..count].fill(0);
                count
            }
            Place::Stored { at, left } => {
                let chunk = self.chunk_at(at)?;
                self.load(chunk)?;
                let part = &self.content[(at - chunk.offset) as usize..];
                let count = clamp(left, part.len().min(out.len()));
                out[..count].copy_from_slice(&part[..count]);
                count
            }
        };
        self.position += count as u64;
        Ok(count)
    }

    fn load(&mut self, chunk: FileChunk) -> Result<()> {
        if self.loaded == Some(chunk) {
            return Ok(());
        }
        self.loaded = None;
        let data = self
            .repository
            .read_chunk(BlobKind::Data, chunk.id, &mut self.scratch)?;
        if data.len() != chunk.len as usize {
            return Err(damaged("a chunk has another length than the index says"));
        }
        self.content.clear();
        self.content.extend_from_slice(data);
        self.loaded = Some(chunk);
        Ok(())
    }
}

enum Place {
    Stored { at: u64, left: u64 },
    Hole(u64),
}

fn clamp(left: u64, room: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(room)
}

fn damaged(detail: &str) -> Error {
    Error::damaged("a file of the snapshot", detail)
}

impl Read for FileReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.read_some(out).map_err(io::Error::other)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader")
            .field("size", &self.size)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
