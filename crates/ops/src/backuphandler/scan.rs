//! What is in the directory of a backup. No link is followed, and nothing is opened by a path of
//! several names at once.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use keepwatch_core::tree::{Metadata, Time};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::error::{Error, Result};
use super::finding::{FindingKind, Log};

/// Directories nested deeper are not looked into: each level holds one open.
const MAX_DEPTH: usize = 256;

/// The directory of a backup, held open.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum FoundKind {
    Dir,
    File,
    /// With its target.
    Link(Vec<u8>),
}

/// An entry.
#[derive(Debug)]
pub(super) struct Found {
    /// Beneath the root.
    pub path: Vec<u8>,
    pub kind: FoundKind,
    pub meta: Metadata,
    pub size: u64,
}

/// Everything that is there, sorted by path.
#[derive(Debug)]
pub(super) struct Scan {
    pub top: Metadata,
    pub entries: Vec<Found>,
}

impl Scan {
    /// The names of the files that lie in no further directory, as far as they are UTF-8.
    pub fn files_at_top(&self) -> impl Iterator<Item = &str> {
        let at_top = self
            .entries
            .iter()
            .filter(|found| matches!(found.kind, FoundKind::File) && !found.path.contains(&b'/'));
        at_top.filter_map(|found| std::str::from_utf8(&found.path).ok())
    }
}

impl Root {
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Error::io("read", path)(error.into()))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// Opens a file beneath it, through no link.
    pub fn file(&self, path: &[u8]) -> io::Result<File> {
        let mut names = path.split(|byte| *byte == b'/');
        let mut name = names.next().unwrap_or_default();
        let mut dir: Option<OwnedFd> = None;
        for next in names {
            let above = dir.as_ref().unwrap_or(&self.fd);
            dir = Some(subdir(above, name)?);
            name = next;
        }
        // A FIFO in its place must not make us wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let dir = dir.as_ref().unwrap_or(&self.fd);
        let file = File::from(rustix::fs::openat(
            dir,
            OsStr::from_bytes(name),
            flags,
            Mode::empty(),
        )?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is no regular file any more")),
        }
    }
}

/// Looks at everything beneath a root. What cannot be looked at is a finding.
pub(super) fn scan(root: &Root, log: &Log) -> Result<Scan> {
    let failed = |error: io::Error| Error::io("read", &root.path)(error);
    let top = rustix::fs::fstat(&root.fd).map_err(|error| failed(error.into()))?;
    let mut entries = Vec::new();
    let mut path = Vec::new();
    walk(root.fd.as_fd(), &mut path, 0, &mut entries, log).map_err(failed)?;
    entries.sort_by(|one: &Found, other| one.path.cmp(&other.path));
    Ok(Scan {
        top: metadata(&top),
        entries,
    })
}

fn walk(
    dir: impl AsFd,
    path: &mut Vec<u8>,
    depth: usize,
    entries: &mut Vec<Found>,
    log: &Log,
) -> io::Result<()> {
    if depth == MAX_DEPTH {
        return Err(io::Error::other("directories are nested too deeply"));
    }
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let len = path.len();
        if len > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if let Err(error) = look(dir.as_fd(), name, path, depth, entries, log) {
            log.add(path, FindingKind::Unreadable, error.to_string());
        }
        path.truncate(len);
    }
    Ok(())
}

fn look(
    dir: impl AsFd,
    name: &[u8],
    path: &mut Vec<u8>,
    depth: usize,
    entries: &mut Vec<Found>,
    log: &Log,
) -> io::Result<()> {
    let os = OsStr::from_bytes(name);
    let stat = rustix::fs::statat(&dir, os, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FoundKind::File,
        FileType::Directory => FoundKind::Dir,
        FileType::Symlink => {
            FoundKind::Link(rustix::fs::readlinkat(&dir, os, Vec::new())?.into_bytes())
        }
        _ => {
            log.add(
                path,
                FindingKind::Special,
                "it is no file, directory or link",
            );
            return Ok(());
        }
    };
    let is_dir = matches!(kind, FoundKind::Dir);
    entries.push(Found {
        path: path.clone(),
        kind,
        meta: metadata(&stat),
        size: stat.st_size.max(0).unsigned_abs(),
    });
    match is_dir {
        true => walk(subdir(dir, name)?, path, depth + 1, entries, log),
        false => Ok(()),
    }
}

fn subdir(dir: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(
        dir,
        OsStr::from_bytes(name),
        flags,
        Mode::empty(),
    )?)
}

/// As far as BackupHandler keeps it: mode and time. The owner is whoever made the backup.
fn metadata(stat: &Stat) -> Metadata {
    Metadata {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time {
            secs: stat.st_mtime,
            nanos: stat.st_mtime_nsec as u32,
        },
        ..Metadata::default()
    }
}
