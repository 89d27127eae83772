//! Backing up: scan, read, store, and publish one snapshot.
//!
//! Four kinds of threads work side by side: the scan walks the directories and asks the file cache
//! what has changed; readers read and cut files; workers hash, compress and seal the chunks of large
//! files; one thread writes packs. The assembler follows the scan's order and builds the trees.

mod assemble;
mod copy;
mod file_cache;
mod read;
mod roots;
mod saver;
mod scan;
mod source;
mod virtual_tree;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::backup::assemble::{Assembled, Assembler};
use crate::backup::file_cache::{FileCache, Run};
use crate::backup::scan::Scan;
use crate::compress::Compression;
use crate::error::{Error, Result};
use crate::fs::Excludes;
use crate::id::Id;
use crate::index::Segment;
use crate::parallel::join;
use crate::progress::Progress;
use crate::repository::{Repository, to_json};
use crate::snapshot::{Mode, Name, Pending, Snapshot};
use crate::storage::{ObjectKind, ObjectName};

pub use copy::{CopiedSnapshot, CopyOptions, CopyReport};
pub(crate) use saver::{Owner, Saver, Tools};
pub use source::{Source, Stream};
pub use virtual_tree::{VirtualContent, VirtualEntry, VirtualKind, VirtualTree};

/// After this many collisions with collectors a backup gives up.
const TRIES: usize = 16;

/// How to back up.
#[derive(Debug)]
pub struct BackupOptions {
    /// What to read again.
    pub mode: Mode,
    /// Words to find the snapshot by.
    pub tags: Vec<String>,
    /// The name of this machine.
    pub host: String,
    /// The name of the user.
    pub user: String,
    /// The program's name and version, for the record.
    pub program: String,
    /// When the backup begins.
    pub time: Timestamp,
    /// What to leave out.
    pub excludes: Excludes,
    /// Stay on the file systems that the paths are on.
    pub one_file_system: bool,
    /// Leave out what is in directories with a valid `CACHEDIR.TAG`, but for the tag.
    pub exclude_caches: bool,
    /// Leave out what is in directories that have an entry of one of these names, but for it.
    pub exclude_if_present: Vec<Vec<u8>>,
    /// Leave out what the `.gitignore` files in the sources name.
    pub gitignore: bool,
    /// Directories never entered wherever they turn up, like the repository itself.
    pub skip: Vec<PathBuf>,
    /// How hard to compress.
    pub compression: Compression,
    /// Read and count, and write nothing.
    pub dry_run: bool,
    /// Set to stop: what was stored stays and speeds up the next backup.
    pub stop: Option<Arc<AtomicBool>>,
}

impl BackupOptions {
    /// An incremental backup that begins at `time`, with nothing left out and nothing said.
    pub fn at(time: Timestamp) -> Self {
        Self {
            mode: Mode::default(),
            tags: Vec::new(),
            host: String::new(),
            user: String::new(),
            program: String::new(),
            time,
            excludes: Excludes::default(),
            one_file_system: false,
            exclude_caches: false,
            exclude_if_present: Vec::new(),
            gitignore: false,
            skip: Vec::new(),
            compression: Compression::default(),
            dry_run: false,
            stop: None,
        }
    }
}

/// Something that could not be done with one path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PathError {
    /// The path.
    pub path: Name,
    /// What is wrong.
    pub error: String,
}

impl PathError {
    pub(crate) fn new(path: &[u8], error: &str) -> Self {
        Self {
            path: Name(path.to_vec()),
            error: error.to_owned(),
        }
    }
}

/// Files by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileCounts {
    /// Not in the last backup.
    pub new: u64,
    /// Other content than in the last backup.
    pub changed: u64,
    /// The same content as in the last backup.
    pub unmodified: u64,
    /// Not readable.
    pub failed: u64,
}

/// Bytes by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByteCounts {
    /// In all files of the snapshot.
    pub scanned: u64,
    /// Not in the repository before.
    pub new: u64,
    /// Added to the repository, sealed and compressed.
    pub stored: u64,
}

/// What a backup did.
#[derive(Clone, Debug, Serialize)]
pub struct BackupReport {
    /// The snapshot; nothing after a dry run.
    pub snapshot: Option<Id>,
    /// The snapshot it was compared with.
    pub parent: Option<Id>,
    /// Files.
    pub files: FileCounts,
    /// Directories.
    pub dirs: u64,
    /// Bytes.
    pub bytes: ByteCounts,
    /// What could not be read, or not in one piece.
    pub errors: Vec<PathError>,
    /// How long it took, in seconds.
    pub duration_s: f64,
}

