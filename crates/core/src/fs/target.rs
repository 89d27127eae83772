//! Writing what is restored: beneath one open directory, following no link.
//!
//! Every step goes through the descriptor of the directory it happens in and names a single
//! component, opened with `O_NOFOLLOW`. A link that is put in the place of a directory, before or
//! during a restore, is therefore never followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use keepwatch_crypto::random_bytes;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid,
    XattrFlags,
};
use rustix::io::{Errno, retry_on_intr};

use crate::fs::owners::OwnerIds;
use crate::fs::source::entry_path;
use crate::fs::stat::Stat;
use crate::tree::Metadata;

/// How the names of files begin that are still being written.
pub(crate) const TEMPORARY_PREFIX: &[u8] = b".keepwatch-tmp-";

/// A directory of the target nested deeper than this is not removed with all that is in it.
const MAX_DEPTH: usize = 4096;

/// The directory that a restore stays beneath.
#[derive(Debug)]
pub(crate) struct RestoreRoot {
    dir: RestoreDir,
}

/// A directory beneath the target.
#[derive(Debug)]
pub(crate) struct RestoreDir {
    fd: OwnedFd,
    context: Arc<Context>,
}

struct Context {
    owners: Mutex<OwnerIds>,
    numeric: bool,
    privileged: bool,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

impl RestoreRoot {
    /// Opens the target; with `numeric`, owners are restored by number and not by name.
    pub fn open(target: &Path, numeric: bool) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::open(target, flags, Mode::empty()))?;
        let context = Context {
            owners: Mutex::default(),
            numeric,
            privileged: rustix::process::geteuid().is_root(),
        };
        Ok(Self {
            dir: RestoreDir {
                fd,
                context: Arc::new(context),
            },
        })
    }

    pub fn dir(&self) -> io::Result<RestoreDir> {
        self.dir.again()
    }

    /// The directory at a path beneath the target.
    pub fn dir_at(&self, path: &[u8]) -> io::Result<RestoreDir> {
        let mut dir = self.dir.again()?;
        for component in crate::walk::components(path) {
            dir = dir.subdir(component)?;
        }
        Ok(dir)
    }

    /// Sets the metadata of the target itself.
    pub fn set_metadata(&self, meta: &Metadata) -> io::Result<()> {
        self.dir.set_own_metadata(meta)
    }

    /// Makes everything beneath it durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.dir.fd)?)
    }
}

