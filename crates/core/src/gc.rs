//! Removing what no snapshot needs, beside running backups and without locks or clocks
//! (FORMAT.md, section 5; the protocol is model-checked in `tests/gc_model.rs`).

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use keepwatch_crypto::random_bytes;
use serde::Serialize;

use crate::backup::Saver;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::{Bitmap, Entry, Segment};
use crate::mark::Marker;
use crate::pack::parse_pack;
use crate::read::{Scratch, open_blob};
use crate::repository::{FrozenIndex, Repository};
use crate::segment::MAX_ENTRIES;
use crate::snapshot::{GcPhase, GcRecord, Pending};
use crate::storage::{ObjectKind, ObjectName, StorageError};
use crate::tree::Content;

/// What `prune` may do.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// How much of the repository may stay unused rather than be copied, in percent.
    pub max_unused_percent: f64,
    /// Forgotten snapshots younger than this stay in the trash.
    pub keep_trash: SignedDuration,
    /// Also give up interrupted backups. For when none is running: one that is notices at its end,
    /// takes its snapshot back and begins again.
    pub drop_pending: bool,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            max_unused_percent: 5.0,
            keep_trash: SignedDuration::ZERO,
            drop_pending: false,
        }
    }
}

/// What `prune` did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Packs removed without replacement.
    pub packs_removed: u64,
    /// Packs whose live chunks were copied to others.
    pub packs_rewritten: u64,
    /// How many bytes the repository became smaller.
    pub bytes_freed: u64,
    /// Packs that no index names: removed by the next run unless a backup turns out to need them.
    pub packs_waiting: u64,
    /// Forgotten snapshots that are gone for good now.
    pub snapshots_purged: u64,
}

/// Everything a collector decides upon, read in the order that the protocol asks for.
struct View {
    /// Packs that other collectors are removing.
    named: HashSet<Id>,
    others: Vec<(Id, GcRecord)>,
    protected: HashSet<Id>,
    /// The ids that snapshots in the trash had.
    trashed: HashSet<Id>,
    index: FrozenIndex,
    packs: HashMap<Id, u64>,
    /// Entries of chunks that snapshots reach or that packs under `protected` hold.
    live: Bitmap,
}

