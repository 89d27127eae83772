//! Making parity for what has none.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::check::CheckError;
use crate::error::{Error, Result, with_causes};
use crate::id::Id;
use crate::parity::armour::{self, Kind, MAX_CONTENT};
use crate::parity::catalog::{Catalog, Entry, What};
use crate::parity::code::SECTOR;
use crate::parity::coded::lost_share;
use crate::parity::record::{GroupRecord, PackRecord, SMALL, write_small};
use crate::parity::{DEFAULT_PERCENT, MAX_PERCENT, ParityOptions, members_of_group};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName, StorageError};

/// What `parity add` did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ParityReport {
    /// The percentage that it was made with.
    pub percent: u8,
    /// Packs that were read.
    pub packs_read: u64,
    /// Parity objects that were written.
    pub objects_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// Parity objects that had become useless and were removed.
    pub objects_removed: u64,
    /// What could not be protected because it is damaged or too large.
    pub errors: Vec<CheckError>,
}

impl Repository {
    /// Makes parity for whatever has none, and removes parity that has become useless.
    ///
    /// Reads only packs that are not protected yet, and holds one pack, the sum of a group and what
    /// the code needs for one pack in memory: about eight times the size of the largest pack.
    ///
    /// # Errors
    /// Damage to the index: [`Repository::repair`] it first. A damaged pack is in the report.
    pub fn parity_add(
        &self,
        options: &ParityOptions,
        progress: &dyn Progress,
    ) -> Result<ParityReport> {
        if let Some((_, error)) = self.refresh_index()?.into_iter().next() {
            return Err(error);
        }
        let catalog = Catalog::read(self.storage())?;
        let percent = options
            .percent
            .or_else(|| catalog.percent())
            .unwrap_or(DEFAULT_PERCENT);
        if !(1..=MAX_PERCENT).contains(&percent) {
            return Err(Error::Invalid {
                what: "percentage of parity",
                problem: format!("{percent} is not between 1 and {MAX_PERCENT}"),
            });
        }
        let mut work = Adding {
            repository: self,
            percent,
            superseded: HashSet::new(),
            written: HashSet::new(),
            report: ParityReport {
                percent,
                ..ParityReport::default()
            },
        };
        let indexed: HashMap<Id, u64> = self.index()?.packs().collect();
        let mut live = self.list_packs()?;
        live.retain(|id, _| indexed.contains_key(id));
        let exists = |id: &Id| live.contains_key(id) || indexed.contains_key(id);
        work.packs(&catalog, &live, &exists, progress)?;
        work.small_objects(&catalog)?;
        work.key_slots(&catalog)?;
        for id in &work.superseded.clone() {
            if !work.written.contains(id) {
                self.remove(ObjectKind::Parity, *id)?;
                work.report.objects_removed += 1;
            }
        }
        progress.finish();
        Ok(work.report)
    }

