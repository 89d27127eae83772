//! Removing what no snapshot needs, beside running backups and without locks or clocks
//! (FORMAT.md, section 5; the protocol is model-checked in `tests/gc_model.rs`).

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use keepwatch_crypto::random_bytes;
use serde::Serialize;

use crate::backup::{Owner, Saver};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::{Bitmap, Entry, LocalIndex, Segment};
use crate::mark::Marker;
use crate::pack::parse_pack;
use crate::read::{Scratch, open_blob};
use crate::repository::Repository;
use crate::segment::MAX_ENTRIES;
use crate::snapshot::{GcPhase, GcRecord, Pending};
use crate::storage::{ObjectKind, ObjectName};

/// What `prune` may do.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// How much of the repository may stay unused rather than be copied, in percent.
    pub max_unused_percent: f64,
    /// Forgotten snapshots younger than this stay in the trash.
    pub keep_trash: SignedDuration,
    /// Also give up interrupted backups. Only safe for the user when none is running; always
    /// safe for the repository.
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
    /// Packs named by other collectors.
    named: HashSet<Id>,
    others: Vec<(Id, GcRecord)>,
    packs: HashMap<Id, u64>,
    protected: HashSet<Id>,
    live: Bitmap,
}

/// What is to become of the packs.
#[derive(Default)]
struct Plan {
    dead: HashSet<Id>,
    rewrite: HashSet<Id>,
    unindexed: HashSet<Id>,
}

impl Repository {
    /// Packs that a collector is about to remove, or may already have removed.
    pub(crate) fn doomed_packs(&self) -> Result<HashSet<Id>> {
        let (records, problems) = self.read_records::<GcRecord>(ObjectKind::Gc)?;
        if let Some((_, error)) = problems.into_iter().next() {
            return Err(error);
        }
        Ok(records
            .into_iter()
            .flat_map(|(_, record)| record.packs)
            .collect())
    }

    /// Removes chunks that no snapshot needs.
    ///
    /// # Errors
    /// Anything that makes it uncertain what is needed stops it before the first removal.
    pub fn prune(&self, options: &PruneOptions, now: Timestamp) -> Result<PruneReport> {
        self.needs_full("prune")?;
        let mut report = PruneReport::default();
        if !options.dry_run {
            if options.drop_pending {
                for id in self.list(ObjectKind::Pending)? {
                    self.remove(ObjectKind::Pending, id)?;
                }
            }
            report.snapshots_purged = self.purge_trash(options.keep_trash, now)?;
        }
        let run: [u8; 16] = random_bytes()?;
        let view = self.view(&run)?;
        let plan = self.plan(&view, options)?;
        let size = |packs: &HashSet<Id>| -> u64 {
            packs.iter().filter_map(|pack| view.packs.get(pack)).sum()
        };
        report.packs_removed = plan.dead.len() as u64;
        report.packs_rewritten = plan.rewrite.len() as u64;
        report.bytes_freed = size(&plan.dead);
        report.packs_waiting = plan.unindexed.len() as u64;
        if options.dry_run {
            report.bytes_freed += self.unused_in(&view, &plan.rewrite)?;
            return Ok(report);
        }
        let before = view.packs.values().sum::<u64>();
        if !plan.rewrite.is_empty() {
            self.rewrite(&plan.rewrite, &view.live)?;
        }
        let removed = self.sweep(&run, &plan)?;
        let mut after = 0;
        self.storage()
            .list(ObjectKind::Pack, &mut |_, size| after += size)?;
        report.packs_removed = removed.intersection(&plan.dead).count() as u64;
        report.packs_rewritten = removed.intersection(&plan.rewrite).count() as u64;
        report.bytes_freed = before.saturating_sub(after);
        Ok(report)
    }

