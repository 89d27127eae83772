//! Restoring snapshots: plan by walking the tree, apply on all cores, beneath the target and nowhere else.

mod content;
mod links;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::backup::PathError;
use crate::check::with_causes;
use crate::error::{Error, Result};
use crate::fs::{Excludes, RestoreDir, RestoreRoot};
use crate::id::Id;
use crate::progress::Progress;
use crate::read::Scratch;
use crate::repository::Repository;
use crate::restore::content::restore_file;
use crate::restore::links::Links;
use crate::snapshot::Snapshot;
use crate::tree::{Metadata, Node, NodeKind};
use crate::walk::Walk;

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
#[derive(Default)]
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
    /// Change nothing; only count.
    pub dry_run: bool,
    /// Set to stop.
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
    /// Entries that could not be restored, or not wholly.
    pub errors: Vec<PathError>,
}

/// Names a restore in progress, so that it can be taken up again.
const MARKER: &str = ".keepwatch-restore";

/// What all threads of a restore share.
struct Shared<'r> {
    repository: &'r Repository,
    overwrite: Overwrite,
    dry_run: bool,
    files: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    errors: Mutex<Vec<PathError>>,
    progress: &'r dyn Progress,
}

impl Shared<'_> {
    fn failed(&self, path: &[u8], error: &dyn std::error::Error) {
        let problem = PathError::new(path, &with_causes(error));
        self.progress.message(&format!("{}: {}", problem.path, problem.error));
        lock(&self.errors).push(problem);
    }
}

/// A directory of the target. When the last thread has done with it, it gets its metadata: a
/// child holds its parent, so this happens deepest first.
struct Target<'s, 'r> {
    shared: &'s Shared<'r>,
    dir: Option<RestoreDir>,
    path: Vec<u8>,
    meta: Option<Metadata>,
    _parent: Option<Arc<Target<'s, 'r>>>,
}

impl Drop for Target<'_, '_> {
    fn drop(&mut self) {
        if let (Some(dir), Some(meta)) = (&self.dir, &self.meta)
            && let Err(error) = dir.set_own_metadata(meta)
        {
            self.shared.failed(&self.path, &error);
        }
    }
}

struct Job<'s, 'r> {
    target: Arc<Target<'s, 'r>>,
    path: Vec<u8>,
    node: Node,
}

impl Repository {
    /// Restores what is at `path` of a snapshot into `target`, which is made if needed.
    ///
    /// A directory's content goes directly into `target`; so does the whole snapshot, when `path`
    /// is empty, with the full paths that it holds.
    ///
    /// Entries that cannot be restored are in the report; they are no error of this function.
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
        self.index()?;
        let (content, single) = match self.node_at(&snapshot.root, path)? {
            None => (snapshot.root.clone(), None),
            Some(node) => match &node.kind {
                NodeKind::Dir { content } => (content.clone(), None),
                _ => (crate::tree::Content::default(), Some(node)),
            },
        };
        let marker = target.join(MARKER);
        let overwrite = self.admit(id, target, &marker, options)?;
        let shared = Shared {
            repository: self,
            overwrite,
            dry_run: options.dry_run,
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            errors: Mutex::default(),
            progress,
        };
        progress.total(snapshot.files, snapshot.bytes);
        let root = if options.dry_run {
            None
        } else {
            Some(RestoreRoot::open(target).map_err(Error::io("open the target", target))?)
        };
        let top = Target {
            shared: &shared,
            dir: root.as_ref().map(RestoreRoot::dir).transpose().map_err(Error::io("open the target", target))?,
            path: Vec::new(),
            meta: None,
            _parent: None,
        };
        let (dirs, deleted) = self.run(&shared, top, &content, single, options)?;
        if let Some(root) = &root {
            root.sync().map_err(Error::io("write to disk", target))?;
            remove_marker(&marker)?;
        }
        progress.finish();
        let mut errors = shared.errors.into_inner().expect("all threads have ended");
        errors.sort();
        Ok(RestoreReport {
            files: shared.files.into_inner(),
            dirs,
            bytes: shared.bytes.into_inner(),
            skipped: shared.skipped.into_inner(),
            deleted,
            errors,
        })
    }
}

