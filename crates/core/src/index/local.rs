//! This machine's copy of the whole index.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{LocalFile, Tables};
use super::merge::merge;
use super::segment::{Entry, Segment};
use super::writer::{EXTENSION, UNFINISHED, Writer};
use super::{IndexError, Location};
use crate::id::Id;

/// So many files of about the same size become one.
const FAN_IN: usize = 4;
/// Files with fewer entries than this count as being of the same size.
const SMALLEST_TIER: u64 = 4096;

/// This machine's copy of all index objects, in a folder of its own.
///
/// It is a cache: deleting the folder costs time only, and what is damaged in it is dropped.
/// Only one `LocalIndex` may use a folder at a time.
///
/// Each index object is written as a sorted, immutable file; of these, four of about the same size
/// are merged into one (a log-structured merge tree with size tiers), so that there are few. Of
/// each file only a filter and every 1024th id are held in memory, 1.3 bytes for each chunk;
/// lookups that pass the filter read from the file and rely on the system's page cache.
#[derive(Debug)]
pub struct LocalIndex {
    dir: PathBuf,
    files: Vec<Arc<LocalFile>>,
    next_number: u64,
}

impl LocalIndex {
    /// Opens the copy in `dir`, which is made if needed.
    ///
    /// # Errors
    /// The folder cannot be made or read. Damaged files are no error; they are dropped.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(IndexError::io("make the folder", dir))?;
        let mut files = Vec::new();
        let mut next_number = 0;
        for found in fs::read_dir(dir).map_err(IndexError::io("read", dir))? {
            let path = found.map_err(IndexError::io("read", dir))?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension == Some(UNFINISHED) {
                remove(&path);
            }
            let Some(number) = (extension == Some(EXTENSION))
                .then(|| path.file_stem()?.to_str())
                .flatten()
                .and_then(|stem| u64::from_str_radix(stem, 16).ok())
            else {
                continue;
            };
            next_number = next_number.max(number.saturating_add(1));
            match LocalFile::open(&path) {
                Ok(Some(file)) => files.push(file),
                Ok(None) => {
                    tracing::warn!(path = %path.display(), "a damaged local index file is dropped");
                    remove(&path);
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a local index file is dropped");
                    remove(&path);
                }
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            files: without_overlap(files),
            next_number,
        })
    }

    /// Adds the content of an index object, or of several that hold the same.
    ///
    /// Ids that are covered already are not added again.
    ///
    /// # Errors
    /// A segment that is not sorted or breaks the format otherwise; a full disk.
    pub fn add(&mut self, covers: &[Id], segment: &Segment) -> Result<(), IndexError> {
        if !covers.is_empty() {
            let covered: HashSet<Id> = self.covered().collect();
            if covers.iter().all(|id| covered.contains(id)) {
                return Ok(());
            }
        }
        segment.verify()?;
        let number = self.take_number();
        let mut writer = Writer::create(&self.dir, number, segment.entries.len() as u64)?;
        for entry in &segment.entries {
            writer.push(entry)?;
        }
        let file = writer.finish(Tables {
            covered: covers.to_vec(),
            packs: segment.packs.clone(),
            published: segment.published.clone(),
            forgotten: segment.forgotten.clone(),
        })?;
        self.files.push(Arc::new(file));
        self.merge_tiers()
    }

    /// Drops what came from index objects that `keep` declines.
    ///
    /// What was merged with them is dropped as well and is no longer covered: the caller adds again
    /// whatever is not covered and exists.
    pub fn retain(&mut self, keep: &dyn Fn(&Id) -> bool) -> Result<(), IndexError> {
        self.files.retain(|file| {
            let kept = file.tables.covered.iter().all(keep);
            if !kept {
                file.remove();
            }
            kept
        });
        Ok(())
    }

    /// The index objects whose content is here.
    pub fn covered(&self) -> impl Iterator<Item = Id> {
        self.files
            .iter()
            .flat_map(|file| file.tables.covered.iter().copied())
    }

    /// All places of a chunk.
    pub fn lookup_all(&self, id: &Id) -> Result<Vec<Location>, IndexError> {
        let mut places = Vec::new();
        for file in &self.files {
            file.find(id, &mut |_, entry| {
                places.push(entry.location(file.tables.packs[entry.pack as usize].0));
                true
            })?;
        }
        Ok(places)
    }

    /// A place of a chunk in a pack that `accept` accepts.
    pub fn lookup_where(
        &self,
        id: &Id,
        accept: &dyn Fn(&Id) -> bool,
    ) -> Result<Option<Location>, IndexError> {
        let mut found = None;
        for file in &self.files {
            file.find(id, &mut |_, entry| {
                let pack = file.tables.packs[entry.pack as usize].0;
                if accept(&pack) {
                    found = Some(entry.location(pack));
                }
                found.is_none()
            })?;
            if found.is_some() {
                break;
            }
        }
        Ok(found)
    }

    /// All packs with their sizes in bytes. A pack that several index objects name may come
    /// several times until the index is merged.
    pub fn packs(&self) -> impl Iterator<Item = (Id, u64)> {
        self.files
            .iter()
            .flat_map(|file| file.tables.packs.iter().copied())
    }

    /// Snapshots that were made.
    pub fn published(&self) -> HashSet<Id> {
        let tables = self.files.iter().map(|file| &file.tables);
        tables
            .flat_map(|tables| &tables.published)
            .copied()
            .collect()
    }

    /// Snapshots that were removed for good.
    pub fn forgotten(&self) -> HashSet<Id> {
        let tables = self.files.iter().map(|file| &file.tables);
        tables
            .flat_map(|tables| &tables.forgotten)
            .copied()
            .collect()
    }

    /// Merges everything into one file, in which each entry has a position.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] if a file was damaged; what it held is no longer covered.
    pub fn merge_all(&mut self) -> Result<(), IndexError> {
        if self.files.len() > 1 {
            self.merge_files(|_| true)?;
        }
        Ok(())
    }

    /// How many entries there are: places, not chunks.
    pub fn len(&self) -> u64 {
        self.files.iter().map(|file| file.entries).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The merged index as it is now. It stays as it is, and readable, whatever is added, merged
    /// or dropped here.
    ///
    /// # Errors
    /// [`IndexError::NotMerged`] unless everything is in one file.
    pub fn frozen(&self) -> Result<Frozen, IndexError> {
        Ok(Frozen(self.merged()?.cloned()))
    }

    /// See [`Frozen::position`].
    ///
    /// # Errors
    /// [`IndexError::NotMerged`] unless everything is in one file.
    pub fn position(&self, id: &Id) -> Result<Option<u64>, IndexError> {
        self.merged()?.map_or(Ok(None), |file| position(file, id))
    }

    /// See [`Frozen::for_each`].
    ///
    /// # Errors
    /// [`IndexError::NotMerged`] unless everything is in one file.
    pub fn for_each(&self, each: &mut EachEntry<'_>) -> Result<(), IndexError> {
        self.merged()?.map_or(Ok(()), |file| for_each(file, each))
    }

    fn merged(&self) -> Result<Option<&Arc<LocalFile>>, IndexError> {
        match self.files.as_slice() {
            [] => Ok(None),
            [file] => Ok(Some(file)),
            _ => Err(IndexError::NotMerged),
        }
    }

    fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Merges files of the same size until there are few of each.
    fn merge_tiers(&mut self) -> Result<(), IndexError> {
        loop {
            let mut sizes = [0; u64::BITS as usize];
            for file in &self.files {
                sizes[tier(file)] += 1;
            }
            let Some(full) = sizes.iter().rposition(|count| *count >= FAN_IN) else {
                return Ok(());
            };
            // What is smaller goes along: it costs little, and there are fewer files afterwards.
            match self.merge_files(|file| tier(file) <= full) {
                // The damaged file is gone, and is read anew the next time.
                Err(IndexError::Damaged { path }) => {
                    tracing::warn!(path = %path.display(), "a damaged local index file is dropped");
                }
                result => result?,
            }
        }
    }

    fn merge_files(&mut self, choose: impl Fn(&LocalFile) -> bool) -> Result<(), IndexError> {
        let number = self.take_number();
        let (chosen, mut rest): (Vec<_>, Vec<_>) =
            self.files.iter().cloned().partition(|file| choose(file));
        match merge(&self.dir, number, &chosen) {
            Ok(merged) => {
                for file in &chosen {
                    file.remove();
                }
                rest.push(Arc::new(merged));
                self.files = rest;
                Ok(())
            }
            Err(IndexError::Damaged { path }) => {
                self.files.retain(|file| file.path != path);
                Err(IndexError::Damaged { path })
            }
            Err(error) => Err(error),
        }
    }
}

