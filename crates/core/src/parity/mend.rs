//! Mending a repository: every object that is damaged or lost, from parity or from a copy.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::check::CheckError;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::Segment;
use crate::keyring::Role;
use crate::keyslot::KeySlot;
use crate::object;
use crate::parity::ParityOptions;
use crate::parity::armour;
use crate::parity::catalog::{Catalog, What, read_leniently};
use crate::parity::record::{SmallObjects, parse_small};
use crate::parity::recover::{Recovery, sound};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::snapshot::{Pending, Trashed};
use crate::storage::{ObjectKind, ObjectName, Storage, StorageError};

/// What brought an object back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Parity of this repository.
    Parity,
    /// An object of the same name in another storage.
    OtherRepository,
    /// Other objects, which say the same.
    Rebuilt,
    /// Its content, stored again in other objects.
    Refilled,
}

/// One object that is whole again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mended {
    /// The object, as its path in the repository.
    pub object: String,
    /// What brought it back.
    pub from: Remedy,
}

/// What `repair` did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MendReport {
    /// Objects that were read and compared with their names.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is whole again.
    pub mended: Vec<Mended>,
    /// What could not be mended.
    pub errors: Vec<CheckError>,
    /// The packs among them, in order: their content may be [stored again](Repository::refill).
    pub lost_packs: Vec<Id>,
}

impl Repository {
    /// Reads every object, and brings back those that are damaged or lost: from parity, or from
    /// `others`, which hold objects of the same names, as a copy of the repository does.
    ///
    /// What was mended replaces a damaged object only when its hash is the object's name; a sound
    /// object is never touched. Parity that was damaged is made anew at the end. No backup and no
    /// `prune` should run meanwhile.
    ///
    /// Memory: as [`Repository::parity_add`]; up to eight damaged packs of one group more where
    /// only all of them together can be mended.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when `progress` says to stop. What cannot be mended is in the report.
    pub fn repair(&self, others: &[&dyn Storage], progress: &dyn Progress) -> Result<MendReport> {
        let catalog = Catalog::read(self.storage())?;
        let recovery = Recovery::new(self.storage(), others, &catalog);
        let mut mending = Mending {
            repository: self,
            recovery,
            report: MendReport::default(),
            waiting: Vec::new(),
        };
        mending.small_objects()?;
        mending.lost_index()?;
        mending.lost_snapshots()?;
        mending.key_slots()?;
        mending.packs(progress)?;
        mending.index_from_packs(progress)?;
        mending.leftovers()?;
        let mut report = mending.report;
        self.renew_parity(&catalog, &mut report, progress)?;
        progress.finish();
        Ok(report)
    }

    /// Makes damaged parity anew, once all that it might still be needed for is mended.
    fn renew_parity(
        &self,
        catalog: &Catalog,
        report: &mut MendReport,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut damaged = Vec::new();
        for entry in &catalog.entries {
            report.objects += 1;
            report.bytes += entry.size;
            if sound(self.storage(), &entry.name())?.is_none()
                && self.storage().size(&entry.name()).is_ok()
            {
                damaged.push(entry);
            }
        }
        if damaged.is_empty() {
            return Ok(());
        }
        if !report.errors.is_empty() {
            for entry in damaged {
                report.errors.push(CheckError {
                    object: entry.name().to_string(),
                    error: "it is damaged, and is kept as long as something needs it".to_owned(),
                });
            }
            return Ok(());
        }
        for entry in &damaged {
            self.remove(ObjectKind::Parity, entry.id)?;
        }
        let options = ParityOptions {
            percent: catalog.percent(),
        };
        let added = self.parity_add(&options, progress)?;
        report.errors.extend(added.errors);
        report.mended.extend(damaged.iter().map(|entry| Mended {
            object: entry.name().to_string(),
            from: Remedy::Rebuilt,
        }));
        Ok(())
    }
}

struct Mending<'a> {
    repository: &'a Repository,
    recovery: Recovery<'a>,
    report: MendReport,
    /// Damaged objects whose copy has not been found so far.
    waiting: Vec<(ObjectName, String)>,
}

