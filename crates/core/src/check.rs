//! Checking a repository: that everything is there, fits together and can be read.

mod findings;
mod parity;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::check::findings::{Findings, sorted};
use crate::error::{Error, Result, with_causes};
use crate::id::Id;
use crate::index::{Bitmap, BlobKind, Encoding};
use crate::keyring::Role;
use crate::keyslots::key_slots;
use crate::mark::Marker;
use crate::pack::{PackedBlob, parse_pack};
use crate::progress::Progress;
use crate::read::{Scratch, open_blob};
use crate::repository::{FrozenIndex, Repository};
use crate::scrub::ScrubLog;
use crate::snapshot::{GcRecord, Pending, Trashed};
use crate::storage::{ObjectKind, ObjectName, StorageError};
use crate::tree::Content;

/// How much of the packs to read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ReadData {
    /// Only what the index says about them.
    #[default]
    No,
    /// All of them.
    All,
    /// This many percent of all bytes, those first that were not read for the longest time.
    Percent(f64),
    /// This many bytes, those first that were not read for the longest time.
    Bytes(u64),
    /// The n-th of t parts, so that t runs read everything.
    Part {
        /// Which part, from 1.
        n: u32,
        /// How many parts there are.
        of: u32,
    },
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Snapshots whose trees were walked.
    pub snapshots: u64,
    /// Packs that were compared with the index.
    pub packs: u64,
    /// Chunks that were opened and compared with their ids, or else only found in the index.
    pub chunks: u64,
    /// Bytes of packs that were read.
    pub bytes: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckError {
    /// The object, as its path in the repository.
    pub object: String,
    /// What is wrong with it.
    pub error: String,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// How much was checked.
    pub checked: Checked,
    /// All that is wrong.
    pub errors: Vec<CheckError>,
    /// What interrupted operations have left. No snapshot lacks anything for it, and it goes with
    /// time.
    pub warnings: Vec<CheckError>,
    /// Parity, and what of the damage it mends.
    pub parity: ParityCheck,
}

/// What a check says about parity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ParityCheck {
    /// Parity objects.
    pub objects: u64,
    /// Packs that the index names and that come neither back from damage nor from loss, although
    /// there is parity.
    pub packs_unprotected: u64,
    /// Damaged and missing objects that `repair` would bring back from it.
    pub mendable: Vec<String>,
}

impl Repository {
    /// Checks keys, index, snapshots, trees, and as much of the packs as asked for.
    ///
    /// Damage is not an error of this function; it is in the report.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when `progress` says to stop.
    pub fn check(&self, read: ReadData, progress: &dyn Progress) -> Result<CheckReport> {
        let mut checked = Checked::default();
        // Copies of trees on this machine would hide what has become of them.
        if let Some(trees) = self.trees() {
            trees.clear();
        }
        let (findings, index, packs) = self.check_structure(&mut checked, progress)?;
        checked.chunks = index.entries.len();
        let selected = self.select(read, &packs)?;
        if !selected.is_empty() {
            self.needs_full("reading packs")?;
            checked.chunks = 0;
            let counts = self.read_packs(&selected, &index, &findings, progress)?;
            checked.chunks += counts.0;
            checked.bytes += counts.1;
        }
        let parity = self.check_parity(read, &findings)?;
        let mut errors = sorted(findings.errors);
        if checked.snapshots == 0 && checked.packs == 0 && errors.is_empty() {
            errors.push(CheckError {
                object: self.location(),
                error: "there is nothing to check: no snapshot and no pack".to_owned(),
            });
        }
        Ok(CheckReport {
            ok: errors.is_empty(),
            checked,
            errors,
            warnings: sorted(findings.warnings),
            parity,
        })
    }

    /// Checks everything but the content of packs.
    ///
    /// What a collector moves or removes meanwhile may look as if it were missing. So when something
    /// is wrong and index or snapshots are no longer those that were read, all is checked again.
    fn check_structure(
        &self,
        checked: &mut Checked,
        progress: &dyn Progress,
    ) -> Result<(Findings, FrozenIndex, HashMap<Id, u64>)> {
        loop {
            let findings = Findings::default();
            self.check_slots(&findings)?;
            // The same order as a collector's: pending objects, snapshots, trash, index, packs.
            let (pending, problems) = self.read_records::<Pending>(ObjectKind::Pending)?;
            findings.add_all(problems);
            let (gc, problems) = self.read_records::<GcRecord>(ObjectKind::Gc)?;
            findings.add_all(problems);
            let roots = match self.role() {
                Role::Full => Some(self.check_roots(&findings)?),
                Role::Writer => None,
            };
            let damaged = self.refresh_index()?;
            let usable = damaged.is_empty();
            findings.add_all(damaged);
            let index = self.frozen_index()?;
            let packs = self.list_packs()?;
            checked.packs = packs.len() as u64;
            let live = match &roots {
                Some(roots) => {
                    checked.snapshots = roots.len() as u64;
                    self.check_published(&findings, roots, &index)?;
                    Some(self.check_trees(&findings, roots, &index, progress)?)
                }
                None => None,
            };
            check_packs(&findings, &index, &packs, &pending, &gc, live.as_ref())?;
            if findings.is_clean()
                || !usable
                || !(self.index_has_changed(&index)? || self.roots_have_changed(&roots)?)
            {
                return Ok((findings, index, packs));
            }
        }
    }

