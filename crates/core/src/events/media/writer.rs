//! Writing a sealed file that is whole and durable, or known to be cut off.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use keepwatch_crypto::Lock;
use keepwatch_crypto::sealed::{SealOptions, SealedWriter};
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, openat, renameat_with,
    statat, unlinkat,
};
use rustix::io::Errno;

use super::{MediaName, MediaStore, sync_folder};
use crate::error::{Error, Result};
use crate::events::model::MediaRef;

/// Seals what is written to it.
///
/// The file is named `….part` until [`MediaWriter::finish`] names it. Dropped before that, it is
/// removed; after a crash, [`MediaStore::unfinished`] finds it.
pub struct MediaWriter {
    media: MediaStore,
    name: MediaName,
    folder: OwnedFd,
    /// The same file as `sealed` writes to.
    handle: File,
    /// None once it is finished.
    sealed: Option<SealedWriter<Hashing>>,
}

struct Hashing {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buf)?;
        self.hasher.update(&buf[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl MediaWriter {
    pub(super) fn start(media: MediaStore, name: MediaName) -> Result<Self> {
        let folder = media.make_folder(&name.folder())?;
        let failed = |error: io::Error| media.failed("create", &name.path())(error);
        let file = loop {
            let part = name.part();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let mode = Mode::RUSR | Mode::WUSR;
            let file = openat(&folder, part.as_str(), flags | OFlags::CLOEXEC, mode)
                .map_err(|error| failed(error.into()))?;
            // Tells whoever looks for what crashes left that this one has a writer. Who looked
            // before that may have taken it for empty and removed it.
            flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
            if is_named(&folder, &part, &file).map_err(failed)? {
                break File::from(file);
            }
        };
        let handle = file
            .try_clone()
            .map_err(media.failed("create", &name.path()))?;
        let mut writer = Self {
            folder,
            handle,
            sealed: None,
            name,
            media,
        };
        let recipients = writer.media.inner.recipients.clone();
        let locks: Vec<Lock<'_>> = recipients.iter().map(Lock::Recipient).collect();
        let options = SealOptions {
            suite: writer.media.inner.suite,
            ..SealOptions::default()
        };
        let hashing = Hashing {
            file,
            hasher: blake3::Hasher::new(),
            bytes: 0,
        };
        writer.sealed = Some(SealedWriter::new(hashing, &locks, options)?);
        Ok(writer)
    }

    /// Ends the file and gives it its name, durably.
    ///
    /// # Errors
    /// When the disk is full or fails, or a finished file has the name already. The file is removed
    /// then.
    pub fn finish(mut self, duration_ms: u64) -> Result<MediaRef> {
        let sealed = self
            .sealed
            .take()
            .expect("it is there until it is finished");
        let result = self.publish(sealed, duration_ms);
        if result.is_err() {
            self.remove();
        }
        result
    }

    fn publish(&self, sealed: SealedWriter<Hashing>, duration_ms: u64) -> Result<MediaRef> {
        let hashing = sealed.finish()?;
        hashing.file.sync_all().map_err(self.failed("sync"))?;
        publish(&self.folder, &self.name).map_err(self.failed("rename"))?;
        Ok(MediaRef {
            path: self.name.path(),
            bytes: hashing.bytes,
            blake3: *hashing.hasher.finalize().as_bytes(),
            complete: true,
            started_at: self.name.started_at,
            duration_ms,
        })
    }

    /// Makes what was sealed so far survive a loss of power; up to one chunk is not sealed yet.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sync(&self) -> Result<()> {
        self.handle.sync_data().map_err(self.failed("sync"))
    }

    /// Removes what was written.
    pub fn abort(self) {}

    fn remove(&self) {
        let _ = unlinkat(&self.folder, self.name.part().as_str(), AtFlags::empty());
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> Error + use<> {
        self.media.failed(operation, &self.name.path())
    }
}

/// Whether a name is still the one of an open file.
pub(super) fn is_named(folder: &OwnedFd, name: &str, file: impl AsFd) -> io::Result<bool> {
    let open = fstat(file)?;
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok((named.st_dev, named.st_ino) == (open.st_dev, open.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Gives a written and synced part its final name.
pub(super) fn publish(folder: &OwnedFd, name: &MediaName) -> io::Result<()> {
    let (part, file) = (name.part(), name.file());
    let flags = RenameFlags::NOREPLACE;
    renameat_with(folder, part.as_str(), folder, file.as_str(), flags)?;
    sync_folder(folder)
}

impl Write for MediaWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sealed = self
            .sealed
            .as_mut()
            .expect("it is there until it is finished");
        sealed.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let sealed = self
            .sealed
            .as_mut()
            .expect("it is there until it is finished");
        sealed.flush()
    }
}

impl Drop for MediaWriter {
    fn drop(&mut self) {
        if self.sealed.is_some() {
            self.remove();
        }
    }
}

impl fmt::Debug for MediaWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaWriter")
            .field("path", &self.name.path())
            .finish_non_exhaustive()
    }
}
