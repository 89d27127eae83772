//! Checking a repository: that everything is there, fits together and can be read.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::{BlobKind, Encoding};
use crate::keyring::Role;
use crate::mark::Marker;
use crate::pack::{PackedBlob, parse_pack};
use crate::progress::Progress;
use crate::read::{Scratch, open_blob};
use crate::repository::{Repository, key_slots};
use crate::scrub::ScrubLog;
use crate::snapshot::{GcRecord, Pending};
use crate::storage::{ObjectKind, ObjectName, StorageError};

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
}

#[derive(Default)]
struct Findings {
    errors: Mutex<Vec<CheckError>>,
}

impl Findings {
    fn add(&self, object: impl ToString, error: impl ToString) {
        self.errors
            .lock()
            .expect("no thread panics while it holds this lock")
            .push(CheckError {
                object: object.to_string(),
                error: error.to_string(),
            });
    }

    fn add_all(&self, problems: Vec<(ObjectName, Error)>) {
        for (name, error) in problems {
            self.add(name, error);
        }
    }
}

impl Repository {
    /// Checks keys, index, snapshots, trees, and as much of the packs as asked for.
    ///
    /// Damage is not an error of this function; it is in the report.
    pub fn check(&self, read: ReadData, progress: &dyn Progress) -> Result<CheckReport> {
        let findings = Findings::default();
        let mut checked = Checked::default();
        self.check_slots(&findings)?;
        findings.add_all(self.refresh_index()?);
        self.index_mut().merge_all()?;
        let packs = self.check_packs(&findings)?;
        checked.packs = packs.len() as u64;
        self.check_small_objects(&findings)?;
        if self.role() == Role::Full {
            checked.snapshots = self.check_snapshots(&findings)?;
        }
        checked.chunks = self.index()?.len();
        let selected = self.select(read, &packs)?;
        if !selected.is_empty() {
            self.needs_full("reading packs")?;
            checked.chunks = 0;
            let counts = self.read_packs(&selected, &findings, progress)?;
            checked.chunks += counts.0;
            checked.bytes += counts.1;
        }
        let mut errors = findings
            .errors
            .into_inner()
            .expect("all threads have ended");
        if checked.snapshots == 0 && checked.packs == 0 && errors.is_empty() {
            errors.push(CheckError {
                object: self.location(),
                error: "there is nothing to check: no snapshot and no pack".to_owned(),
            });
        }
        errors.sort_by(|a, b| (&a.object, &a.error).cmp(&(&b.object, &b.error)));
        errors.dedup();
        Ok(CheckReport {
            ok: errors.is_empty(),
            checked,
            errors,
        })
    }