impl Repository {
    /// Backs up sources into a new snapshot.
    ///
    /// Paths that cannot be read are in the report and in the snapshot's count, and are no error of
    /// this function as long as one source can be read.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process backs up the same paths from this machine;
    /// [`Error::SourceFailed`] when a command or stream fails: then there is no snapshot.
    pub fn backup(
        &self,
        mut sources: Vec<Source>,
        options: &BackupOptions,
        progress: &dyn Progress,
    ) -> Result<BackupReport> {
        let started = Instant::now();
        if sources.is_empty() {
            return Err(Error::Invalid {
                what: "source",
                problem: "there is nothing to back up".to_owned(),
            });
        }
        let paths: Vec<Name> = sources.iter().map(Source::name).collect();
        let owner = Owner {
            client: self.cache().client()?,
            set: self.set_id(&options.host, &paths),
        };
        let _only_one = self.cache().lock_set(&owner.set)?;
        let mut cache = match self.cache().files_database() {
            Some(path) if !options.dry_run => Some(FileCache::open(&path)?),
            Some(path) if path.exists() => Some(FileCache::open(&path)?),
            _ => None,
        };
        let last = match &cache {
            Some(cache) => cache.last_run(&owner.set, options.mode == Mode::Differential)?,
            None => None,
        };
        // Nothing to compare a differential backup with: it is a full one.
        let mode = match (options.mode, last) {
            (Mode::Differential, None) if cache.is_some() => Mode::Full,
            (mode, _) => mode,
        };
        // Each of them is several questions. Where the storage is far away the answers take longest.
        let at_once = self.storage().parallelism();
        let ((leftovers, parent), avoid) = join(
            at_once,
            || {
                let leftovers = || self.own_pending(&owner);
                join(at_once, leftovers, || {
                    self.parent(last, &options.host, &paths)
                })
            },
            || self.packs_to_avoid(),
        );
        let (leftovers, parent, mut avoid) = (leftovers?, parent?, avoid?);
        let mut held = Vec::new();
        for attempt in 0..TRIES {
            let mut saver = Saver::new(self, Some(owner), avoid.clone(), options.dry_run)?;
            if attempt > 0 {
                saver = saver.cautious();
            }
            if let Some(cache) = &mut cache {
                cache.begin(&owner.set, mode)?;
            }
            let pass = self.pass(
                &mut sources,
                &saver,
                cache.as_mut(),
                mode,
                last,
                options,
                progress,
            );
            // What was learned of files is kept, whatever becomes of the snapshot.
            if let Some(cache) = &mut cache {
                cache.flush()?;
            }
            let done = pass?;
            let mut report = BackupReport {
                snapshot: None,
                parent,
                files: done.files,
                dirs: done.dirs,
                bytes: ByteCounts {
                    scanned: done.bytes,
                    new: saver.new_bytes(),
                    stored: saver.stored_bytes(),
                },
                errors: done.errors,
                duration_s: started.elapsed().as_secs_f64(),
            };
            if options.dry_run {
                return Ok(report);
            }
            let snapshot = Snapshot {
                version: 1,
                time: options.time,
                host: options.host.clone(),
                user: options.user.clone(),
                client: owner.client,
                paths: paths.clone(),
                tags: options.tags.clone(),
                mode,
                parent,
                root: done.root,
                files: report.files.new + report.files.changed + report.files.unmodified,
                dirs: report.dirs,
                bytes: report.bytes.scanned,
                stored: report.bytes.stored,
                failed: report.files.failed,
                duration_s: report.duration_s,
                program: options.program.clone(),
            };
            match self.publish(&saver, &snapshot)? {
                Ok(id) => {
                    if let Some(cache) = &mut cache {
                        cache.finish(&id)?;
                    }
                    self.retire_pending(leftovers)?;
                    self.remove_pending(&held)?;
                    report.snapshot = Some(id);
                    progress.finish();
                    return Ok(report);
                }
                Err(conflicts) => {
                    tracing::info!(
                        packs = conflicts.len(),
                        "a collector takes packs that this backup rests on: storing their chunks anew"
                    );
                    // It goes on protecting what was stored until the next attempt has its own.
                    let pending = saver.take_pending();
                    held.extend(pending);
                    if sources.iter().any(Source::is_stream) {
                        self.remove_pending(&held)?;
                        return Err(Error::Busy {
                            what: "a prune that removed what this stream rests on".to_owned(),
                        });
                    }
                    avoid.extend(conflicts);
                    avoid.extend(self.packs_to_avoid()?);
                }
            }
        }
        self.remove_pending(&held)?;
        Err(Error::Busy {
            what: "one prune after another".to_owned(),
        })
    }

    /// Makes the snapshot visible, or gives the packs that it must not rest on.
    fn publish(
        &self,
        saver: &Saver<'_>,
        snapshot: &Snapshot,
    ) -> Result<std::result::Result<Id, HashSet<Id>>> {
        saver.finish_index()?;
        let bytes = saver
            .session()
            .seal(ObjectKind::Snapshot, &to_json(snapshot))?;
        let id = Id::of(&bytes);
        saver.announce(id)?;
        let conflicts = saver.conflicts()?;
        if !conflicts.is_empty() {
            return Ok(Err(conflicts));
        }
        self.publish_index(&Segment {
            published: vec![id],
            ..Segment::default()
        })?;
        self.storage()
            .create(&ObjectName::new(ObjectKind::Snapshot, id), &[&bytes])?;
        if !saver.is_announced()? {
            // Somebody gave this backup up, and a collector may have looked for the snapshot before
            // it was there.
            self.publish_index(&Segment {
                forgotten: vec![id],
                ..Segment::default()
            })?;
            self.remove(ObjectKind::Snapshot, id)?;
            return Ok(Err(HashSet::new()));
        }
        saver.release()?;
        Ok(Ok(id))
    }

