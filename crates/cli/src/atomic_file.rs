//! Files that appear under their name whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keepwatch_core::crypto::random_bytes;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::exit::Failure;

/// Whether a file of the name may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// No.
    Never,
    /// Yes, if it is an ordinary file.
    Files,
}

/// A file that is being written beside its place, for its owner only. It goes away when dropped
/// before [`AtomicFile::commit`].
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    replace: Replace,
    done: bool,
}

impl AtomicFile {
    /// Begins a file; refuses at once what could not be put in place later.
    pub fn create(path: &Path, replace: Replace) -> Result<Self, Failure> {
        match fs::symlink_metadata(path) {
            Ok(_) if replace == Replace::Never => return Err(taken(path)),
            Ok(metadata) if !metadata.is_file() => {
                let message = format!("{} is no ordinary file", path.display());
                return Err(Failure::refused(message, None));
            }
            _ => {}
        }
        let random: [u8; 8] = random_bytes()?;
        let name = format!(".keepwatch-{}.tmp", hex::encode(random));
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(Failure::file("write", path))?;
        Ok(Self {
            file,
            temporary,
            path: path.to_owned(),
            replace,
            done: false,
        })
    }

    /// Puts the file in its place, on disk when this returns.
    pub fn commit(mut self) -> Result<(), Failure> {
        self.file
            .sync_all()
            .map_err(Failure::file("write", &self.path))?;
        match self.put() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(taken(&self.path));
            }
            Err(error) => return Err(Failure::file("write", &self.path)(error)),
        }
        self.done = true;
        let parent = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(Failure::file("write", parent))
    }

    fn put(&self) -> io::Result<()> {
        if self.replace == Replace::Files {
            return fs::rename(&self.temporary, &self.path);
        }
        let flags = RenameFlags::NOREPLACE;
        match renameat_with(CWD, &self.temporary, CWD, &self.path, flags) {
            // Not every file system can do it; a link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::hard_link(&self.temporary, &self.path)?;
                fs::remove_file(&self.temporary)
            }
            result => Ok(result?),
        }
    }
}

fn taken(path: &Path) -> Failure {
    Failure::refused(
        format!("{} exists already", path.display()),
        Some("choose another name, or use --force"),
    )
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
        if !self.done {
            // There is nothing more that could be done about it.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
