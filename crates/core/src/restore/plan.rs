//! Walking the snapshot: making directories, filtering, deleting, and giving work to others.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::backup::{VirtualContent, VirtualKind, VirtualTree};
use crate::error::{Error, Result};
use crate::fs::{Excludes, FileKind, RestoreDir, TEMPORARY_PREFIX};
use crate::restore::entry::Job;
use crate::restore::links::Links;
use crate::restore::{MARKER, Overwrite, RestoreOptions, Shared, Target};
use crate::tree::{Content, Node, NodeKind};
use crate::walk::Walk;

/// A directory of the snapshot that is being walked.
struct Level<'s, 'r> {
    /// Nothing as long as only what is beneath it may be wanted.
    target: Option<Arc<Target<'s, 'r>>>,
    /// What it is, until it is made.
    node: Option<Node>,
    /// The length of its path.
    path_len: usize,
    /// What the snapshot has in it, for `delete`.
    names: HashSet<Vec<u8>>,
    /// Whether all that was in it was backed up, is wanted and could be read: only then may
    /// anything be deleted.
    complete: bool,
}

/// Decides what becomes of every entry.
pub(super) struct Planner<'s, 'r, 'o> {
    shared: &'s Shared<'r>,
    options: &'o RestoreOptions,
    jobs: Sender<Job<'s, 'r>>,
    stack: Vec<Level<'s, 'r>>,
    path: Vec<u8>,
    links: Links,
    dirs: u64,
    deleted: u64,
}

impl<'s, 'r, 'o> Planner<'s, 'r, 'o> {
    pub fn new(
        shared: &'s Shared<'r>,
        options: &'o RestoreOptions,
        jobs: Sender<Job<'s, 'r>>,
        top: Target<'s, 'r>,
        complete: bool,
    ) -> Self {
        remove_leftovers(shared, top.dir.as_ref());
        let top = Level {
            target: Some(Arc::new(top)),
            node: None,
            path_len: 0,
            names: HashSet::from([MARKER.as_bytes().to_vec()]),
            complete,
        };
        Self {
            shared,
            options,
            jobs,
            stack: vec![top],
            path: Vec::new(),
            links: Links::default(),
            dirs: 0,
            deleted: 0,
        }
    }

