//! What a collector knows: read in one order, and what of it is live.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::gc::fail_on;
use crate::id::Id;
use crate::index::{Bitmap, Entry};
use crate::mark::Marker;
use crate::repository::{FrozenIndex, Repository};
use crate::snapshot::{GcPhase, GcRecord, Pending};
use crate::storage::ObjectKind;
use crate::tree::Content;

/// Everything a collector decides upon, read in the order that the protocol asks for.
pub(super) struct View {
    /// Packs that other collectors are removing.
    pub(super) named: HashSet<Id>,
    pub(super) others: Vec<(Id, GcRecord)>,
    pub(super) protected: HashSet<Id>,
    /// The ids that snapshots in the trash had.
    pub(super) trashed: HashSet<Id>,
    pub(super) index: FrozenIndex,
    pub(super) packs: HashMap<Id, u64>,
    /// Entries of chunks that snapshots reach or that packs under `protected` hold.
    pub(super) live: Bitmap,
}

impl View {
    /// How far a pack is to be trusted by a collector that removes `own`.
    pub(super) fn trust(&self, pack: &Id, own: &HashSet<Id>) -> Trust {
        match (own.contains(pack), self.named.contains(pack)) {
            (false, true) => Trust::Other,
            (true, true) => Trust::Shared,
            (true, false) => Trust::Own,
            (false, false) if self.protected.contains(pack) => Trust::Held,
            (false, false) => Trust::Good,
        }
    }
}

/// How far a collector may rely on a pack to go on holding a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// Another collector is removing it.
    Other,
    /// Both are.
    Shared,
    /// This collector is, and can let it be.
    Own,
    /// It stays.
    Good,
    /// It stays in any case, because a pending object names it.
    Held,
}

