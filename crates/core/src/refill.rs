//! Storing lost chunks again, from where their content is still to be had.
//!
//! What neither parity nor a copy brings back as objects may be there as content: in the files that
//! were backed up, in another repository with keys of its own, or in what is sound of a damaged pack.
//! A chunk is known by its id: what has the id of a lost one is that chunk.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::backup::{BackupOptions, PathError, Saver, Source, Tools};
use crate::check::CheckError;
use crate::compress::Compression;
use crate::error::{Error, Result, with_causes};
use crate::id::Id;
use crate::index::BlobKind;
use crate::progress::Progress;
use crate::read::Scratch;
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName};

/// Where the content of lost chunks may be.
pub enum Remains<'a> {
    /// In what was backed up, if it is still as it was. All of it is read. Trees hold the times of
    /// directories, those above included, and come back only where these have not changed.
    Sources(Vec<Source>, &'a BackupOptions),
    /// In another repository that has copies of snapshots of this one. All of it is read.
    Repository(&'a Repository),
}

/// What was stored again.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RefillReport {
    /// Chunks.
    pub chunks: u64,
    /// Lost packs that nothing needs any more: all their chunks are in others.
    pub packs: Vec<Id>,
    /// Lost packs of which chunks are still missing.
    pub lost: Vec<CheckError>,
    /// What could not be read of the sources.
    pub errors: Vec<PathError>,
}

impl Repository {
    /// Stores the chunks of packs again that [`Repository::repair`] could not bring back, and those of
    /// all others that are missing.
    ///
    /// Chunks that are sound in a damaged pack come first, then those found in `remains`, in that
    /// order, as long as any is missing. A pack whose chunks are all elsewhere leaves the index, and
    /// is removed if it is there. Of what is read only lost chunks are stored, and no snapshot is made.
    /// No backup and no `prune` should run meanwhile.
    ///
    /// Memory: 32 bytes for each lost chunk; for another repository 64 more for each of its chunks.
    ///
    /// # Errors
    /// [`Error::NeedsFullKey`]; [`Error::Interrupted`]; what keeps the repository from being written.
    pub fn refill(
        &self,
        lost: &[Id],
        remains: Vec<Remains<'_>>,
        progress: &dyn Progress,
    ) -> Result<RefillReport> {
        self.needs_full("storing lost chunks again")?;
        self.refresh_index()?;
        // What is in no storage holds nothing either, whether it was named or not.
        let present = self.list_packs()?;
        let mut packs: HashSet<Id> = lost.iter().copied().collect();
        packs.extend(
            self.index()?
                .packs()
                .filter_map(|(id, _)| (!present.contains_key(&id)).then_some(id)),
        );
        let mut lost: Vec<Id> = packs.iter().copied().collect();
        lost.sort();
        let mut refill = Refill {
            repository: self,
            wanted: Arc::new(self.chunks_only_in(&packs)?),
            packs,
            progress,
            report: RefillReport::default(),
        };
        let all = refill.wanted.len();
        refill.salvage()?;
        for remains in remains {
            if refill.is_whole()? {
                break;
            }
            match remains {
                Remains::Sources(sources, options) => refill.read_sources(sources, options)?,
                Remains::Repository(other) => refill.read_repository(other)?,
            }
        }
        let missing = refill.missing()?;
        let mut report = refill.report;
        report.chunks = (all - missing.len()) as u64;
        self.part_with(&lost, &missing, &mut report)?;
        progress.finish();
        Ok(report)
    }

    /// The chunks that no other pack holds.
    fn chunks_only_in(&self, packs: &HashSet<Id>) -> Result<HashSet<Id>> {
        let index = self.frozen_index()?;
        let mut only = HashSet::new();
        index.entries.for_each(&mut |_, entry, pack, _| {
            if packs.contains(pack) {
                only.insert(entry.id);
            }
        })?;
        index.entries.for_each(&mut |_, entry, pack, _| {
            if !packs.contains(pack) {
                only.remove(&entry.id);
            }
        })?;
        Ok(only)
    }

    /// Takes leave of lost packs that nothing needs any more, and says what is missing of others.
    fn part_with(
        &self,
        lost: &[Id],
        missing: &HashSet<Id>,
        report: &mut RefillReport,
    ) -> Result<()> {
        let mut counts: HashMap<Id, (u64, u64)> = HashMap::new();
        let index = self.frozen_index()?;
        index.entries.for_each(&mut |_, entry, pack, _| {
            let (all, gone) = counts.entry(*pack).or_default();
            *all += 1;
            *gone += u64::from(missing.contains(&entry.id));
        })?;
        drop(index);
        for &pack in lost {
            match counts.get(&pack) {
                // Without chunks in the index nobody knows what it held.
                None => report.lost.push(CheckError {
                    object: ObjectName::new(ObjectKind::Pack, pack).to_string(),
                    error: "what it held is not known".to_owned(),
                }),
                Some((_, 0)) => report.packs.push(pack),
                Some((all, gone)) => report.lost.push(CheckError {
                    object: ObjectName::new(ObjectKind::Pack, pack).to_string(),
                    error: format!("{gone} of its {all} chunks are still missing"),
                }),
            }
        }
        if report.packs.is_empty() {
            return Ok(());
        }
        self.drop_from_index(&report.packs.iter().copied().collect())?;
        for pack in &report.packs {
            self.remove(ObjectKind::Pack, *pack)?;
        }
        self.retire_parity().map(drop)
    }
}

struct Refill<'a> {
    repository: &'a Repository,
    packs: HashSet<Id>,
    /// Chunks that were in these packs alone.
    wanted: Arc<HashSet<Id>>,
    progress: &'a dyn Progress,
    report: RefillReport,
}

