//! Looking into snapshots: list, find, compare, read one file, count.

use std::cmp::Ordering;
use std::io::Write;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::BlobKind;
use crate::progress::Progress;
use crate::read::{ContentIds, Scratch};
use crate::repository::Repository;
use crate::snapshot::{Name, Snapshot};
use crate::storage::ObjectKind;
use crate::tree::{Content, Metadata, Node, NodeKind};
use crate::walk::{Directory, Walk};

/// An entry of a snapshot, as `ls` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its path in the snapshot, from `/`.
    pub path: Name,
    /// `file`, `dir`, `symlink`, `chardev`, `blockdev`, `fifo` or `socket`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Bytes of content; 0 for all but files.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The owner's name on the machine it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Name>,
    /// The group's name on the machine it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// Modification time.
    pub mtime: jiff::Timestamp,
    /// Where a symbolic link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Name>,
    /// Whether the file changed while it was read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub changed_during_read: bool,
}

impl Listed {
    fn new(path: &[u8], node: &Node) -> Self {
        let meta = &node.meta;
        let (kind, size) = kind_of(node);
        Self {
            path: Name(path.to_vec()),
            kind,
            size,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            user: meta.user.clone().map(Name),
            group: meta.group.clone().map(Name),
            mtime: timestamp(meta),
            target: match &node.kind {
                NodeKind::Symlink { target } => Some(Name(target.clone())),
                _ => None,
            },
            changed_during_read: matches!(node.kind, NodeKind::File { changed: true, .. }),
        }
    }
}

fn timestamp(meta: &Metadata) -> jiff::Timestamp {
    let nanos = i32::try_from(meta.mtime.nanos).unwrap_or(0);
    jiff::Timestamp::new(meta.mtime.secs, nanos).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

fn kind_of(node: &Node) -> (&'static str, u64) {
    match &node.kind {
        NodeKind::File { size, .. } => ("file", *size),
        NodeKind::Dir { .. } => ("dir", 0),
        NodeKind::Symlink { .. } => ("symlink", 0),
        NodeKind::CharDevice { .. } => ("chardev", 0),
        NodeKind::BlockDevice { .. } => ("blockdev", 0),
        NodeKind::Fifo => ("fifo", 0),
        NodeKind::Socket => ("socket", 0),
    }
}

/// How an entry differs between two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
    /// Other content.
    Modified,
    /// The same content with other metadata.
    Metadata,
    /// A file became a directory, or the like.
    Type,
}

/// A difference between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The path in the snapshots.
    pub path: Name,
    /// What differs.
    pub change: ChangeKind,
    /// Bytes in the first snapshot.
    pub size_before: u64,
    /// Bytes in the second snapshot.
    pub size_after: u64,
}

/// What a repository holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Snapshots counted.
    pub snapshots: u64,
    /// Files in them.
    pub files: u64,
    /// Directories in them.
    pub dirs: u64,
    /// Bytes that a restore of all of them would write.
    pub restore_bytes: u64,
    /// Different chunks that they need.
    pub chunks: u64,
    /// Bytes of plaintext in those chunks.
    pub chunk_bytes: u64,
    /// Bytes that those chunks take in packs.
    pub stored_bytes: u64,
    /// Packs in the repository.
    pub packs: u64,
    /// Bytes of all packs.
    pub pack_bytes: u64,
}

/// The size of a file, its content, and where that lies in it, if it has holes.
pub(crate) type FileAt = (u64, Content, Option<Vec<(u64, u64)>>);

impl Repository {
    /// Calls `each` for every entry beneath a path of a snapshot, the path itself included.
    pub fn list_tree(
        &self,
        snapshot: &Snapshot,
        path: &[u8],
        recursive: bool,
        each: &mut dyn FnMut(Listed) -> Result<()>,
    ) -> Result<()> {
        self.needs_full("listing a snapshot")?;
        let mut base: Vec<u8> = Vec::new();
        for component in crate::walk::components(path) {
            base.push(b'/');
            base.extend_from_slice(component);
        }
        let top = match self.node_at(&snapshot.root, path)? {
            None => snapshot.root.clone(),
            Some(node) => {
                each(Listed::new(&base, &node))?;
                match node.kind {
                    NodeKind::Dir { content, .. } => content,
                    _ => return Ok(()),
                }
            }
        };
        let mut walk = Walk::new(self, &top)?;
        while let Some((below, node)) = walk.next()? {
            let path = [base.as_slice(), below].concat();
            each(Listed::new(&path, &node))?;
            if !recursive {
                walk.skip();
            }
        }
        Ok(())
    }