impl Mending<'_> {
    fn storage(&self) -> &dyn Storage {
        self.repository.storage()
    }

    fn mended(&mut self, name: &ObjectName, from: Remedy) {
        self.report.mended.push(Mended {
            object: name.to_string(),
            from,
        });
    }

    fn failed(&mut self, name: &ObjectName, error: &str) {
        self.report.errors.push(CheckError {
            object: name.to_string(),
            error: error.to_owned(),
        });
    }

    /// Puts an object whose hash is its name in its place.
    fn put(&mut self, name: &ObjectName, bytes: &[u8], from: Remedy) -> Result<()> {
        put(self.storage(), name, bytes)?;
        self.mended(name, from);
        Ok(())
    }

    /// All small objects that there are copies of, one container after the other.
    fn copies(&self, each: &mut dyn FnMut(SmallObjects) -> Result<()>) -> Result<()> {
        for entry in &self.recovery.catalog.entries {
            if !matches!(entry.what, What::Small { .. }) {
                continue;
            }
            let object = read_leniently(self.storage(), &entry.name())?;
            if let Some(opened) = object.as_deref().and_then(armour::open)
                && let Some(objects) = parse_small(&opened.content)
            {
                each(objects)?;
            }
        }
        Ok(())
    }

    /// Mends small objects that are there and damaged.
    fn small_objects(&mut self) -> Result<()> {
        let mut damaged = HashSet::new();
        for kind in [
            ObjectKind::Index,
            ObjectKind::Snapshot,
            ObjectKind::Pending,
            ObjectKind::Gc,
            ObjectKind::Trash,
            ObjectKind::Key,
        ] {
            for id in self.repository.list(kind)? {
                let name = ObjectName::new(kind, id);
                self.report.objects += 1;
                self.report.bytes += self.storage().size(&name).unwrap_or(0);
                if sound(self.storage(), &name)?.is_none() && self.storage().size(&name).is_ok() {
                    damaged.insert(name);
                }
            }
        }
        let mut found = Vec::new();
        self.copies(&mut |objects| {
            for (name, bytes) in objects {
                if damaged.remove(&name) {
                    put(self.storage(), &name, &bytes)?;
                    found.push(name);
                }
            }
            Ok(())
        })?;
        for name in found {
            self.mended(&name, Remedy::Parity);
        }
        let mut damaged: Vec<ObjectName> = damaged.into_iter().collect();
        damaged.sort();
        for name in damaged {
            match self.recovery.copy(&name)? {
                Some((bytes, from)) => self.put(&name, &bytes, from)?,
                None => self
                    .waiting
                    .push((name, "it is damaged, and there is no copy of it".to_owned())),
            }
        }
        Ok(())
    }

    /// Brings back index objects that are lost: those that name a pack which is there, or has
    /// parity, and which no other names.
    ///
    /// `prune` replaces all of them at once. So if none of those that were copied is left, and
    /// there are others, the copies are out of date.
    fn lost_index(&mut self) -> Result<()> {
        self.repository.refresh_index()?;
        let present: HashSet<Id> = self
            .repository
            .list(ObjectKind::Index)?
            .into_iter()
            .collect();
        let catalog = self.recovery.catalog;
        let mut copied: HashSet<ObjectName> = catalog.copied();
        let mut elsewhere = Vec::new();
        for other in self.recovery.others {
            let list = other.list(ObjectKind::Index, &mut |id, _| {
                elsewhere.push((*other, ObjectName::new(ObjectKind::Index, id)));
            });
            if let Err(error) = list {
                tracing::warn!(%error, "a copy of the repository is left out");
            }
        }
        copied.extend(elsewhere.iter().map(|(_, name)| *name));
        let is_copied = |id: &Id| copied.contains(&ObjectName::new(ObjectKind::Index, *id));
        if !present.is_empty() && !present.iter().any(is_copied) {
            return Ok(());
        }
        let packs = self.repository.list_packs()?;
        let coded = catalog.packs();
        let index = self.repository.index()?;
        let mut named: HashSet<Id> = index.packs().map(|(id, _)| id).collect();
        let snapshots = self.repository.list(ObjectKind::Snapshot)?;
        let mut published = index.published();
        drop(index);
        let mut lost = Vec::new();
        let mut consider = |name: ObjectName, bytes: &[u8], from: Remedy| -> Result<()> {
            let Some(segment) = self.open_segment(&name, bytes) else {
                return Ok(());
            };
            let missed = segment.packs.iter().any(|(id, _)| {
                !named.contains(id) && (packs.contains_key(id) || coded.contains_key(id))
            }) || segment
                .published
                .iter()
                .any(|id| !published.contains(id) && snapshots.contains(id));
            if missed {
                named.extend(segment.packs.iter().map(|(id, _)| *id));
                published.extend(&segment.published);
                put(self.storage(), &name, bytes)?;
                lost.push((name, from));
            }
            Ok(())
        };
        let absent =
            |name: &ObjectName| name.kind == ObjectKind::Index && !present.contains(&name.id);
        self.copies(&mut |objects| {
            for (name, bytes) in objects.iter().filter(|(name, _)| absent(name)) {
                consider(*name, bytes, Remedy::Parity)?;
            }
            Ok(())
        })?;
        for (other, name) in elsewhere.iter().filter(|(_, name)| absent(name)) {
            if let Ok(Some(bytes)) = sound(*other, name) {
                consider(*name, &bytes, Remedy::OtherRepository)?;
            }
        }
        for (name, from) in lost {
            self.mended(&name, from);
        }
        self.repository.refresh_index()?;
        Ok(())
    }

    fn open_segment(&self, name: &ObjectName, bytes: &[u8]) -> Option<Segment> {
        let repository = self.repository;
        let plain = object::open(
            bytes,
            name.kind,
            repository.config().id(),
            repository.ring(),
            &name.to_string(),
        );
        Segment::decode(&plain.ok()?).ok()
    }

    /// Brings back snapshots, also forgotten ones, that the index says were published and that are
    /// not there. What was removed on purpose stays away.
    fn lost_snapshots(&mut self) -> Result<()> {
        let mut lost: HashSet<Id> = {
            let index = self.repository.index()?;
            let forgotten = index.forgotten();
            let mut published = index.published();
            published.retain(|id| !forgotten.contains(id));
            published
        };
        let (pending, _) = self
            .repository
            .read_records::<Pending>(ObjectKind::Pending)?;
        for id in pending.iter().filter_map(|(_, pending)| pending.snapshot) {
            lost.remove(&id);
        }
        for id in self.repository.list(ObjectKind::Snapshot)? {
            lost.remove(&id);
        }
        let full = self.repository.role() == Role::Full;
        if !lost.is_empty() && full {
            let (trash, _) = self.repository.read_records::<Trashed>(ObjectKind::Trash)?;
            for (_, trashed) in trash {
                lost.remove(&trashed.snapshot);
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let mut found: HashMap<ObjectName, Vec<u8>> = HashMap::new();
        self.copies(&mut |objects| {
            found.extend(objects.into_iter().filter(|(name, _)| {
                name.kind == ObjectKind::Trash
                    || (name.kind == ObjectKind::Snapshot && lost.contains(&name.id))
            }));
            Ok(())
        })?;
        // The trash first: what is in it had left the snapshots when it was copied.
        for (name, bytes) in found
            .iter()
            .filter(|(name, _)| name.kind == ObjectKind::Trash)
        {
            if full
                && let Some(snapshot) = self.trashed(name, bytes)
                && lost.remove(&snapshot)
            {
                self.put(name, bytes, Remedy::Parity)?;
            }
        }
        let mut lost: Vec<Id> = lost.into_iter().collect();
        lost.sort();
        for id in lost {
            let name = ObjectName::new(ObjectKind::Snapshot, id);
            if let Some(bytes) = found.get(&name) {
                self.put(&name, bytes, Remedy::Parity)?;
            } else if let Some((bytes, from)) = self.recovery.copy(&name)? {
                self.put(&name, &bytes, from)?;
            } else if full {
                self.failed(&name, "it is missing, and there is no copy of it");
            }
        }
        Ok(())
    }

    fn trashed(&self, name: &ObjectName, bytes: &[u8]) -> Option<Id> {
        let repository = self.repository;
        let plain = object::open(
            bytes,
            name.kind,
            repository.config().id(),
            repository.ring(),
            &name.to_string(),
        );
        let record: Trashed = serde_json::from_slice(&plain.ok()?).ok()?;
        Some(record.snapshot)
    }

    /// Mends key slots, and brings back those of which there is a copy. Whoever removes a slot
    /// removes its copies first.
    fn key_slots(&mut self) -> Result<()> {
        let damaged: HashSet<Id> = self
            .waiting
            .iter()
            .filter(|(name, _)| name.kind == ObjectKind::Key)
            .map(|(name, _)| name.id)
            .collect();
        let repository = self.repository;
        for (name, bytes) in key_copies(self.storage(), self.recovery.catalog)? {
            if sound(self.storage(), &name)?.is_some() {
                continue;
            }
            let authentic = repository.role() == Role::Full
                && KeySlot::parse(bytes.clone(), repository.config().id())
                    .and_then(|slot| slot.is_authentic(repository.ring()))
                    .unwrap_or(false);
            if damaged.contains(&name.id) || authentic {
                self.put(&name, &bytes, Remedy::Parity)?;
                self.waiting.retain(|(waiting, _)| *waiting != name);
            }
        }
        Ok(())
    }

    fn packs(&mut self, progress: &dyn Progress) -> Result<()> {
        let mut packs = self.repository.list_packs()?;
        let present: HashSet<Id> = packs.keys().copied().collect();
        for (id, size) in self.repository.index()?.packs() {
            packs.entry(id).or_insert(size);
        }
        progress.total(packs.len() as u64, packs.values().sum());
        let mut packs: Vec<(Id, u64)> = packs.into_iter().collect();
        packs.sort();
        let mut lost = HashSet::new();
        for (id, size) in packs {
            if progress.is_stopped() {
                return Err(Error::Interrupted);
            }
            let name = ObjectName::new(ObjectKind::Pack, id);
            self.report.objects += 1;
            self.report.bytes += size;
            let whole = present.contains(&id) && sound(self.storage(), &name)?.is_some();
            if !whole {
                match self.recovery.alone(id)? {
                    Some((bytes, from)) => self.put(&name, &bytes, from)?,
                    None => {
                        lost.insert(id);
                    }
                }
            }
            progress.advance(1, size);
        }
        self.groups(&mut lost)?;
        let mut lost: Vec<Id> = lost.into_iter().collect();
        lost.sort();
        self.report.lost_packs.clone_from(&lost);
        for id in lost {
            let name = ObjectName::new(ObjectKind::Pack, id);
            let what = match present.contains(&id) {
                true => "it is damaged, and neither parity nor a copy brings it back",
                false => "it is missing, and neither parity nor a copy brings it back",
            };
            self.failed(&name, what);
        }
        Ok(())
    }

    /// Mends packs with the others of their groups.
    fn groups(&mut self, lost: &mut HashSet<Id>) -> Result<()> {
        let catalog = self.recovery.catalog;
        for (entry, members, _) in catalog.groups() {
            if !members.iter().any(|(id, _)| lost.contains(id)) {
                continue;
            }
            for (id, bytes) in self.recovery.together(entry)? {
                if lost.remove(&id) {
                    let name = ObjectName::new(ObjectKind::Pack, id);
                    self.put(&name, &bytes, Remedy::Parity)?;
                }
            }
        }
        Ok(())
    }

    /// Makes an index of the packs where copies of index objects did not suffice.
    fn index_from_packs(&mut self, progress: &dyn Progress) -> Result<()> {
        let broken = self.repository.refresh_index()?;
        let unnamed = {
            let index = self.repository.index()?;
            let named: HashSet<Id> = index.packs().map(|(id, _)| id).collect();
            let packs = self.repository.list_packs()?;
            let coded = self.recovery.catalog.packs();
            // Parity is made only of packs that an index named.
            packs
                .keys()
                .any(|id| !named.contains(id) && coded.contains_key(id))
        };
        if broken.is_empty() && !unnamed {
            return Ok(());
        }
        let rebuilt = self.repository.repair_index(progress)?;
        let known: HashSet<String> = self
            .report
            .errors
            .iter()
            .map(|e| e.object.clone())
            .collect();
        let new = rebuilt.errors.into_iter();
        self.report
            .errors
            .extend(new.filter(|error| !known.contains(&error.object)));
        for (name, _) in broken {
            self.mended(&name, Remedy::Rebuilt);
            self.waiting.retain(|(waiting, _)| *waiting != name);
        }
        // It has removed damaged pending and gc objects, which bind nobody any more.
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|(name, _)| self.storage().size(name).is_ok());
        self.waiting = waiting;
        Ok(())
    }

    /// Removes what interrupted repairs have put aside, and says what is still damaged.
    fn leftovers(&mut self) -> Result<()> {
        for entry in &self.recovery.catalog.entries {
            if matches!(entry.what, What::Unreadable)
                && sound(self.storage(), &entry.name())?.is_some()
                && self.report.errors.is_empty()
            {
                self.repository.remove(ObjectKind::Parity, entry.id)?;
            }
        }
        for (name, error) in std::mem::take(&mut self.waiting) {
            self.failed(&name, &error);
        }
        Ok(())
    }
}

