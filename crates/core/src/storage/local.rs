//! A repository in a directory of a local or mounted file system.
//!
//! The directory is held open and everything is reached from it, so a file system that is
//! unmounted, or replaced by another, under a running program gives errors and not a
//! repository that looks empty. For the same reason a missing part of the layout is an error
//! and is made only by [`LocalStorage::create_dir`]; the 256 directories of packs, of which
//! there may be few, are the exception.

mod fs;
mod reserve;
mod sweep;
mod write;

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use self::reserve::{Reserve, Room, Writing};
use super::{ObjectKind, ObjectName, Storage, StorageError, check_object_size, check_range};
use crate::id::Id;

/// Left by `mkfs` at the top of a new file system; a repository may be made next to it.
const LOST_AND_FOUND: &CStr = c"lost+found";

/// A [`Storage`] in a directory.
///
/// Files are created with mode 0400 and directories with mode 0700. Any number of processes
/// may use one directory at once.
///
/// Packs leave some of the file system free, so that a disk that backups have filled can still be
/// pruned: 64 MiB, a 4096th of one above 256 GiB, a 32nd of one below 2 GiB.
#[derive(Debug)]
pub struct LocalStorage {
    path: PathBuf,
    root: OwnedFd,
    /// Which directories of packs are known to exist durably.
    prefixes: Mutex<[bool; 256]>,
    reserve: Reserve,
}

