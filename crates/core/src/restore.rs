//! Restoring snapshots: one thread walks the tree and decides, others write files, all of it
//! beneath the target and nowhere else.

mod content;
mod entry;
mod links;
mod plan;

use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crossbeam_channel::bounded;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::backup::{PathError, VirtualKind, VirtualTree};
use crate::error::{Error, Result, with_causes};
use crate::fs::{Excludes, RestoreDir, RestoreRoot};
use crate::id::Id;
use crate::progress::Progress;
use crate::read::Scratch;
use crate::repository::{Repository, cores};
use crate::restore::entry::{Job, restore_entry};
use crate::restore::plan::Planner;
use crate::snapshot::Snapshot;
use crate::tree::{Content, Metadata, Node, NodeKind};

/// What to do with files that are in the target already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overwrite {
    /// Leave them.
    Never,
    /// Replace those that differ in size or modification time.
    IfChanged,
    /// Compare every one's content, and write what differs.
    Always,
}

/// How to restore.
#[derive(Debug, Default)]
pub struct RestoreOptions {
    /// What to do with files that are there. Without it a target that is not empty is refused,
    /// unless an interrupted restore of the same snapshot left it so.
    pub overwrite: Option<Overwrite>,
    /// Restore only what matches, and what is beneath it.
    pub include: Option<Excludes>,
    /// Do not restore what matches.
    pub exclude: Option<Excludes>,
    /// Remove what is in restored directories and not in the snapshot.
    pub delete: bool,
    /// Restore owners by number, not by name.
    pub numeric_owner: bool,
    /// Change nothing; only count.
    pub dry_run: bool,
    /// Set to stop, with [`Error::Interrupted`]; the same restore again takes it up where it was.
    pub stop: Option<Arc<AtomicBool>>,
}

/// What a restore did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RestoreReport {
    /// Files, links and other entries that were written.
    pub files: u64,
    /// Directories that were made or updated.
    pub dirs: u64,
    /// Bytes of content that were written.
    pub bytes: u64,
    /// Entries that were there and stayed.
    pub skipped: u64,
    /// Entries that `delete` removed.
    pub deleted: u64,
    /// Whether something could not be restored because the repository is damaged.
    pub damaged: bool,
    /// Entries that could not be restored, or not wholly.
    pub errors: Vec<PathError>,
}

/// Names a restore in progress, so that it can be taken up again.
const MARKER: &str = ".keepwatch-restore";

/// What all threads of a restore share.
struct Shared<'r> {
    /// Nothing when what is restored is in none.
    repository: Option<&'r Repository>,
    root: Option<RestoreRoot>,
    overwrite: Overwrite,
    /// What has a temporary name in the target is ours.
    resumed: bool,
    dry_run: bool,
    files: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    damaged: AtomicBool,
    errors: Mutex<Vec<PathError>>,
    progress: &'r dyn Progress,
    stop: Option<&'r AtomicBool>,
    /// Whether something was left undone because of `stop`.
    interrupted: AtomicBool,
}