    pub fn walk(&mut self, content: &Content) -> Result<()> {
        let mut walk = Walk::new(self.shared.repository(), content)?;
        loop {
            self.shared.go_on()?;
            match walk.next() {
                Ok(None) => break,
                Ok(Some((path, node))) => {
                    let path = path.to_vec();
                    if !self.entry(&path, node, None)? {
                        walk.skip();
                    }
                }
                // What can be read is restored; what is lost is told.
                Err(error) if error.is_damage() => {
                    self.shared.failed(walk.path(), &error);
                    for level in &mut self.stack {
                        level.complete = false;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.end();
        Ok(())
    }

    /// The same of a tree that is in no repository.
    pub fn walk_tree(&mut self, tree: &VirtualTree) -> Result<()> {
        let mut left_out: Option<&[u8]> = None;
        for entry in tree.entries() {
            self.shared.go_on()?;
            let beneath = left_out.and_then(|above| entry.path.strip_prefix(above));
            if beneath.is_some_and(|rest| rest.starts_with(b"/")) {
                continue;
            }
            let (kind, given) = match &entry.kind {
                VirtualKind::Dir => (
                    NodeKind::Dir {
                        content: Content::default(),
                        partial: false,
                    },
                    None,
                ),
                VirtualKind::Symlink { target } => (
                    NodeKind::Symlink {
                        target: target.clone(),
                    },
                    None,
                ),
                VirtualKind::File(content) => (
                    NodeKind::File {
                        size: content.size(),
                        content: Content::default(),
                        extents: None,
                        changed: false,
                    },
                    Some(content.clone()),
                ),
            };
            let node = Node {
                name: entry.name().to_vec(),
                meta: entry.meta.clone(),
                kind,
            };
            let entered = self.entry(&[b"/", entry.path.as_slice()].concat(), node, given)?;
            left_out = (entry.is_dir() && !entered).then_some(&entry.path);
        }
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        self.unwind(0);
        self.delete_extra();
    }

    /// Lets go of all directories; gives how many were restored and what was deleted.
    pub fn finish(self) -> (u64, u64) {
        (self.dirs, self.deleted)
    }

    /// Restores one entry or hands it to a worker; whether to go into it.
    pub fn entry(
        &mut self,
        path: &[u8],
        node: Node,
        given: Option<VirtualContent>,
    ) -> Result<bool> {
        let parent_len = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.unwind(parent_len);
        self.path.clear();
        self.path.extend_from_slice(path);
        let level = self.stack.last_mut().expect("the target stays open");
        if self.options.delete {
            level.names.insert(node.name.clone());
        }
        if path.strip_prefix(b"/") == Some(MARKER.as_bytes()) {
            self.shared.problem(
                path,
                "a restore needs this name for itself: restore it apart",
            );
            return Ok(false);
        }
        let is_dir = matches!(node.kind, NodeKind::Dir { .. });
        let excluded = |exclude: &Excludes| exclude.matches(path, is_dir, 0);
        if self.options.exclude.as_ref().is_some_and(excluded) {
            return Ok(false);
        }
        let included = |include: &Excludes| include.covers(path, is_dir, 0);
        let wanted = self.options.include.as_ref().is_none_or(included);
        if is_dir {
            return Ok(self.directory(node, wanted));
        }
        if !wanted {
            level.complete = false;
            return Ok(false);
        }
        let Some(target) = self.target() else {
            return Ok(false);
        };
        let link = match node.meta.hardlink {
            Some(key) => self.links.find(key, path, &node.kind),
            None => None,
        };
        let job = Job {
            target,
            path: path.to_vec(),
            node,
            given,
            link,
        };
        self.jobs.send(job).map_err(|_| Error::Interrupted)?;
        Ok(false)
    }

    fn directory(&mut self, node: Node, wanted: bool) -> bool {
        let partial = matches!(node.kind, NodeKind::Dir { partial: true, .. });
        self.stack.push(Level {
            target: None,
            node: Some(node),
            path_len: self.path.len(),
            names: HashSet::new(),
            complete: wanted && !partial,
        });
        // One that is not itself wanted may hold what is, and is made only then.
        if wanted && self.target().is_none() {
            self.stack.pop();
            return false;
        }
        true
    }

    /// The directory that is walked, made now if need be; nothing if that fails.
    fn target(&mut self) -> Option<Arc<Target<'s, 'r>>> {
        let missing = self.stack.iter().position(|level| level.target.is_none());
        for at in missing.unwrap_or(self.stack.len())..self.stack.len() {
            let (above, below) = self.stack.split_at_mut(at);
            let parent = above.last().and_then(|level| level.target.clone())?;
            let level = &mut below[0];
            let node = level.node.take()?;
            let path = &self.path[..level.path_len];
            match make(self.shared, &parent, &node.name) {
                Ok(dir) => {
                    remove_leftovers(self.shared, dir.as_ref());
                    self.dirs += 1;
                    level.target = Some(Arc::new(Target {
                        shared: self.shared,
                        dir,
                        path: path.to_vec(),
                        meta: Some(node.meta),
                        _parent: Some(parent),
                    }));
                }
                Err(error) => {
                    self.shared.failed_io(path, &error);
                    return None;
                }
            }
        }
        self.stack.last().and_then(|level| level.target.clone())
    }

    /// Leaves directories until the one with a path of `path_len` bytes is the last.
    fn unwind(&mut self, path_len: usize) {
        while self
            .stack
            .last()
            .is_some_and(|level| level.path_len > path_len)
        {
            self.delete_extra();
            self.stack.pop();
        }
    }

    /// Removes from the last directory what the snapshot does not have in it.
    fn delete_extra(&mut self) {
        let Some(level) = self
            .stack
            .last()
            .filter(|level| self.options.delete && level.complete)
        else {
            return;
        };
        let Some(target) = &level.target else { return };
        let Some(dir) = &target.dir else { return };
        let names = match dir.names() {
            Ok(names) => names,
            Err(error) => return self.shared.failed_io(&target.path, &error),
        };
        for name in names {
            if level.names.contains(&name) || name.starts_with(TEMPORARY_PREFIX) {
                continue;
            }
            let path = [target.path.as_slice(), b"/", &name].concat();
            let is_dir = matches!(dir.stat(&name), Ok(Some(stat)) if stat.kind == FileKind::Dir);
            // What is not restored because it is excluded is not deleted either.
            let excluded = |exclude: &Excludes| exclude.matches(&path, is_dir, 0);
            if self.options.exclude.as_ref().is_some_and(excluded) {
                continue;
            }
            if self.shared.dry_run {
                self.deleted += 1;
                continue;
            }
            match dir.remove_tree(&name) {
                Ok(count) => self.deleted += count,
                Err(error) => self.shared.failed_io(&path, &error),
            }
        }
    }
}

/// Makes a directory, or takes the one that is there.
fn make(
    shared: &Shared<'_>,
    parent: &Target<'_, '_>,
    name: &[u8],
) -> io::Result<Option<RestoreDir>> {
    let Some(dir) = &parent.dir else {
        return Ok(None);
    };
    match dir.stat(name)? {
        Some(stat) if stat.kind == FileKind::Dir => return dir.subdir(name).map(Some),
        Some(_) if shared.overwrite == Overwrite::Never => {
            return Err(io::Error::other("something else is there, and is to stay"));
        }
        _ if shared.dry_run => return Ok(None),
        Some(_) => dir.remove(name)?,
        None => {}
    }
    dir.make_subdir(name).map(Some)
}

/// Removes what an interrupted restore was writing.
fn remove_leftovers(shared: &Shared<'_>, dir: Option<&RestoreDir>) {
    let Some(dir) = dir.filter(|_| shared.resumed && !shared.dry_run) else {
        return;
    };
    for name in dir.names().unwrap_or_default() {
        if name.starts_with(TEMPORARY_PREFIX) {
            // If it cannot be removed it is only in the way of nothing.
            let _ = dir.remove(&name);
        }
    }
}