impl LocalStorage {
    /// Makes the directory layout of a repository at `path` and opens it.
    ///
    /// Missing parent directories are made too. On a repository that exists already, or whose
    /// making was interrupted, this adds what is missing and changes nothing else.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotEmpty`] when the directory holds something else.
    pub fn create_dir(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let path = absolute(path.as_ref())?;
        make_directories(&path)?;
        let root = fs::open_directory(rustix::fs::CWD, &path)
            .map_err(|e| io_error("open", &path, e.into()))?;
        let storage = LocalStorage::at(path, root);
        if !storage.has_layout() {
            storage.refuse_foreign_content()?;
        }
        for directory in directories() {
            match fs::make_directory(&storage.root, directory) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => {
                    return Err(io_error("create", &storage.path.join(directory), e.into()));
                }
            }
        }
        fs::sync_directory(&storage.root).map_err(|e| io_error("sync", &storage.path, e))?;
        Ok(storage)
    }

    /// Opens the repository at `path`.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotARepository`] when there is no directory or it lacks the layout.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        let path = absolute(path.as_ref())?;
        let root = match fs::open_directory(rustix::fs::CWD, &path) {
            Ok(root) => root,
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(StorageError::NotARepository { path }),
            Err(e) => return Err(io_error("open", &path, e.into())),
        };
        let storage = LocalStorage::at(path, root);
        if !storage.has_layout() {
            let path = storage.path;
            return Err(StorageError::NotARepository { path });
        }
        Ok(storage)
    }

    fn at(path: PathBuf, root: OwnedFd) -> Self {
        LocalStorage {
            path,
            root,
            prefixes: Mutex::new([false; 256]),
            reserve: Reserve::default(),
        }
    }

    /// Whether this looks like a repository. A file named `config` says little, many
    /// directories have one; keys next to packs do.
    fn has_layout(&self) -> bool {
        let is_directory = |name: &str| {
            fs::stat(&self.root, name, AtFlags::empty())
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        };
        [ObjectKind::Key, ObjectKind::Pack]
            .into_iter()
            .filter_map(ObjectKind::directory)
            .all(is_directory)
    }

    fn refuse_foreign_content(&self) -> Result<(), StorageError> {
        let names = fs::names(&self.root).map_err(|e| io_error("list", &self.path, e.into()))?;
        let ours = |name: &CStr| {
            name == LOST_AND_FOUND || directories().any(|d| d.as_bytes() == name.to_bytes())
        };
        match names.iter().find(|name| !ours(name)) {
            None => Ok(()),
            Some(name) => Err(StorageError::NotEmpty {
                path: self.path.clone(),
                found: name.to_string_lossy().into_owned(),
            }),
        }
    }

    /// Lets a pack be written unless too little room would be left.
    fn admit(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<Writing<'_>, StorageError> {
        let size = parts.iter().map(|part| part.len() as u64).sum();
        let admitted = self.reserve.admit(size, Room::of(&self.root));
        admitted.ok_or_else(|| StorageError::NoSpace {
            object: name.canonical(),
            source: io::Error::new(
                io::ErrorKind::StorageFull,
                "the rest is kept for removing packs",
            ),
        })
    }

    /// Opens the directory an object is in, for writing: a directory of packs is made if need
    /// be.
    fn directory_for_create(&self, name: &ObjectName) -> Result<OwnedFd, StorageError> {
        let Some(directory) = name.kind.directory() else {
            return self.open_directory(".");
        };
        let fd = self.open_directory(directory)?;
        if name.kind != ObjectKind::Pack {
            return Ok(fd);
        }
        let byte = name.id.as_bytes()[0];
        let prefix = format!("{byte:02x}");
        let path = self.path.join(directory).join(&prefix);
        // Held across the sync, so that no thread relies on a directory before it is durable.
        let mut known = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        if !known[usize::from(byte)] {
            match fs::make_directory(&fd, &prefix) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(write_error("create", name, &path, e.into())),
            }
            // Also when it was there: the process that made it may not have synced it yet.
            fs::sync_directory(&fd).map_err(|e| io_error("sync", &self.path.join(directory), e))?;
            known[usize::from(byte)] = true;
        }
        drop(known);
        fs::open_directory(&fd, &prefix).map_err(|e| io_error("open", &path, e.into()))
    }

    fn open_directory(&self, directory: &str) -> Result<OwnedFd, StorageError> {
        fs::open_directory(&self.root, directory)
            .map_err(|e| io_error("open", &self.path.join(directory), e.into()))
    }

    fn object_path(&self, name: &ObjectName) -> PathBuf {
        self.path.join(name.path())
    }

    /// An error of reading the object `name`.
    fn read_error(&self, name: &ObjectName, error: io::Error) -> StorageError {
        if error.kind() == io::ErrorKind::NotFound {
            let object = name.canonical();
            return StorageError::NotFound { object };
        }
        io_error("read", &self.object_path(name), error)
    }

    /// Opens an object and gives its size.
    fn open_object(&self, name: &ObjectName) -> Result<(File, u64), StorageError> {
        // NONBLOCK: opening a FIFO that has the name of an object must not hang. It has no
        // effect on a regular file.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file: File = fs::open(&self.root, name.path().as_str(), flags)
            .map_err(|e| self.read_error(name, e.into()))?
            .into();
        let metadata = file.metadata().map_err(|e| self.read_error(name, e))?;
        if !metadata.is_file() {
            return Err(self.read_error(name, not_a_file()));
        }
        Ok((file, metadata.len()))
    }

    /// Reads exactly `len` bytes; the caller has checked `len` against the size of the file.
    fn read_exactly(
        &self,
        name: &ObjectName,
        file: &File,
        offset: u64,
        len: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        bytes.clear();
        bytes
            .try_reserve_exact(len)
            .map_err(|e| self.read_error(name, io::Error::new(io::ErrorKind::OutOfMemory, e)))?;
        let wanted = len as u64;
        let mut from = file;
        from.seek(SeekFrom::Start(offset))
            .and_then(|_| from.take(wanted).read_to_end(bytes))
            .map_err(|e| self.read_error(name, e))?;
        if bytes.len() < len {
            return Err(StorageError::Truncated {
                object: name.canonical(),
                offset,
                wanted,
                got: bytes.len() as u64,
            });
        }
        Ok(())
    }

    /// Calls `each` for the objects in one directory whose ids `belongs` accepts.
    fn list_directory(
        &self,
        fd: &OwnedFd,
        path: &Path,
        belongs: &dyn Fn(&Id) -> bool,
        each: &mut dyn FnMut(Id, u64),
    ) -> Result<(), StorageError> {
        let names = fs::names(fd).map_err(|e| io_error("list", path, e.into()))?;
        // All names before the first call: `each` may remove objects, and what a directory
        // shows while it changes differs between file systems. Some repeat a name.
        let mut ids: Vec<Id> = names
            .iter()
            .filter_map(|name| name.to_str().ok()?.parse().ok())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            if !belongs(&id) {
                tracing::warn!(directory = %path.display(), %id, "ignoring a misplaced file");
                continue;
            }
            let file = id.to_string();
            match fs::stat(fd, file.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                    each(id, u64::try_from(stat.st_size).unwrap_or(0));
                }
                Ok(_) => {
                    tracing::warn!(directory = %path.display(), %id, "ignoring what is not a file");
                }
                // Removed since the directory was read.
                Err(Errno::NOENT) => {}
                Err(e) => return Err(io_error("read", &path.join(file), e.into())),
            }
        }
        Ok(())
    }

    fn list_packs(&self, packs: &str, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        let top = self.open_directory(packs)?;
        for byte in 0..=u8::MAX {
            let prefix = format!("{byte:02x}");
            let path = self.path.join(packs).join(&prefix);
            match fs::open_directory(&top, &prefix) {
                Ok(fd) => {
                    self.list_directory(&fd, &path, &|id| id.as_bytes()[0] == byte, each)?;
                }
                Err(Errno::NOENT) => {}
                Err(e) => return Err(io_error("open", &path, e.into())),
            }
        }
        Ok(())
    }
}