impl<'a> Refill<'a> {
    fn saver(&self) -> Result<Saver<'a>> {
        let mut avoid = self.packs.clone();
        avoid.extend(self.repository.packs_to_avoid()?);
        // Snapshots need what is stored: no collector takes it.
        let saver = Saver::new(self.repository, None, avoid, false)?;
        Ok(saver.only(self.wanted.clone()))
    }

    /// What is still in lost packs alone.
    fn missing(&self) -> Result<HashSet<Id>> {
        let index = self.repository.index()?;
        let mut missing = HashSet::new();
        for id in self.wanted.iter() {
            let found = index.lookup_where(id, &|pack| !self.packs.contains(pack))?;
            if found.is_none() {
                missing.insert(*id);
            }
        }
        Ok(missing)
    }

    fn is_whole(&self) -> Result<bool> {
        Ok(self.missing()?.is_empty())
    }

    /// Stores what is sound of packs that are there.
    fn salvage(&mut self) -> Result<()> {
        let present = self.repository.list_packs()?;
        let mut places = Vec::new();
        for id in self.wanted.iter() {
            for place in self.repository.index()?.lookup_all(id)? {
                if self.packs.contains(&place.pack) && present.contains_key(&place.pack) {
                    places.push((place.pack, place.offset, *id, place.kind));
                }
            }
        }
        places.sort_unstable_by_key(|(pack, offset, ..)| (*pack, *offset));
        let mut scratch = Scratch::new()?;
        self.storing(|saver, tools| {
            for (.., id, kind) in places {
                // Most of them are sound. What is wrong with the others is known.
                if let Ok(chunk) = self.repository.read_chunk(kind, id, &mut scratch) {
                    saver.save(kind, chunk, tools)?;
                }
            }
            Ok(())
        })
    }

    fn read_sources(&mut self, sources: Vec<Source>, options: &BackupOptions) -> Result<()> {
        let saver = self.saver()?;
        let read = self
            .repository
            .chunks_of(sources, &saver, options, self.progress);
        saver.finish_index()?;
        self.report.errors.extend(read?);
        Ok(())
    }

    fn read_repository(&mut self, other: &Repository) -> Result<()> {
        other.needs_full("reading what is lost elsewhere")?;
        other.refresh_index()?;
        let names = self.data_of(other)?;
        let missing = self.missing()?;
        let index = self.repository.index()?;
        let mut trees = false;
        for id in &missing {
            let places = index.lookup_all(id)?;
            trees |= places.iter().any(|place| place.kind == BlobKind::Tree);
        }
        drop(index);
        if !trees {
            return Ok(());
        }
        // Trees name chunks, and so have another content there: they are made once more.
        for (id, snapshot) in other.snapshots()?.0 {
            let saver = self.saver()?;
            let made = self
                .repository
                .trees_from(other, &snapshot, &names, &saver, self.progress);
            saver.finish_index()?;
            match made {
                Ok(()) => {}
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::warn!(%id, error, "a snapshot of the other repository is left out");
                }
            }
        }
        Ok(())
    }

    /// Reads all data chunks of another repository, stores those that are lost here, and gives what
    /// each is called here.
    fn data_of(&self, other: &Repository) -> Result<HashMap<Id, Id>> {
        let mut places = Vec::new();
        other
            .frozen_index()?
            .entries
            .for_each(&mut |_, entry, pack, _| {
                let place = entry.location(*pack);
                if place.kind == BlobKind::Data {
                    places.push((place.pack, place.offset, entry.id));
                }
            })?;
        places.sort_unstable();
        places.dedup_by_key(|(.., id)| *id);
        let names = Mutex::new(HashMap::with_capacity(places.len()));
        let next = AtomicUsize::new(0);
        let stopped = AtomicBool::new(false);
        let saver = self.saver()?;
        let work = || -> Result<()> {
            let mut scratch = Scratch::new()?;
            let mut tools = Tools::new(Compression::default())?;
            while let Some((.., id)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.progress.is_stopped() || stopped.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                // What is damaged there is no help here.
                let Ok(chunk) = other.read_chunk(BlobKind::Data, *id, &mut scratch) else {
                    continue;
                };
                let here = saver.save(BlobKind::Data, chunk, &mut tools)?;
                let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
                names.insert(*id, here);
            }
            Ok(())
        };
        let (read, uploaded) = std::thread::scope(|scope| {
            let uploading = scope.spawn(|| saver.upload());
            let threads: Vec<_> = (0..other.threads())
                .map(|_| {
                    scope.spawn(|| {
                        let done = work();
                        stopped.fetch_or(done.is_err(), Ordering::Relaxed);
                        done
                    })
                })
                .collect();
            let mut read = Ok(());
            for thread in threads {
                read = read.and(thread.join().expect("a reading thread does not panic"));
            }
            saver.close();
            let uploaded = uploading
                .join()
                .expect("the uploading thread does not panic");
            (read, uploaded)
        });
        uploaded?;
        saver.finish_index()?;
        read?;
        Ok(names.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn storing(&self, act: impl FnOnce(&Saver<'_>, &mut Tools) -> Result<()>) -> Result<()> {
        let saver = self.saver()?;
        let mut tools = Tools::new(Compression::default())?;
        let (done, uploaded) = std::thread::scope(|scope| {
            let uploading = scope.spawn(|| saver.upload());
            let done = act(&saver, &mut tools);
            saver.close();
            let uploaded = uploading
                .join()
                .expect("the uploading thread does not panic");
            (done, uploaded)
        });
        uploaded?;
        saver.finish_index()?;
        done
    }
}
