//! Removing what interrupted writes left behind.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::{LocalStorage, StorageError, directories, fs, io_error, write};
use crate::storage::ObjectKind;

/// No single object takes this long to write, so an older temporary file has no writer. Should
/// it have one after all, its rename fails and it reports an error: nothing is lost silently.
const MIN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

impl LocalStorage {
    /// As [`Storage::sweep_temporaries`](super::Storage::sweep_temporaries), by this machine's clock.
    pub(super) fn sweep(&self) -> Result<u64, StorageError> {
        let now = SystemTime::now();
        let mut removed = sweep(&self.root, &self.path, now)?;
        for directory in directories() {
            removed += sweep(
                &self.open_directory(directory)?,
                &self.path.join(directory),
                now,
            )?;
        }
        if let Some(packs) = ObjectKind::Pack.directory() {
            let top = self.open_directory(packs)?;
            for byte in 0..=u8::MAX {
                let prefix = format!("{byte:02x}");
                let path = self.path.join(packs).join(&prefix);
                match fs::open_directory(&top, &prefix) {
                    Ok(fd) => removed += sweep(&fd, &path, now)?,
                    Err(Errno::NOENT) => {}
                    Err(e) => return Err(io_error("open", &path, e.into())),
                }
            }
        }
        Ok(removed)
    }
}

fn sweep(fd: &OwnedFd, path: &Path, now: SystemTime) -> Result<u64, StorageError> {
    let names = fs::names(fd).map_err(|e| io_error("list", path, e.into()))?;
    let mut removed = 0;
    for name in names.iter().filter_map(|n| n.to_str().ok()) {
        if !write::is_temporary(name) {
            continue;
        }
        let outcome = fs::stat(fd, name, AtFlags::SYMLINK_NOFOLLOW).and_then(|stat| {
            let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
            let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            // A time in the future has no age, and the file stays.
            let is_old = now.duration_since(changed).is_ok_and(|age| age > MIN_AGE);
            if is_file && is_old {
                fs::remove(fd, name).map(|()| 1)
            } else {
                Ok(0)
            }
        });
        match outcome {
            Ok(count) => removed += count,
            // Renamed by its writer, or swept by somebody else.
            Err(Errno::NOENT) => {}
            Err(e) => return Err(io_error("remove", &path.join(name), e.into())),
        }
    }
    Ok(removed)
}