    /// Removes parity of packs that are gone for good; says how many objects that were.
    ///
    /// A pack that is lost is still in the index, and its parity stays.
    pub(crate) fn retire_parity(&self) -> Result<u64> {
        let mut any = false;
        self.storage()
            .list(ObjectKind::Parity, &mut |_, _| any = true)?;
        if !any || !self.refresh_index()?.is_empty() {
            return Ok(0);
        }
        let catalog = Catalog::read(self.storage())?;
        let present = self.list_packs()?;
        let index = self.index()?;
        let indexed: HashSet<Id> = index.packs().map(|(id, _)| id).collect();
        drop(index);
        let dead = |id: &Id| !present.contains_key(id) && !indexed.contains(id);
        let mut removed = 0;
        for entry in &catalog.entries {
            if is_dead(&entry.what, &dead) {
                self.remove(ObjectKind::Parity, entry.id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Whether all that it is for is gone for good.
fn is_dead(what: &What, dead: &dyn Fn(&Id) -> bool) -> bool {
    match what {
        What::Pack { pack, .. } => dead(pack),
        What::Group { members, .. } => members.iter().all(|(id, _)| dead(id)),
        What::Small { .. } | What::Key { .. } | What::Unreadable => false,
    }
}

struct Adding<'r> {
    repository: &'r Repository,
    percent: u8,
    superseded: HashSet<Id>,
    written: HashSet<Id>,
    report: ParityReport,
}

/// A group that is being made.
#[derive(Default)]
struct Sum {
    members: Vec<(Id, u32)>,
    bytes: Vec<u8>,
}

impl Sum {
    fn add(&mut self, id: Id, pack: &[u8]) {
        if self.bytes.len() < pack.len() {
            self.bytes.resize(pack.len(), 0);
        }
        add_to(&mut self.bytes, pack);
        self.members.push((id, pack.len() as u32));
    }
}

/// Adds bytes in GF(2).
pub(super) fn add_to(sum: &mut [u8], bytes: &[u8]) {
    for (sum, byte) in sum.iter_mut().zip(bytes) {
        *sum ^= byte;
    }
}

impl Adding<'_> {
    fn packs(
        &mut self,
        catalog: &Catalog,
        live: &HashMap<Id, u64>,
        exists: &dyn Fn(&Id) -> bool,
        progress: &dyn Progress,
    ) -> Result<()> {
        let dead = |id: &Id| !exists(id);
        let mut coded: HashSet<Id> = HashSet::new();
        for entry in &catalog.entries {
            if let What::Pack { pack, percent } = entry.what {
                let useful = percent == self.percent && !dead(&pack) && coded.insert(pack);
                if !useful {
                    self.superseded.insert(entry.id);
                }
            }
        }
        let (grouped, open) = self.groups(catalog, live, &dead);
        let mut new: Vec<(u64, Id)> = live
            .iter()
            .filter(|(id, _)| !grouped.contains(*id))
            .map(|(id, size)| (*size, *id))
            .collect();
        // Packs of like size together: the sum is as long as the longest.
        new.sort_by(|a, b| b.cmp(a));
        let uncoded: Vec<Id> = grouped
            .iter()
            .filter(|id| live.contains_key(id) && !coded.contains(*id))
            .copied()
            .collect();
        let bytes = new.iter().map(|(size, _)| size).sum::<u64>()
            + uncoded.iter().map(|id| live[id]).sum::<u64>();
        progress.total((new.len() + uncoded.len()) as u64, bytes);
        let limit = members_of_group(self.percent);
        let mut sum = Sum::default();
        if !new.is_empty()
            && let Some(entry) = open
        {
            sum = self.reopen(entry)?;
        }
        for (size, id) in new {
            if progress.is_stopped() {
                return Err(Error::Interrupted);
            }
            if let Some(pack) = self.read(id)? {
                if !coded.contains(&id) {
                    self.write(&PackRecord::seal(id, &pack, self.percent))?;
                }
                sum.add(id, &pack);
                if sum.members.len() == limit {
                    self.close(&mut sum)?;
                }
            }
            progress.advance(1, size);
        }
        self.close(&mut sum)?;
        for id in uncoded {
            if progress.is_stopped() {
                return Err(Error::Interrupted);
            }
            if let Some(pack) = self.read(id)? {
                self.write(&PackRecord::seal(id, &pack, self.percent))?;
            }
            progress.advance(1, live[&id]);
        }
        Ok(())
    }

    /// The packs that a sound group protects, and a group that has room for more.
    fn groups<'c>(
        &mut self,
        catalog: &'c Catalog,
        live: &HashMap<Id, u64>,
        dead: &dyn Fn(&Id) -> bool,
    ) -> (HashSet<Id>, Option<&'c Entry>) {
        let mut grouped = HashSet::new();
        let mut open = None;
        for (entry, members, percent) in catalog.groups() {
            // Of a group with a pack that is gone nothing can be brought back any more.
            let degraded = percent != self.percent || members.iter().any(|(id, _)| dead(id));
            let repeated = members.iter().all(|(id, _)| grouped.contains(id));
            if degraded || repeated {
                self.superseded.insert(entry.id);
                continue;
            }
            grouped.extend(members.iter().map(|(id, _)| *id));
            let complete = members.iter().all(|(id, _)| live.contains_key(id));
            if complete && members.len() < members_of_group(self.percent) && open.is_none() {
                open = Some(entry);
            }
        }
        (grouped, open)
    }

    /// The sum of a group, to add more packs to. A new one if it is damaged.
    fn reopen(&mut self, entry: &Entry) -> Result<Sum> {
        let Ok(bytes) = self.repository.read_raw(&entry.name()) else {
            return Ok(Sum::default());
        };
        let Some(opened) = armour::open(&bytes) else {
            return Ok(Sum::default());
        };
        let Some(record) = GroupRecord::parse(&opened.content) else {
            return Ok(Sum::default());
        };
        let from = opened.head.front() * SECTOR;
        let Some(sum) = bytes.get(from..from + record.coded.length as usize) else {
            return Ok(Sum::default());
        };
        self.superseded.insert(entry.id);
        Ok(Sum {
            members: record.members,
            bytes: sum.to_vec(),
        })
    }

    fn close(&mut self, sum: &mut Sum) -> Result<()> {
        let Sum { members, bytes } = std::mem::take(sum);
        if members.is_empty() {
            return Ok(());
        }
        self.write(&GroupRecord::seal(&members, bytes, self.percent))
    }

    /// A pack, if it is sound.
    fn read(&mut self, id: Id) -> Result<Option<Vec<u8>>> {
        let name = ObjectName::new(ObjectKind::Pack, id);
        self.report.packs_read += 1;
        match self.repository.read_raw(&name) {
            Ok(bytes) if !bytes.is_empty() => Ok(Some(bytes)),
            // A collector has just removed it.
            Ok(_) | Err(Error::Storage(StorageError::NotFound { .. })) => Ok(None),
            Err(error) => {
                self.refuse(name, with_causes(&error));
                Ok(None)
            }
        }
    }

    fn refuse(&mut self, name: ObjectName, error: String) {
        self.report.errors.push(CheckError {
            object: name.to_string(),
            error,
        });
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let id = Id::of(bytes);
        self.written.insert(id);
        let name = ObjectName::new(ObjectKind::Parity, id);
        match self.repository.storage().create(&name, &[bytes]) {
            Ok(()) => {
                self.report.objects_written += 1;
                self.report.bytes_written += bytes.len() as u64;
                Ok(())
            }
            Err(StorageError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies `config`, index, snapshots and the like, all twice: in two objects, so that one of
    /// them may be lost.
    fn small_objects(&mut self, catalog: &Catalog) -> Result<()> {
        let mut batch = Vec::new();
        let mut size = 0;
        for kind in SMALL {
            let mut ids = self.repository.list(kind)?;
            ids.sort();
            for id in ids {
                let name = ObjectName::new(kind, id);
                let bytes = match self.repository.storage().read(&name) {
                    Ok(bytes) => bytes,
                    Err(StorageError::NotFound { .. }) => continue,
                    Err(error) => {
                        self.refuse(name, with_causes(&error));
                        continue;
                    }
                };
                let expected = match kind {
                    ObjectKind::Config => self.repository.ring().config,
                    _ => id,
                };
                if Id::of(&bytes) != expected {
                    self.refuse(name, "its content does not fit its name".to_owned());
                    continue;
                }
                if bytes.len() + 64 > MAX_CONTENT {
                    self.refuse(name, "it is too large to be copied".to_owned());
                    continue;
                }
                if size + bytes.len() + 64 > MAX_CONTENT {
                    self.write_small(&std::mem::take(&mut batch))?;
                    size = 0;
                }
                size += bytes.len() + 64;
                batch.push((ObjectName::new(kind, expected), bytes));
            }
        }
        self.write_small(&batch)?;
        for entry in &catalog.entries {
            if matches!(entry.what, What::Small { .. }) {
                self.superseded.insert(entry.id);
            }
        }
        Ok(())
    }

    fn write_small(&mut self, objects: &[(ObjectName, Vec<u8>)]) -> Result<()> {
        let content = write_small(objects);
        for copy in [1, 2] {
            // Else both had one name, and were one object.
            let subject = Id::from_bytes([copy; 32]);
            let lost = lost_share(self.percent);
            self.write(&armour::seal(Kind::Small, subject, &content, &[], lost))?;
        }
        Ok(())
    }

    /// Copies each key slot into an object of its own, so that the copy can go with it.
    fn key_slots(&mut self, catalog: &Catalog) -> Result<()> {
        let slots = self.repository.protect_key_slots(self.percent)?;
        for (id, size) in slots {
            if self.written.insert(id) && size > 0 {
                self.report.objects_written += 1;
                self.report.bytes_written += size;
            }
        }
        for entry in &catalog.entries {
            if matches!(entry.what, What::Key { .. }) {
                self.superseded.insert(entry.id);
            }
        }
        Ok(())
    }
}