    /// Reads gc, packs, index, pending, snapshots and trash, in this order, and marks.
    ///
    /// Pending objects are read before snapshots because a backup publishes its snapshot before it
    /// takes its pending object back, and snapshots before trash because `forget` writes the trash
    /// object first: whatever moves meanwhile is seen in one place or the other.
    fn view(&self, run: &[u8; 16]) -> Result<View> {
        let (records, problems) = self.read_records::<GcRecord>(ObjectKind::Gc)?;
        fail_on(problems)?;
        let others: Vec<_> = records
            .into_iter()
            .filter(|(_, record)| record.run != *run)
            .collect();
        let named = others
            .iter()
            .flat_map(|(_, record)| record.packs.iter().copied())
            .collect();
        let mut packs = HashMap::new();
        self.storage().list(ObjectKind::Pack, &mut |id, size| {
            packs.insert(id, size);
        })?;
        fail_on(self.refresh_index()?)?;
        self.index_mut().merge_all()?;
        let (pendings, problems) = self.read_records::<Pending>(ObjectKind::Pending)?;
        fail_on(problems)?;
        let protected = pendings
            .into_iter()
            .flat_map(|(_, pending)| pending.packs)
            .collect();
        let (snapshots, problems) = self.snapshots()?;
        fail_on(problems)?;
        let trash = self.trash()?;
        let mut marker = Marker::new(self)?;
        for (_, snapshot) in &snapshots {
            marker.mark(&snapshot.root)?;
        }
        for (_, trashed) in &trash {
            marker.mark(&trashed.record.root)?;
        }
        Ok(View {
            named,
            others,
            packs,
            protected,
            live: marker.into_bitmap(),
        })
    }

    /// For each live chunk, calls `keep` with the pack that is to go on holding it.
    ///
    /// `good` says which packs may be relied on. A chunk that has no good place is given with the
    /// first pack that exists at all and `false`.
    fn for_each_live(
        &self,
        view: &View,
        good: &dyn Fn(&Id) -> bool,
        keep: &mut dyn FnMut(&Entry, &Id, bool),
    ) -> Result<()> {
        let index = self.index()?;
        let mut group = LiveGroup::default();
        index.for_each(&mut |position, entry, pack, _size| {
            if group.id != Some(entry.id) {
                group.flush(keep);
                group.start(entry.id, view.live.get(position));
            }
            if group.live && view.packs.contains_key(pack) {
                if good(pack) {
                    group.good.get_or_insert((*entry, *pack));
                } else {
                    group.bad.get_or_insert((*entry, *pack));
                }
            }
        })?;
        group.flush(keep);
        match group.lost {
            Some(id) => Err(Error::Missing {
                object: format!("chunk {id}"),
            }),
            None => Ok(()),
        }
    }

