//! A local index file that is complete: opening, lookups, reading it all.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::IndexError;
use super::filter::{Filter, id_prefix};
use super::segment::Entry;
use super::writer::{FENCE_STEP, HEADER, MAGIC};
use crate::id::Id;

/// Entries read at once by a lookup: a little less than a page. Within a fence the place guessed
/// for a random id is 16 entries off (one standard deviation) at worst.
const WINDOW: u64 = 80;
const BUFFER_ENTRIES: u64 = 4096;

/// What a local file holds beside entries.
#[derive(Debug, Default)]
pub struct Tables {
    /// The index objects that the file was made of.
    pub covered: Vec<Id>,
    /// Packs with their sizes, each once.
    pub packs: Vec<(Id, u64)>,
    pub published: Vec<Id>,
    pub forgotten: Vec<Id>,
}

/// An immutable file of sorted entries.
pub struct LocalFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) entries: u64,
    pub(super) entries_hash: [u8; 32],
    pub(super) tables: Tables,
    pub(super) fences: Vec<u64>,
    pub(super) filter: Filter,
}

impl std::fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "LocalFile({}, {} entries)",
            self.path.display(),
            self.entries
        )
    }
}

impl LocalFile {
    /// Opens a file; nothing if it is not one that was written completely.
    pub fn open(path: &Path) -> Result<Option<Self>, IndexError> {
        let fail = |error| IndexError::io("read", path)(error);
        let file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        let mut header = [0; HEADER];
        match file.read_exact_at(&mut header, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result.map_err(fail)?,
        }
        let Some(layout) = Layout::of(&header, len) else {
            return Ok(None);
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header[..72]);
        let mut bytes = vec![0; layout.tables_len];
        file.read_exact_at(&mut bytes, layout.tables_at)
            .map_err(fail)?;
        hasher.update(&bytes);
        let mut words_at = layout.tables_at + bytes.len() as u64;
        let mut words = |count: usize| -> io::Result<Vec<u64>> {
            let mut words = Vec::with_capacity(count);
            let mut buffer = [0; 1 << 14];
            while words.len() < count {
                let len = buffer.len().min((count - words.len()) * 8);
                file.read_exact_at(&mut buffer[..len], words_at)?;
                words_at += len as u64;
                hasher.update(&buffer[..len]);
                words.extend(buffer[..len].chunks_exact(8).map(to_u64));
            }
            Ok(words)
        };
        let fences = words(layout.fences).map_err(fail)?;
        let filter = Filter::from_words(words(layout.filter).map_err(fail)?);
        if hasher.finalize() != header[72..104] {
            return Ok(None);
        }
        let mut rest = bytes.as_slice();
        let tables = Tables {
            covered: take_ids(&mut rest, layout.covered),
            packs: take(&mut rest, layout.packs * 40)
                .chunks_exact(40)
                .map(|pack| (to_id(&pack[..32]), to_u64(&pack[32..])))
                .collect(),
            published: take_ids(&mut rest, layout.published),
            forgotten: take_ids(&mut rest, layout.forgotten),
        };
        Ok(Some(Self {
            path: path.to_owned(),
            file,
            entries: layout.entries,
            entries_hash: header[40..72].try_into().expect("32 bytes"),
            tables,
            fences,
            filter,
        }))
    }

