//! Packs of trees of a storage that is far away, kept on this machine.
//!
//! Whoever walks a snapshot reads thousands of small tree chunks, one after the other. Where each is a
//! journey there and back the pack that holds it is fetched whole, once, and kept sealed as it is.
//! Deleting what is kept costs time only; what is read from it is verified as if it came from the
//! storage.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cache::{make_dir, new_file, private_name};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::storage::{ObjectKind, ObjectName, Storage};

/// Packs of trees, as files.
#[derive(Debug)]
pub(crate) struct TreePacks {
    dir: PathBuf,
    /// One is fetched at a time: who waits mostly waits for the same.
    fetching: Mutex<()>,
    /// Whether what is of no use any more has been looked for.
    swept: AtomicBool,
    /// Whether nothing can be kept. To fetch whole packs again and again would cost more than it saves.
    full: AtomicBool,
}

impl TreePacks {
    /// Keeps packs in a folder, which is made when the first one comes.
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            fetching: Mutex::default(),
            swept: AtomicBool::new(false),
            full: AtomicBool::new(false),
        }
    }

    /// Reads a part of a pack; nothing when it has to be read from the storage: the pack is damaged
    /// there, of which this part may be sound, or there is no room for it here.
    ///
    /// # Errors
    /// What the storage says when it is asked for the pack.
    pub fn read(
        &self,
        storage: &dyn Storage,
        pack: Id,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<bool> {
        let path = self.dir.join(pack.to_string());
        if read_part(&path, offset, len, buffer) {
            return Ok(true);
        }
        let _only_one = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if read_part(&path, offset, len, buffer) {
            return Ok(true);
        }
        if self.full.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let bytes = storage.read(&ObjectName::new(ObjectKind::Pack, pack))?;
        if Id::of(&bytes) != pack {
            return Ok(false);
        }
        let end = (offset as usize).checked_add(len);
        let Some(part) = end.and_then(|end| bytes.get(offset as usize..end)) else {
            return Ok(false);
        };
        buffer.clear();
        buffer.extend_from_slice(part);
        if let Err(error) = self.keep(&path, &bytes) {
            let dir = self.dir.display();
            tracing::warn!(%dir, %error, "trees are read from afar each time: none can be kept");
            self.full.store(true, Ordering::Relaxed);
        }
        Ok(true)
    }

    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        make_dir(&self.dir)?;
        let temporary = self.dir.join(private_name()?);
        let write = || -> io::Result<()> {
            new_file(&temporary)?.write_all(bytes)?;
            fs::rename(&temporary, path)
        };
        let written = write().map_err(Error::io("write", path));
        if written.is_err() {
            fs::remove_file(&temporary).unwrap_or_default();
        }
        written
    }

    /// Removes what is kept of a pack: what was read from it is wrong. Whether there was any.
    pub fn drop_pack(&self, pack: Id) -> bool {
        fs::remove_file(self.dir.join(pack.to_string())).is_ok()
    }

    /// Removes packs that are not needed any more, once for each repository that is opened.
    pub fn sweep(&self, needed: &dyn Fn() -> HashSet<Id>) {
        if self.swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        if names.is_empty() {
            return;
        }
        let needed = needed();
        for name in names {
            let unneeded = name.parse().is_ok_and(|id: Id| !needed.contains(&id));
            if unneeded {
                fs::remove_file(self.dir.join(name)).unwrap_or_default();
            }
        }
    }

    /// Forgets everything, so that it is read from the storage again.
    pub fn clear(&self) {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let dir = self.dir.display();
                tracing::warn!(%dir, %error, "old copies of trees cannot be removed");
            }
            _ => {}
        }
    }
}

fn read_part(path: &Path, offset: u64, len: usize, buffer: &mut Vec<u8>) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let fits = file.metadata().is_ok_and(|about| {
        offset
            .checked_add(len as u64)
            .is_some_and(|end| end <= about.len())
    });
    if !fits {
        return false;
    }
    buffer.clear();
    buffer.resize(len, 0);
    file.read_exact_at(buffer, offset).is_ok()
}