/// The copies of key slots.
pub(super) fn key_copies(storage: &dyn Storage, catalog: &Catalog) -> Result<SmallObjects> {
    let mut copies = Vec::new();
    for entry in &catalog.entries {
        let What::Key { slot } = entry.what else {
            continue;
        };
        let object = read_leniently(storage, &entry.name())?;
        if let Some(opened) = object.as_deref().and_then(armour::open)
            && Id::of(&opened.content) == slot
        {
            copies.push((ObjectName::new(ObjectKind::Key, slot), opened.content));
        }
    }
    Ok(copies)
}

/// Puts sound bytes in the place of an object that is damaged or lost.
///
/// They are put aside before the damaged object goes, under their hash among the parity: a crash
/// between leaves them there. Of key slots a copy is there anyway, which goes when they do.
pub(super) fn put(storage: &dyn Storage, name: &ObjectName, bytes: &[u8]) -> Result<()> {
    let there = match storage.size(name) {
        Ok(_) => true,
        Err(StorageError::NotFound { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    let spare = ObjectName::new(ObjectKind::Parity, Id::of(bytes));
    let aside = there && name.kind != ObjectKind::Key;
    if aside {
        put_aside(storage, &spare, bytes)?;
    }
    if there {
        storage.remove(name)?;
    }
    match storage.create(name, &[bytes]) {
        Ok(()) | Err(StorageError::AlreadyExists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if aside {
        storage.remove(&spare)?;
    }
    Ok(())
}

fn put_aside(storage: &dyn Storage, spare: &ObjectName, bytes: &[u8]) -> Result<()> {
    match storage.create(spare, &[bytes]) {
        Ok(()) => return Ok(()),
        Err(StorageError::AlreadyExists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if sound(storage, spare)?.is_none() {
        storage.remove(spare)?;
        storage.create(spare, &[bytes])?;
    }
    Ok(())
}

impl Repository {
    /// Which of these objects parity or copies in it would bring back. Changes nothing.
    pub(crate) fn mendable(&self, damaged: &[ObjectName]) -> Result<Vec<ObjectName>> {
        let catalog = Catalog::read(self.storage())?;
        let recovery = Recovery::new(self.storage(), &[], &catalog);
        let copied = catalog.copied();
        let mut mendable: HashSet<ObjectName> = HashSet::new();
        let mut tried = HashSet::new();
        for name in damaged {
            if name.kind != ObjectKind::Pack {
                if copied.contains(name) {
                    mendable.insert(*name);
                }
                continue;
            }
            if mendable.contains(name) {
                continue;
            }
            if recovery.alone(name.id)?.is_some() {
                mendable.insert(*name);
                continue;
            }
            for (entry, members, _) in catalog.groups() {
                if members.iter().any(|(id, _)| *id == name.id) && tried.insert(entry.id) {
                    let back = recovery.together(entry)?;
                    mendable.extend(
                        back.iter()
                            .map(|(id, _)| ObjectName::new(ObjectKind::Pack, *id)),
                    );
                }
            }
        }
        Ok(damaged
            .iter()
            .filter(|name| mendable.contains(name))
            .copied()
            .collect())
    }
}