impl RestoreDir {
    fn again(&self) -> io::Result<RestoreDir> {
        Ok(RestoreDir {
            fd: rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)?,
            context: self.context.clone(),
        })
    }

    /// Opens a directory in this one.
    pub fn subdir(&self, name: &[u8]) -> io::Result<RestoreDir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(RestoreDir {
            fd: openat(&self.fd, name, flags, Mode::empty())?,
            context: self.context.clone(),
        })
    }

    /// Makes a directory in this one, for us alone until it gets its metadata.
    pub fn make_subdir(&self, name: &[u8]) -> io::Result<RestoreDir> {
        retry_on_intr(|| rustix::fs::mkdirat(&self.fd, os(name), Mode::RWXU))?;
        self.subdir(name)
    }

    pub fn stat(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        let stat =
            retry_on_intr(|| rustix::fs::statat(&self.fd, os(name), AtFlags::SYMLINK_NOFOLLOW));
        match stat {
            Ok(raw) => Ok(Some(Stat::new(&raw))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        names(&self.fd)
    }

    /// Opens a file that is there, to compare it.
    pub fn existing_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// Opens a file that is there, to change its metadata, whatever its permissions are.
    pub fn set_existing_metadata(&self, name: &[u8], meta: &Metadata) -> io::Result<()> {
        let file = self.existing_file(name)?;
        self.set_metadata(file.as_fd(), meta)
    }

    /// A new file with a temporary name.
    pub fn new_file(&self) -> io::Result<(Vec<u8>, File)> {
        let name = temporary_name()?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, &name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok((name, File::from(fd)))
    }

    /// Gives a temporary file its name, replacing what has it unless that is a directory.
    pub fn publish(&self, temporary: &[u8], name: &[u8]) -> io::Result<()> {
        retry_on_intr(|| rustix::fs::renameat(&self.fd, os(temporary), &self.fd, os(name)))?;
        Ok(())
    }

    /// Removes a file, or anything else that is no directory.
    pub fn remove(&self, name: &[u8]) -> io::Result<()> {
        retry_on_intr(|| rustix::fs::unlinkat(&self.fd, os(name), AtFlags::empty()))?;
        Ok(())
    }

    /// Removes an entry with all that is in it; gives how many entries went.
    ///
    /// What is mounted there is not touched, and is an error.
    pub fn remove_tree(&self, name: &[u8]) -> io::Result<u64> {
        let device = rustix::fs::fstat(&self.fd)?.st_dev;
        remove_tree(&self.fd, name, device, 0)
    }

    /// A symbolic link with a temporary name.
    pub fn new_symlink(&self, target: &[u8]) -> io::Result<Vec<u8>> {
        let name = temporary_name()?;
        retry_on_intr(|| rustix::fs::symlinkat(os(target), &self.fd, os(&name)))?;
        Ok(name)
    }

    /// A device, FIFO or socket with a temporary name.
    pub fn new_node(&self, kind: FileType, device: (u32, u32)) -> io::Result<Vec<u8>> {
        let name = temporary_name()?;
        let device = rustix::fs::makedev(device.0, device.1);
        let mode = Mode::RUSR | Mode::WUSR;
        retry_on_intr(|| rustix::fs::mknodat(&self.fd, os(&name), kind, mode, device))?;
        Ok(name)
    }

    /// Another name, a temporary one, for a file in `from`.
    pub fn new_link(&self, from: &RestoreDir, file: &[u8]) -> io::Result<Vec<u8>> {
        let name = temporary_name()?;
        retry_on_intr(|| {
            rustix::fs::linkat(&from.fd, os(file), &self.fd, os(&name), AtFlags::empty())
        })?;
        Ok(name)
    }

    /// Sets the metadata of this directory.
    pub fn set_own_metadata(&self, meta: &Metadata) -> io::Result<()> {
        self.set_metadata(self.fd.as_fd(), meta)
    }

    /// Sets the metadata of an open file.
    pub fn set_metadata(&self, file: BorrowedFd<'_>, meta: &Metadata) -> io::Result<()> {
        let (uid, gid) = self.owner(meta);
        let owned = rustix::fs::fchown(file, Some(uid), Some(gid));
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // These three go through the descriptor: of a file of our own, whatever its name is now.
        let xattrs = self.set_xattrs(path.as_bytes(), meta, true);
        let mode = rustix::fs::fchmod(file, self.mode(meta, owned.is_ok()));
        let times = rustix::fs::futimens(file, &times(meta));
        self.first_error(owned, xattrs, mode, times)
    }

    /// Sets the metadata of an entry that cannot be opened: a link, a device, a FIFO, a socket.
    pub fn set_entry_metadata(&self, name: &[u8], meta: &Metadata, link: bool) -> io::Result<()> {
        let (uid, gid) = self.owner(meta);
        if link {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let owned = rustix::fs::chownat(&self.fd, os(name), Some(uid), Some(gid), flags);
            let path = entry_path(self.fd.as_raw_fd(), name);
            let xattrs = self.set_xattrs(&path, meta, false);
            let times = rustix::fs::utimensat(&self.fd, os(name), &times(meta), flags);
            return self.first_error(owned, xattrs, Ok(()), times);
        }
        // Held by a descriptor, so that what is changed is what was made.
        let fd = openat(
            &self.fd,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let owned = rustix::fs::chownat(&fd, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH);
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let xattrs = self.set_xattrs(path.as_bytes(), meta, true);
        let mode = rustix::fs::chmodat(
            CWD,
            path.as_str(),
            self.mode(meta, owned.is_ok()),
            AtFlags::empty(),
        );
        let times = rustix::fs::utimensat(CWD, path.as_str(), &times(meta), AtFlags::empty());
        self.first_error(owned, xattrs, mode, times)
    }

    fn owner(&self, meta: &Metadata) -> (Uid, Gid) {
        let (mut uid, mut gid) = (meta.uid, meta.gid);
        if !self.context.numeric {
            let mut owners = self
                .context
                .owners
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = meta.user.as_ref().and_then(|name| owners.user(name)) {
                uid = known;
            }
            if let Some(known) = meta.group.as_ref().and_then(|name| owners.group(name)) {
                gid = known;
            }
        }
        (Uid::from_raw(uid), Gid::from_raw(gid))
    }

    /// A file that does not belong to whom it belonged must not run as its new owner.
    fn mode(&self, meta: &Metadata, owned: bool) -> Mode {
        let mode = if owned { meta.mode } else { meta.mode & 0o1777 };
        Mode::from_raw_mode(mode & 0o7777)
    }

    fn first_error(
        &self,
        owned: Result<(), Errno>,
        xattrs: io::Result<()>,
        mode: Result<(), Errno>,
        times: Result<(), Errno>,
    ) -> io::Result<()> {
        match owned {
            // Whoever is not root restores what is theirs, as every archiver does.
            Err(Errno::PERM | Errno::INVAL) if !self.context.privileged => {}
            other => other.map_err(explain("restore the owner"))?,
        }
        xattrs?;
        mode.map_err(explain("restore the permissions"))?;
        times.map_err(explain("restore the modification time"))?;
        Ok(())
    }

    /// Sets extended attributes to exactly those of `meta`.
    fn set_xattrs(&self, path: &[u8], meta: &Metadata, follow: bool) -> io::Result<()> {
        let path = os(path);
        let mut list = [0; 1024];
        let present = if follow {
            rustix::fs::listxattr(path, &mut list[..])
        } else {
            rustix::fs::llistxattr(path, &mut list[..])
        };
        // A new file has inherited attributes at most; a longer list is not ours to clean up.
        let present = present.unwrap_or(0);
        for name in list[..present]
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
        {
            if meta.xattrs.iter().any(|(wanted, _)| wanted == name)
                || name.starts_with(b"security.")
            {
                continue;
            }
            let _ = if follow {
                rustix::fs::removexattr(path, os(name))
            } else {
                rustix::fs::lremovexattr(path, os(name))
            };
        }
        for (name, value) in &meta.xattrs {
            let set = if follow {
                rustix::fs::setxattr(path, os(name), value, XattrFlags::empty())
            } else {
                rustix::fs::lsetxattr(path, os(name), value, XattrFlags::empty())
            };
            match set {
                Err(Errno::PERM) if !self.context.privileged && !name.starts_with(b"user.") => {}
                other => other.map_err(|error| {
                    let name = String::from_utf8_lossy(name);
                    io::Error::new(
                        io::Error::from(error).kind(),
                        format!("cannot restore the attribute {name}: {error}"),
                    )
                })?,
            }
        }
        Ok(())
    }
}

fn explain(what: &'static str) -> impl FnOnce(Errno) -> io::Error {
    move |error| {
        let kind = io::Error::from(error).kind();
        io::Error::new(kind, format!("cannot {what}: {error}"))
    }
}

fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

fn openat(dir: impl AsFd, name: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(&dir, os(name), flags, mode))
}

fn names(dir: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

fn temporary_name() -> io::Result<Vec<u8>> {
    let random: [u8; 8] = random_bytes().map_err(io::Error::other)?;
    let mut name = TEMPORARY_PREFIX.to_vec();
    name.extend_from_slice(hex::encode(random).as_bytes());
    Ok(name)
}

fn times(meta: &Metadata) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: meta.mtime.secs,
            tv_nsec: meta.mtime.nanos.into(),
        },
    }
}

fn remove_tree(dir: &OwnedFd, name: &[u8], device: u64, depth: usize) -> io::Result<u64> {
    match retry_on_intr(|| rustix::fs::unlinkat(dir, os(name), AtFlags::empty())) {
        Ok(()) => return Ok(1),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    if depth == MAX_DEPTH {
        return Err(io::Error::other("directories are nested too deeply"));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let below = openat(dir, name, flags, Mode::empty())?;
    if rustix::fs::fstat(&below)?.st_dev != device {
        return Err(io::Error::other("another file system is mounted there"));
    }
    let mut removed = 1;
    for entry in names(&below)? {
        removed += remove_tree(&below, &entry, device, depth + 1)?;
    }
    drop(below);
    retry_on_intr(|| rustix::fs::unlinkat(dir, os(name), AtFlags::REMOVEDIR))?;
    Ok(removed)
}