    fn check_slots(&self, findings: &Findings) -> Result<()> {
        let slots = key_slots(self.storage(), self.config())?;
        let newest = self.ring().current().number;
        let mut seen = HashSet::new();
        for (id, slot) in slots.own {
            let name = ObjectName::new(ObjectKind::Key, id);
            match slot {
                Err(error) => findings.add(name, error),
                Ok(slot) if self.role() == Role::Full && !slot.is_authentic(self.ring())? => {
                    findings.add(name, "it was not written by a full key of this repository");
                }
                Ok(slot) if !seen.insert(slot.slot_id) => {
                    findings.warn(name, "an interrupted key change left it: rotate keys again");
                }
                Ok(slot) if slot.epoch < newest => {
                    findings.warn(name, "it lacks the newest keys: rotate keys again");
                }
                Ok(_) => {}
            }
        }
        for id in slots.foreign {
            findings.warn(
                ObjectName::new(ObjectKind::Key, id),
                "it belongs to another repository: an interrupted `init` leaves such, and it opens nothing",
            );
        }
        Ok(())
    }

    /// Reads snapshots and trash.
    fn check_roots(&self, findings: &Findings) -> Result<Vec<Root>> {
        let (snapshots, problems) = self.snapshots()?;
        let mut roots: Vec<Root> = snapshots
            .into_iter()
            .map(|(id, snapshot)| Root {
                name: ObjectName::new(ObjectKind::Snapshot, id),
                snapshot: id,
                content: Some(snapshot.root),
            })
            .collect();
        // What cannot be read is there all the same.
        roots.extend(problems.iter().map(|(name, _)| Root {
            name: *name,
            snapshot: name.id,
            content: None,
        }));
        findings.add_all(problems);
        let (trash, problems) = self.read_records::<Trashed>(ObjectKind::Trash)?;
        roots.extend(problems.iter().map(|(name, _)| Root {
            name: *name,
            snapshot: name.id,
            content: None,
        }));
        findings.add_all(problems);
        roots.extend(trash.into_iter().map(|(id, trashed)| Root {
            name: ObjectName::new(ObjectKind::Trash, id),
            snapshot: trashed.snapshot,
            content: Some(trashed.record.root),
        }));
        Ok(roots)
    }

    /// Whether snapshots have come or gone, or moved to the trash, since these were read.
    fn roots_have_changed(&self, roots: &Option<Vec<Root>>) -> Result<bool> {
        let Some(roots) = roots else {
            return Ok(false);
        };
        let mut present = HashSet::new();
        for kind in [ObjectKind::Snapshot, ObjectKind::Trash] {
            let ids = self.list(kind)?;
            present.extend(ids.into_iter().map(|id| ObjectName::new(kind, id)));
        }
        Ok(present != roots.iter().map(|root| root.name).collect())
    }

    /// Looks for snapshots that are gone without having been forgotten.
    fn check_published(
        &self,
        findings: &Findings,
        roots: &[Root],
        index: &FrozenIndex,
    ) -> Result<()> {
        let known: HashSet<Id> = roots.iter().map(|root| root.snapshot).collect();
        let mut gone: HashSet<Id> = index
            .published
            .difference(&index.forgotten)
            .filter(|id| !known.contains(id))
            .copied()
            .collect();
        if !gone.is_empty() {
            // A backup may have ended since the snapshots were listed, or be about to end. Pending
            // objects first: what they name is there when they are taken back.
            let (pending, _) = self.read_records::<Pending>(ObjectKind::Pending)?;
            for id in pending.iter().filter_map(|(_, pending)| pending.snapshot) {
                gone.remove(&id);
            }
            for id in self.list(ObjectKind::Snapshot)? {
                gone.remove(&id);
            }
            let (trash, _) = self.read_records::<Trashed>(ObjectKind::Trash)?;
            for (_, trashed) in trash {
                gone.remove(&trashed.snapshot);
            }
        }
        for id in gone {
            findings.add(
                ObjectName::new(ObjectKind::Snapshot, id),
                "it is missing, and nobody has forgotten it",
            );
        }
        for root in roots.iter().filter(|root| root.content.is_some()) {
            if !index.published.contains(&root.snapshot)
                && !index.forgotten.contains(&root.snapshot)
            {
                findings.add(
                    root.name,
                    "no index object names it: an index object is missing",
                );
            }
        }
        Ok(())
    }

