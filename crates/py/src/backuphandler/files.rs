//! Files of backups: what is there, and how one comes to its place.
//!
//! No symbolic link beneath a root is followed, and a file appears whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::Ordering;

use keepwatch_core::crypto::random_bytes;
use keepwatch_core::fs::{AtomicFile, Replace};
use rustix::fs::{Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use crate::errors::{Raise, Result};
use crate::work::Stop;

/// What is found in a directory: path beneath it, kind, size, mtime and ctime in nanoseconds.
pub type Found = (OsString, &'static str, u64, i128, i128);

/// A path beneath a directory that could not be looked at, and why.
pub type Failed = (PathBuf, Raise);

/// Everything beneath a directory, sorted, links as links; and what could not be looked at.
pub fn scan(root: &Path, skip: &[PathBuf], stop: &Stop) -> Result<(Vec<Found>, Vec<Failed>)> {
    let places = |path: &PathBuf| fs::metadata(path).map(|is| (is.dev(), is.ino()));
    // Those that are not there are in nobody's way.
    let skip: Vec<_> = skip.iter().flat_map(places).collect();
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let path = root.join(&directory);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if directory.as_os_str().is_empty() => {
                return Err(Raise::file("read", root)(error));
            }
            Err(error) => {
                failed.push((directory, Raise::file("read", &path)(error)));
                continue;
            }
        };
        for entry in entries {
            if stop.load(Ordering::Relaxed) {
                return Ok((found, failed));
            }
            let looked = entry.and_then(|entry| Ok((entry.file_name(), entry.metadata()?)));
            let (name, is) = match looked {
                Ok(looked) => looked,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    failed.push((directory.clone(), Raise::file("read", &path)(error)));
                    continue;
                }
            };
            let relative = directory.join(name);
            let kind = if is.is_symlink() {
                "link"
            } else if is.is_dir() {
                if skip.contains(&(is.dev(), is.ino())) {
                    continue;
                }
                directories.push(relative.clone());
                "dir"
            } else if is.is_file() {
                "file"
            } else {
                "other"
            };
            let [mtime, ctime] = times_of(&is);
            found.push((relative.into_os_string(), kind, is.len(), mtime, ctime));
        }
    }
    found.sort_unstable();
    Ok((found, failed))
}

fn times_of(is: &Metadata) -> [i128; 2] {
    let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
    [
        ns(is.mtime(), is.mtime_nsec()),
        ns(is.ctime(), is.ctime_nsec()),
    ]
}

/// Opens a regular file, not through a link, and says what was opened.
pub fn open(path: &Path) -> Result<(File, Metadata)> {
    // A FIFO in its place must not make us wait for a writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(no_file(path, "it is a symbolic link"));
        }
        opened => opened.map_err(Raise::file("read", path))?,
    };
    let is = file.metadata().map_err(Raise::file("read", path))?;
    match is.is_file() {
        true => Ok((file, is)),
        false => Err(no_file(path, "it is no regular file")),
    }
}

fn no_file(path: &Path, problem: &'static str) -> Raise {
    Raise::file("read", path)(io::Error::other(problem))
}

/// Whether the file that was opened at a path is still there, and as it was. Its ctime does not
/// count: it changes when another of its names is removed.
pub fn is_unchanged(path: &Path, file: &File, before: &Metadata) -> Result<bool> {
    let same = |now: &Metadata| {
        (now.dev(), now.ino(), now.len(), times_of(now)[0])
            == (
                before.dev(),
                before.ino(),
                before.len(),
                times_of(before)[0],
            )
    };
    let open = file.metadata().map_err(Raise::file("read", path))?;
    Ok(same(&open) && fs::symlink_metadata(path).is_ok_and(|named| same(&named)))
}

/// Gives a new file the mode, times and extended attributes of another.
pub fn like(new: &AtomicFile, path: &Path, file: &File, is: &Metadata) -> Result<()> {
    let new = new.file().as_fd();
    copy_xattrs(file, new);
    match rustix::fs::fchmod(new, Mode::from_raw_mode(is.mode() & 0o7777)) {
        // File systems without modes.
        Ok(()) | Err(Errno::PERM | Errno::NOTSUP) => {}
        Err(error) => return Err(Raise::file("write", path)(error.into())),
    }
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(is.atime(), is.atime_nsec()),
        last_modification: time(is.mtime(), is.mtime_nsec()),
    };
    rustix::fs::futimens(new, &times).map_err(|error| Raise::file("write", path)(error.into()))
}