    fn check_slots(&self, findings: &Findings) -> Result<()> {
        for (id, slot) in key_slots(self.storage(), self.config())? {
            let name = ObjectName::new(ObjectKind::Key, id);
            match slot {
                Err(error) => findings.add(name, error),
                Ok(slot) if self.role() == Role::Full && !slot.is_authentic(self.ring())? => {
                    findings.add(name, "it was not written by a full key of this repository");
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Compares the packs that are there with the index.
    fn check_packs(&self, findings: &Findings) -> Result<HashMap<Id, u64>> {
        let mut present = HashMap::new();
        self.storage().list(ObjectKind::Pack, &mut |id, size| {
            present.insert(id, size);
        })?;
        let pending = self.pending_packs()?;
        let index = self.index()?;
        let mut indexed = HashSet::new();
        for (id, size) in index.packs() {
            indexed.insert(id);
            let name = ObjectName::new(ObjectKind::Pack, id);
            match present.get(&id) {
                None => findings.add(name, "it is missing"),
                Some(&found) if found != size => {
                    findings.add(name, format!("it has {found} bytes and should have {size}"));
                }
                Some(_) => {}
            }
        }
        let tombstoned = self.doomed_packs().unwrap_or_default();
        for id in present.keys() {
            // A running or interrupted backup has packs that are not in the index yet.
            if !indexed.contains(id) && !pending.contains(id) && !tombstoned.contains(id) {
                findings.add(
                    ObjectName::new(ObjectKind::Pack, *id),
                    "no index names it (an interrupted backup leaves such packs: run `prune` twice; if an index was lost, `repair-index`)",
                );
            }
        }
        Ok(present)
    }

    fn pending_packs(&self) -> Result<HashSet<Id>> {
        let (pending, _) = self.read_records::<Pending>(ObjectKind::Pending)?;
        Ok(pending
            .into_iter()
            .flat_map(|(_, pending)| pending.packs)
            .collect())
    }

    fn check_small_objects(&self, findings: &Findings) -> Result<()> {
        findings.add_all(self.read_records::<Pending>(ObjectKind::Pending)?.1);
        findings.add_all(self.read_records::<GcRecord>(ObjectKind::Gc)?.1);
        Ok(())
    }

    /// Walks all trees, and looks for snapshots that are gone without having been forgotten.
    fn check_snapshots(&self, findings: &Findings) -> Result<u64> {
        // Pending objects first: a backup that ends meanwhile has published its snapshot by then.
        let (pending, _) = self.read_records::<Pending>(ObjectKind::Pending)?;
        let (snapshots, problems) = self.snapshots()?;
        let mut known: HashSet<Id> = snapshots.iter().map(|(id, _)| *id).collect();
        known.extend(problems.iter().map(|(name, _)| name.id));
        findings.add_all(problems);
        known.extend(pending.iter().filter_map(|(_, pending)| pending.snapshot));
        let mut roots: Vec<(ObjectName, _)> = snapshots
            .into_iter()
            .map(|(id, snapshot)| (ObjectName::new(ObjectKind::Snapshot, id), snapshot.root))
            .collect();
        match self.trash() {
            Ok(trash) => {
                for (id, trashed) in trash {
                    known.insert(trashed.snapshot);
                    let name = ObjectName::new(ObjectKind::Trash, id);
                    roots.push((name, trashed.record.root));
                }
            }
            Err(error) => findings.add("trash", error),
        }
        let (published, forgotten) = {
            let index = self.index()?;
            (index.published(), index.forgotten())
        };
        for id in published.difference(&forgotten) {
            if !known.contains(id) {
                findings.add(
                    ObjectName::new(ObjectKind::Snapshot, *id),
                    "it is missing, and nobody has forgotten it",
                );
            }
        }
        for (name, _) in &roots {
            if name.kind == ObjectKind::Snapshot && !published.contains(&name.id) {
                findings.add(name, "no index object names it: an index object is missing");
            }
        }
        let count = roots.len() as u64;
        let mut marker = Marker::new(self)?;
        for (name, root) in roots {
            if let Err(error) = marker.mark(&root) {
                findings.add(
                    name,
                    format!("its tree cannot be read: {}", with_causes(&error)),
                );
            }
        }
        Ok(count)
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
        let log = ScrubLog::open(&self.cache().scrub_database())?;
        let mut order: Vec<(i64, Id, u64)> = packs
            .iter()
            .map(|(id, size)| Ok((log.last(id)?, *id, *size)))
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
        findings: &Findings,
        progress: &dyn Progress,
    ) -> Result<(u64, u64)> {
        progress.total(packs.len() as u64, packs.iter().map(|(_, size)| size).sum());
        let next = AtomicU64::new(0);
        let (chunks, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let verified = Mutex::new(Vec::new());
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let work = || -> Result<()> {
            let mut scratch = Scratch::new()?;
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed) as usize;
                let Some((id, size)) = packs.get(at) else {
                    return Ok(());
                };
                let name = ObjectName::new(ObjectKind::Pack, *id);
                match self.read_pack(&name, &mut scratch, findings) {
                    Ok(count) => {
                        chunks.fetch_add(count, Ordering::Relaxed);
                        bytes.fetch_add(*size, Ordering::Relaxed);
                        verified.lock().expect("no thread panics with it").push(*id);
                    }
                    // A collector that works beside us may have removed it.
                    Err(Error::Storage(StorageError::NotFound { .. }))
                        if self.doomed_packs()?.contains(id) => {}
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
        ScrubLog::open(&self.cache().scrub_database())?.record(&verified)?;
        Ok((chunks.into_inner(), bytes.into_inner()))
    }

    /// Verifies one pack: name, trailer, index, and every chunk in it.
    fn read_pack(
        &self,
        name: &ObjectName,
        scratch: &mut Scratch,
        findings: &Findings,
    ) -> Result<u64> {
        let mut bytes = self.read_raw(name)?;
        let object = name.to_string();
        let (header, blobs) = parse_pack(&bytes, self.config().id(), self.ring(), &object)?;
        let cipher = self.chunks().cipher(&header, &object)?;
        for blob in &blobs {
            let range = blob.offset as usize..(blob.offset + blob.stored_len) as usize;
            if let Err(error) =
                open_blob(&cipher, self.ring(), &blob.info, &mut bytes[range], scratch)
            {
                findings.add(name, error);
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
                None if places.is_empty() => {
                    findings.add(
                        name,
                        format!("the index does not know chunk {}", blob.info.id),
                    );
                }
                None => {}
            }
        }
        Ok(blobs.len() as u64)
    }
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

/// An error with its causes, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