    fn plan(&self, view: &View, options: &PruneOptions) -> Result<Plan> {
        let mut used: HashMap<Id, u64> = HashMap::new();
        let mut rescue: HashSet<Id> = HashSet::new();
        self.for_each_live(
            view,
            &|pack| !view.named.contains(pack),
            &mut |entry, pack, good| {
                *used.entry(*pack).or_default() += u64::from(entry.stored_len());
                if !good {
                    rescue.insert(*pack);
                }
            },
        )?;
        let indexed: HashSet<Id> = self.index()?.packs().map(|(id, _)| id).collect();
        let tombstoned: HashSet<Id> = view
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
                None if indexed.contains(&pack) || tombstoned.contains(&pack) => {
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
                    let waste = size.saturating_sub(live + overhead(size));
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
        self.for_each_live(view, &|_| true, &mut |entry, pack, _| {
            if packs.contains(pack) {
                live += u64::from(entry.stored_len());
            }
        })?;
        let size: u64 = packs.iter().filter_map(|pack| view.packs.get(pack)).sum();
        Ok(size.saturating_sub(live))
    }

    /// Copies the live chunks of packs into new ones, under the newest key epoch.
    fn rewrite(&self, packs: &HashSet<Id>, live: &Bitmap) -> Result<()> {
        let owner = Owner {
            client: random_bytes()?,
            set: Id::of(b"rewrite"),
        };
        let saver = Saver::new(self, owner, packs.clone(), false)?;
        let copied = std::thread::scope(|scope| {
            let uploading = scope.spawn(|| saver.upload());
            let copying = self.copy_live(packs, live, &saver);
            saver.close();
            let uploaded = uploading
                .join()
                .expect("the uploading thread does not panic");
            uploaded.and(copying)
        });
        copied?;
        saver.finish_index()?;
        saver.release()
    }

    fn copy_live(&self, packs: &HashSet<Id>, live: &Bitmap, saver: &Saver<'_>) -> Result<()> {
        let mut scratch = Scratch::new()?;
        let mut buffer = Vec::new();
        let mut done = HashSet::new();
        for &pack in packs {
            let name = ObjectName::new(ObjectKind::Pack, pack);
            let mut bytes = self.read_raw(&name)?;
            let object = name.to_string();
            let (header, blobs) = parse_pack(&bytes, self.config().id(), self.ring(), &object)?;
            let cipher = self.chunks().cipher(&header, &object)?;
            for blob in blobs {
                let position = self.index()?.position(&blob.info.id)?;
                if !position.is_some_and(|at| live.get(at)) || !done.insert(blob.info.id) {
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
    fn sweep(&self, run: &[u8; 16], plan: &Plan) -> Result<HashSet<Id>> {
        let doomed: HashSet<Id> = plan.dead.union(&plan.rewrite).copied().collect();
        let record = |phase, packs: &mut dyn Iterator<Item = &Id>| GcRecord {
            version: 1,
            run: *run,
            phase,
            packs: packs.copied().collect(),
        };
        if doomed.is_empty()
            && plan.unindexed.is_empty()
            && self.list(ObjectKind::Index)?.len() < MANY_INDEX_OBJECTS
        {
            return Ok(HashSet::new());
        }
        let tombstone = self.write_record(
            ObjectKind::Gc,
            &record(GcPhase::Tombstone, &mut doomed.union(&plan.unindexed)),
        )?;
        let intent =
            self.write_record(ObjectKind::Gc, &record(GcPhase::Sweep, &mut doomed.iter()))?;

        let view = self.view(run)?;
        let mut sweep: HashSet<Id> = doomed
            .iter()
            .filter(|pack| view.packs.contains_key(*pack) && !view.protected.contains(*pack))
            .copied()
            .collect();
        let mut rescued = HashSet::new();
        self.for_each_live(
            &view,
            &|pack| !sweep.contains(pack) && !view.named.contains(pack),
            &mut |_, pack, good| {
                if !good {
                    rescued.insert(*pack);
                }
            },
        )?;
        sweep.retain(|pack| !rescued.contains(pack));

        self.replace_index(&view, &sweep)?;
        for &pack in &sweep {
            self.remove(ObjectKind::Pack, pack)?;
        }
        self.remove(ObjectKind::Gc, intent)?;
        // The tombstone stays as long as it marks packs that wait for the next run.
        if plan.unindexed.is_empty() {
            self.remove(ObjectKind::Gc, tombstone)?;
        }
        self.remove_stale_records(&view, &sweep)?;
        Ok(sweep)
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

    /// Replaces the index objects that were read by ones without the packs in `without`.
    fn replace_index(&self, view: &View, without: &HashSet<Id>) -> Result<()> {
        let old: Vec<Id> = self.index()?.covered().collect();
        if without.is_empty() && old.len() < MANY_INDEX_OBJECTS {
            return Ok(());
        }
        let segments = {
            let index = self.index()?;
            let mut rebuilt = Rebuilt::new(&index);
            index.for_each(&mut |_, entry, pack, size| {
                if view.packs.contains_key(pack) && !without.contains(pack) {
                    rebuilt.push(entry, pack, size);
                }
            })?;
            rebuilt.finish()
        };
        for segment in &segments {
            self.write_indexed(ObjectKind::Index, &segment.encode())?;
        }
        for id in old {
            self.remove(ObjectKind::Index, id)?;
        }
        self.refresh_index().and_then(fail_on)
    }
}

/// From this many index objects on, `prune` makes few of them.
const MANY_INDEX_OBJECTS: usize = 32;
/// From this many small packs on, `prune` makes few of them.
const SMALL_PACKS: usize = 16;

/// What a pack of this size takes beside chunks: header and trailer are no waste.
fn overhead(size: u64) -> u64 {
    256 + size / 256
}

fn fail_on(problems: Vec<(ObjectName, Error)>) -> Result<()> {
    match problems.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// The places of one chunk, collected while the index goes by in order.
#[derive(Default)]
struct LiveGroup {
    id: Option<Id>,
    live: bool,
    good: Option<(Entry, Id)>,
    bad: Option<(Entry, Id)>,
    lost: Option<Id>,
}

impl LiveGroup {
    fn start(&mut self, id: Id, live: bool) {
        self.id = Some(id);
        self.live = live;
        self.good = None;
        self.bad = None;
    }

    fn flush(&mut self, keep: &mut dyn FnMut(&Entry, &Id, bool)) {
        let Some(id) = self.id.filter(|_| self.live) else {
            return;
        };
        match (&self.good, &self.bad) {
            (Some((entry, pack)), _) => keep(entry, pack, true),
            (None, Some((entry, pack))) => keep(entry, pack, false),
            (None, None) => self.lost = Some(id),
        }
        self.live = false;
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
    fn new(index: &LocalIndex) -> Self {
        let (published, forgotten) = (index.published(), index.forgotten());
        Self {
            done: Vec::new(),
            packs: BTreeMap::new(),
            entries: Vec::new(),
            // Whatever was both made and removed for good needs no word any more.
            published: published.difference(&forgotten).copied().collect(),
            forgotten: forgotten.difference(&published).copied().collect(),
        }
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
