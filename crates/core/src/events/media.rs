//! The sealed files of an event store: clips, snapshots and segments (FORMAT.md, section 7.5).

mod leftovers;
mod name;
mod reader;
mod writer;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_crypto::{Credential, PublicKey, Suite};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

use super::files;
use super::model::{EventId, MAX_CAMERA_NAME, MediaKind, MediaRef};
use crate::error::{Error, Result};

pub use leftovers::Unfinished;
pub(crate) use name::MediaName;
pub use reader::MediaReader;
pub use writer::MediaWriter;

/// Whether a name can be a part of a path: letters, digits, `.`, `_` and `-`, no leading dot.
pub(crate) fn is_plain_name(name: &str, max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name.len() <= max && !name.starts_with('.') && name.bytes().all(plain)
}

/// Refuses names of cameras that cannot be a part of a path.
pub fn check_camera_name(camera: &str) -> Result<()> {
    if is_plain_name(camera, MAX_CAMERA_NAME) {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "camera",
        problem: format!(
            "{camera:?} is not 1 to {MAX_CAMERA_NAME} letters, digits, `.`, `_` and `-`, the first no dot"
        ),
    })
}

/// Where the sealed files of a store are. Clones share it, from any thread.
#[derive(Clone, Debug)]
pub struct MediaStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The folder of the store, for messages.
    path: PathBuf,
    root: OwnedFd,
    recipients: Vec<PublicKey>,
    suite: Suite,
}

impl MediaStore {
    pub(crate) fn at(dir: &Path, recipients: Vec<PublicKey>, suite: Suite) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, dir, flags, Mode::empty())
            .map_err(|error| Error::io("open", dir)(error.into()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: dir.to_owned(),
                root,
                recipients,
                suite,
            }),
        })
    }

    /// Starts a file. It has its final name only when it is finished.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a camera whose name cannot be a part of a path.
    pub fn create(
        &self,
        kind: MediaKind,
        camera: &str,
        started_at: Timestamp,
        id: EventId,
    ) -> Result<MediaWriter> {
        check_camera_name(camera)?;
        MediaWriter::start(self.clone(), MediaName::new(kind, camera, started_at, id))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not there, [`Error::Damaged`] when it is not a regular file in
    /// the store, [`Error::WrongKey`] when the credential does not open it.
    pub fn open(&self, media: &MediaRef, credential: &Credential) -> Result<MediaReader> {
        let file = self.file(&media.path)?;
        MediaReader::open(file, media, credential)
    }

    /// The file of a path in the store, through no symbolic link.
    pub(crate) fn file(&self, path: &str) -> Result<File> {
        let name = MediaName::parse(path)
            .ok_or_else(|| Error::damaged(path, "it is not the path of a media file"))?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.open_beneath(&name.path(), flags) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => {
                return Err(Error::Missing {
                    object: path.to_owned(),
                });
            }
            Err(Errno::LOOP | Errno::XDEV | Errno::NOTDIR) => {
                return Err(Error::damaged(path, "a link is in its path"));
            }
            Err(error) => return Err(self.failed("open", path)(error.into())),
        };
        let metadata = file.metadata().map_err(self.failed("read", path))?;
        if !metadata.is_file() {
            return Err(Error::damaged(path, "it is not a regular file"));
        }
        Ok(file)
    }

    /// Makes the folders of a path and opens the last one.
    fn make_folder(&self, folder: &str) -> Result<OwnedFd> {
        let mut made = PathBuf::new();
        let mut parent = self
            .open_beneath(".", OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|error| self.failed("open", ".")(error.into()))?;
        for part in folder.split('/') {
            made.push(part);
            let shown = made.display().to_string();
            match mkdirat(&parent, part, Mode::RWXU) {
                // What is in a folder that is not durable is not durable either.
                Ok(()) => sync_folder(&parent).map_err(self.failed("sync", &shown))?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.failed("make the folder", &shown)(error.into())),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            parent = openat(&parent, part, flags, Mode::empty())
                .map_err(|error| self.failed("open", &shown)(error.into()))?;
        }
        Ok(parent)
    }

    fn open_beneath(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            let flags = flags | OFlags::CLOEXEC;
            match openat2(&self.inner.root, path, flags, Mode::empty(), resolve) {
                // Something was renamed meanwhile, or a signal came.
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }

    fn failed(
        &self,
        operation: &'static str,
        path: &str,
    ) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io(operation, &self.inner.path.join(path))
    }

    pub(crate) fn media_dir(&self) -> PathBuf {
        self.inner.path.join(files::MEDIA)
    }
}

fn sync_folder(folder: &OwnedFd) -> io::Result<()> {
    match rustix::fs::fsync(folder) {
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Length and BLAKE3 of what a reader gives.
pub(crate) fn hash_all(mut reader: impl Read) -> io::Result<(u64, [u8; 32])> {
    let mut hasher = blake3::Hasher::new();
    let mut buf = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buf) {
            Ok(0) => return Ok((bytes, *hasher.finalize().as_bytes())),
            Ok(count) => {
                hasher.update(&buf[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