    /// Packs that a new backup had better not rest on: those that a collector names, and those that
    /// the index names and that are not there.
    pub(crate) fn packs_to_avoid(&self) -> Result<HashSet<Id>> {
        let at_once = self.storage().parallelism();
        let (refreshed, (named, present)) = join(
            at_once,
            || self.refresh_index(),
            || join(at_once, || self.named_packs(), || self.list_packs()),
        );
        refreshed?;
        let (mut avoid, mut present) = (named?, present?);
        let missing = |present: &HashMap<Id, u64>| -> Result<Vec<Id>> {
            let index = self.index()?;
            let packs = index.packs().map(|(id, _)| id);
            Ok(packs.filter(|id| !present.contains_key(id)).collect())
        };
        let mut lost = missing(&present)?;
        if !lost.is_empty() {
            // Another backup may have written them after the packs were listed.
            present = self.list_packs()?;
            lost = missing(&present)?;
        }
        avoid.extend(lost);
        Ok(avoid)
    }

    #[allow(clippy::too_many_arguments, reason = "one call, from one place")]
    fn pass(
        &self,
        sources: &mut [Source],
        saver: &Saver<'_>,
        cache: Option<&mut FileCache>,
        mode: Mode,
        last: Option<Run>,
        options: &BackupOptions,
        progress: &dyn Progress,
    ) -> Result<Assembled> {
        let known = match self.cache().files_database() {
            Some(path) if cache.is_some() => Some(FileCache::open(&path)?),
            _ => None,
        };
        let never = AtomicBool::new(false);
        let stop = options.stop.as_deref().unwrap_or(&never);
        let scan = Scan {
            saver,
            known,
            mode,
            last,
            options,
            progress,
            stop,
            chunker: self
                .config()
                .chunker()
                .chunker(self.ring().chunker_key.expose())?,
        };
        let assembler = Assembler {
            saver,
            tools: Tools::new(options.compression)?,
            cache,
        };
        let (result, uploaded) = std::thread::scope(|scope| {
            let uploading = scope.spawn(|| saver.upload());
            let result = scan.run(sources, assembler);
            if result.is_ok() || stop.load(Ordering::Relaxed) {
                saver.close();
            } else {
                saver.abandon();
            }
            let uploaded = uploading
                .join()
                .expect("the uploading thread does not panic");
            (result, uploaded)
        });
        // The uploading thread knows why the others had to stop.
        uploaded?;
        if stop.load(Ordering::Relaxed) {
            saver.save_progress()?;
            return Err(Error::Interrupted);
        }
        result
    }

    /// Reads sources whole, for the chunks that `saver` wants; no snapshot is made of them.
    pub(crate) fn chunks_of(
        &self,
        mut sources: Vec<Source>,
        saver: &Saver<'_>,
        options: &BackupOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<PathError>> {
        let mode = Mode::Full;
        let done = self.pass(&mut sources, saver, None, mode, None, options, progress)?;
        Ok(done.errors)
    }

    /// Names what is backed up, for pending objects and the cache, without telling it.
    fn set_id(&self, host: &str, paths: &[Name]) -> Id {
        let key = self.ring().id_key.derive("keepwatch v1 backup set");
        let mut parts = vec![
            (host.len() as u64).to_le_bytes().to_vec(),
            host.as_bytes().to_vec(),
        ];
        for path in paths {
            parts.push((path.0.len() as u64).to_le_bytes().to_vec());
            parts.push(path.0.clone());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Id::from_bytes(key.mac(&parts))
    }

    /// Pending objects that an interrupted backup of this set left. The caller holds the set's lock,
    /// so whoever wrote them is no longer running.
    fn own_pending(&self, owner: &Owner) -> Result<Vec<(Id, Pending)>> {
        let (mut pending, _) = self.read_records::<Pending>(ObjectKind::Pending)?;
        pending.retain(|(_, pending)| pending.client == owner.client && pending.set == owner.set);
        Ok(pending)
    }

    fn remove_pending(&self, ids: &[Id]) -> Result<()> {
        ids.iter()
            .try_for_each(|id| self.remove(ObjectKind::Pending, *id))
    }

    /// The snapshot that this one follows.
    fn parent(&self, last: Option<Run>, host: &str, paths: &[Name]) -> Result<Option<Id>> {
        let present = self.list(ObjectKind::Snapshot)?;
        if let Some(run) = last
            && present.contains(&run.snapshot)
        {
            return Ok(Some(run.snapshot));
        }
        if self.needs_full("finding the last backup").is_err() {
            return Ok(None);
        }
        let (snapshots, _) = self.read_listed::<Snapshot>(ObjectKind::Snapshot, &present)?;
        Ok(snapshots
            .into_iter()
            .filter(|(_, snapshot)| snapshot.host == host && snapshot.paths == paths)
            .max_by_key(|(id, snapshot)| (snapshot.time, *id))
            .map(|(id, _)| id))
    }
}