/// What [`LocalIndex::for_each`] calls: with position, entry, pack, and the pack's size in bytes.
type EachEntry<'a> = dyn FnMut(u64, &Entry, &Id, u64) + 'a;

/// A merged index at one moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Frozen(Option<Arc<LocalFile>>);

impl Frozen {
    /// How many entries there are; positions are below this.
    pub fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, |file| file.entries)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The position of the first entry of a chunk.
    pub fn position(&self, id: &Id) -> Result<Option<u64>, IndexError> {
        self.0.as_ref().map_or(Ok(None), |file| position(file, id))
    }

    /// Calls `each` for all entries in order of chunk id.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] may come only at the end: what was seen counts only without error.
    pub fn for_each(&self, each: &mut EachEntry<'_>) -> Result<(), IndexError> {
        self.0.as_ref().map_or(Ok(()), |file| for_each(file, each))
    }
}

fn position(file: &LocalFile, id: &Id) -> Result<Option<u64>, IndexError> {
    let mut found = None;
    file.find(id, &mut |at, _| {
        found = Some(at);
        false
    })?;
    Ok(found)
}

fn for_each(file: &LocalFile, each: &mut EachEntry<'_>) -> Result<(), IndexError> {
    let mut stream = file.stream();
    let mut position = 0;
    while let Some(entry) = stream.next()? {
        let (pack, size) = &file.tables.packs[entry.pack as usize];
        each(position, &entry, pack, *size);
        position += 1;
    }
    Ok(())
}

/// The size class of a file: each holds four times what the one before holds.
fn tier(file: &LocalFile) -> usize {
    (file.entries / SMALLEST_TIER + 1).ilog(FAN_IN as u64) as usize
}

/// Drops files whose content others hold: a crash may leave a merged file beside those that it was
/// made of.
fn without_overlap(mut files: Vec<LocalFile>) -> Vec<Arc<LocalFile>> {
    files.sort_by_key(|file| std::cmp::Reverse(file.tables.covered.len()));
    let mut covered: HashSet<Id> = HashSet::new();
    files.retain(|file| {
        let fresh = !file.tables.covered.iter().any(|id| covered.contains(id));
        if fresh {
            covered.extend(&file.tables.covered);
        } else {
            file.remove();
        }
        fresh
    });
    files.into_iter().map(Arc::new).collect()
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(path = %path.display(), %error, "cannot remove a local index file");
    }
}