    /// Removes the file; it stays readable for those who hold it.
    pub fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove a local index file");
        }
    }

    /// Removes the file, so that the next to open the index does not meet it again.
    fn damaged(&self) -> IndexError {
        self.remove();
        IndexError::Damaged {
            path: self.path.clone(),
        }
    }

    /// Calls `each` with position and entry for all entries of an id until it says stop (`false`).
    pub fn find(
        &self,
        id: &Id,
        each: &mut dyn FnMut(u64, &Entry) -> bool,
    ) -> Result<(), IndexError> {
        if !self.filter.contains(id) {
            return Ok(());
        }
        let mut window = Window::new(self);
        let mut at = self.lower_bound(id, &mut window)?;
        while at < self.entries {
            let entry = window.get(at)?;
            if entry.id != *id {
                break;
            }
            if entry.problem(self.tables.packs.len()).is_some() {
                return Err(self.damaged());
            }
            if !each(at, &entry) {
                break;
            }
            at += 1;
        }
        Ok(())
    }

    /// The position of the first entry whose id is not below `id`.
    fn lower_bound(&self, id: &Id, window: &mut Window<'_>) -> Result<u64, IndexError> {
        let prefix = id_prefix(id);
        let below = self.fences.partition_point(|fence| *fence < prefix);
        let above = below + self.fences[below..].partition_point(|fence| *fence == prefix);
        // The position is in lo..=hi, and the entry at hi, if there is one, is above the id.
        let mut lo = (below as u64).saturating_sub(1) * FENCE_STEP;
        let mut hi = (above as u64 * FENCE_STEP).min(self.entries);
        let from = below.checked_sub(1).map_or(0, |fence| self.fences[fence]);
        let to = self.fences.get(above).copied().unwrap_or(u64::MAX);
        let mut guess = lo + share(prefix, from, to, hi - lo);
        while lo < hi {
            let len = (hi - lo).min(WINDOW);
            let start = guess.saturating_sub(len / 2).clamp(lo, hi - len);
            window.load(start, len)?;
            if !window.is_plausible() {
                return Err(self.damaged());
            }
            let before = window.count_below(id);
            if before == 0 && start > lo {
                hi = start + 1;
            } else if before == len && start + len < hi {
                lo = start + len;
            } else {
                return Ok(start + before);
            }
            guess = lo + (hi - lo) / 2;
        }
        Ok(lo)
    }

    /// Reads all entries in order, and compares them with their hash at the end.
    pub fn stream(&self) -> Stream<'_> {
        Stream {
            file: self,
            buffer: Vec::new(),
            used: 0,
            next: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    fn read(&self, buffer: &mut [u8], position: u64) -> Result<(), IndexError> {
        let at = HEADER as u64 + position * Entry::LEN as u64;
        match self.file.read_exact_at(buffer, at) {
            // Somebody has cut it since it was opened.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged()),
            result => result.map_err(IndexError::io("read", &self.path)),
        }
    }
}

/// Where in `0..=len` a number lies that lies between `from` and `to`.
fn share(value: u64, from: u64, to: u64, len: u64) -> u64 {
    let part = u128::from(value.saturating_sub(from)) * u128::from(len);
    (part / u128::from(to.saturating_sub(from).max(1))).min(u128::from(len)) as u64
}

/// A few entries around the place of a lookup.
struct Window<'f> {
    file: &'f LocalFile,
    start: u64,
    len: u64,
    bytes: [u8; WINDOW as usize * Entry::LEN],
}

impl<'f> Window<'f> {
    fn new(file: &'f LocalFile) -> Self {
        Self {
            file,
            start: 0,
            len: 0,
            bytes: [0; WINDOW as usize * Entry::LEN],
        }
    }

    fn load(&mut self, start: u64, len: u64) -> Result<(), IndexError> {
        self.file
            .read(&mut self.bytes[..len as usize * Entry::LEN], start)?;
        self.start = start;
        self.len = len;
        Ok(())
    }

    fn entries(&self) -> &[[u8; Entry::LEN]] {
        &self.bytes.as_chunks().0[..self.len as usize]
    }

    fn count_below(&self, id: &Id) -> u64 {
        self.entries()
            .partition_point(|entry| entry[..32] < id.as_bytes()[..]) as u64
    }