/// As far as they can be read and written: many cannot, and none is the content.
fn copy_xattrs(from: &File, to: impl AsFd) {
    let read = |name: Option<&[u8]>| {
        let mut buf = vec![0; 64 << 10];
        let len = match name {
            Some(name) => rustix::fs::fgetxattr(from, name, &mut buf[..]),
            None => rustix::fs::flistxattr(from, &mut buf[..]),
        };
        buf.truncate(len.ok()?);
        Some(buf)
    };
    let names = read(None).unwrap_or_default();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        if let Some(value) = read(Some(name)) {
            let _ = rustix::fs::fsetxattr(&to, name, &value, XattrFlags::empty());
        }
    }
}

/// What to do about a symbolic link where a directory has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It is a copy of what was there once: a directory takes its place.
    Replace,
    /// It may lead anywhere: nothing is written through it.
    Refuse,
}

/// Where beneath a root something is to be; its directories are made.
pub fn place(root: &Path, relative: &Path, links: Links) -> Result<PathBuf> {
    let is_inside = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_inside || relative.as_os_str().is_empty() {
        let name = relative.display();
        return Err(Raise::value(
            "path",
            format!("{name} leads out of {}", root.display()),
        ));
    }
    fs::create_dir_all(root).map_err(Raise::file("make", root))?;
    let mut path = root.to_owned();
    if let Some(parent) = relative.parent() {
        for part in parent.components() {
            path.push(part);
            make_dir(&path, links)?;
        }
    }
    Ok(root.join(relative))
}

/// A directory, if it is not there.
pub fn make_dir(path: &Path, links: Links) -> Result<()> {
    let problem = match fs::symlink_metadata(path) {
        Ok(is) if is.is_dir() => return Ok(()),
        Ok(is) if is.is_symlink() && links == Links::Replace => {
            match fs::remove_file(path) {
                // Two threads make the parents of two files.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(Raise::file("replace", path))?,
            }
            return make_dir(path, links);
        }
        Ok(is) if is.is_symlink() => "a symbolic link is in its place",
        Ok(_) => "a file is in its place",
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::create_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made.map_err(Raise::file("make", path)),
            };
        }
        Err(error) => return Err(Raise::file("make", path)(error)),
    };
    let error = io::Error::new(io::ErrorKind::NotADirectory, problem);
    Err(Raise::file("make", path)(error))
}

/// A name beside a file, for what is to take its place.
fn beside(path: &Path) -> Result<PathBuf> {
    let random: [u8; 8] = random_bytes()?;
    Ok(path.with_file_name(format!(".keepwatch-{}.tmp", hex::encode(random))))
}

/// A new file for a place where a file or a link may be, which stays until it is committed.
pub struct Placed {
    file: AtomicFile,
    /// Where the file appears first, if a link is to be replaced: it must not be written through.
    staged: Option<PathBuf>,
    path: PathBuf,
}

impl Placed {
    pub fn create(path: &Path) -> Result<Self> {
        let is_link = fs::symlink_metadata(path).is_ok_and(|is| is.is_symlink());
        let staged = is_link.then(|| beside(path)).transpose()?;
        let file = match &staged {
            Some(staged) => AtomicFile::create(staged, Replace::Never)?,
            None => AtomicFile::create(path, Replace::Files)?,
        };
        Ok(Self {
            file,
            staged,
            path: path.to_owned(),
        })
    }

    pub fn file(&mut self) -> &mut AtomicFile {
        &mut self.file
    }

    pub fn commit(self) -> Result<()> {
        self.file.commit()?;
        if let Some(staged) = self.staged {
            rename(&staged, &self.path)?;
            sync_dir(self.path.parent().unwrap_or(&self.path))?;
        }
        Ok(())
    }
}

/// Makes a symbolic link, in place of a file or link if there is one. It need not be on disk when this
/// returns: a backup or restore that was cut off is made again.
pub fn put_link(path: &Path, target: &Path) -> Result<()> {
    let temporary = beside(path)?;
    std::os::unix::fs::symlink(target, &temporary).map_err(Raise::file("write", path))?;
    rename(&temporary, path)
}

fn rename(temporary: &Path, path: &Path) -> Result<()> {
    fs::rename(temporary, path).map_err(|error| {
        let _ = fs::remove_file(temporary);
        Raise::file("write", path)(error)
    })
}

/// Makes names in a directory last.
pub fn sync_dir(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(Raise::file("write", path))
}