impl Repository {
    /// Decides what may be done with what is in the target, and marks the restore as begun.
    fn admit(
        &self,
        id: &Id,
        target: &Path,
        marker: &Path,
        options: &RestoreOptions,
    ) -> Result<Overwrite> {
        let occupied = match std::fs::read_dir(target) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::io("read the target", target)(error)),
        };
        let resumed = occupied
            && std::fs::read(marker).is_ok_and(|content| content == id.to_string().as_bytes());
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
            std::fs::create_dir_all(target).map_err(Error::io("make the target", target))?;
            remove_marker(marker)?;
            std::fs::write(marker, id.to_string()).map_err(Error::io("write", marker))?;
        }
        Ok(overwrite)
    }

    /// Walks the tree in this thread while others write files; gives directories and deletions.
    fn run<'s, 'r>(
        &'r self,
        shared: &'s Shared<'r>,
        top: Target<'s, 'r>,
        content: &crate::tree::Content,
        single: Option<Node>,
        options: &RestoreOptions,
    ) -> Result<(u64, u64)> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let (jobs, waiting) = bounded::<Job<'s, 'r>>(256);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let waiting = waiting.clone();
                    scope.spawn(move || -> Result<()> {
                        let mut scratch = Scratch::new()?;
                        for job in waiting {
                            restore_file(shared, &job, &mut scratch);
                        }
                        Ok(())
                    })
                })
                .collect();
            drop(waiting);
            let mut planner = Planner {
                shared,
                options,
                jobs: Some(jobs),
                stack: vec![Level {
                    target: Arc::new(top),
                    prefix: 0,
                    names: HashSet::new(),
                    complete: true,
                }],
                links: Links::default(),
                dirs: 0,
                deleted: 0,
            };
            let planned = match single {
                Some(node) => planner.entry(b"", node).map(drop),
                None => planner.walk(self, content),
            };
            planner.jobs = None;
            for worker in workers {
                worker.join().expect("a restoring thread does not panic")?;
            }
            planned?;
            // A link needs its file, which is there only now.
            planner.links.apply(shared);
            planner.unwind(0);
            Ok((planner.dirs, planner.deleted))
        })
    }
}

/// A directory that is being restored.
struct Level<'s, 'r> {
    target: Arc<Target<'s, 'r>>,
    /// The length of its path.
    prefix: usize,
    /// What the snapshot has in it, for `delete`.
    names: HashSet<Vec<u8>>,
    /// Whether all of the snapshot's entries were wanted.
    complete: bool,
}

struct Planner<'s, 'r, 'o> {
    shared: &'s Shared<'r>,
    options: &'o RestoreOptions,
    jobs: Option<Sender<Job<'s, 'r>>>,
    stack: Vec<Level<'s, 'r>>,
    links: Links<'s, 'r>,
    dirs: u64,
    deleted: u64,
}

impl Planner<'_, '_, '_> {
    fn walk(&mut self, repository: &Repository, content: &crate::tree::Content) -> Result<()> {
        let mut walk = Walk::new(repository, content)?;
        while let Some((path, node)) = walk.next()? {
            if self.options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(Error::Interrupted);
            }
            let path = path.to_vec();
            if !self.entry(&path, node)? {
                walk.skip();
            }
        }
        Ok(())
    }

    /// Restores one entry or hands it to a worker; whether to go into it.
    fn entry(&mut self, path: &[u8], node: Node) -> Result<bool> {
        let parent_len = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.unwind(parent_len);
        let level = self.stack.last_mut().expect("the target stays open");
        if self.options.delete {
            level.names.insert(node.name.clone());
        }
        let is_dir = matches!(node.kind, NodeKind::Dir { .. });
        if self.options.exclude.as_ref().is_some_and(|exclude| exclude.matches(path, is_dir, 0)) {
            return Ok(false);
        }
        // A directory that is not itself wanted may hold what is; it is made only when needed.
        let wanted = self
            .options
            .include
            .as_ref()
            .is_none_or(|include| includes(include, path, is_dir));
        if !wanted && !is_dir {
            level.complete = false;
            return Ok(false);
        }
        let target = level.target.clone();
        if is_dir {
            return Ok(self.directory(&target, path, node));
        }
        if let Some(key) = node.meta.hardlink
            && let Some(link) = self.links.follow(key, &target, path, &node)
        {
            self.links.defer(link);
            return Ok(false);
        }
        let job = Job {
            target,
            path: path.to_vec(),
            node,
        };
        self.jobs
            .as_ref()
            .expect("workers wait until the walk has ended")
            .send(job)
            .map_err(|_| Error::Interrupted)?;
        Ok(false)
    }

    fn directory(&mut self, parent: &Arc<Target<'_, '_>>, path: &[u8], node: Node) -> bool {
        let _ = (parent, path, node);
        true
    }

    /// Leaves directories until the one whose path has `prefix` bytes is the last.
    fn unwind(&mut self, prefix: usize) {
        while self.stack.last().is_some_and(|level| level.prefix > prefix) {
            self.stack.pop();
        }
    }
}

/// Whether a path or one of the directories above it is wanted.
fn includes(include: &Excludes, path: &[u8], is_dir: bool) -> bool {
    let mut ends = path
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at);
    include.matches(path, is_dir, 0) || ends.any(|end| include.matches(&path[..end], true, 0))
}

fn remove_marker(marker: &Path) -> Result<()> {
    match std::fs::remove_file(marker) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", marker)(error))
        }
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it holds this lock")
}

#[allow(unused)]
type Unused = PathBuf;