impl View {
    /// How far a pack is to be trusted by a collector that removes `own`.
    fn trust(&self, pack: &Id, own: &HashSet<Id>) -> Trust {
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
enum Trust {
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

/// What is to become of the packs.
#[derive(Default)]
struct Plan {
    dead: HashSet<Id>,
    rewrite: HashSet<Id>,
    unindexed: HashSet<Id>,
}

impl Plan {
    fn doomed(&self) -> HashSet<Id> {
        self.dead.union(&self.rewrite).copied().collect()
    }
}

impl Repository {
    /// Packs that a collector names: it is about to remove them, or will soon be, or has done so.
    pub(crate) fn named_packs(&self) -> Result<HashSet<Id>> {
        self.packs_named_by(|_| true)
    }

    /// Packs that a collector may be removing at this moment.
    ///
    /// A tombstone alone permits nobody to remove anything.
    pub(crate) fn doomed_packs(&self) -> Result<HashSet<Id>> {
        self.packs_named_by(|record| record.phase == GcPhase::Sweep)
    }

    fn packs_named_by(&self, counts: impl Fn(&GcRecord) -> bool) -> Result<HashSet<Id>> {
        let (records, problems) = self.read_records::<GcRecord>(ObjectKind::Gc)?;
        fail_on(problems)?;
        Ok(records
            .into_iter()
            .filter(|(_, record)| counts(record))
            .flat_map(|(_, record)| record.packs)
            .collect())
    }

    /// Removes chunks that no snapshot needs.
    ///
    /// # Errors
    /// Anything that makes it uncertain what is needed stops it before the first removal. A disk
    /// too full to copy what is worth keeping of a pack does not keep it from removing the packs
    /// of which nothing is; the error comes afterwards.
    pub fn prune(&self, options: &PruneOptions, now: Timestamp) -> Result<PruneReport> {
        self.needs_full("prune")?;
        let mut report = PruneReport::default();
        if !options.dry_run {
            if options.drop_pending {
                let (pending, _) = self.read_records::<Pending>(ObjectKind::Pending)?;
                self.retire_pending(pending)?;
            }
            report.snapshots_purged = self.purge_trash(options.keep_trash, now)?;
        }
        let run: [u8; 16] = random_bytes()?;
        let view = self.view(&run)?;
        let mut plan = self.plan(&view, options)?;
        report.packs_removed = plan.dead.len() as u64;
        report.packs_rewritten = plan.rewrite.len() as u64;
        report.packs_waiting = plan.unindexed.len() as u64;
        if options.dry_run {
            let size = |pack: &Id| view.packs.get(pack).copied().unwrap_or_default();
            report.bytes_freed = plan.dead.iter().map(size).sum();
            report.bytes_freed += self.unused_in(&view, &plan.rewrite)?;
            return Ok(report);
        }
        let before = view.packs.values().sum::<u64>();
        let mut records = Records::new(self, run);
        let swept = self.collect(view, &mut plan, &mut records);
        // Whatever happened, this collector removes nothing any more.
        let released = records.release();
        let (swept, full) = swept?;
        released?;
        if let Some(error) = full {
            return Err(error);
        }
        let after = self.list_packs()?.values().sum::<u64>();
        report.packs_removed = swept.intersection(&plan.dead).count() as u64;
        report.packs_rewritten = swept.intersection(&plan.rewrite).count() as u64;
        report.bytes_freed = before.saturating_sub(after);
        Ok(report)
    }

    /// Carries the plan out; gives the packs that are gone, and what kept it from copying.
    fn collect(
        &self,
        view: View,
        plan: &mut Plan,
        records: &mut Records<'_>,
    ) -> Result<(HashSet<Id>, Option<Error>)> {
        if !plan.unindexed.is_empty() {
            // Not the collector's own any more: it says until the next run which packs wait.
            self.write_record(
                ObjectKind::Gc,
                &records.record(GcPhase::Tombstone, &plan.unindexed),
            )?;
        }
        let mut full = None;
        let (view, swept) = if plan.doomed().is_empty() {
            self.replace_index(&view, &HashSet::new())?;
            (view, HashSet::new())
        } else {
            // Writers that begin now leave these packs alone, and so need not begin again.
            records.write(GcPhase::Tombstone, &plan.doomed())?;
            match self.rewrite(&view, plan) {
                Ok(()) => {}
                Err(error @ Error::Storage(StorageError::NoSpace { .. })) => {
                    plan.rewrite.clear();
                    full = Some(error);
                }
                Err(error) => return Err(error),
            }
            drop(view);
            self.sweep(&plan.doomed(), records)?
        };
        self.remove_stale_records(&view, &swept)?;
        Ok((swept, full))
    }

    /// Reads gc, pending, snapshots, trash, index and packs, in this order, and marks.
    ///
    /// Pending objects are read before snapshots because a backup publishes its snapshot before it
    /// takes its pending object back, and snapshots before trash because `forget` writes the trash
    /// object first: whatever moves meanwhile is seen in one place or the other. The index comes
    /// after them, because it then has all chunks of what was listed; and packs come last, because
    /// a pack is written before the index names it: what the index names and is not there is gone.
    fn view(&self, run: &[u8; 16]) -> Result<View> {
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
            match self.mark(&index, &packs, roots) {
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
    ) -> Result<Bitmap> {
        let mut marker = Marker::new(self, &index.entries)?;
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

    fn plan(&self, view: &View, options: &PruneOptions) -> Result<Plan> {
        let none = HashSet::new();
        let mut used: HashMap<Id, u64> = HashMap::new();
        let mut rescue: HashSet<Id> = HashSet::new();
        for_each_live(view, &none, &mut |_, entry, pack, trust| {
            *used.entry(*pack).or_default() += u64::from(entry.stored_len());
            if trust < Trust::Good {
                rescue.insert(*pack);
            }
        })?;
        let mut stored: HashMap<Id, u64> = HashMap::new();
        view.index.entries.for_each(&mut |_, entry, pack, _| {
            *stored.entry(*pack).or_default() += u64::from(entry.stored_len());
        })?;
        let waited_for: HashSet<Id> = view
            .others
            .iter()
            .flat_map(|(_, record)| record.packs.iter().copied())
            .collect();
        let mut plan = Plan::default();
        let mut partly = Vec::new();
        let (mut total, mut unused) = (0u64, 0u64);
        for (&pack, &size) in &view.packs {
            if view.protected.contains(&pack) {
                continue;
            }
            match used.get(&pack) {
                None if view.index.packs.contains_key(&pack) || waited_for.contains(&pack) => {
                    plan.dead.insert(pack);
                }
                None => {
                    plan.unindexed.insert(pack);
                }
                // Another collector may be taking it: its live chunks are safer elsewhere.
                Some(_) if rescue.contains(&pack) => {
                    plan.rewrite.insert(pack);
                }
                Some(&live) => {
                    total += size;
                    let waste = stored.get(&pack).map_or(0, |all| all.saturating_sub(live));
                    unused += waste;
                    partly.push((pack, size, waste));
                }
            }
        }
        // The most wasteful first, until no more is wasted than allowed.
        partly.sort_by(|a, b| (b.2 * a.1).cmp(&(a.2 * b.1)).then(a.0.cmp(&b.0)));
        let allowed = (total as f64 * options.max_unused_percent / 100.0) as u64;
        let pack_size = u64::from(self.config().pack_size());
        let small: Vec<Id> = partly
            .iter()
            .filter(|(_, size, _)| *size < pack_size / 8)
            .map(|(pack, ..)| *pack)
            .collect();
        for (pack, _, waste) in &partly {
            if unused <= allowed || *waste == 0 {
                break;
            }
            unused -= waste;
            plan.rewrite.insert(*pack);
        }
        // Many small backups leave many small packs; copying them now and then keeps the number down.
        if small.len() >= SMALL_PACKS {
            plan.rewrite.extend(small);
        }
        Ok(plan)
    }

    fn unused_in(&self, view: &View, packs: &HashSet<Id>) -> Result<u64> {
        let mut live = 0;
        for_each_live(view, &HashSet::new(), &mut |_, entry, pack, _| {
            if packs.contains(pack) {
                live += u64::from(entry.stored_len());
            }
        })?;
        let size: u64 = packs.iter().filter_map(|pack| view.packs.get(pack)).sum();
        Ok(size.saturating_sub(live))
    }

    /// Copies what is live and has no other good place out of packs into new ones, under the
    /// newest key epoch.
    ///
    /// No pending object guards the new packs. If another collector removes one, it has seen the
    /// chunks in their old packs, and this one then finds them there and nowhere else.
    fn rewrite(&self, view: &View, plan: &Plan) -> Result<()> {
        if plan.rewrite.is_empty() {
            return Ok(());
        }
        let doomed = plan.doomed();
        let mut wanted = Bitmap::new(view.index.entries.len());
        for_each_live(view, &doomed, &mut |position, _, _, trust| {
            if trust < Trust::Good {
                wanted.set(position);
            }
        })?;
        let saver = Saver::new(self, None, HashSet::new(), false)?;
        let copied = std::thread::scope(|scope| {
            let uploading = scope.spawn(|| saver.upload());
            let copying = self.copy_live(&plan.rewrite, view, &wanted, &saver);
            saver.close();
            let uploaded = uploading
                .join()
                .expect("the uploading thread does not panic");
            uploaded.and(copying)
        });
        copied?;
        saver.finish_index()
    }

    fn copy_live(
        &self,
        packs: &HashSet<Id>,
        view: &View,
        wanted: &Bitmap,
        saver: &Saver<'_>,
    ) -> Result<()> {
        let mut scratch = Scratch::new()?;
        let mut buffer = Vec::new();
        let mut done = HashSet::new();
        let mut packs: Vec<Id> = packs.iter().copied().collect();
        packs.sort();
        for pack in packs {
            let name = ObjectName::new(ObjectKind::Pack, pack);
            let mut bytes = match self.read_raw(&name) {
                // Another collector was faster; what it took it has copied.
                Err(Error::Storage(StorageError::NotFound { .. })) => continue,
                read => read?,
            };
            let object = name.to_string();
            let (header, blobs) = parse_pack(&bytes, self.config().id(), self.ring(), &object)?;
            let cipher = self.chunks().cipher(&header, &object)?;
            for blob in blobs {
                let position = view.index.entries.position(&blob.info.id)?;
                if !position.is_some_and(|at| wanted.get(at)) || !done.insert(blob.info.id) {
                    continue;
                }
                let range = blob.offset as usize..(blob.offset + blob.stored_len) as usize;
                let sealed = &mut bytes[range];
                open_blob(&cipher, self.ring(), &blob.info, sealed, &mut scratch)?;
                let content =
                    &sealed[crate::pack::BLOB_HEAD..sealed.len() - crate::pack::BLOB_TAIL];
                saver.copy(&blob.info, content, &mut buffer)?;
            }
        }
        Ok(())
    }

    /// Announces, looks again, rescues what is needed after all, and removes the rest.
    fn sweep(
        &self,
        doomed: &HashSet<Id>,
        records: &mut Records<'_>,
    ) -> Result<(View, HashSet<Id>)> {
        records.write(GcPhase::Sweep, doomed)?;
        let view = self.view(&records.run)?;
        let mut sweep: HashSet<Id> = doomed
            .iter()
            .filter(|pack| view.packs.contains_key(*pack) && !view.protected.contains(*pack))
            .copied()
            .collect();
        let mut rescued = HashSet::new();
        // A chunk that only packs of another collector hold beside ours is rescued too: the other
        // may be relying on ours, as this one would on its packs.
        for_each_live(&view, &sweep, &mut |_, _, pack, trust| {
            if trust < Trust::Good {
                rescued.insert(*pack);
            }
        })?;
        sweep.retain(|pack| !rescued.contains(pack));

        self.replace_index(&view, &sweep)?;
        for &pack in &sweep {
            self.remove(ObjectKind::Pack, pack)?;
        }
        Ok((view, sweep))
    }

    /// Removes what earlier collectors left behind and no longer means anything.
    fn remove_stale_records(&self, view: &View, swept: &HashSet<Id>) -> Result<()> {
        for (id, record) in &view.others {
            // A tombstone alone permits nothing; a sweep intent may belong to a collector that is
            // running, and is void only when all its packs are gone.
            let gone = |pack: &Id| swept.contains(pack) || !view.packs.contains_key(pack);
            if record.phase == GcPhase::Tombstone || record.packs.iter().all(gone) {
                self.remove(ObjectKind::Gc, *id)?;
            }
        }
        Ok(())
    }

    /// Replaces the index objects that were read by ones without the packs in `without` and those
    /// that are gone, if that makes a difference.
    fn replace_index(&self, view: &View, without: &HashSet<Id>) -> Result<()> {
        let index = &view.index;
        let mut named = index.packs.keys();
        let stays = |pack: &Id| view.packs.contains_key(pack) && !without.contains(pack);
        if named.all(stays) && index.covered.len() < MANY_INDEX_OBJECTS {
            return Ok(());
        }
        let mut rebuilt = Rebuilt::new(view);
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

    /// Removes pending objects, and says of snapshots that they were about to publish and that are
    /// not there that they never will be.
    pub(crate) fn retire_pending(&self, pending: Vec<(Id, Pending)>) -> Result<()> {
        let mut forgotten: Vec<Id> = pending.iter().filter_map(|(_, p)| p.snapshot).collect();
        if !forgotten.is_empty() {
            let present: HashSet<Id> = self.list(ObjectKind::Snapshot)?.into_iter().collect();
            self.refresh_index()?;
            let published = self.index()?.published();
            forgotten.retain(|id| published.contains(id) && !present.contains(id));
            forgotten.sort();
            forgotten.dedup();
        }
        if !forgotten.is_empty() {
            self.publish_index(&Segment {
                forgotten,
                ..Segment::default()
            })?;
        }
        for (id, _) in pending {
            self.remove(ObjectKind::Pending, id)?;
        }
        Ok(())
    }
}

/// The gc objects of a collector at work. They go with it, also when it fails.
struct Records<'r> {
    repository: &'r Repository,
    run: [u8; 16],
    written: Vec<Id>,
}

impl<'r> Records<'r> {
    fn new(repository: &'r Repository, run: [u8; 16]) -> Self {
        Self {
            repository,
            run,
            written: Vec::new(),
        }
    }

    fn record(&self, phase: GcPhase, packs: &HashSet<Id>) -> GcRecord {
        let mut packs: Vec<Id> = packs.iter().copied().collect();
        packs.sort();
        GcRecord {
            version: 1,
            run: self.run,
            phase,
            packs,
        }
    }

    fn write(&mut self, phase: GcPhase, packs: &HashSet<Id>) -> Result<()> {
        let record = self.record(phase, packs);
        let id = self.repository.write_record(ObjectKind::Gc, &record)?;
        self.written.push(id);
        Ok(())
    }

    /// Takes all of them back, the last first.
    fn release(self) -> Result<()> {
        for id in self.written.into_iter().rev() {
            self.repository.remove(ObjectKind::Gc, id)?;
        }
        Ok(())
    }
}

/// For each live chunk, calls `keep` with the position of its first entry, and with the pack that
/// is to go on holding it: the first of those that a collector which removes `own` trusts most.
fn for_each_live(
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
pub(crate) fn lost_chunk(
    index: &FrozenIndex,
    packs: &HashMap<Id, u64>,
    live: &Bitmap,
) -> Result<Option<Id>> {
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

/// From this many index objects on, `prune` makes few of them.
const MANY_INDEX_OBJECTS: usize = 32;
/// From this many small packs on, `prune` makes few of them.
const SMALL_PACKS: usize = 16;

fn fail_on(problems: Vec<(ObjectName, Error)>) -> Result<()> {
    match problems.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// The best place of one chunk, while the index goes by in order.
struct LiveGroup {
    id: Id,
    position: u64,
    live: bool,
    best: Option<(Trust, Entry, Id)>,
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
    fn new(view: &View) -> Self {
        let (published, forgotten) = (&view.index.published, &view.index.forgotten);
        // Kept once more: another collector may be writing an index that still says that the
        // snapshot was published, having read the index before it was forgotten.
        let still_needed = |id: &&Id| published.contains(*id) || view.trashed.contains(*id);
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
