//! Walking the sources: what is there, what is left out, and what has changed.

mod count;
mod rules;
mod virtual_tree;

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, bounded};

use crate::backup::assemble::{Assembled, Assembler, FileItem, Item, KnownFile, Verdict};
use crate::backup::file_cache::{DirKey, FileCache, Run};
use crate::backup::read::{Job, Reader, What, store_pieces};
use crate::backup::roots::Root;
use crate::backup::scan::rules::Rules;
use crate::backup::{BackupOptions, PathError, Saver, Source, Tools};
use crate::chunker::{ChunkBuffer, Chunker};
use crate::error::with_causes;
use crate::error::{Error, Result};
use crate::fs::{FileKind, OwnerNames, SourceDir, Stat};
use crate::progress::Progress;
use crate::snapshot::Mode;
use crate::tree::{Metadata, Node, NodeKind, Time};

/// Files are looked at this far ahead of being read.
const JOBS_AHEAD: usize = 128;
const ITEMS_AHEAD: usize = 512;

/// One pass over the sources.
pub(crate) struct Scan<'a, 'r> {
    pub saver: &'a Saver<'r>,
    pub known: Option<FileCache>,
    pub mode: Mode,
    pub last: Option<Run>,
    pub options: &'a BackupOptions,
    pub progress: &'a dyn Progress,
    pub stop: &'a AtomicBool,
    pub chunker: Chunker,
}

impl Scan<'_, '_> {
    /// Walks, reads and stores; gives the trees.
    pub fn run(
        self,
        sources: &mut [Source],
        mut assembler: Assembler<'_, '_>,
    ) -> Result<Assembled> {
        let roots = Root::merge(sources);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let started = now()?;
        let (items, waiting_items) = bounded(ITEMS_AHEAD);
        let (jobs, waiting_jobs) = bounded(JOBS_AHEAD);
        let (pieces, waiting_pieces) = bounded(cores);
        std::thread::scope(|scope| {
            let assembling = scope.spawn(move || assembler.run(&waiting_items));
            let mut threads = Vec::new();
            for _ in 0..cores {
                let mut reader = Reader {
                    saver: self.saver,
                    tools: Tools::new(self.options.compression)?,
                    buffer: ChunkBuffer::new(self.chunker.clone()),
                    small: self.chunker.params().min.into(),
                    pieces: pieces.clone(),
                    started,
                    stop: self.stop,
                    progress: self.progress,
                    spare: Vec::new(),
                };
                let jobs = waiting_jobs.clone();
                threads.push(scope.spawn(move || reader.run(&jobs)));
            }
            drop((pieces, waiting_jobs));
            for _ in 1..cores.max(2) {
                let (saver, pieces) = (self.saver, waiting_pieces.clone());
                let tools = Tools::new(self.options.compression)?;
                scope.spawn(move || store_pieces(saver, tools, &pieces));
            }
            drop(waiting_pieces);
            if self.progress.wants_total() {
                let (options, progress, stop) = (self.options, self.progress, self.stop);
                let paths: Vec<_> = sources
                    .iter()
                    .filter_map(Source::file_path)
                    .map(|(path, place)| (path.to_owned(), place.to_owned()))
                    .collect();
                let trees = sources.iter().filter_map(Source::tree);
                let known = trees
                    .map(|tree| tree.totals())
                    .fold((0, 0), |sum, tree| (sum.0 + tree.0, sum.1 + tree.1));
                scope.spawn(move || count::count(&paths, known, options, progress, stop));
            }
            let walked = Walker {
                rules: Rules::new(self.options),
                scan: self,
                sources,
                items,
                jobs,
                owners: OwnerNames::default(),
                path: Vec::new(),
                found: 0,
                problem: None,
            }
            .run(&roots);
            let mut read = Ok(());
            for thread in threads {
                read = read.and(thread.join().expect("a reading thread does not panic"));
            }
            let assembled = assembling
                .join()
                .expect("the assembling thread does not panic");
            // Where one fails the others are interrupted: the failure itself is what to tell.
            let (assembled, stopped) = match assembled {
                Ok(assembled) => (assembled, None),
                Err(error) => (Assembled::default(), Some(error)),
            };
            let errors = [read.err(), stopped, walked.err()].into_iter().flatten();
            match errors.min_by_key(|error| matches!(error, Error::Interrupted)) {
                Some(error) => Err(error),
                None => Ok(assembled),
            }
        })
    }
}

/// The same error once more, for one that is told twice.
fn same_error(error: &std::io::Error) -> std::io::Error {
    match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}

fn now() -> Result<Time> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_err(|_| Error::Invalid {
            what: "clock",
            problem: "it is set to a time before 1970".to_owned(),
        })?;
    Ok(Time {
        secs: since.as_secs().cast_signed(),
        nanos: since.subsec_nanos(),
    })
}