impl Repository {
    /// Reads gc, pending, snapshots, trash, index and packs, in this order, and marks.
    ///
    /// Pending objects are read before snapshots because a backup publishes its snapshot before it
    /// takes its pending object back, and snapshots before trash because `forget` writes the trash
    /// object first: whatever moves meanwhile is seen in one place or the other. The index comes
    /// after them, because it then has all chunks of what was listed; and packs come last, because
    /// a pack is written before the index names it: what the index names and is not there is gone.
    pub(super) fn view(&self, run: &[u8; 16], stop: &dyn Fn() -> bool) -> Result<View> {
        loop {
            let (records, problems) = self.read_records::<GcRecord>(ObjectKind::Gc)?;
            fail_on(problems)?;
            let others: Vec<_> = records
                .into_iter()
                .filter(|(_, record)| record.run != *run)
                .collect();
            let (pendings, problems) = self.read_records::<Pending>(ObjectKind::Pending)?;
            fail_on(problems)?;
            let (snapshots, problems) = self.snapshots()?;
            fail_on(problems)?;
            let trash = self.trash()?;
            fail_on(self.refresh_index()?)?;
            let index = self.frozen_index()?;
            let packs = self.list_packs()?;
            let roots = snapshots
                .iter()
                .map(|(_, snapshot)| &snapshot.root)
                .chain(trash.iter().map(|(_, trashed)| &trashed.record.root));
            let protected: HashSet<Id> = pendings
                .iter()
                .flat_map(|(_, pending)| pending.packs.iter().copied())
                .collect();
            let unsure = |pack: &Id| !(index.packs.contains_key(pack) && packs.contains_key(pack));
            if protected.iter().any(unsure) && self.one_is_gone(&pendings)? {
                // A backup has ended meanwhile, and another collector has removed what it rested on.
                // What for, the snapshot tells.
                continue;
            }
            match self.mark(&index, &packs, roots, stop) {
                Ok(mut live) => {
                    mark_packs(&index, &protected, &mut live)?;
                    let sweeping = others
                        .iter()
                        .filter(|(_, record)| record.phase == GcPhase::Sweep);
                    return Ok(View {
                        named: sweeping
                            .flat_map(|(_, record)| record.packs.iter().copied())
                            .collect(),
                        others,
                        protected,
                        trashed: trash.iter().map(|(_, trashed)| trashed.snapshot).collect(),
                        index,
                        packs,
                        live,
                    });
                }
                // Another collector moves chunks: they are in the index that it has written.
                Err(error) if error.is_damage() && self.index_has_changed(&index)? => {
                    tracing::debug!(%error, "another collector is at work: looking again");
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn one_is_gone(&self, pendings: &[(Id, Pending)]) -> Result<bool> {
        let present: HashSet<Id> = self.list(ObjectKind::Pending)?.into_iter().collect();
        Ok(pendings.iter().any(|(id, _)| !present.contains(id)))
    }

    /// Marks what the roots reach, and makes sure that all of it is in a pack that is there.
    fn mark<'v>(
        &self,
        index: &FrozenIndex,
        packs: &HashMap<Id, u64>,
        roots: impl Iterator<Item = &'v Content>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Bitmap> {
        let mut marker = Marker::new(self, &index.entries, stop)?;
        for root in roots {
            marker.mark(root)?;
        }
        let live = marker.into_bitmap();
        match lost_chunk(index, packs, &live)? {
            None => Ok(live),
            Some(id) => Err(Error::Missing {
                object: format!("chunk {id}"),
            }),
        }
    }

    /// Whether index objects have come or gone since this index was read.
    pub(crate) fn index_has_changed(&self, index: &FrozenIndex) -> Result<bool> {
        let covered: HashSet<Id> = index.covered.iter().copied().collect();
        let present: HashSet<Id> = self.list(ObjectKind::Index)?.into_iter().collect();
        Ok(covered != present)
    }
}

/// For each live chunk, calls `keep` with the position of its first entry, and with the pack that
/// is to go on holding it: the first of those that a collector which removes `own` trusts most.
pub(super) fn for_each_live(
    view: &View,
    own: &HashSet<Id>,
    keep: &mut dyn FnMut(u64, &Entry, &Id, Trust),
) -> Result<()> {
    let mut group: Option<LiveGroup> = None;
    let mut flush = |group: &mut Option<LiveGroup>| {
        if let Some(LiveGroup {
            position,
            best: Some((trust, entry, pack)),
            ..
        }) = group.take()
        {
            keep(position, &entry, &pack, trust);
        }
    };
    view.index
        .entries
        .for_each(&mut |position, entry, pack, _| {
            if group.as_ref().is_none_or(|group| group.id != entry.id) {
                flush(&mut group);
                group = Some(LiveGroup {
                    id: entry.id,
                    position,
                    live: view.live.get(position),
                    best: None,
                });
            }
            let group = group.as_mut().expect("it has just been made");
            if group.live && view.packs.contains_key(pack) {
                let trust = view.trust(pack, own);
                if group.best.as_ref().is_none_or(|(best, ..)| *best < trust) {
                    group.best = Some((trust, *entry, *pack));
                }
            }
        })?;
    flush(&mut group);
    Ok(())
}

/// The best place of one chunk, while the index goes by in order.
struct LiveGroup {
    id: Id,
    position: u64,
    live: bool,
    best: Option<(Trust, Entry, Id)>,
}

/// Marks all chunks that these packs hold.
///
/// Another collector may see the snapshot of a backup that this one sees only the pending object of,
/// and remove one of the packs because this one's holds the same chunk.
fn mark_packs(index: &FrozenIndex, packs: &HashSet<Id>, live: &mut Bitmap) -> Result<()> {
    let mut first: Option<(Id, u64)> = None;
    Ok(index.entries.for_each(&mut |position, entry, pack, _| {
        let first = match first {
            Some((id, first)) if id == entry.id => first,
            _ => {
                first = Some((entry.id, position));
                position
            }
        };
        if packs.contains(pack) {
            live.set(first);
        }
    })?)
}

/// A live chunk without a place in a pack that is there, if there is one.
fn lost_chunk(index: &FrozenIndex, packs: &HashMap<Id, u64>, live: &Bitmap) -> Result<Option<Id>> {
    let mut lost = None;
    let mut waiting: Option<Id> = None;
    index.entries.for_each(&mut |position, entry, pack, _| {
        if waiting.is_some_and(|id| id != entry.id) {
            lost = lost.or(waiting.take());
        }
        if live.get(position) {
            // The first entry of a chunk has its bit.
            waiting = Some(entry.id);
        }
        if packs.contains_key(pack) && waiting == Some(entry.id) {
            waiting = None;
        }
    })?;
    Ok(lost.or(waiting))
}
