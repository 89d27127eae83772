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
use crate::tree::{Content, Node, NodeKind};

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

/// What a file has from some place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePart {
    /// Zeros that are not stored.
    Hole {
        /// How many bytes are left of it.
        len: u64,
    },
    /// A piece of a chunk.
    Stored {
        /// The chunk.
        chunk: FileChunk,
        /// Where the piece begins, in bytes of the chunk's content.
        from: u32,
        /// Its length in bytes.
        len: u32,
    },
}

/// Reads chunks of files one after the other, with buffers that are used again.
pub struct ChunkFetcher {
    repository: Arc<Repository>,
    scratch: Scratch,
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
        self.reader_of(size, &content, extents)
    }

    /// Opens a file that a [`DirectoryReader`](crate::DirectoryReader) gave.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no file.
    pub fn open_node(self: &Arc<Self>, node: &Node) -> Result<FileReader> {
        self.needs_full("reading a file")?;
        match &node.kind {
            NodeKind::File {
                size,
                content,
                extents,
                ..
            } => self.reader_of(*size, content, extents.clone()),
            _ => Err(Error::Invalid {
                what: "entry",
                problem: format!("{} is no file", String::from_utf8_lossy(&node.name)),
            }),
        }
    }

    fn reader_of(
        self: &Arc<Self>,
        size: u64,
        content: &Content,
        extents: Option<Vec<(u64, u64)>>,
    ) -> Result<FileReader> {
        let extents = extents.unwrap_or_else(|| match size {
            0 => Vec::new(),
            size => vec![(0, size)],
        });
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
            ids: ContentIds::new(content)?,
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

    /// What reads many chunks. Each thread has its own.
    ///
    /// # Errors
    /// [`Error::NeedsFullKey`].
    pub fn chunk_fetcher(self: &Arc<Self>) -> Result<ChunkFetcher> {
        self.needs_full("reading chunks")?;
        Ok(ChunkFetcher {
            repository: self.clone(),
            scratch: Scratch::new()?,
        })
    }
}

impl ChunkFetcher {
    /// The content of one chunk of a file, verified.
    ///
    /// # Errors
    /// [`Error::Missing`] when no pack has it.
    pub fn fetch(&mut self, id: Id) -> Result<&[u8]> {
        self.repository
            .read_chunk(BlobKind::Data, id, &mut self.scratch)
    }
}

impl fmt::Debug for ChunkFetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkFetcher").finish_non_exhaustive()
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

    /// What the file has at `offset`, up to the end of a chunk or hole; nothing after its end.
    ///
    /// Looks chunks up as far as `offset`, and reads none of them.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the chunks do not make up the file.
    pub fn part_at(&mut self, offset: u64) -> Result<Option<FilePart>> {
        if offset >= self.size {
            return Ok(None);
        }
        let n = self.extents.partition_point(|(at, len)| at + len <= offset);
        let hole_to = |end: u64| FilePart::Hole { len: end - offset };
        Ok(Some(match self.extents.get(n) {
            Some(&(start, len)) if start <= offset => {
                let at = self.stored_at[n] + (offset - start);
                let chunk = self.chunk_at(at)?;
                let from = (at - chunk.offset) as u32;
                FilePart::Stored {
                    chunk,
                    from,
                    len: clamp(start + len - offset, (chunk.len - from) as usize) as u32,
                }
            }
            Some(&(start, _)) => hole_to(start.min(self.size)),
            None => hole_to(self.size),
        }))
    }

    /// Reads some bytes at the position, as many as one chunk or hole gives.
    ///
    /// # Errors
    /// As [`Repository::dump`].
    pub fn read_some(&mut self, out: &mut [u8]) -> Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let count = match self.part_at(self.position)? {
            None => return Ok(0),
            Some(FilePart::Hole { len }) => {
                let count = clamp(len, out.len());
                out[..count].fill(0);
                count
            }
            Some(FilePart::Stored { chunk, from, len }) => {
                self.load(chunk)?;
                let count = out.len().min(len as usize);
                let from = from as usize;
                out[..count].copy_from_slice(&self.content[from..from + count]);
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
