//! Writing a local index file. Its layout is private to this machine and may change at will:
//!
//! ```text
//! header[128] | entries, 48 bytes each | covered ids | packs | published | forgotten
//!             | fences u64… | filter words u64…
//! ```
//!
//! Entries are those of index objects, sorted by id and pack number. A fence is the beginning of
//! the id of every 1024th entry. The header holds a hash of itself and all that follows the
//! entries, which is compared when the file is opened, and a hash of the entries, which is compared
//! whenever they are all read.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::IndexError;
use super::file::{LocalFile, Tables};
use super::filter::{Filter, id_prefix};
use super::segment::Entry;

pub const MAGIC: &[u8; 8] = b"KWLIDX01";
pub const HEADER: usize = 128;
/// Every so many entries there is a fence.
pub const FENCE_STEP: u64 = 1024;
/// The extension of local index files.
pub const EXTENSION: &str = "kwi";
/// The extension of files that are being written.
pub const UNFINISHED: &str = "tmp";

const BUFFER: usize = 1 << 18;

/// A local index file that is being written; removed if it is not finished.
pub struct Writer {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    finished: bool,
    buffer: Vec<u8>,
    written: u64,
    entries: u64,
    hasher: blake3::Hasher,
    fences: Vec<u64>,
    filter: Filter,
}

impl Writer {
    /// Begins a file for at most `expected` entries.
    pub fn create(dir: &Path, number: u64, expected: u64) -> Result<Self, IndexError> {
        let path = dir.join(format!("{number:016x}.{EXTENSION}"));
        let temporary = path.with_extension(UNFINISHED);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(IndexError::io("make", &temporary))?;
        Ok(Self {
            file,
            temporary,
            path,
            finished: false,
            buffer: Vec::with_capacity(BUFFER + Entry::LEN),
            written: HEADER as u64,
            entries: 0,
            hasher: blake3::Hasher::new(),
            fences: Vec::with_capacity((expected / FENCE_STEP + 1) as usize),
            filter: Filter::new(expected),
        })
    }

    /// Appends an entry; they come sorted by id and pack number.
    pub fn push(&mut self, entry: &Entry) -> Result<(), IndexError> {
        if self.entries.is_multiple_of(FENCE_STEP) {
            self.fences.push(id_prefix(&entry.id));
        }
        self.entries += 1;
        self.filter.insert(&entry.id);
        self.buffer.extend_from_slice(&entry.to_bytes());
        if self.buffer.len() >= BUFFER {
            self.hasher.update(&self.buffer);
            self.flush()?;
        }
        Ok(())
    }

    /// Gives the file its name.
    pub fn finish(mut self, tables: Tables) -> Result<LocalFile, IndexError> {
        self.hasher.update(&self.buffer);
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&self.entries.to_le_bytes());
        let filter_words = self.filter.words().len() as u64;
        header[16..24].copy_from_slice(&filter_words.to_le_bytes());
        let counts = [
            tables.covered.len(),
            tables.packs.len(),
            tables.published.len(),
            tables.forgotten.len(),
        ];
        for (at, count) in counts.into_iter().enumerate() {
            let count =
                u32::try_from(count).expect("tables of packs and snapshots fit into memory");
            header[24 + 4 * at..28 + 4 * at].copy_from_slice(&count.to_le_bytes());
        }
        header[40..72].copy_from_slice(self.hasher.finalize().as_bytes());

        let mut meta_hasher = blake3::Hasher::new();
        meta_hasher.update(&header[..72]);
        let meta_at = self.buffer.len();
        for id in &tables.covered {
            self.buffer.extend_from_slice(id.as_bytes());
        }
        for (id, size) in &tables.packs {
            self.buffer.extend_from_slice(id.as_bytes());
            self.buffer.extend_from_slice(&size.to_le_bytes());
        }
        for id in tables.published.iter().chain(&tables.forgotten) {
            self.buffer.extend_from_slice(id.as_bytes());
        }
        meta_hasher.update(&self.buffer[meta_at..]);
        self.flush()?;
        let fences = std::mem::take(&mut self.fences);
        let filter = std::mem::replace(&mut self.filter, Filter::new(0));
        for words in [fences.as_slice(), filter.words()] {
            for part in words.chunks(BUFFER / 8) {
                self.buffer
                    .extend(part.iter().flat_map(|word| word.to_le_bytes()));
                meta_hasher.update(&self.buffer);
                self.flush()?;
            }
        }
        header[72..104].copy_from_slice(meta_hasher.finalize().as_bytes());
        self.file
            .write_all_at(&header, 0)
            .and_then(|()| fs::rename(&self.temporary, &self.path))
            .map_err(IndexError::io("write", &self.path))?;
        self.finished = true;
        let file = self
            .file
            .try_clone()
            .map_err(IndexError::io("open", &self.path))?;
        Ok(LocalFile {
            path: std::mem::take(&mut self.path),
            file,
            entries: self.entries,
            entries_hash: header[40..72].try_into().expect("32 bytes"),
            tables,
            fences,
            filter,
        })
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        self.file
            .write_all_at(&self.buffer, self.written)
            .map_err(IndexError::io("write", &self.temporary))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
