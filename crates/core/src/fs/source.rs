//! Reading what is backed up.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};

use crate::fs::stat::{FileKind, Stat};

/// More extended attributes than this, in bytes of names, are no file system's.
const MAX_LIST: usize = 1 << 20;

/// An open directory that is being backed up.
#[derive(Debug)]
pub(crate) struct SourceDir {
    fd: OwnedFd,
}

impl SourceDir {
    /// Opens the directory at a path, through symbolic links.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(Self { fd })
    }

    /// Opens a directory in this one, which must not be a link.
    pub fn subdir(&self, name: &[u8]) -> io::Result<Self> {
        self.subdir_with(name, OFlags::NOFOLLOW)
    }

    /// Opens a directory in this one, through a link if it is one.
    pub fn subdir_following(&self, name: &[u8]) -> io::Result<Self> {
        self.subdir_with(name, OFlags::empty())
    }

    fn subdir_with(&self, name: &[u8], extra: OFlags) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | extra;
        let fd = openat(&self.fd, name, flags)?;
        Ok(Self { fd })
    }

    /// The names in it, sorted bytewise.
    pub fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    pub fn stat(&self) -> io::Result<Stat> {
        Ok(Stat::new(&rustix::fs::fstat(&self.fd)?))
    }

    /// What an entry is; a link is itself, not what it points at.
    pub fn stat_entry(&self, name: &[u8]) -> io::Result<Stat> {
        let raw = retry_on_intr(|| {
            rustix::fs::statat(&self.fd, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)
        })?;
        Ok(Stat::new(&raw))
    }

    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let target = rustix::fs::readlinkat(&self.fd, OsStr::from_bytes(name), Vec::new())?;
        Ok(target.into_bytes())
    }

    /// Opens a regular file for reading, and says what was opened.
    pub fn file(&self, name: &[u8]) -> io::Result<SourceFile> {
        // A FIFO that has taken the file's place must not make us wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        // Only the owner may ask that the access time stays.
        let fd = match openat(&self.fd, name, flags | OFlags::NOATIME) {
            Err(Errno::PERM) => openat(&self.fd, name, flags)?,
            other => other?,
        };
        let stat = Stat::new(&rustix::fs::fstat(&fd)?);
        if stat.kind != FileKind::File {
            return Err(io::Error::other("it is no regular file any more"));
        }
        Ok(SourceFile {
            file: File::from(fd),
            stat,
            again: false,
        })
    }

    /// The content of a small file, or nothing if it is not there.
    pub fn read_small(&self, name: &[u8], limit: u64) -> io::Result<Option<Vec<u8>>> {
        match self.file(name) {
            Ok(file) => {
                let mut content = Vec::new();
                file.file.take(limit).read_to_end(&mut content)?;
                Ok(Some(content))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The extended attributes of an entry, ACLs among them, sorted by name.
    pub fn xattrs(&self, name: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        list_xattrs(&entry_path(self.fd.as_raw_fd(), name))
    }

    /// The extended attributes of the directory itself.
    pub fn own_xattrs(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.xattrs(b".")
    }
}

/// A file that is being read.
pub(crate) struct SourceFile {
    pub file: File,
    /// What it was when its reading began.
    pub stat: Stat,
    /// Whether it is being read for the second time.
    pub again: bool,
}

impl SourceFile {
    pub fn stat_again(&self) -> io::Result<Stat> {
        Ok(Stat::new(&rustix::fs::fstat(&self.file)?))
    }

    /// Where the file has data, as (offset, length), if it has holes.
    pub fn extents(&self) -> io::Result<Option<Vec<(u64, u64)>>> {
        let size = self.stat.size;
        if self.stat.allocated >= size {
            return Ok(None);
        }
        let mut extents = Vec::new();
        let mut at = 0;
        while at < size {
            let start = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
                Ok(start) => start,
                // There is no more data.
                Err(Errno::NXIO) => break,
                Err(Errno::INVAL | Errno::NOTSUP) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            if start >= size {
                break;
            }
            let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start))?.min(size);
            // A file that is changed while we look may seem to have data without length.
            if end <= start {
                break;
            }
            extents.push((start, end - start));
            at = end;
        }
        let has_holes = extents.as_slice() != [(0, size)];
        Ok(has_holes.then_some(extents))
    }
}

fn openat(dir: impl AsFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(&dir, OsStr::from_bytes(name), flags, Mode::empty()))
}

/// A short path to an entry of an open directory, for calls that take no directory.
pub(super) fn entry_path(dir: i32, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{dir}/").into_bytes();
    path.extend_from_slice(name);
    path
}

fn list_xattrs(path: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = OsStr::from_bytes(path);
    let mut buffer = [0; 512];
    let list = match rustix::fs::llistxattr(path, &mut buffer[..]) {
        Ok(0) | Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
        Ok(len) => buffer[..len].to_vec(),
        Err(Errno::RANGE) => {
            let mut list = vec![0; MAX_LIST];
            let len = rustix::fs::llistxattr(path, list.as_mut_slice())?;
            list.truncate(len);
            list
        }
        Err(error) => return Err(error.into()),
    };
    let mut xattrs = Vec::new();
    for name in list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        match get_xattr(path, name) {
            Ok(value) => xattrs.push((name.to_vec(), value)),
            // Removed meanwhile, or only for root to see.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    xattrs.sort_unstable();
    Ok(xattrs)
}

fn get_xattr(path: &OsStr, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let name = OsStr::from_bytes(name);
    loop {
        let len = rustix::fs::lgetxattr_query(path, name)?;
        let mut value = vec![0; len];
        match rustix::fs::lgetxattr(path, name, value.as_mut_slice()) {
            Ok(len) => {
                value.truncate(len);
                return Ok(value);
            }
            // It has grown since we asked.
            Err(Errno::RANGE) => {}
            Err(error) => return Err(error),
        }
    }
}
