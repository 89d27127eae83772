//! The system calls, each repeated when a signal interrupts it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

pub(super) fn open(dir: impl AsFd, path: impl Arg + Copy, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(&dir, path, flags, Mode::empty()))
}

pub(super) fn open_directory(dir: impl AsFd, path: impl Arg + Copy) -> Result<OwnedFd, Errno> {
    open(dir, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a new file for writing, readable by its owner and from then on writable by nobody.
pub(super) fn create_new(dir: impl AsFd, name: &str) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(&dir, name, flags, Mode::RUSR)).map(File::from)
}

pub(super) fn make_directory(dir: impl AsFd, path: impl Arg + Copy) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::mkdirat(&dir, path, Mode::RWXU))
}

pub(super) fn stat(dir: impl AsFd, path: impl Arg + Copy, flags: AtFlags) -> Result<Stat, Errno> {
    retry_on_intr(|| rustix::fs::statat(&dir, path, flags))
}

pub(super) fn remove(dir: impl AsFd, path: impl Arg + Copy) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::unlinkat(&dir, path, AtFlags::empty()))
}

/// The names in a directory, without `.` and `..`.
pub(super) fn names(dir: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Makes the names in a directory durable.
///
/// Some network and user-space file systems cannot sync a directory and say so; there a
/// completed rename is as durable as it gets.
pub(super) fn sync_directory(dir: impl AsFd) -> io::Result<()> {
    match retry_on_intr(|| rustix::fs::fsync(&dir)) {
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
