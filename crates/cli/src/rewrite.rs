//! Files of people, changed by a command.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use keepwatch_core::fs::{AtomicFile, Replace};

use crate::exit::Failure;

/// Puts other bytes into a file, all or none of them, and makes it if there is none. Its permissions
/// stay.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut out = AtomicFile::create(path, Replace::Files)?;
    out.write_all(bytes).map_err(Failure::file("write", path))?;
    if let Ok(metadata) = fs::metadata(path) {
        let kept = out.file().set_permissions(metadata.permissions());
        kept.map_err(Failure::file("write", path))?;
    }
    Ok(out.commit()?)
}

/// A file that only one command at a time changes.
pub struct Held {
    /// The file itself, behind the links that lead to it.
    pub path: PathBuf,
    /// Its directory: the file is another one each time.
    _lock: File,
}

impl Held {
    /// Waits until nobody else changes it. The file need not be there, but its directory.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let real = match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            real => real.map_err(Failure::file("find", path))?,
        };
        let folder = match real.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let lock = File::open(folder).map_err(Failure::file("open", folder))?;
        // Some file systems have no locks on directories; there, who writes last wins.
        if let Err(error) = lock.lock() {
            tracing::debug!(folder = %folder.display(), %error, "it cannot be locked");
        }
        Ok(Self {
            path: real,
            _lock: lock,
        })
    }
}
