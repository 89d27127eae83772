//! Removing what no snapshot needs, beside running backups and without locks or clocks
//! (FORMAT.md, section 5; the protocol is model-checked in `tests/gc_model.rs`).

mod plan;
mod reindex;
mod rewrite;
mod view;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use keepwatch_crypto::random_bytes;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::gc::plan::Plan;
use crate::gc::view::{Trust, View, for_each_live};
use crate::id::Id;
use crate::index::Segment;
use crate::repository::Repository;
use crate::snapshot::{GcPhase, GcRecord, Pending};
use crate::storage::{ObjectKind, ObjectName, StorageError};

/// What `prune` may do.
#[derive(Clone, Debug)]
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
    /// Set to stop: what was copied until then is removed by the next run.
    pub stop: Option<Arc<AtomicBool>>,
}

impl PruneOptions {
    fn is_stopped(&self) -> bool {
        let stop = self.stop.as_ref();
        stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            max_unused_percent: 5.0,
            keep_trash: SignedDuration::ZERO,
            drop_pending: false,
            stop: None,
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
        let stop = || options.is_stopped();
        let view = self.view(&run, &stop)?;
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
        let swept = self.collect(view, &mut plan, &mut records, &stop);
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
        self.retire_parity()?;
        Ok(report)
    }

    /// Carries the plan out; gives the packs that are gone, and what kept it from copying.
    fn collect(
        &self,
        view: View,
        plan: &mut Plan,
        records: &mut Records<'_>,
        stop: &dyn Fn() -> bool,
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
            match self.rewrite(&view, plan, stop) {
                Ok(()) => {}
                Err(error @ Error::Storage(StorageError::NoSpace { .. })) => {
                    plan.rewrite.clear();
                    full = Some(error);
                }
                Err(error) => return Err(error),
            }
            drop(view);
            self.sweep(&plan.doomed(), records, stop)?
        };
        self.remove_stale_records(&view, &swept)?;
        Ok((swept, full))
    }

    /// Announces, looks again, rescues what is needed after all, and removes the rest.
    fn sweep(
        &self,
        doomed: &HashSet<Id>,
        records: &mut Records<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(View, HashSet<Id>)> {
        records.write(GcPhase::Sweep, doomed)?;
        let view = self.view(&records.run, stop)?;
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

fn fail_on(problems: Vec<(ObjectName, Error)>) -> Result<()> {
    match problems.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}