    /// Calls `each` for every difference, in the order of paths.
    pub fn diff(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        path: &[u8],
        each: &mut dyn FnMut(Change) -> Result<()>,
    ) -> Result<()> {
        self.needs_full("comparing snapshots")?;
        let a = self.dir_at(&before.root, path)?;
        let b = self.dir_at(&after.root, path)?;
        let mut differ = Differ {
            repository: self,
            scratch: Scratch::new()?,
            each,
        };
        differ.directories(&a, &b, b"")
    }

    /// Writes the content of a file of a snapshot.
    ///
    /// # Errors
    /// [`Error::NoSuchPath`]; [`Error::Invalid`] for what is no file.
    pub fn dump(&self, snapshot: &Snapshot, path: &[u8], out: &mut dyn Write) -> Result<u64> {
        self.needs_full("reading a file")?;
        let (size, content, extents) = self.file_at(snapshot, path)?;
        let mut scratch = Scratch::new()?;
        let mut ids = ContentIds::new(&content)?;
        let whole = [(0, size)];
        let mut sink = ExtentWriter::new(extents.as_deref().unwrap_or(&whole), out);
        while let Some(id) = ids.next(self, &mut scratch)? {
            let data = self.read_chunk(BlobKind::Data, id, &mut scratch)?;
            sink.write(data)
                .map_err(Error::io("write", "the output".as_ref()))?;
        }
        sink.finish(size)
            .map_err(Error::io("write", "the output".as_ref()))?;
        Ok(size)
    }

    /// The size, content and extents of a file of a snapshot.
    pub(crate) fn file_at(&self, snapshot: &Snapshot, path: &[u8]) -> Result<FileAt> {
        match self.node_at(&snapshot.root, path)?.map(|node| node.kind) {
            Some(NodeKind::File {
                size,
                content,
                extents,
                ..
            }) => Ok((size, content, extents)),
            _ => Err(Error::Invalid {
                what: "path",
                problem: format!("{} is no file", Name(path.to_vec())),
            }),
        }
    }

    /// Counts what these snapshots hold; ends early when `progress` says so.
    pub fn stats(&self, snapshots: &[(Id, Snapshot)], progress: &dyn Progress) -> Result<Stats> {
        self.needs_full("counting")?;
        let mut stats = Stats::default();
        self.refresh_index()?;
        let index = self.frozen_index()?.entries;
        let stop = || progress.is_stopped();
        let mut marker = crate::mark::Marker::new(self, &index, &stop)?;
        for (_, snapshot) in snapshots {
            stats.snapshots += 1;
            stats.files += snapshot.files;
            stats.dirs += snapshot.dirs;
            stats.restore_bytes += snapshot.bytes;
            marker.mark(&snapshot.root)?;
        }
        let live = marker.into_bitmap();
        index.for_each(&mut |position, entry, _, _| {
            if live.get(position) {
                stats.chunks += 1;
                stats.chunk_bytes += u64::from(entry.raw_len());
                stats.stored_bytes += u64::from(entry.stored_len());
            }
        })?;
        self.storage().list(ObjectKind::Pack, &mut |_, size| {
            stats.packs += 1;
            stats.pack_bytes += size;
        })?;
        Ok(stats)
    }
}

/// Writes chunk data where extents say, zeros elsewhere.
struct ExtentWriter<'a> {
    extents: &'a [(u64, u64)],
    at: u64,
    done_in_extent: u64,
    out: &'a mut dyn Write,
}

impl<'a> ExtentWriter<'a> {
    fn new(extents: &'a [(u64, u64)], out: &'a mut dyn Write) -> Self {
        Self {
            extents,
            at: 0,
            done_in_extent: 0,
            out,
        }
    }

