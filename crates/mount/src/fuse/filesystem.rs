//! Answers to the kernel.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fuser::{
    AccessFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr, Request,
};
use keepwatch_core::tree::NodeKind;
use keepwatch_core::with_causes;

use crate::file::OpenFile;
use crate::fuse::attributes::{Owner, listed_kind};
use crate::fuse::inodes::{Inodes, ROOT};
use crate::tree::{Dir, Entries, Entry, EntryKind, StoredEntry, Tree};

/// What is in a snapshot never changes.
const FOR_LONG: Duration = Duration::from_secs(3600);
/// Snapshots come and go.
const SHORTLY: Duration = Duration::from_secs(1);
/// How much the kernel may ask for in one piece, in bytes.
const LARGEST_READ: u32 = 1 << 20;

/// Open things by the numbers that the kernel has for them.
#[derive(Debug)]
struct Handles<T> {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<T>>>,
}

impl<T> Handles<T> {
    fn new() -> Self {
        Self {
            next: AtomicU64::new(1),
            open: Mutex::default(),
        }
    }

    fn add(&self, value: T) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(number, Arc::new(value));
        FileHandle(number)
    }

    fn get(&self, handle: FileHandle) -> Result<Arc<T>, Errno> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&handle.0).cloned().ok_or(Errno::EBADF)
    }

    fn remove(&self, handle: FileHandle) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&handle.0);
    }
}

/// A tree that is mounted.
#[derive(Debug)]
pub(super) struct SnapshotFs {
    tree: Arc<Tree>,
    inodes: Inodes,
    owner: Owner,
    files: Handles<OpenFile>,
    dirs: Handles<Entries>,
}

impl SnapshotFs {
    pub fn new(tree: Arc<Tree>) -> Self {
        Self {
            tree,
            inodes: Inodes::default(),
            owner: Owner::of_this_process(),
            files: Handles::new(),
            dirs: Handles::new(),
        }
    }

    fn dir(&self, number: INodeNo) -> Result<(Dir, u64), Errno> {
        self.inodes.dir(number.0).ok_or(Errno::ENOTDIR)
    }

    /// What a number stands for now; nothing for the top.
    fn entry(&self, number: INodeNo) -> Result<Option<Entry>, Errno> {
        if number.0 == ROOT {
            return Ok(None);
        }
        let inode = self.inodes.get(number.0).ok_or(Errno::ESTALE)?;
        let entry = self
            .tree
            .lookup(&inode.within, &inode.name)
            .map_err(|error| failed(&inode.name, &error))?;
        entry.ok_or(Errno::ESTALE).map(Some)
    }

    fn stored(&self, number: INodeNo) -> Result<Option<StoredEntry>, Errno> {
        Ok(match self.entry(number)?.map(|entry| entry.kind) {
            Some(EntryKind::Stored(node)) => Some(node),
            _ => None,
        })
    }

    fn find(&self, parent: INodeNo, name: &OsStr) -> Result<(Duration, FileAttr), Errno> {
        let (dir, snapshot) = self.dir(parent)?;
        let name = name.as_bytes();
        let entry = self
            .tree
            .lookup(&dir, name)
            .map_err(|error| failed(name, &error))?
            .ok_or(Errno::ENOENT)?;
        let number = self.inodes.remember(parent.0, &dir, snapshot, &entry);
        Ok((keep(&entry), self.owner.entry(number, &entry)))
    }

    fn attributes(&self, number: INodeNo) -> Result<(Duration, FileAttr), Errno> {
        Ok(match self.entry(number)? {
            None => (SHORTLY, self.owner.dir(ROOT, self.owner.since)),
            Some(entry) => (keep(&entry), self.owner.entry(number.0, &entry)),
        })
    }

    fn target(&self, number: INodeNo) -> Result<Vec<u8>, Errno> {
        match self.entry(number)?.map(|entry| entry.kind) {
            Some(EntryKind::Latest { target, .. }) => Ok(target),
            Some(EntryKind::Stored(node)) => match &node.kind {
                NodeKind::Symlink { target } => Ok(target.clone()),
                _ => Err(Errno::EINVAL),
            },
            _ => Err(Errno::EINVAL),
        }
    }

    fn open_file(&self, number: INodeNo, flags: OpenFlags) -> Result<FileHandle, Errno> {
        if flags.acc_mode() != OpenAccMode::O_RDONLY {
            return Err(Errno::EROFS);
        }
        let node = self.stored(number)?.ok_or(Errno::EISDIR)?;
        let file = self
            .tree
            .open_file(&node)
            .map_err(|error| failed(&node.name, &error.into()))?;
        Ok(self.files.add(file))
    }