impl<'r> Shared<'r> {
    fn repository(&self) -> &'r Repository {
        self.repository
            .expect("chunks are asked for only of what is in a repository")
    }

    /// [`Error::Interrupted`] once the restore was asked to stop.
    fn go_on(&self) -> Result<()> {
        match self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            true => {
                self.interrupted.store(true, Ordering::Relaxed);
                Err(Error::Interrupted)
            }
            false => Ok(()),
        }
    }

    fn failed(&self, path: &[u8], error: &Error) {
        if error.is_damage() {
            self.damaged.store(true, Ordering::Relaxed);
        }
        self.problem(path, &with_causes(error));
    }

    fn failed_io(&self, path: &[u8], error: &std::io::Error) {
        self.problem(path, &with_causes(error));
    }

    fn problem(&self, path: &[u8], text: &str) {
        let problem = PathError::new(path, text);
        self.progress.message(&format!("{}: {text}", problem.path));
        lock(&self.errors).push(problem);
    }

    fn written(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A directory of the target. When the last thread has done with it, it gets its metadata: a
/// child holds its parent, so this happens deepest first.
struct Target<'s, 'r> {
    shared: &'s Shared<'r>,
    /// Nothing in a dry run, where the target has no such directory.
    dir: Option<RestoreDir>,
    path: Vec<u8>,
    meta: Option<Metadata>,
    _parent: Option<Arc<Target<'s, 'r>>>,
}

impl Drop for Target<'_, '_> {
    fn drop(&mut self) {
        if let (Some(dir), Some(meta), false) = (&self.dir, &self.meta, self.shared.dry_run)
            && let Err(error) = dir.set_own_metadata(meta)
        {
            self.shared.failed_io(&self.path, &error);
        }
    }
}

impl Repository {
    /// Restores what is at `path` of a snapshot into `target`, which is made if needed.
    ///
    /// A directory's content goes directly into `target`; so does the whole snapshot, when `path`
    /// is empty, with the full paths that it holds.
    ///
    /// Entries that cannot be restored are in the report; they are no error of this function. A
    /// file whose content is damaged is not written at all.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the target is not empty and nothing says what to do about it.
    pub fn restore(
        &self,
        id: &Id,
        snapshot: &Snapshot,
        path: &[u8],
        target: &Path,
        options: &RestoreOptions,
        progress: &dyn Progress,
    ) -> Result<RestoreReport> {
        self.needs_full("restoring")?;
        self.refresh_index()?;
        // The top of a snapshot is only the way to what was backed up.
        let (origin, top_meta, complete) = match self.node_at(&snapshot.root, path)? {
            None => (Origin::Directory(snapshot.root.clone()), None, false),
            Some(node) => match node.kind {
                NodeKind::Dir { content, partial } => {
                    (Origin::Directory(content), Some(node.meta), !partial)
                }
                _ => (Origin::Entry(Box::new(node)), None, false),
            },
        };
        if path.is_empty() {
            progress.total(snapshot.files, snapshot.bytes);
        }
        let top = Top {
            id: *id,
            meta: top_meta,
            complete,
        };
        restore_from(Some(self), &origin, top, target, options, progress)
    }
}

/// Restores a tree that is in no repository into `target`, in every way as
/// [`Repository::restore`] restores a snapshot.
///
/// # Errors
/// [`Error::Invalid`] when the target is not empty and nothing says what to do about it.
pub fn restore_tree(
    tree: &VirtualTree,
    target: &Path,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<RestoreReport> {
    let (files, bytes) = tree.totals();
    progress.total(files, bytes);
    let top = Top {
        id: name_of(tree),
        meta: Some(tree.top().clone()),
        complete: true,
    };
    let origin = Origin::Tree(tree);
    restore_from(None, &origin, top, target, options, progress)
}

/// Names a tree, so that an interrupted restore of it can be taken up again.
fn name_of(tree: &VirtualTree) -> Id {
    let mut hasher = blake3::Hasher::new();
    for entry in tree.entries() {
        hasher.update(&(entry.path.len() as u64).to_le_bytes());
        hasher.update(&entry.path);
        hasher.update(&entry.meta.mtime.secs.to_le_bytes());
        if let VirtualKind::File(content) = &entry.kind {
            hasher.update(&content.size().to_le_bytes());
        }
    }
    Id::from_bytes(hasher.finalize().into())
}

/// What is restored.
enum Origin<'t> {
    /// What is in a directory of a snapshot.
    Directory(Content),
    /// One entry of a snapshot that is none.
    Entry(Box<Node>),
    /// A tree that is in no repository.
    Tree(&'t VirtualTree),
}

/// The directory that goes right into the target.
struct Top {
    /// Names the restore.
    id: Id,
    meta: Option<Metadata>,
    /// Whether all that was in it is known.
    complete: bool,
}

fn restore_from(
    repository: Option<&Repository>,
    origin: &Origin<'_>,
    top: Top,
    target: &Path,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<RestoreReport> {
    let marker = target.join(MARKER);
    let admitted = admit(&top.id, target, &marker, options)?;
    let opened = match RestoreRoot::open(target, options.numeric_owner) {
        Ok(root) => Some(root),
        Err(error) if options.dry_run && error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io("open the target", target)(error)),
    };
    let shared = Shared {
        repository,
        root: opened,
        overwrite: admitted.overwrite,
        resumed: admitted.resumed,
        dry_run: options.dry_run,
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        skipped: AtomicU64::new(0),
        damaged: AtomicBool::new(false),
        errors: Mutex::default(),
        progress,
        stop: options.stop.as_deref(),
        interrupted: AtomicBool::new(false),
    };
    let dir = shared.root.as_ref().map(RestoreRoot::dir).transpose();
    let into = Target {
        shared: &shared,
        dir: dir.map_err(Error::io("open the target", target))?,
        path: Vec::new(),
        meta: None,
        _parent: None,
    };
    let (dirs, deleted) = run(&shared, into, origin, top.complete, options)?;
    if let (Some(root), false) = (&shared.root, options.dry_run) {
        root.sync().map_err(Error::io("write to disk", target))?;
        remove_marker(&marker)?;
        // Last, for the marker's going changes it too. A target that was there already has the
        // owner and mode that its user gave it.
        if let Some(meta) = top.meta.filter(|_| admitted.made || admitted.resumed)
            && let Err(error) = root.set_metadata(&meta)
        {
            shared.failed_io(b"/", &error);
        }
    }
    progress.finish();
    let mut errors = std::mem::take(&mut *lock(&shared.errors));
    errors.sort();
    Ok(RestoreReport {
        files: shared.files.load(Ordering::Relaxed),
        dirs,
        bytes: shared.bytes.load(Ordering::Relaxed),
        skipped: shared.skipped.load(Ordering::Relaxed),
        deleted,
        damaged: shared.damaged.load(Ordering::Relaxed),
        errors,
    })
}

/// Walks the tree in this thread while others write files; gives directories and deletions.
fn run<'s, 'r>(
    shared: &'s Shared<'r>,
    top: Target<'s, 'r>,
    origin: &Origin<'_>,
    complete: bool,
    options: &RestoreOptions,
) -> Result<(u64, u64)> {
    let threads = shared.repository.map_or_else(cores, Repository::threads);
    // Every job keeps its directory open, so this bounds how many are.
    let (jobs, waiting) = bounded::<Job<'s, 'r>>(64);
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..threads {
            let mut scratch = Scratch::new()?;
            let waiting = waiting.clone();
            workers.push(scope.spawn(move || {
                for job in waiting {
                    restore_entry(shared, &job, &mut scratch);
                }
            }));
        }
        drop(waiting);
        let mut planner = Planner::new(shared, options, jobs, top, complete);
        let planned = match origin {
            Origin::Directory(content) => planner.walk(content),
            Origin::Entry(node) => planner
                .entry(&[b"/", node.name.as_slice()].concat(), *node.clone(), None)
                .map(drop),
            Origin::Tree(tree) => planner.walk_tree(tree),
        };
        let counts = planner.finish();
        for worker in workers {
            worker.join().expect("a restoring thread does not panic");
        }
        match shared.interrupted.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => planned.map(|()| counts),
        }
    })
}

