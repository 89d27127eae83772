//! What `stat` says of an entry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};
use jiff::Timestamp;
use keepwatch_core::tree::{Node, NodeKind, Time};

use crate::tree::{Entry, EntryKind};

/// Who owns what is in no snapshot: whoever mounted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
    /// When it was mounted.
    pub since: SystemTime,
}

impl Owner {
    pub fn of_this_process() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            since: SystemTime::now(),
        }
    }

    /// A directory that is in no snapshot.
    pub fn dir(&self, ino: u64, time: SystemTime) -> FileAttr {
        FileAttr {
            ino: INodeNo(ino),
            size: 0,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind: FileType::Directory,
            perm: 0o555,
            nlink: 2,
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    pub fn entry(&self, ino: u64, entry: &Entry) -> FileAttr {
        match &entry.kind {
            EntryKind::View(_) => self.dir(ino, self.since),
            EntryKind::Snapshot { time, .. } => self.dir(ino, of_timestamp(*time)),
            EntryKind::Latest { target, time, .. } => FileAttr {
                kind: FileType::Symlink,
                perm: 0o777,
                nlink: 1,
                size: target.len() as u64,
                ..self.dir(ino, of_timestamp(*time))
            },
            EntryKind::Stored(node) => stored(ino, node),
        }
    }
}

fn stored(ino: u64, node: &Node) -> FileAttr {
    let meta = &node.meta;
    let time = of_time(meta.mtime);
    let (size, stored) = match &node.kind {
        NodeKind::File { size, extents, .. } => {
            let stored = extents
                .as_ref()
                .map_or(*size, |extents| extents.iter().map(|(_, len)| len).sum());
            (*size, stored)
        }
        NodeKind::Symlink { target } => (target.len() as u64, 0),
        _ => (0, 0),
    };
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: stored.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: kind(&node.kind),
        perm: (meta.mode & 0o7777) as u16,
        // How many names there are is known to those who have read the whole snapshot. Programs
        // ask whether there are several.
        nlink: match (&node.kind, meta.hardlink) {
            (NodeKind::Dir { .. }, _) | (_, Some(_)) => 2,
            (_, None) => 1,
        },
        uid: meta.uid,
        gid: meta.gid,
        rdev: match node.kind {
            NodeKind::CharDevice { major, minor } | NodeKind::BlockDevice { major, minor } => {
                device_number(major, minor)
            }
            _ => 0,
        },
        blksize: 4096,
        flags: 0,
    }
}

/// As the kernel takes it, `new_encode_dev` in `include/linux/kdev_t.h`.
fn device_number(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xf_ff00) << 12)
}

/// The type of what is stored.
fn kind(kind: &NodeKind) -> FileType {
    match kind {
        NodeKind::File { .. } => FileType::RegularFile,
        NodeKind::Dir { .. } => FileType::Directory,
        NodeKind::Symlink { .. } => FileType::Symlink,
        NodeKind::CharDevice { .. } => FileType::CharDevice,
        NodeKind::BlockDevice { .. } => FileType::BlockDevice,
        NodeKind::Fifo => FileType::NamedPipe,
        NodeKind::Socket => FileType::Socket,
    }
}

/// The type of an entry, as a directory lists it.
pub(super) fn listed_kind(entry: &Entry) -> FileType {
    match &entry.kind {
        EntryKind::View(_) | EntryKind::Snapshot { .. } => FileType::Directory,
        EntryKind::Latest { .. } => FileType::Symlink,
        EntryKind::Stored(node) => kind(&node.kind),
    }
}

fn of_timestamp(time: Timestamp) -> SystemTime {
    let nanos = time.as_nanosecond();
    of_time(Time {
        secs: nanos.div_euclid(1_000_000_000) as i64,
        nanos: nanos.rem_euclid(1_000_000_000) as u32,
    })
}

/// A time, or the beginning of 1970 for one that no clock shows.
fn of_time(time: Time) -> SystemTime {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let base = match time.secs < 0 {
        true => UNIX_EPOCH.checked_sub(whole),
        false => UNIX_EPOCH.checked_add(whole),
    };
    base.and_then(|base| base.checked_add(Duration::from_nanos(time.nanos.into())))
        .unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_out_of_range() {
        let time = |secs, nanos| of_time(Time { secs, nanos });
        let before = UNIX_EPOCH
            .duration_since(time(-2, 999_999_999))
            .expect("it is well formed");
        assert_eq!(before, Duration::new(1, 1));
        assert_eq!(time(5, 7), UNIX_EPOCH + Duration::new(5, 7));
        time(i64::MAX, 999_999_999);
        time(i64::MIN, 0);
    }

    #[test]
    fn device_numbers_are_the_kernels() {
        assert_eq!(device_number(1, 3), 0x103);
        assert_eq!(device_number(0xabc, 0x1_2345), 0x123a_bc45);
    }
}