    /// Whether entries are in order and between their fences. Pages that never reached the disk
    /// before a power failure are not.
    fn is_plausible(&self) -> bool {
        let entries = self.entries();
        let prefix = |entry: &[u8; Entry::LEN]| to_be_u64(&entry[..8]);
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return true;
        };
        let fence = |position: u64| self.file.fences.get((position / FENCE_STEP) as usize);
        let above = fence(self.start + self.len - 1 + FENCE_STEP);
        fence(self.start).is_some_and(|fence| *fence <= prefix(first))
            && above.is_none_or(|fence| prefix(last) <= *fence)
            && entries.is_sorted_by_key(prefix)
    }

    fn get(&mut self, position: u64) -> Result<Entry, IndexError> {
        if position < self.start || position >= self.start + self.len {
            self.load(position, WINDOW.min(self.file.entries - position))?;
        }
        Ok(Entry::from_bytes(
            &self.entries()[(position - self.start) as usize],
        ))
    }
}

/// Entries of a file in order.
pub struct Stream<'f> {
    file: &'f LocalFile,
    buffer: Vec<u8>,
    used: usize,
    /// The position of what follows the buffer.
    next: u64,
    hasher: blake3::Hasher,
}

impl Stream<'_> {
    /// The next entry. At the end the entries have been compared with their hash.
    pub fn next(&mut self) -> Result<Option<Entry>, IndexError> {
        if self.used == self.buffer.len() {
            let len = (self.file.entries - self.next).min(BUFFER_ENTRIES);
            if len == 0 {
                return if self.hasher.finalize() == self.file.entries_hash {
                    Ok(None)
                } else {
                    Err(self.file.damaged())
                };
            }
            self.buffer.resize(len as usize * Entry::LEN, 0);
            self.file.read(&mut self.buffer, self.next)?;
            self.hasher.update(&self.buffer);
            self.next += len;
            self.used = 0;
        }
        let bytes = self.buffer[self.used..]
            .first_chunk()
            .expect("the buffer holds whole entries");
        self.used += Entry::LEN;
        let entry = Entry::from_bytes(bytes);
        if entry.problem(self.file.tables.packs.len()).is_some() {
            return Err(self.file.damaged());
        }
        Ok(Some(entry))
    }
}

/// The lengths of a file's parts.
struct Layout {
    entries: u64,
    covered: usize,
    packs: usize,
    published: usize,
    forgotten: usize,
    fences: usize,
    filter: usize,
    tables_at: u64,
    tables_len: usize,
}

impl Layout {
    /// The layout that a header tells, if the file has exactly the length that follows from it.
    fn of(header: &[u8; HEADER], len: u64) -> Option<Self> {
        if header[..8] != MAGIC[..] {
            return None;
        }
        let (entries, filter) = (to_u64(&header[8..16]), to_u64(&header[16..24]));
        let count = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let [covered, packs, published, forgotten] = [24, 28, 32, 36].map(count);
        let fences = entries.div_ceil(FENCE_STEP);
        // A lookup divides by the number of blocks.
        if !filter.is_multiple_of(8) || (filter == 0) != (entries == 0) {
            return None;
        }
        let ids = u64::from(covered) + u64::from(published) + u64::from(forgotten);
        let tables_len = ids * 32 + u64::from(packs) * 40;
        let tables_at = entries
            .checked_mul(Entry::LEN as u64)?
            .checked_add(HEADER as u64)?;
        let words_len = fences.checked_add(filter)?.checked_mul(8)?;
        if tables_at.checked_add(tables_len)?.checked_add(words_len)? != len {
            return None;
        }
        Some(Self {
            entries,
            covered: covered as usize,
            packs: packs as usize,
            published: published as usize,
            forgotten: forgotten as usize,
            fences: usize::try_from(fences).ok()?,
            filter: usize::try_from(filter).ok()?,
            tables_at,
            tables_len: usize::try_from(tables_len).ok()?,
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(len);
    *rest = after;
    taken
}

fn take_ids(rest: &mut &[u8], count: usize) -> Vec<Id> {
    take(rest, count * 32).chunks_exact(32).map(to_id).collect()
}

fn to_id(bytes: &[u8]) -> Id {
    Id::from_bytes(bytes.try_into().expect("32 bytes"))
}

fn to_u64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
}

fn to_be_u64(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}