    /// Walks all trees.
    fn check_trees(
        &self,
        findings: &Findings,
        roots: &[Root],
        index: &FrozenIndex,
        progress: &dyn Progress,
    ) -> Result<Bitmap> {
        let stop = || progress.is_stopped();
        let mut marker = Marker::new(self, &index.entries, &stop)?;
        for root in roots {
            let Some(content) = &root.content else {
                continue;
            };
            match marker.mark(content) {
                Ok(()) => {}
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => findings.add(
                    root.name,
                    format!("its tree cannot be read: {}", with_causes(&error)),
                ),
            }
        }
        Ok(marker.into_bitmap())
    }

    /// The packs to read, and in which order.
    fn select(&self, read: ReadData, packs: &HashMap<Id, u64>) -> Result<Vec<(Id, u64)>> {
        let budget = match read {
            ReadData::No => return Ok(Vec::new()),
            ReadData::All => u64::MAX,
            ReadData::Bytes(bytes) => bytes,
            ReadData::Percent(percent) => {
                let total: u64 = packs.values().sum();
                (total as f64 * percent.clamp(0.0, 100.0) / 100.0).ceil() as u64
            }
            ReadData::Part { n, of } => {
                if of == 0 || n == 0 || n > of {
                    return Err(Error::Invalid {
                        what: "part",
                        problem: format!("{n}/{of} is no part"),
                    });
                }
                let mut chosen: Vec<_> = packs
                    .iter()
                    .filter(|(id, _)| {
                        let first =
                            u32::from_be_bytes(id.as_bytes()[..4].try_into().expect("4 bytes"));
                        first % of == n - 1
                    })
                    .map(|(id, size)| (*id, *size))
                    .collect();
                chosen.sort();
                return Ok(chosen);
            }
        };
        let log = match self.cache().scrub_database() {
            Some(path) => Some(ScrubLog::open(&path)?),
            None => None,
        };
        let last = |id| log.as_ref().map_or(Ok(0), |log| log.last(id));
        let mut order: Vec<(i64, Id, u64)> = packs
            .iter()
            .map(|(id, size)| Ok((last(id)?, *id, *size)))
            .collect::<Result<_>>()?;
        order.sort();
        let mut chosen = Vec::new();
        let mut sum = 0u64;
        for (_, id, size) in order {
            if sum >= budget {
                break;
            }
            sum = sum.saturating_add(size);
            chosen.push((id, size));
        }
        Ok(chosen)
    }

    /// Reads packs on all cores; gives how many chunks and bytes were verified.
    fn read_packs(
        &self,
        packs: &[(Id, u64)],
        index: &FrozenIndex,
        findings: &Findings,
        progress: &dyn Progress,
    ) -> Result<(u64, u64)> {
        progress.total(packs.len() as u64, packs.iter().map(|(_, size)| size).sum());
        let next = AtomicU64::new(0);
        let (chunks, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let verified = Mutex::new(Vec::new());
        let threads = self.threads();
        let work = || -> Result<()> {
            let mut scratch = Scratch::new()?;
            let mut buffer = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed) as usize;
                let Some((id, size)) = packs.get(at) else {
                    return Ok(());
                };
                if progress.is_stopped() {
                    return Err(Error::Interrupted);
                }
                let name = ObjectName::new(ObjectKind::Pack, *id);
                match self.read_pack(&name, index, &mut buffer, &mut scratch, findings) {
                    Ok((count, sound)) => {
                        chunks.fetch_add(count, Ordering::Relaxed);
                        bytes.fetch_add(*size, Ordering::Relaxed);
                        // One that is not is among the first that the next check reads.
                        if sound {
                            verified.lock().expect("no thread panics with it").push(*id);
                        }
                    }
                    // A collector that works beside us may have removed it. What was lost another
                    // way the next check finds missing.
                    Err(Error::Storage(StorageError::NotFound { .. }))
                        if self.index_has_changed(index)? => {}
                    Err(error) => findings.add(name, with_causes(&error)),
                }
                progress.advance(1, *size);
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().expect("a checking thread does not panic"))
        })?;
        progress.finish();
        let verified = verified.into_inner().expect("all threads have ended");
        if let Some(path) = self.cache().scrub_database() {
            ScrubLog::open(&path)?.record(&verified)?;
        }
        Ok((chunks.into_inner(), bytes.into_inner()))
    }

    /// Verifies one pack: name, trailer, index, and every chunk in it; gives how many there are,
    /// and whether all of them are sound.
    fn read_pack(
        &self,
        name: &ObjectName,
        index: &FrozenIndex,
        bytes: &mut Vec<u8>,
        scratch: &mut Scratch,
        findings: &Findings,
    ) -> Result<(u64, bool)> {
        self.read_raw_into(name, bytes)?;
        let object = name.to_string();
        let (header, blobs) = parse_pack(bytes, self.config().id(), self.ring(), &object)?;
        let cipher = self.chunks().cipher(&header, &object)?;
        let mut sound = true;
        for blob in &blobs {
            let range = blob.offset as usize..(blob.offset + blob.stored_len) as usize;
            if let Err(error) =
                open_blob(&cipher, self.ring(), &blob.info, &mut bytes[range], scratch)
            {
                findings.add(name, error);
                sound = false;
            }
            let places = self.index()?.lookup_all(&blob.info.id)?;
            let here = places.iter().find(|place| place.pack == name.id);
            match here {
                Some(place)
                    if (
                        place.offset,
                        place.stored_len,
                        place.raw_len,
                        place.kind,
                        place.encoding,
                    ) == place_of(blob) => {}
                Some(_) => findings.add(
                    name,
                    format!("the index has a wrong place for chunk {}", blob.info.id),
                ),
                // What no index names at all is told of elsewhere.
                None if places.is_empty() && index.packs.contains_key(&name.id) => {
                    findings.add(
                        name,
                        format!("the index does not know chunk {}", blob.info.id),
                    );
                }
                None => {}
            }
        }
        Ok((blobs.len() as u64, sound))
    }
}

