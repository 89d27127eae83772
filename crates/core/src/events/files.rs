//! Names in an event store, and files that appear whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::error::{Error, Result};

/// The header.
pub(crate) const STORE: &str = "store";
/// The folder of key slots.
pub(crate) const KEYS: &str = "keys";
/// The database.
pub(crate) const DATABASE: &str = "events.db";
/// The folder of sealed files.
pub(crate) const MEDIA: &str = "media";
/// The folder of small files that nobody else reads.
pub(crate) const PRIVATE: &str = "private";
/// Locked by whoever has begun events that have not ended.
pub(crate) const RECORDING: &str = "recording.lock";

/// Makes a folder, and the ones above it, for its owner only.
pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Error::io("make the folder", dir))
}

/// A new file that only its owner can read.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Writes a file that is whole, durable and new, or not there.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_beside(path)?;
    let write = || -> io::Result<()> {
        let mut file = new_file(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        publish(&temporary, path)
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        Error::io("write", path)(error)
    })
}

/// A name beside `path` that nobody else uses.
pub(crate) fn temporary_beside(path: &Path) -> Result<std::path::PathBuf> {
    let random: [u8; 8] = keepwatch_crypto::random_bytes()?;
    Ok(path.with_file_name(format!(".tmp-{}", hex::encode(random))))
}

/// Gives a written and synced file its name, which must be free, durably.
pub(crate) fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE)?;
    sync_parent(path)
}

/// Makes the names beside `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
