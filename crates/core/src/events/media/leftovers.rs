//! Files that a crash left unfinished.

use std::fs::{self, File};
use std::io::{BufReader, Seek};
use std::os::fd::OwnedFd;
use std::path::Path;

use jiff::Timestamp;
use keepwatch_crypto::sealed::Info;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, openat, unlinkat};
use rustix::io::Errno;

use super::{MediaName, MediaStore, files, hash_all, writer};
use crate::error::{Error, Result};
use crate::events::model::{EventId, MediaKind, MediaRef};

/// A file that was being written when its writer died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    name: MediaName,
    /// Its path in the store.
    pub path: String,
}

impl Unfinished {
    /// What it holds.
    pub fn kind(&self) -> MediaKind {
        self.name.kind
    }

    /// The event or segment that it belongs to.
    pub fn id(&self) -> EventId {
        self.name.id
    }

    /// The camera.
    pub fn camera(&self) -> &str {
        &self.name.camera
    }

    /// When it begins, to the millisecond.
    pub fn started_at(&self) -> Timestamp {
        self.name.started_at
    }
}

impl MediaStore {
    /// The files that have no writer any more and were not finished.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let mut found = Vec::new();
        self.walk(&mut |path, _| {
            if let Some(name) = MediaName::parse_part(path) {
                let path = path.to_owned();
                found.push(Unfinished { name, path });
            }
            Ok(())
        })?;
        let mut dead = Vec::new();
        for unfinished in found {
            if self.take(&unfinished)?.is_some() {
                dead.push(unfinished);
            }
        }
        Ok(dead)
    }

    /// Gives a file that a crash cut off its final name, or removes it when it holds not one chunk.
    ///
    /// None when it was removed, or has a writer after all.
    pub fn adopt(&self, unfinished: &Unfinished) -> Result<Option<MediaRef>> {
        let Some((folder, file)) = self.take(unfinished)? else {
            return Ok(None);
        };
        let (name, path) = (&unfinished.name, unfinished.path.as_str());
        let metadata = file.metadata().map_err(self.failed("read", path))?;
        let mut reader = BufReader::new(&file);
        let whole = match Info::read(&mut reader) {
            // A chunk has a tag of 16 bytes and holds something. Whether a short one is whole is
            // seen when it is opened.
            Ok(info) => metadata.len() > u64::from(info.header_len) + 16,
            Err(_) => false,
        };
        if !whole {
            let part = name.part();
            unlinkat(&folder, part.as_str(), AtFlags::empty())
                .map_err(|error| self.failed("remove", path)(error.into()))?;
            return Ok(None);
        }
        reader.rewind().map_err(self.failed("read", path))?;
        let (bytes, blake3) = hash_all(reader).map_err(self.failed("read", path))?;
        file.sync_all().map_err(self.failed("sync", path))?;
        writer::publish(&folder, name).map_err(self.failed("rename", path))?;
        // The last write was about when the last frame came.
        let modified = metadata.modified().ok();
        let ended_at = modified.and_then(|time| Timestamp::try_from(time).ok());
        let duration = ended_at.map_or(0, |end| {
            end.as_millisecond() - name.started_at.as_millisecond()
        });
        Ok(Some(MediaRef {
            path: name.path(),
            bytes,
            blake3,
            complete: false,
            started_at: name.started_at,
            duration_ms: match name.kind {
                MediaKind::Snapshot => 0,
                MediaKind::Clip | MediaKind::Segment => duration.max(0).unsigned_abs(),
            },
        }))
    }

    /// Opens and locks a part, unless it has gone or has a writer.
    fn take(&self, unfinished: &Unfinished) -> Result<Option<(OwnedFd, File)>> {
        let path = unfinished.path.as_str();
        let failed = |error: Errno| self.failed("open", path)(error.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let folder = match self.open_beneath(&unfinished.name.folder(), flags) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let part = unfinished.name.part();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&folder, part.as_str(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Its writer may have finished it since it was opened here.
            Ok(()) => match writer::is_named(&folder, &part, &file) {
                Ok(named) => Ok(named.then_some((folder, file))),
                Err(error) => Err(self.failed("open", path)(error)),
            },
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Calls `each` for all files with their paths in the store.
    pub(crate) fn walk(
        &self,
        each: &mut dyn FnMut(&str, &fs::Metadata) -> Result<()>,
    ) -> Result<()> {
        walk(&self.media_dir(), files::MEDIA, 0, each)
    }

    pub(crate) fn remove(&self, path: &str) -> Result<bool> {
        let name = MediaName::parse(path)
            .ok_or_else(|| Error::damaged(path, "it is not the path of a media file"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let removed = self
            .open_beneath(&name.folder(), flags)
            .and_then(|folder| unlinkat(&folder, name.file().as_str(), AtFlags::empty()));
        match removed {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed("remove", path)(error.into())),
        }
    }
}

/// Year, month, day, camera.
const DEPTH: usize = 4;

fn walk(
    dir: &Path,
    path: &str,
    depth: usize,
    each: &mut dyn FnMut(&str, &fs::Metadata) -> Result<()>,
) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read", dir)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("read", dir))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Of the entry itself: links are not followed.
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("read", &entry.path())(error)),
        };
        let path = format!("{path}/{name}");
        if metadata.is_dir() && depth < DEPTH {
            walk(&entry.path(), &path, depth + 1, each)?;
        } else if metadata.is_file() && depth == DEPTH {
            each(&path, &metadata)?;
        }
    }
    Ok(())
}
