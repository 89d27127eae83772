//! Replacing index objects by fewer ones, without the packs that go.

use std::collections::{BTreeMap, HashSet};

use crate::error::Result;
use crate::gc::fail_on;
use crate::gc::view::View;
use crate::id::Id;
use crate::index::{Entry, Segment};
use crate::repository::{FrozenIndex, Repository};
use crate::segment::MAX_ENTRIES;
use crate::storage::ObjectKind;

/// From this many index objects on, `prune` makes few of them.
const MANY_INDEX_OBJECTS: usize = 32;

impl Repository {
    /// Replaces the index objects that were read by ones without the packs in `without` and those
    /// that are gone, if that makes a difference.
    pub(super) fn replace_index(&self, view: &View, without: &HashSet<Id>) -> Result<()> {
        let index = &view.index;
        let mut named = index.packs.keys();
        let stays = |pack: &Id| view.packs.contains_key(pack) && !without.contains(pack);
        if named.all(stays) && index.covered.len() < MANY_INDEX_OBJECTS {
            return Ok(());
        }
        self.rewrite_index(index, &view.trashed, &stays)
    }

    /// Replaces all index objects by ones without these packs, whether they are there or not.
    pub(crate) fn drop_from_index(&self, packs: &HashSet<Id>) -> Result<()> {
        let trash = self.trash()?;
        let trashed = trash.iter().map(|(_, trashed)| trashed.snapshot).collect();
        self.refresh_index().and_then(fail_on)?;
        let index = self.frozen_index()?;
        self.rewrite_index(&index, &trashed, &|pack| !packs.contains(pack))
    }

    fn rewrite_index(
        &self,
        index: &FrozenIndex,
        trashed: &HashSet<Id>,
        stays: &dyn Fn(&Id) -> bool,
    ) -> Result<()> {
        let mut rebuilt = Rebuilt::new(index, trashed);
        index.entries.for_each(&mut |_, entry, pack, size| {
            if stays(pack) {
                rebuilt.push(entry, pack, size);
            }
        })?;
        for segment in &rebuilt.finish() {
            self.write_indexed(ObjectKind::Index, &segment.encode())?;
        }
        for id in &index.covered {
            self.remove(ObjectKind::Index, *id)?;
        }
        // Else a crash could bring them back when the packs that they name are gone.
        self.storage().settle(ObjectKind::Index)?;
        self.refresh_index().and_then(fail_on)
    }
}

/// New index segments made of old entries.
struct Rebuilt {
    done: Vec<Segment>,
    packs: BTreeMap<Id, (u32, u64)>,
    entries: Vec<Entry>,
    published: Vec<Id>,
    forgotten: Vec<Id>,
}

impl Rebuilt {
    fn new(index: &FrozenIndex, trashed: &HashSet<Id>) -> Self {
        let (published, forgotten) = (&index.published, &index.forgotten);
        // Kept once more: another collector may be writing an index that still says that the
        // snapshot was published, having read the index before it was forgotten.
        let still_needed = |id: &&Id| published.contains(*id) || trashed.contains(*id);
        let mut segments = Self {
            done: Vec::new(),
            packs: BTreeMap::new(),
            entries: Vec::new(),
            published: published.difference(forgotten).copied().collect(),
            forgotten: forgotten.iter().filter(still_needed).copied().collect(),
        };
        segments.published.sort();
        segments.forgotten.sort();
        segments
    }

    fn push(&mut self, entry: &Entry, pack: &Id, size: u64) {
        let next = self.packs.len() as u32;
        let (number, _) = *self.packs.entry(*pack).or_insert((next, size));
        let mut entry = *entry;
        entry.pack = number;
        self.entries.push(entry);
        if self.entries.len() == MAX_ENTRIES {
            self.close();
        }
    }

    fn close(&mut self) {
        let mut packs: Vec<(u32, Id, u64)> = std::mem::take(&mut self.packs)
            .into_iter()
            .map(|(id, (number, size))| (number, id, size))
            .collect();
        packs.sort_unstable_by_key(|(number, ..)| *number);
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_by_key(|entry| (entry.id, entry.pack));
        self.done.push(Segment {
            published: std::mem::take(&mut self.published),
            forgotten: std::mem::take(&mut self.forgotten),
            packs: packs.into_iter().map(|(_, id, size)| (id, size)).collect(),
            entries,
        });
    }

    fn finish(mut self) -> Vec<Segment> {
        if !self.entries.is_empty() || !self.published.is_empty() || !self.forgotten.is_empty() {
            self.close();
        }
        self.done
    }
}
