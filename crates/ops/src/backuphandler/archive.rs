//! Zips: `backup_TIME.zip`, with a password (ZipCrypto, flat, names in UTF-8 that no flag says) or
//! without one.
//!
//! An archive can ask for a thousand times its size and no more: Deflate allows no higher ratio, and
//! entries that share bytes are refused.

mod entries;
mod pipe;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_core::tree::{Metadata, Time};
use keepwatch_core::{VirtualContent, VirtualTree, with_causes};
use keepwatch_crypto::zeroize::Zeroizing;
use zip::ZipReadOptions;
use zip::read::{Config, OwnedZipFileEntry};
use zip::result::ZipError;
// The one reader that keeps entries of the same name apart.
use zip::unstable::read::ZipIterable;

use super::content::Reading;
use super::error::{Error, Result};
use super::finding::{FindingKind, Log};
use super::names::{stamp_of_zip, time_of};
use super::probe::{Tried, probe};
use super::scan::Root;
use super::{Backup, OpenOptions, Run, RunKind};

/// The highest ratio of Deflate, and room for its headers.
const MAX_RATIO: u64 = 1032;
const MAX_EXTRA: u64 = 64 << 10;
/// Larger entries are not decrypted only to try a password.
const MAX_TRIED: u64 = 16 << 20;
const BUFFER: usize = 64 << 10;

/// A zip that is named itself, not its directory.
pub(super) fn open_alone(path: &Path, options: OpenOptions) -> Result<Backup> {
    let none = || Error::NoBackup { path: path.into() };
    let file = path.file_name().and_then(|name| name.to_str());
    let file = file
        .filter(|name| name.ends_with(".zip"))
        .ok_or_else(none)?;
    let full = path.canonicalize().map_err(Error::io("read", path))?;
    let parent = full.parent().ok_or_else(none)?;
    let place = parent
        .file_name()
        .map_or_else(|| "backup".into(), PathBuf::from);
    // What a link leads to may be called otherwise.
    let real = full
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(file);
    let reading = Reading {
        root: Arc::new(Root::open(parent)?),
        keys: Arc::new(options.keys),
    };
    let run = open(&reading, real, place, &options.time_zone)?;
    Ok(Backup {
        runs: vec![run],
        log: Log::default(),
    })
}

/// What is in a zip. Its password is tried.
pub(super) fn open(reading: &Reading, file: &str, place: PathBuf, zone: &TimeZone) -> Result<Run> {
    let bad = |problem: String| Error::Archive {
        file: file.to_owned(),
        problem,
    };
    let failed = |error: io::Error| bad(error.to_string());
    let handle = reading.root.file(file.as_bytes()).map_err(failed)?;
    let is = handle.metadata().map_err(failed)?;
    let entries = read_entries(handle, is.len()).map_err(bad)?;
    let archive = Archive {
        reading: reading.clone(),
        file: file.to_owned(),
    };
    archive.try_password(&entries)?;
    let time = stamp_of_zip(file)
        .and_then(|stamp| time_of(stamp, zone))
        .or_else(|| Timestamp::try_from(is.modified().ok()?).ok())
        .unwrap_or_default();
    let log = Arc::new(Log::default());
    let top = Metadata {
        mode: 0o700,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: Time {
            secs: time.as_second(),
            nanos: 0,
        },
        ..Metadata::default()
    };
    let listed = entries::listed(&archive, &entries, &top, zone, &log);
    Ok(Run {
        name: Some(file.to_owned()),
        time,
        kind: RunKind::Zip,
        place,
        tree: VirtualTree::new(top, listed)?,
        is_partial: false,
        log,
    })
}

/// The directory of an archive of `len` bytes.
fn read_entries(handle: File, len: u64) -> Result<Vec<Arc<OwnedZipFileEntry>>, String> {
    let mut archive = ZipIterable::try_new(handle, Config::default()).map_err(text)?;
    let (mut entries, mut packed) = (Vec::new(), 0_u64);
    for entry in archive.files().map_err(text)? {
        let entry = OwnedZipFileEntry::from(entry.map_err(text)?);
        packed = packed.saturating_add(entry.compressed_size());
        if packed > len {
            return Err("its entries ask for more bytes than it has".to_owned());
        }
        entries.push(Arc::new(entry));
    }
    Ok(entries)
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn text(error: ZipError) -> String {
    with_causes(&error)
}

/// A zip whose entries are read.
#[derive(Clone)]
struct Archive {
    reading: Reading,
    file: String,
}

impl Archive {
    /// The content of an entry, which is at `path` in the tree.
    fn content(
        &self,
        entry: &Arc<OwnedZipFileEntry>,
        path: &[u8],
        log: &Arc<Log>,
    ) -> VirtualContent {
        let (archive, entry, log) = (self.clone(), entry.clone(), log.clone());
        let path: Arc<[u8]> = path.into();
        VirtualContent::new(entry.size(), move || {
            let (archive, entry, log, path) =
                (archive.clone(), entry.clone(), log.clone(), path.clone());
            Ok(Box::new(pipe::Piped::new(move |pipe| {
                let read = archive.read(&entry, &mut |part| pipe.send(part));
                read.map_err(|problem| {
                    log.add(&path, FindingKind::Damaged, problem.clone());
                    io::Error::new(io::ErrorKind::InvalidData, problem)
                })
            })))
        })
    }

    /// Hands an entry to `each` in parts, until that wants no more.
    fn read(
        &self,
        entry: &OwnedZipFileEntry,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), String> {
        let failed = |error: io::Error| with_causes(&error);
        let mut handle = self
            .reading
            .root
            .file(self.file.as_bytes())
            .map_err(failed)?;
        let password = self
            .reading
            .keys
            .passphrase()
            .map(|text| text.expose().as_bytes());
        let options = ZipReadOptions::new().password(password.filter(|_| entry.encrypted()));
        let mut reader = entry
            .as_ref()
            .with_reader(&mut handle, options)
            .map_err(text)?;
        let mut buffer = Zeroizing::new(vec![0; BUFFER]);
        let mut total = 0;
        loop {
            let len = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            total += len as u64;
            if total > entry.size() {
                return Err("it is longer than it says".to_owned());
            }
            if !each(&buffer[..len]) {
                return Ok(());
            }
        }
        match total == entry.size() {
            true => Ok(()),
            false => Err("it is shorter than it says".to_owned()),
        }
    }

    fn try_password(&self, entries: &[Arc<OwnedZipFileEntry>]) -> Result<()> {
        let encrypted = entries
            .iter()
            .filter(|entry| entry.encrypted() && entry.is_file());
        // The header of an empty entry lets every 256th password through.
        let tried = encrypted
            .clone()
            .filter(|entry| (1..=MAX_TRIED).contains(&entry.size()));
        let of = |entry: &'_ Arc<OwnedZipFileEntry>| (entry.size(), entry.clone());
        let mut files: Vec<_> = tried.map(of).collect();
        if files.is_empty() {
            files = encrypted.map(of).collect();
        }
        let file = self.file.as_bytes();
        let files = files
            .into_iter()
            .map(|(size, entry)| (size, file, entry))
            .collect();
        probe(
            files,
            self.reading.keys.passphrase().is_some(),
            |entry| match self.read(entry, &mut |_| true) {
                Ok(()) => Tried::Opens,
                Err(_) => Tried::Fails,
            },
        )
    }
}
