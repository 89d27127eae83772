//! What the system says of a file.

use rustix::fs::FileType;

use crate::tree::Time;

/// The result of `stat`, as far as backups use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub kind: FileKind,
    pub dev: u64,
    pub ino: u64,
    pub nlink: u64,
    /// Permission bits, the low 12.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Of device files: (major, minor).
    pub device: (u32, u32),
    pub size: u64,
    /// Bytes that are allocated.
    pub allocated: u64,
    pub mtime: Time,
    pub ctime: Time,
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Dir,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
    Unknown,
}

impl Stat {
    pub(super) fn new(raw: &rustix::fs::Stat) -> Self {
        let time = |secs: i64, nanos: u64| Time {
            secs,
            nanos: nanos as u32,
        };
        Self {
            kind: match FileType::from_raw_mode(raw.st_mode) {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Dir,
                FileType::Symlink => FileKind::Symlink,
                FileType::CharacterDevice => FileKind::CharDevice,
                FileType::BlockDevice => FileKind::BlockDevice,
                FileType::Fifo => FileKind::Fifo,
                FileType::Socket => FileKind::Socket,
                FileType::Unknown => FileKind::Unknown,
            },
            dev: raw.st_dev,
            ino: raw.st_ino,
            nlink: raw.st_nlink,
            mode: raw.st_mode & 0o7777,
            uid: raw.st_uid,
            gid: raw.st_gid,
            device: (
                rustix::fs::major(raw.st_rdev),
                rustix::fs::minor(raw.st_rdev),
            ),
            size: raw.st_size.max(0).unsigned_abs(),
            allocated: raw.st_blocks.max(0).unsigned_abs() * 512,
            mtime: time(raw.st_mtime, raw.st_mtime_nsec),
            ctime: time(raw.st_ctime, raw.st_ctime_nsec),
        }
    }

    /// Whether two looks at a file saw the same content, as far as that shows.
    pub fn same_content(&self, other: &Stat) -> bool {
        let of = |stat: &Stat| (stat.dev, stat.ino, stat.size, stat.mtime, stat.ctime);
        of(self) == of(other)
    }

    pub fn same_file(&self, other: &Stat) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}
