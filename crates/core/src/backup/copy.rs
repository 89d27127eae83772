//! Copying snapshots from another repository.
//!
//! The two share no keys: every chunk is read there, verified, and stored here under an id and a key
//! of this repository. Chunks keep their boundaries. What an earlier copy of the same paths holds is
//! found again by walking its tree here and there side by side, and is not read again.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::Serialize;

use crate::backup::assemble::{Assembler, CopiedFile, Item};
use crate::backup::{Owner, Saver, TRIES, Tools};
use crate::compress::Compression;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::BlobKind;
use crate::progress::Progress;
use crate::read::{ContentIds, Scratch};
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::tree::{Content, NodeKind};
use crate::walk::Walk;

/// So many entries wait between two threads.
const AHEAD: usize = 256;

/// How to copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyOptions {
    /// How hard to compress.
    pub compression: Compression,
    /// Read and count, and write nothing.
    pub dry_run: bool,
}

/// A snapshot and its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CopiedSnapshot {
    /// There.
    pub from: Id,
    /// Here; nothing after a dry run.
    pub to: Option<Id>,
}

/// What a copy did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CopyReport {
    /// Snapshots that were copied, oldest first.
    pub copied: Vec<CopiedSnapshot>,
    /// Snapshots that were here already.
    pub present: Vec<Id>,
    /// Bytes of plaintext that this repository did not have.
    pub bytes_new: u64,
    /// Bytes that they take here.
    pub bytes_stored: u64,
    /// How long it took, in seconds.
    pub duration_s: f64,
}

impl Repository {
    /// Copies snapshots of another repository into this one, oldest first, but for those that were
    /// copied before. They keep their times, hosts, paths and tags.
    ///
    /// Each is published when it is whole: what fails or stops leaves those before it.
    ///
    /// # Errors
    /// [`Error::NeedsFullKey`] when the other repository is open with a writer's key; whatever keeps a
    /// chunk from being read there or stored here; [`Error::Interrupted`].
    pub fn copy_from(
        &self,
        from: &Repository,
        mut snapshots: Vec<(Id, Snapshot)>,
        options: &CopyOptions,
        progress: &dyn Progress,
    ) -> Result<CopyReport> {
        from.needs_full("copying from a repository")?;
        let started = Instant::now();
        snapshots.sort_by_key(|(id, snapshot)| (snapshot.time, *id));
        // A writer cannot read what is here. It copies again what it finds, and stores it once.
        let mut here = match self.needs_full("finding earlier copies") {
            Ok(()) => self.snapshots()?.0,
            Err(_) => Vec::new(),
        };
        let there = from.snapshots()?.0;
        let (files, bytes) = snapshots
            .iter()
            .filter(|(_, snapshot)| !here.iter().any(|(_, copy)| is_copy(copy, snapshot)))
            .fold((0, 0), |(files, bytes), (_, snapshot)| {
                (files + snapshot.files, bytes + snapshot.bytes)
            });
        progress.total(files, bytes);
        let mut report = CopyReport::default();
        for (id, snapshot) in snapshots {
            if here.iter().any(|(_, copy)| is_copy(copy, &snapshot)) {
                report.present.push(id);
                continue;
            }
            // The newest of the same paths that is in both: it has most in common.
            let pair = here.iter().rev().find_map(|(copy_id, copy)| {
                let mut others = there.iter();
                (copy.host == snapshot.host && copy.paths == snapshot.paths)
                    .then(|| others.find(|(_, original)| is_copy(copy, original)))
                    .flatten()
                    .map(|(_, original)| (original, *copy_id, copy))
            });
            let job = Job {
                from,
                to: self,
                snapshot: &snapshot,
                pair: pair.map(|(original, _, copy)| (original, copy)),
                names: None,
                options,
                progress,
            };
            let parent = pair.map(|(_, copy_id, _)| copy_id);
            let copied = self.copy_snapshot(&job, parent, &mut report)?;
            report.copied.push(CopiedSnapshot {
                from: id,
                to: copied.as_ref().map(|(id, _)| *id),
            });
            if let Some(copied) = copied {
                here.push(copied);
            }
        }
        report.duration_s = started.elapsed().as_secs_f64();
        progress.finish();
        Ok(report)
    }

