//! Inventories as files.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keepwatch_core::fs::{AtomicFile, Replace};
use serde::Deserialize;

use super::{Error, FORMAT, Inventory, Result, VERSION};

/// No inventory has more bytes than this: 128 MiB.
pub const MAX_FILE: u64 = 128 << 20;

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// Reads what [`write()`] has written.
///
/// # Errors
/// A file that cannot be read, is larger than [`MAX_FILE`], is no inventory, or is one of a later
/// version.
pub fn read(path: &Path) -> Result<Inventory> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::TooLarge {
            path: path.into(),
            limit: MAX_FILE,
        });
    }
    parse(path, &bytes)
}

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Inventory> {
    let wrong = |source| Error::NotAnInventory {
        path: path.into(),
        source,
    };
    let head: Head = serde_json::from_slice(bytes).map_err(|error| wrong(Some(error)))?;
    if head.format != FORMAT || head.version == 0 {
        return Err(wrong(None));
    }
    if head.version > VERSION {
        return Err(Error::Version {
            path: path.into(),
            version: head.version,
        });
    }
    serde_json::from_slice(bytes).map_err(|error| wrong(Some(error)))
}

/// Writes a file that nobody but its owner can read, whole or not at all. A script can be run by
/// its owner as well.
///
/// # Errors
/// What [`AtomicFile`] refuses, and what the file system says.
pub fn write(path: &Path, content: &[u8], replace: Replace, executable: bool) -> Result<()> {
    let mut file = AtomicFile::create(path, replace)?;
    if executable {
        let mode = std::fs::Permissions::from_mode(0o700);
        file.file()
            .set_permissions(mode)
            .map_err(Error::io("write", path))?;
    }
    file.write_all(content).map_err(Error::io("write", path))?;
    Ok(file.commit()?)
}

impl Inventory {
    /// As JSON that people can read, with a line break at the end.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("an inventory is JSON");
        bytes.push(b'\n');
        bytes
    }
}
