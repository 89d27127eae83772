//! Files of people, changed by one program at a time.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::{AtomicFile, Replace};
use crate::error::{Error, Result};

/// A file that nobody else changes meanwhile who asks for it in this way.
#[derive(Debug)]
pub struct HeldFile {
    path: PathBuf,
    /// Its directory: the file is another one each time.
    _lock: File,
}

impl HeldFile {
    /// Waits until nobody else changes it. The file need not be there, but its directory.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be found or its directory not be opened.
    pub fn new(path: &Path) -> Result<Self> {
        let real = match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            real => real.map_err(Error::io("find", path))?,
        };
        let folder = match real.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let lock = File::open(folder).map_err(Error::io("open", folder))?;
        // Some file systems have no locks on directories; there, who writes last wins.
        if let Err(error) = lock.lock() {
            tracing::debug!(folder = %folder.display(), %error, "it cannot be locked");
        }
        Ok(Self {
            path: real,
            _lock: lock,
        })
    }

    /// The file itself, behind the links that lead to it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts other bytes into it, all or none of them, and makes it if there is none. Its permissions
    /// stay.
    ///
    /// # Errors
    /// When it cannot be written: then it is as it was.
    pub fn replace(&self, bytes: &[u8]) -> Result<()> {
        let path = &self.path;
        let mut out = AtomicFile::create(path, Replace::Files)?;
        out.write_all(bytes).map_err(Error::io("write", path))?;
        if let Ok(metadata) = fs::metadata(path) {
            let kept = out.file().set_permissions(metadata.permissions());
            kept.map_err(Error::io("write", path))?;
        }
        out.commit()
    }
}
