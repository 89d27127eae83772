//! Files that appear under their name whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keepwatch_crypto::random_bytes;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, openat, renameat_with};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Open files by number: the only way to give a name to one that has none.
const OPEN_FILES: &str = "/proc/self/fd";

/// Whether a file of the name may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// No.
    Never,
    /// Yes, if it is an ordinary file.
    Files,
}

/// A file that is being written in its directory, for its owner only, and goes away unless it is
/// committed.
///
/// It has no name until then where the file system can do that, so that not even a killed process
/// leaves something behind; elsewhere it has a temporary name.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    /// Its name until it is committed, to be removed with it.
    temporary: Option<PathBuf>,
    path: PathBuf,
    replace: Replace,
}

impl AtomicFile {
    /// Begins a file; refuses at once what could not be put in place later.
    ///
    /// # Errors
    /// [`Error::FileExists`] where nothing may be replaced, [`Error::NotAFile`] for a directory or
    /// the like.
    pub fn create(path: &Path, replace: Replace) -> Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(_) if replace == Replace::Never => return Err(taken(path)),
            Ok(metadata) if !metadata.is_file() => {
                return Err(Error::NotAFile { path: path.into() });
            }
            _ => {}
        }
        let (file, temporary) = match without_name(parent(path)) {
            Some(file) => (file, None),
            None => {
                let temporary = temporary_name(path)?;
                let file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&temporary)
                    .map_err(Error::io("write", path))?;
                (file, Some(temporary))
            }
        };
        Ok(Self {
            file,
            temporary,
            path: path.to_owned(),
            replace,
        })
    }

    /// The file itself, for its metadata.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Puts the file in its place, on disk when this returns.
    ///
    /// # Errors
    /// [`Error::FileExists`] when somebody else was faster and nothing may be replaced.
    pub fn commit(mut self) -> Result<()> {
        self.file
            .sync_all()
            .map_err(Error::io("write", &self.path))?;
        if self.temporary.is_none() && self.replace == Replace::Files {
            // Only a file with a name can take another's place.
            let temporary = temporary_name(&self.path)?;
            self.link(&temporary)
                .map_err(Error::io("write", &self.path))?;
            self.temporary = Some(temporary);
        }
        match self.put() {
            Ok(()) => self.temporary = None,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(taken(&self.path));
            }
            Err(error) => return Err(Error::io("write", &self.path)(error)),
        }
        let parent = parent(&self.path);
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(Error::io("write", parent))
    }

    fn put(&self) -> io::Result<()> {
        let Some(temporary) = &self.temporary else {
            return self.link(&self.path);
        };
        if self.replace == Replace::Files {
            return fs::rename(temporary, &self.path);
        }
        match renameat_with(CWD, temporary, CWD, &self.path, RenameFlags::NOREPLACE) {
            // Not every file system can do it; a link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::hard_link(temporary, &self.path)?;
                fs::remove_file(temporary)
            }
            result => Ok(result?),
        }
    }

    /// Gives a name to the file that has none; never replaces.
    fn link(&self, name: &Path) -> io::Result<()> {
        let open = format!("{OPEN_FILES}/{}", self.file.as_raw_fd());
        Ok(linkat(CWD, open, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
    }
}

/// A file without a name in the directory, if the file system can have one.
fn without_name(dir: &Path) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR).ok()?;
    Path::new(OPEN_FILES).exists().then(|| file.into())
}

fn temporary_name(path: &Path) -> Result<PathBuf> {
    let random: [u8; 8] = random_bytes()?;
    Ok(path.with_file_name(format!(".keepwatch-{}.tmp", hex::encode(random))))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn taken(path: &Path) -> Error {
    Error::FileExists { path: path.into() }
}

impl Write for AtomicFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // There is nothing more that could be done about it.
            let _ = fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn named(mut file: AtomicFile) -> AtomicFile {
        if file.temporary.is_none() {
            let temporary = temporary_name(&file.path).expect("random bytes");
            file.link(&temporary).expect("a link");
            file.temporary = Some(temporary);
        }
        file
    }

    fn as_it_is(file: AtomicFile) -> AtomicFile {
        file
    }

    /// With a name and, where that can be, without.
    const KINDS: [fn(AtomicFile) -> AtomicFile; 2] = [as_it_is, named];

    #[test]
    fn a_file_appears_when_it_is_committed() {
        for kind in KINDS {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("file");
            let mut file = kind(AtomicFile::create(&path, Replace::Never).expect("it begins"));
            file.write_all(b"new").expect("it takes data");
            assert!(!path.exists());
            file.commit().expect("it ends");
            assert_eq!(fs::read(&path).expect("it is there"), b"new");
            let mode = fs::metadata(&path)
                .expect("it is there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(fs::read_dir(dir.path()).expect("it lists").count(), 1);
        }
    }

    #[test]
    fn without_commit_nothing_is_left() {
        for kind in KINDS {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("file");
            drop(kind(
                AtomicFile::create(&path, Replace::Never).expect("it begins"),
            ));
            assert_eq!(fs::read_dir(dir.path()).expect("it lists").count(), 0);
        }
    }

    #[test]
    fn only_what_may_be_replaced_is() {
        for kind in KINDS {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("file");
            let late = kind(AtomicFile::create(&path, Replace::Never).expect("it begins"));
            fs::write(&path, "old").expect("it writes");
            late.commit().expect_err("somebody was faster");
            AtomicFile::create(&path, Replace::Never).expect_err("it is there");
            assert_eq!(fs::read(&path).expect("it is there"), b"old");
            let file = kind(AtomicFile::create(&path, Replace::Files).expect("it begins"));
            file.commit().expect("it ends");
            assert_eq!(fs::read(&path).expect("it is there"), b"");
            assert_eq!(fs::read_dir(dir.path()).expect("it lists").count(), 1);
            AtomicFile::create(dir.path(), Replace::Files).expect_err("a directory");
        }
    }
}