    fn write(&mut self, mut data: &[u8]) -> std::io::Result<()> {
        while !data.is_empty() {
            let Some(&(start, len)) = self.extents.first() else {
                return Err(std::io::Error::other(
                    "there is more content than the file has",
                ));
            };
            if self.done_in_extent == len {
                self.extents = &self.extents[1..];
                self.done_in_extent = 0;
                continue;
            }
            self.zeros_to(start + self.done_in_extent)?;
            let room = (len - self.done_in_extent).min(data.len() as u64) as usize;
            self.out.write_all(&data[..room])?;
            self.at += room as u64;
            self.done_in_extent += room as u64;
            data = &data[room..];
        }
        Ok(())
    }

    fn finish(mut self, size: u64) -> std::io::Result<()> {
        let ended = match self.extents {
            [] => true,
            [(_, len)] => *len == self.done_in_extent,
            _ => false,
        };
        if !ended {
            return Err(std::io::Error::other(
                "there is less content than the file has",
            ));
        }
        self.zeros_to(size)
    }

    fn zeros_to(&mut self, to: u64) -> std::io::Result<()> {
        const ZEROS: [u8; 8192] = [0; 8192];
        while self.at < to {
            let len = (to - self.at).min(ZEROS.len() as u64);
            self.out.write_all(&ZEROS[..len as usize])?;
            self.at += len;
        }
        Ok(())
    }
}

struct Differ<'a> {
    repository: &'a Repository,
    scratch: Scratch,
    each: &'a mut dyn FnMut(Change) -> Result<()>,
}

impl Differ<'_> {
    fn directories(&mut self, a: &Content, b: &Content, base: &[u8]) -> Result<()> {
        if a == b {
            return Ok(());
        }
        let repository = self.repository;
        let mut left = Directory::open(a)?;
        let mut right = Directory::open(b)?;
        let mut x = left.next(repository, &mut self.scratch)?;
        let mut y = right.next(repository, &mut self.scratch)?;
        loop {
            let order = match (&x, &y) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(x), Some(y)) => x.name.cmp(&y.name),
            };
            let old = if order.is_le() { x.take() } else { None };
            let new = if order.is_ge() { y.take() } else { None };
            if old.is_some() {
                x = left.next(repository, &mut self.scratch)?;
            }
            if new.is_some() {
                y = right.next(repository, &mut self.scratch)?;
            }
            self.entries(old.as_ref(), new.as_ref(), base)?;
        }
    }

    fn entries(&mut self, old: Option<&Node>, new: Option<&Node>, base: &[u8]) -> Result<()> {
        let Some(name) = new.or(old).map(|node| node.name.as_slice()) else {
            return Ok(());
        };
        let path = [base, b"/", name].concat();
        let size = |node: Option<&Node>| node.map_or(0, |node| kind_of(node).1);
        let change = match (old, new) {
            (None, _) => Some(ChangeKind::Added),
            (_, None) => Some(ChangeKind::Removed),
            (Some(old), Some(new)) => compare(old, new),
        };
        if let Some(change) = change {
            (self.each)(Change {
                path: Name(path.clone()),
                change,
                size_before: size(old),
                size_after: size(new),
            })?;
        }
        let empty = Content {
            level: 0,
            ids: Vec::new(),
        };
        let below = |node: Option<&Node>| match node.map(|node| &node.kind) {
            Some(NodeKind::Dir { content, .. }) => Some(content.clone()),
            _ => None,
        };
        match (below(old), below(new)) {
            (None, None) => Ok(()),
            (a, b) => self.directories(
                &a.unwrap_or_else(|| empty.clone()),
                &b.unwrap_or(empty),
                &path,
            ),
        }
    }
}

fn compare(old: &Node, new: &Node) -> Option<ChangeKind> {
    if std::mem::discriminant(&old.kind) != std::mem::discriminant(&new.kind) {
        return Some(ChangeKind::Type);
    }
    let same_content = match (&old.kind, &new.kind) {
        (NodeKind::Dir { .. }, NodeKind::Dir { .. }) => true,
        (
            NodeKind::File {
                size: a,
                content: x,
                extents: p,
                ..
            },
            NodeKind::File {
                size: b,
                content: y,
                extents: q,
                ..
            },
        ) => a == b && x == y && p == q,
        (a, b) => a == b,
    };
    if !same_content {
        return Some(ChangeKind::Modified);
    }
    // Inode numbers differ after a restore and say nothing to the user.
    let visible = |meta: &Metadata| Metadata {
        hardlink: None,
        ..meta.clone()
    };
    (visible(&old.meta) != visible(&new.meta)).then_some(ChangeKind::Metadata)
}