/// What may be done with the target.
struct Admitted {
    overwrite: Overwrite,
    /// An interrupted restore of the same snapshot is taken up again.
    resumed: bool,
    /// The target was not there.
    made: bool,
}

/// Decides what may be done with what is in the target, and marks the restore as begun.
fn admit(id: &Id, target: &Path, marker: &Path, options: &RestoreOptions) -> Result<Admitted> {
    let (made, occupied) = match std::fs::read_dir(target) {
        Ok(mut entries) => (false, entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (true, false),
        Err(error) => return Err(Error::io("read the target", target)(error)),
    };
    let resumed = occupied && read_marker(marker).is_some_and(|content| content == id.to_string());
    let overwrite = match options.overwrite {
        Some(overwrite) => overwrite,
        None if !occupied || resumed => Overwrite::IfChanged,
        None => {
            return Err(Error::Invalid {
                what: "target",
                problem: format!(
                    "{} is not empty; say what to do with files that are there (never, if-changed, always)",
                    target.display()
                ),
            });
        }
    };
    if !options.dry_run {
        // For its owner only: what it gets may not be for everybody.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(target)
            .map_err(Error::io("make the target", target))?;
        // Made anew, not written through: a link in its place must not lead us elsewhere.
        remove_marker(marker)?;
        std::fs::File::create_new(marker)
            .and_then(|mut file| std::io::Write::write_all(&mut file, id.to_string().as_bytes()))
            .map_err(Error::io("write", marker))?;
    }
    Ok(Admitted {
        overwrite,
        resumed,
        made,
    })
}

/// The snapshot that a marker names; a link or FIFO in its place is none.
fn read_marker(marker: &Path) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::open(marker, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut content = String::new();
    file.take(64).read_to_string(&mut content).ok()?;
    Some(content)
}

fn remove_marker(marker: &Path) -> Result<()> {
    match std::fs::remove_file(marker) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", marker)(error))
        }
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no thread panics while it holds this lock")
}