impl Storage for LocalStorage {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        let _writing = match name.kind {
            ObjectKind::Pack => Some(self.admit(name, parts)?),
            _ => None,
        };
        let directory = self.directory_for_create(name)?;
        write::create(directory.as_fd(), name, &self.object_path(name), parts)
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        let mut bytes = Vec::new();
        self.read_into(name, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&self, name: &ObjectName, buffer: &mut Vec<u8>) -> Result<(), StorageError> {
        let (file, size) = self.open_object(name)?;
        check_object_size(name, size)?;
        let len = usize::try_from(size).expect("the size was checked to fit into memory");
        self.read_exactly(name, &file, 0, len, buffer)
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        let mut bytes = Vec::new();
        self.read_range_into(name, offset, len, &mut bytes)?;
        Ok(bytes)
    }

    fn read_range_into(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        let (file, size) = self.open_object(name)?;
        check_range(name, size, offset, len)?;
        buffer.clear();
        if len == 0 {
            return Ok(());
        }
        self.read_exactly(name, &file, offset, len, buffer)
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        let stat = fs::stat(&self.root, name.path().as_str(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| self.read_error(name, e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.read_error(name, not_a_file()));
        }
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        match kind.directory() {
            None => match self.size(&ObjectName::config()) {
                Ok(size) => {
                    each(Id::ZERO, size);
                    Ok(())
                }
                Err(StorageError::NotFound { .. }) => Ok(()),
                Err(e) => Err(e),
            },
            Some(packs) if kind == ObjectKind::Pack => self.list_packs(packs, each),
            Some(directory) => {
                let fd = self.open_directory(directory)?;
                self.list_directory(&fd, &self.path.join(directory), &|_| true, each)
            }
        }
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        match fs::remove(&self.root, name.path().as_str()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(io_error("remove", &self.object_path(name), e.into())),
        }
    }

    fn settle(&self, kind: ObjectKind) -> Result<(), StorageError> {
        let name = kind.directory().unwrap_or(".");
        let directory = self.open_directory(name)?;
        let sync = |directory: &OwnedFd, path: &Path| {
            fs::sync_directory(directory).map_err(|e| io_error("sync", path, e))
        };
        if kind == ObjectKind::Pack {
            for byte in 0..=u8::MAX {
                let prefix = format!("{byte:02x}");
                let path = self.path.join(name).join(&prefix);
                match fs::open_directory(&directory, &prefix) {
                    Ok(prefix) => sync(&prefix, &path)?,
                    Err(Errno::NOENT) => {}
                    Err(e) => return Err(io_error("open", &path, e.into())),
                }
            }
        }
        sync(&directory, &self.path.join(name))
    }

    fn sweep_temporaries(&self) -> Result<u64, StorageError> {
        self.sweep()
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

/// The directories of the layout.
fn directories() -> impl Iterator<Item = &'static str> {
    ObjectKind::ALL
        .into_iter()
        .filter_map(ObjectKind::directory)
}

fn absolute(path: &Path) -> Result<PathBuf, StorageError> {
    std::path::absolute(path).map_err(|e| io_error("find", path, e))
}

/// Makes a directory and its missing parents, each durable before the next is made in it.
fn make_directories(path: &Path) -> Result<(), StorageError> {
    match fs::make_directory(rustix::fs::CWD, path) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(Errno::NOENT) => {
            let parent = path
                .parent()
                .ok_or_else(|| io_error("create", path, Errno::NOENT.into()))?;
            make_directories(parent)?;
            match fs::make_directory(rustix::fs::CWD, path) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(io_error("create", path, e.into())),
            }
        }
        Err(e) => return Err(io_error("create", path, e.into())),
    }
    let parent = path.parent().unwrap_or(path);
    fs::open_directory(rustix::fs::CWD, parent)
        .map_err(io::Error::from)
        .and_then(|fd| fs::sync_directory(&fd))
        .map_err(|e| io_error("sync", parent, e))
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file")
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> StorageError {
    StorageError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// An error of writing the object `name`: a full disk is told apart.
fn write_error(
    operation: &'static str,
    name: &ObjectName,
    path: &Path,
    source: io::Error,
) -> StorageError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::NoSpace {
            object: name.canonical(),
            source,
        },
        _ => io_error(operation, path, source),
    }
}