/// An entry of a directory.
struct Entry<'n> {
    dir: Arc<SourceDir>,
    /// What it is called there.
    at: Cow<'n, [u8]>,
    /// What it is called in the snapshot.
    name: &'n [u8],
    /// The key of the directory that it is in in the snapshot.
    key: DirKey,
    stat: Stat,
}

/// A directory that is being walked.
struct Level<'t> {
    dir: Arc<SourceDir>,
    names: std::vec::IntoIter<Vec<u8>>,
    key: DirKey,
    /// The length of its path.
    path_len: usize,
    /// The file system that the source began on.
    device: u64,
    /// Sources further down, which nothing leaves out.
    explicit: Option<&'t Root>,
}

struct Walker<'s, 'a, 'r> {
    scan: Scan<'a, 'r>,
    rules: Rules<'a>,
    sources: &'s mut [Source],
    items: Sender<Item>,
    jobs: Sender<Job>,
    owners: OwnerNames,
    path: Vec<u8>,
    /// How many sources could be read at all.
    found: usize,
    problem: Option<Error>,
}

impl Walker<'_, '_, '_> {
    fn run(mut self, roots: &Root) -> Result<()> {
        self.below(roots, SourceDir::open(Path::new("/")).ok())?;
        match self.problem.take() {
            Some(problem) if self.found == 0 => Err(problem),
            _ => Ok(()),
        }
    }

    /// What lies on the way to the sources, which itself is no source.
    fn below(&mut self, root: &Root, dir: Option<SourceDir>) -> Result<()> {
        // The whole file system as a source has no name to be found under.
        if let (Some(number), Some(_)) = (root.source, &dir) {
            let place = self.sources[number].place().unwrap_or(Path::new("/"));
            let again = SourceDir::open(place).map_err(Error::io("open", place))?;
            let stat = again.stat().map_err(Error::io("read", place))?;
            self.found += 1;
            return self.walk(Arc::new(again), stat.dev, Some(root));
        }
        let dir = dir.map(Arc::new);
        for (name, below) in &root.below {
            let len = self.path.len();
            self.push_name(name);
            if let Some(number) = below.source {
                self.source(number, below, dir.as_ref(), name)?;
            } else {
                let inner = dir.as_ref().and_then(|dir| dir.subdir_following(name).ok());
                let meta = match inner
                    .as_ref()
                    .map(|inner| (inner.stat(), inner.own_xattrs()))
                {
                    Some((Ok(stat), xattrs)) => self.metadata(&stat, xattrs.unwrap_or_default()),
                    // Only streams and sources that cannot be read lie below.
                    _ => self.made_up(0o755),
                };
                self.send(Item::Enter {
                    name: name.clone(),
                    meta,
                })?;
                self.send(Item::LeftOut)?;
                self.below(below, inner)?;
                self.send(Item::Leave)?;
            }
            self.path.truncate(len);
        }
        Ok(())
    }

    fn source(
        &mut self,
        number: usize,
        root: &Root,
        dir: Option<&Arc<SourceDir>>,
        name: &[u8],
    ) -> Result<()> {
        if let Source::Stream(stream, _) = &mut self.sources[number] {
            let Some(stream) = stream.take() else {
                return Err(Error::Invalid {
                    what: "source",
                    problem: "a stream can be read only once".to_owned(),
                });
            };
            self.found += 1;
            let meta = self.made_up(0o600);
            return self.read(name, meta, [0; 16], None, What::Stream(stream));
        }
        if let Source::Tree(tree, _) = &self.sources[number] {
            let tree = tree.clone();
            return self.virtual_tree(&tree, root, name);
        }
        match self.find(dir, name, Some(root)) {
            Ok((dir, at, stat)) => {
                self.found += 1;
                let device = stat.dev;
                let entry = Entry {
                    dir,
                    at,
                    name,
                    key: self.key(name.len() + 1),
                    stat,
                };
                match self.entry(&entry, device, Some(root))? {
                    Some(level) => self.levels(level),
                    None => Ok(()),
                }
            }
            Err(error) => {
                let path = self.sources[number].name();
                self.problem.get_or_insert(Error::Io {
                    operation: "read",
                    path: path.to_string().into(),
                    source: same_error(&error),
                });
                self.failed(&with_causes(&error))
            }
        }
    }

    /// Where an entry is read, what it is called there, and what it is. A source may be elsewhere
    /// than in the directory that it is in in the snapshot.
    fn find<'n>(
        &self,
        dir: Option<&Arc<SourceDir>>,
        name: &'n [u8],
        explicit: Option<&Root>,
    ) -> std::io::Result<(Arc<SourceDir>, Cow<'n, [u8]>, Stat)> {
        let source = explicit.and_then(|root| root.source);
        let place = source.and_then(|number| self.sources[number].place());
        let place = place.and_then(|place| Some((place.parent()?, place.file_name()?)));
        let (dir, at) = match (place, dir) {
            (Some((parent, at)), _) => {
                let at = Cow::Owned(at.as_bytes().to_vec());
                (Arc::new(SourceDir::open(parent)?), at)
            }
            (None, Some(dir)) => (dir.clone(), Cow::Borrowed(name)),
            (None, None) => return Err(std::io::ErrorKind::NotFound.into()),
        };
        let stat = dir.stat_entry(&at)?;
        Ok((dir, at, stat))
    }

    fn walk(&mut self, dir: Arc<SourceDir>, device: u64, explicit: Option<&Root>) -> Result<()> {
        match self.open_level(dir, device, explicit)? {
            Some(level) => self.levels(level),
            None => Ok(()),
        }
    }

    /// Walks a directory with all that is in it.
    fn levels(&mut self, first: Level<'_>) -> Result<()> {
        let base = self.path.len();
        let mut stack = vec![first];
        while let Some(level) = stack.last_mut() {
            if self.scan.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            self.path.truncate(level.path_len);
            let Some(name) = level.names.next() else {
                self.rules.leave();
                // The top directory `/` was never entered: it is the root itself.
                if level.path_len > 0 {
                    self.send(Item::Leave)?;
                }
                stack.pop();
                continue;
            };
            self.push_name(&name);
            let (dir, key, device) = (level.dir.clone(), level.key, level.device);
            let explicit = level.explicit.and_then(|root| root.below.get(&name));
            let (dir, at, stat) = match self.find(Some(&dir), &name, explicit) {
                Ok(found) => found,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.failed(&with_causes(&error))?;
                    continue;
                }
            };
            if explicit.is_none() && self.rules.leave_out(&self.path, &stat) {
                self.send(Item::LeftOut)?;
                continue;
            }
            // A source that lies in another one keeps its own file system.
            let device = if explicit.is_some_and(|root| root.source.is_some()) {
                stat.dev
            } else {
                device
            };
            let entry = Entry {
                dir,
                at,
                name: &name,
                key,
                stat,
            };
            if let Some(level) = self.entry(&entry, device, explicit)? {
                stack.push(level);
            }
        }
        self.path.truncate(base);
        Ok(())
    }

    /// Takes one entry; gives the level of a directory that was entered.
    fn entry<'t>(
        &mut self,
        entry: &Entry<'_>,
        device: u64,
        explicit: Option<&'t Root>,
    ) -> Result<Option<Level<'t>>> {
        let (dir, stat) = (&entry.dir, &entry.stat);
        let xattrs = match dir.xattrs(&entry.at) {
            Ok(xattrs) => xattrs,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.failed(&format!("its extended attributes: {}", with_causes(&error)))?;
                Vec::new()
            }
        };
        let meta = self.metadata(stat, xattrs);
        let kind = match stat.kind {
            FileKind::Dir => return self.enter(entry, meta, device, explicit),
            FileKind::File => {
                self.file(entry, meta)?;
                return Ok(None);
            }
            FileKind::Symlink => match dir.read_link(&entry.at) {
                Ok(target) => NodeKind::Symlink { target },
                Err(error) => {
                    self.failed(&with_causes(&error))?;
                    return Ok(None);
                }
            },
            FileKind::CharDevice => NodeKind::CharDevice {
                major: stat.device.0,
                minor: stat.device.1,
            },
            FileKind::BlockDevice => NodeKind::BlockDevice {
                major: stat.device.0,
                minor: stat.device.1,
            },
            FileKind::Fifo => NodeKind::Fifo,
            FileKind::Socket => NodeKind::Socket,
            FileKind::Unknown => {
                self.failed("it is of no known type")?;
                return Ok(None);
            }
        };
        self.send(Item::Node(Node {
            name: entry.name.to_vec(),
            meta,
            kind,
        }))?;
        Ok(None)
    }

    fn enter<'t>(
        &mut self,
        entry: &Entry<'_>,
        meta: Metadata,
        device: u64,
        explicit: Option<&'t Root>,
    ) -> Result<Option<Level<'t>>> {
        let stat = &entry.stat;
        if self.rules.is_skipped(stat) {
            self.scan.progress.message(&format!(
                "{}: left out, it belongs to the repository",
                String::from_utf8_lossy(&self.path)
            ));
            self.send(Item::LeftOut)?;
            return Ok(None);
        }
        self.send(Item::Enter {
            name: entry.name.to_vec(),
            meta,
        })?;
        let level = if self.scan.options.one_file_system && stat.dev != device && explicit.is_none()
        {
            // The mount point itself is kept, so that a restored system can mount it.
            self.send(Item::LeftOut)?;
            None
        } else {
            match entry.dir.subdir(&entry.at) {
                Ok(inner) => self.open_level(Arc::new(inner), device, explicit)?,
                Err(error) => {
                    self.failed(&with_causes(&error))?;
                    None
                }
            }
        };
        if level.is_none() {
            self.send(Item::Leave)?;
        }
        Ok(level)
    }

    fn open_level<'t>(
        &mut self,
        dir: Arc<SourceDir>,
        device: u64,
        explicit: Option<&'t Root>,
    ) -> Result<Option<Level<'t>>> {
        let names = match dir.names() {
            Ok(names) => names,
            Err(error) => {
                self.failed(&with_causes(&error))?;
                return Ok(None);
            }
        };
        let count = names.len();
        let names = self.rules.enter(&dir, &self.path, names);
        if names.len() < count {
            self.send(Item::LeftOut)?;
        }
        Ok(Some(Level {
            dir,
            names: names.into_iter(),
            key: self.key(0),
            path_len: self.path.len(),
            device,
            explicit,
        }))
    }

    fn file(&mut self, entry: &Entry<'_>, meta: Metadata) -> Result<()> {
        let (name, key, stat) = (entry.name, entry.key, &entry.stat);
        let seen = match &self.scan.known {
            Some(known) => known.get(&key, name)?,
            None => None,
        };
        let read_by = (self.scan.mode == Mode::Differential)
            .then(|| self.scan.last.map_or(0, |run| run.number));
        let seen = match seen {
            Some(seen)
                if self.scan.mode != Mode::Full
                    && seen.is_current(stat, read_by)
                    && self.has_all(&seen.ids)? =>
            {
                self.scan.progress.advance(1, stat.size);
                let new = self.scan.last.is_none();
                return self.send(Item::Known(Box::new(KnownFile {
                    name: name.to_vec(),
                    meta,
                    size: stat.size,
                    ids: seen.ids,
                    extents: seen.extents,
                    verdict: if new {
                        Verdict::New
                    } else {
                        Verdict::Unmodified
                    },
                })));
            }
            seen => seen,
        };
        // Without a last backup there is nothing that a file could have changed from.
        let before = seen
            .map(|seen| seen.ids)
            .filter(|_| self.scan.last.is_some());
        let what = What::File {
            dir: entry.dir.clone(),
            name: entry.at.to_vec(),
        };
        self.read(name, meta, key, before, what)
    }

    fn has_all(&self, ids: &[crate::Id]) -> Result<bool> {
        for id in ids {
            if !self.scan.saver.has(id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read(
        &mut self,
        name: &[u8],
        meta: Metadata,
        dir: DirKey,
        before: Option<Vec<crate::Id>>,
        what: What,
    ) -> Result<()> {
        let (reply, read) = bounded(1);
        let path = self.path.clone();
        self.send(Item::File(Box::new(FileItem {
            path: path.clone(),
            name: name.to_vec(),
            meta,
            dir,
            before,
            read,
        })))?;
        self.jobs
            .send(Job { what, path, reply })
            .map_err(|_| Error::Interrupted)
    }

    fn metadata(&mut self, stat: &Stat, xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Metadata {
        Metadata {
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            mtime: stat.mtime,
            user: self.owners.user(stat.uid),
            group: self.owners.group(stat.gid),
            hardlink: (stat.nlink > 1 && stat.kind != FileKind::Dir)
                .then_some((stat.dev, stat.ino)),
            xattrs,
        }
    }

    /// Metadata of what is not a file here.
    fn made_up(&mut self, mode: u32) -> Metadata {
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let time = self.scan.options.time;
        Metadata {
            mode,
            uid,
            gid,
            mtime: Time {
                secs: time.as_second(),
                nanos: time.subsec_nanosecond().unsigned_abs(),
            },
            user: self.owners.user(uid),
            group: self.owners.group(gid),
            hardlink: None,
            xattrs: Vec::new(),
        }
    }

    /// The key of the directory at the current path without its last `cut` bytes.
    fn key(&self, cut: usize) -> DirKey {
        let hash = blake3::hash(&self.path[..self.path.len() - cut]);
        hash.as_bytes()[..16]
            .try_into()
            .expect("a hash has 32 bytes")
    }

    fn push_name(&mut self, name: &[u8]) {
        self.path.push(b'/');
        self.path.extend_from_slice(name);
    }

    fn failed(&mut self, error: &str) -> Result<()> {
        let problem = PathError::new(&self.path, error);
        self.scan
            .progress
            .message(&format!("{}: {error}", problem.path));
        self.send(Item::Failed(problem))
    }

    fn send(&self, item: Item) -> Result<()> {
        // The assembler ends early only when it has failed, and says why itself.
        self.items.send(item).map_err(|_| Error::Interrupted)
    }
}