/// What a tree hangs on.
struct Root {
    name: ObjectName,
    /// The id that its snapshot has or had.
    snapshot: Id,
    /// Nothing if it cannot be read.
    content: Option<Content>,
}

/// Compares the packs that are there with the index.
///
/// `live` are the entries of chunks that snapshots need; without it, which is how a writer checks,
/// all may be needed.
fn check_packs(
    findings: &Findings,
    index: &FrozenIndex,
    packs: &HashMap<Id, u64>,
    pending: &[(Id, Pending)],
    gc: &[(Id, GcRecord)],
    live: Option<&Bitmap>,
) -> Result<()> {
    let mut needed: HashSet<Id> = HashSet::new();
    if let Some(live) = live {
        let mut group: Option<(Id, bool, Vec<Id>)> = None;
        let mut flush = |group: Option<(Id, bool, Vec<Id>)>| {
            if let Some((_, true, places)) = group
                && !places.iter().any(|pack| packs.contains_key(pack))
            {
                needed.extend(places);
            }
        };
        index.entries.for_each(&mut |position, entry, pack, _| {
            if group.as_ref().is_none_or(|(id, ..)| *id != entry.id) {
                flush(group.take());
                group = Some((entry.id, live.get(position), Vec::new()));
            }
            group.as_mut().expect("just made").2.push(*pack);
        })?;
        flush(group);
    }
    let doomed: HashSet<Id> = gc
        .iter()
        .flat_map(|(_, record)| record.packs.iter().copied())
        .collect();
    for (id, size) in &index.packs {
        let name = ObjectName::new(ObjectKind::Pack, *id);
        match packs.get(id) {
            Some(found) if found != size => {
                findings.add(name, format!("it has {found} bytes and should have {size}"));
            }
            Some(_) => {}
            None if needed.contains(id) => findings.add(name, "it is missing"),
            None if live.is_none() && !doomed.contains(id) => findings.add(name, "it is missing"),
            None => findings.warn(
                name,
                "it is missing, and no snapshot needs it: `prune` takes it out of the index",
            ),
        }
    }
    let announced: HashSet<Id> = pending
        .iter()
        .flat_map(|(_, pending)| pending.packs.iter().copied())
        .collect();
    for id in packs.keys().filter(|id| !index.packs.contains_key(id)) {
        let name = ObjectName::new(ObjectKind::Pack, *id);
        if announced.contains(id) {
            // A pack is in the index before a pending object names it.
            findings.add(
                name,
                "no index object names it: an index object is missing, `repair-index` makes a new one",
            );
        } else {
            findings.warn(
                name,
                "no index object names it: an interrupted or running backup leaves such, and the second `prune` from now removes it",
            );
        }
    }
    Ok(())
}

fn place_of(blob: &PackedBlob) -> (u32, u32, u32, BlobKind, Encoding) {
    let info = &blob.info;
    (
        blob.offset,
        blob.stored_len,
        info.raw_len,
        info.kind,
        info.encoding,
    )
}