    fn read_file(
        &self,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
    ) -> Result<Vec<u8>, Errno> {
        let file = self.files.get(handle)?;
        file.read_at(offset, size as usize).map_err(|error| {
            let name = self.inodes.get(number.0).map(|inode| inode.name);
            failed(&name.unwrap_or_default(), &error.into())
        })
    }

    fn list(
        &self,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: &mut ReplyDirectory,
    ) -> Result<(), Errno> {
        let entries = self.dirs.get(handle)?;
        let (_, snapshot) = self.dir(number)?;
        let parent = self.inodes.get(number.0).map_or(ROOT, |inode| inode.parent);
        // Offsets say where to go on, and the first two entries are no entries.
        let mut next = offset;
        for (n, dots) in [(0, (number.0, ".")), (1, (parent, ".."))] {
            if next == n {
                next += 1;
                if reply.add(INodeNo(dots.0), next, FileType::Directory, dots.1) {
                    return Ok(());
                }
            }
        }
        loop {
            let some = match self.tree.read_dir(&entries, next - 2) {
                Ok(some) => some,
                Err(error) => {
                    let name = self.inodes.get(number.0).map(|inode| inode.name);
                    return Err(failed(&name.unwrap_or_default(), &error));
                }
            };
            if some.is_empty() {
                return Ok(());
            }
            for entry in some {
                next += 1;
                let ino = self.inodes.number(number.0, snapshot, &entry);
                let kind = listed_kind(&entry);
                if reply.add(INodeNo(ino), next, kind, OsStr::from_bytes(&entry.name)) {
                    return Ok(());
                }
            }
        }
    }

    fn xattr(&self, number: INodeNo, name: &OsStr) -> Result<Vec<u8>, Errno> {
        let node = self.stored(number)?.ok_or(Errno::NO_XATTR)?;
        let name = name.as_bytes();
        let found = node.meta.xattrs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).ok_or(Errno::NO_XATTR)
    }

    fn xattr_names(&self, number: INodeNo) -> Result<Vec<u8>, Errno> {
        let mut names = Vec::new();
        for (name, _) in self
            .stored(number)?
            .iter()
            .flat_map(|node| &node.meta.xattrs)
        {
            names.extend_from_slice(name);
            names.push(0);
        }
        Ok(names)
    }
}

/// How long the kernel may believe what it was told.
fn keep(entry: &Entry) -> Duration {
    match entry.kind {
        EntryKind::Stored(_) => FOR_LONG,
        _ => SHORTLY,
    }
}

/// Tells the log what went wrong, and the kernel that something did.
fn failed(name: &[u8], error: &crate::Error) -> Errno {
    tracing::error!(
        name = %String::from_utf8_lossy(name).escape_debug(),
        error = with_causes(error),
        "cannot be read"
    );
    Errno::EIO
}

/// Gives as much as the caller has room for, and the size to who asks for that.
fn give_xattr(value: Result<Vec<u8>, Errno>, size: u32, reply: ReplyXattr) {
    match value {
        Err(error) => reply.error(error),
        Ok(value) => match u32::try_from(value.len()) {
            Ok(len) if size == 0 => reply.size(len),
            Ok(len) if len <= size => reply.data(&value),
            Ok(_) => reply.error(Errno::ERANGE),
            Err(_) => reply.error(Errno::E2BIG),
        },
    }
}

impl Filesystem for SnapshotFs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Each says what is possible when this is not.
        if let Err(most) = config.set_max_readahead(LARGEST_READ) {
            let _ = config.set_max_readahead(most);
        }
        if let Err(most) = config.set_max_write(LARGEST_READ) {
            let _ = config.set_max_write(most);
        }
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.find(parent, name) {
            Ok((ttl, attributes)) => reply.entry(&ttl, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, number: INodeNo, lookups: u64) {
        self.inodes.forget(number.0, lookups);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(number) {
            Ok((ttl, attributes)) => reply.attr(&ttl, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.target(number) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open_file(number, flags) {
            // What the kernel has read of it stays true.
            Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_file(number, handle, offset, size) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files.remove(handle);
        reply.ok();
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.dir(number).and_then(|(dir, _)| {
            self.tree
                .open_dir(&dir)
                .map_err(|error| failed(b"a directory", &error))
        });
        match opened {
            Ok(entries) => reply.opened(self.dirs.add(entries), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.list(number, handle, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.dirs.remove(handle);
        reply.ok();
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        give_xattr(self.xattr(number, name), size, reply);
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        give_xattr(self.xattr_names(number), size, reply);
    }

    fn access(&self, _: &Request, _: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        match mask.contains(AccessFlags::W_OK) {
            true => reply.error(Errno::EROFS),
            false => reply.ok(),
        }
    }
}