    /// Makes the trees of a snapshot there once more, for the chunks that `saver` wants. `names` are
    /// the data chunks there by what they are called here.
    pub(crate) fn trees_from(
        &self,
        from: &Repository,
        snapshot: &Snapshot,
        names: &HashMap<Id, Id>,
        saver: &Saver<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let job = Job {
            from,
            to: self,
            snapshot,
            pair: None,
            names: Some(names),
            options: &CopyOptions::default(),
            progress,
        };
        job.pass(saver).map(drop)
    }

    fn copy_snapshot(
        &self,
        job: &Job<'_>,
        parent: Option<Id>,
        report: &mut CopyReport,
    ) -> Result<Option<(Id, Snapshot)>> {
        let owner = Owner {
            client: self.cache().client()?,
            set: self.set_id(&job.snapshot.host, &job.snapshot.paths),
        };
        let _only_one = self.cache().lock_set(&owner.set)?;
        let leftovers = self.own_pending(&owner)?;
        let mut avoid = self.packs_to_avoid()?;
        let mut held = Vec::new();
        for attempt in 0..TRIES {
            let mut saver = Saver::new(self, Some(owner), avoid.clone(), job.options.dry_run)?;
            if attempt > 0 {
                saver = saver.cautious();
            }
            let root = job.pass(&saver)?;
            report.bytes_new += saver.new_bytes();
            report.bytes_stored += saver.stored_bytes();
            if job.options.dry_run {
                return Ok(None);
            }
            let copy = Snapshot {
                root,
                parent,
                stored: saver.stored_bytes(),
                ..job.snapshot.clone()
            };
            match self.publish(&saver, &copy)? {
                Ok(id) => {
                    self.retire_pending(leftovers)?;
                    self.remove_pending(&held)?;
                    return Ok(Some((id, copy)));
                }
                Err(conflicts) => {
                    held.extend(saver.take_pending());
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
}

/// Whether a snapshot is a copy of another. Trees and parents differ, for they are told by ids; that
/// one run is meant is plain from when, where and of what it was.
fn is_copy(copy: &Snapshot, original: &Snapshot) -> bool {
    let facts = |snapshot: &Snapshot| {
        (
            snapshot.time,
            snapshot.client,
            snapshot.files,
            snapshot.dirs,
            snapshot.bytes,
        )
    };
    facts(copy) == facts(original)
        && copy.host == original.host
        && copy.user == original.user
        && copy.paths == original.paths
}

/// One snapshot that is copied.
struct Job<'a> {
    from: &'a Repository,
    to: &'a Repository,
    snapshot: &'a Snapshot,
    /// An earlier snapshot there, and its copy here.
    pair: Option<(&'a Snapshot, &'a Snapshot)>,
    /// What chunks there are called here, where that is known already.
    names: Option<&'a HashMap<Id, Id>>,
    options: &'a CopyOptions,
    progress: &'a dyn Progress,
}

/// A file whose chunks are copied by whoever is free.
struct FileJob {
    content: Content,
    size: u64,
    reply: Sender<Vec<Id>>,
}

/// What keeps threads from going on, told once.
#[derive(Default)]
struct Failure {
    failed: AtomicBool,
    first: Mutex<Option<Error>>,
}

impl Failure {
    fn set(&self, error: Error) {
        let mut first = self.first.lock().expect("no thread panics with it");
        first.get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }
}

impl Job<'_> {
    /// Copies the tree and all that is in it, and gives its root here.
    fn pass(&self, saver: &Saver<'_>) -> Result<Content> {
        let failure = Failure::default();
        let (items, waiting_items) = bounded(AHEAD);
        let (files, waiting_files) = bounded::<FileJob>(AHEAD);
        let mut assembler = Assembler {
            saver,
            tools: Tools::new(self.options.compression)?,
            cache: None,
        };
        let mut helpers = Vec::new();
        for _ in 0..self.from.threads() {
            helpers.push((Scratch::new()?, Tools::new(self.options.compression)?));
        }
        let (assembled, uploaded) = std::thread::scope(|scope| {
            let uploading = scope.spawn(|| saver.upload());
            let assembling = scope.spawn(move || assembler.run(&waiting_items));
            let mut threads = Vec::new();
            for (scratch, tools) in helpers {
                let (waiting, failure) = (waiting_files.clone(), &failure);
                threads.push(
                    scope.spawn(move || self.copy_files(saver, &waiting, scratch, tools, failure)),
                );
            }
            drop(waiting_files);
            let walked = self.walk(saver, &items, &files, &failure);
            drop((items, files));
            for thread in threads {
                thread.join().expect("a copying thread does not panic");
            }
            let assembled = assembling
                .join()
                .expect("the assembling thread does not panic");
            if let Err(error) = walked {
                failure.set(error);
            }
            let whole = assembled.is_ok() && !failure.failed.load(Ordering::Relaxed);
            match whole || self.progress.is_stopped() {
                true => saver.close(),
                false => saver.abandon(),
            }
            let uploaded = uploading
                .join()
                .expect("the uploading thread does not panic");
            (assembled, uploaded)
        });
        // The uploading threads know why the others had to stop.
        uploaded?;
        if self.progress.is_stopped() {
            saver.save_progress()?;
            return Err(Error::Interrupted);
        }
        let first = failure.first.into_inner().expect("no thread panicked");
        match (first, assembled) {
            (None, assembled) => Ok(assembled?.root),
            // Where one fails the others are interrupted: the failure itself is what to tell.
            (Some(Error::Interrupted), Err(error)) | (Some(error), _) => Err(error),
        }
    }

    /// Sends the entries of the tree in their order.
    fn walk(
        &self,
        saver: &Saver<'_>,
        items: &Sender<Item>,
        files: &Sender<FileJob>,
        failure: &Failure,
    ) -> Result<()> {
        let send = |item| items.send(item).map_err(|_| Error::Interrupted);
        let mut earlier = match self.pair {
            Some((original, copy)) => Some(Earlier {
                there: Walk::new(self.from, &original.root)?,
                here: Walk::new(self.to, &copy.root)?,
                next: None,
            }),
            None => None,
        };
        let mut scratch = Scratch::new()?;
        let mut depth = 0;
        let mut walk = Walk::new(self.from, &self.snapshot.root)?;
        while let Some((path, node)) = walk.next()? {
            if failure.failed.load(Ordering::Relaxed) || self.progress.is_stopped() {
                return Err(Error::Interrupted);
            }
            let above = path.iter().filter(|byte| **byte == b'/').count() - 1;
            while depth > above {
                send(Item::Leave)?;
                depth -= 1;
            }
            let (size, content, extents, changed) = match node.kind {
                NodeKind::Dir { partial, .. } => {
                    send(Item::Enter {
                        name: node.name,
                        meta: node.meta,
                    })?;
                    if partial {
                        send(Item::LeftOut)?;
                    }
                    depth += 1;
                    continue;
                }
                NodeKind::File {
                    size,
                    content,
                    extents,
                    changed,
                } => (size, content, extents, changed),
                _ => {
                    send(Item::Node(node))?;
                    continue;
                }
            };
            let (reply, ids) = bounded(1);
            let known = match (self.names, &mut earlier) {
                (Some(names), _) => self.named(names, &content, &mut scratch)?,
                (None, Some(earlier)) => match earlier.copy_of(path, &content)? {
                    Some(copy) => all_ids(self.to, saver, &copy, &mut scratch)?,
                    None => None,
                },
                (None, None) => None,
            };
            send(Item::Copied(Box::new(CopiedFile {
                name: node.name,
                meta: node.meta,
                size,
                extents,
                changed,
                ids,
            })))?;
            match known {
                Some(ids) => {
                    self.progress.advance(1, size);
                    reply.send(ids).map_err(|_| Error::Interrupted)?;
                }
                None => files
                    .send(FileJob {
                        content,
                        size,
                        reply,
                    })
                    .map_err(|_| Error::Interrupted)?,
            }
        }
        for _ in 0..depth {
            send(Item::Leave)?;
        }
        Ok(())
    }

    /// The chunks of a content there by their names here, if all are known.
    fn named(
        &self,
        names: &HashMap<Id, Id>,
        content: &Content,
        scratch: &mut Scratch,
    ) -> Result<Option<Vec<Id>>> {
        let mut all = Vec::new();
        let mut ids = ContentIds::new(content)?;
        while let Some(id) = ids.next(self.from, scratch)? {
            match names.get(&id) {
                Some(here) => all.push(*here),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    fn copy_files(
        &self,
        saver: &Saver<'_>,
        files: &Receiver<FileJob>,
        mut scratch: Scratch,
        mut tools: Tools,
        failure: &Failure,
    ) {
        for file in files {
            if failure.failed.load(Ordering::Relaxed) {
                continue;
            }
            match self.copy_file(saver, &file, &mut scratch, &mut tools) {
                // Nobody waits for it when the assembler has failed, which it tells itself.
                Ok(ids) => file.reply.send(ids).unwrap_or_default(),
                Err(error) => failure.set(error),
            }
        }
    }

    fn copy_file(
        &self,
        saver: &Saver<'_>,
        file: &FileJob,
        scratch: &mut Scratch,
        tools: &mut Tools,
    ) -> Result<Vec<Id>> {
        let mut ids = Vec::new();
        let mut content = ContentIds::new(&file.content)?;
        let mut copied = 0;
        while let Some(id) = content.next(self.from, scratch)? {
            if self.progress.is_stopped() {
                return Err(Error::Interrupted);
            }
            let chunk = self.from.read_chunk(BlobKind::Data, id, scratch)?;
            ids.push(saver.save(BlobKind::Data, chunk, tools)?);
            self.progress.advance(0, chunk.len() as u64);
            copied += chunk.len() as u64;
        }
        self.progress.advance(1, file.size.saturating_sub(copied));
        Ok(ids)
    }
}

/// The chunks of a content here, if all of them may be relied on.
fn all_ids(
    here: &Repository,
    saver: &Saver<'_>,
    content: &Content,
    scratch: &mut Scratch,
) -> Result<Option<Vec<Id>>> {
    let mut all = Vec::new();
    let mut ids = ContentIds::new(content)?;
    while let Some(id) = ids.next(here, scratch)? {
        if !saver.has(&id)? {
            return Ok(None);
        }
        all.push(id);
    }
    Ok(Some(all))
}

/// An earlier snapshot and its copy, walked side by side.
struct Earlier<'r> {
    there: Walk<'r>,
    here: Walk<'r>,
    /// A file in both: its path, its content there, and here.
    next: Option<(Vec<u8>, Content, Content)>,
}

impl Earlier<'_> {
    /// The content here of a file that had this content there. Paths come in the order of trees.
    fn copy_of(&mut self, path: &[u8], content: &Content) -> Result<Option<Content>> {
        while self
            .next
            .as_ref()
            .is_none_or(|(next, ..)| in_order(next, path).is_lt())
        {
            self.next = match self.step()? {
                Some(next) => Some(next),
                None => return Ok(None),
            };
        }
        Ok(self
            .next
            .as_ref()
            .filter(|(next, there, _)| next == path && there == content)
            .map(|(_, _, here)| here.clone()))
    }

    fn step(&mut self) -> Result<Option<(Vec<u8>, Content, Content)>> {
        loop {
            let (Some((path, there)), Some((copied, here))) =
                (self.there.next()?, self.here.next()?)
            else {
                return Ok(None);
            };
            if path != copied {
                // It is no copy after all: nothing can be learned from it.
                return Ok(None);
            }
            if let (NodeKind::File { content: there, .. }, NodeKind::File { content: here, .. }) =
                (there.kind, here.kind)
            {
                return Ok(Some((path.to_vec(), there, here)));
            }
        }
    }
}

/// The order of trees: name by name, so that `/a/b` comes before `/a.b`.
fn in_order(one: &[u8], other: &[u8]) -> std::cmp::Ordering {
    let names = |path| <[u8]>::split(path, |byte: &u8| *byte == b'/');
    names(one).cmp(names(other))
}
