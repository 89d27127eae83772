//! Backups that BackupHandler made: read as they are, restored, and brought into a repository.
//!
//! Such a backup is a directory with the files of the source at their paths, as they were or each
//! encrypted (`.enc`), with a manifest in JSON for each run beside them; or a zip, `backup_TIME.zip`.
//! [`Backup::open`] finds what is there and says what each run left. A run overwrites what the runs
//! before it have left, so only the state after the last one is whole: that is what is restored and
//! brought in. Of earlier runs there is what nobody has overwritten since, on request.
//!
//! Nothing is believed: files are found by looking into the directory, never by a path that a manifest
//! or zip holds, no link is followed, and every content is compared with the checksum in its manifest.
//! What is left out or in doubt is a [`Finding`].
//!
//! Hard links are what its `--dedup` makes of files that were alike: they become files of their own
//! again, for else a change of one would change the others.

mod archive;
mod content;
mod error;
mod finding;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod import;
mod manifest;
mod mirror;
mod names;
mod place;
mod probe;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_core::{Name, VirtualTree};
use keepwatch_crypto::backuphandler::LegacyKeys;
use serde::Serialize;

pub use error::{Error, Result};
pub use finding::{Finding, FindingKind, Weight};
pub use import::{ImportOptions, ImportReport, Imported, RestoredReport};

use content::Reading;
use finding::Log;
use manifest::Manifest;
use scan::Root;

/// How to read a backup.
#[derive(Debug)]
pub struct OpenOptions {
    /// The zone of the machine that made it: its times say none.
    pub time_zone: TimeZone,
    /// What opens encrypted files and zips: a passphrase, a key file, or both.
    pub keys: LegacyKeys,
    /// Also what earlier runs have left.
    pub all_runs: bool,
    /// Leave out what was no longer in the source at the last run.
    pub without_deleted: bool,
}

/// What kind of backup a run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum RunKind {
    /// Files in a directory.
    Directory {
        /// `full`, `incremental` or `differential`, as its manifest says.
        mode: String,
    },
    /// A zip.
    Zip,
}

/// What one run left.
#[derive(Debug)]
pub struct Run {
    /// The manifest or zip that stands for it; nothing if there is no manifest at all.
    pub name: Option<String>,
    /// When it ended; without a manifest, when the newest file was changed.
    pub time: Timestamp,
    /// What it made.
    pub kind: RunKind,
    /// The source, as far as it is known: where a snapshot has the tree.
    pub place: PathBuf,
    /// The files.
    pub tree: VirtualTree,
    /// Whether something of it was overwritten by later runs.
    pub is_partial: bool,
    log: Arc<Log>,
}

impl Run {
    /// What was found wrong so far: more may come with reading.
    pub fn findings(&self) -> Vec<Finding> {
        self.log.all()
    }
}

/// A backup.
#[derive(Debug)]
pub struct Backup {
    /// What its runs have left, the oldest first; of a directory, the last run only, unless all were
    /// asked for.
    pub runs: Vec<Run>,
    log: Log,
}

impl Backup {
    /// Looks at a backup: its directory, or one of its zips.
    ///
    /// Whether the keys are right is tried at once, with the smallest files.
    ///
    /// # Errors
    /// - [`Error::NoBackup`] when nothing is there.
    /// - [`Error::NeedsKey`], [`Error::WrongKey`] and [`Error::OtherKey`].
    /// - [`Error::Archive`] for a zip that cannot be read at all.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self> {
        let is = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if !is.is_dir() {
            return archive::open_alone(path, options);
        }
        let root = Root::open(path)?;
        let log = Log::default();
        let found = scan::scan(&root, &log)?;
        let keys = Arc::new(options.keys);
        let (manifests, zips) = read_manifests(&root, &found, &log);
        let name = path
            .canonicalize()
            .ok()
            .and_then(|path| Some(PathBuf::from(path.file_name()?)))
            .unwrap_or_else(|| "backup".into());
        let reading = Reading {
            root: Arc::new(root),
            keys,
        };
        let mut runs = Vec::new();
        let mut problem = None;
        for file in zips {
            match archive::open(&reading, &file, name.clone(), &options.time_zone) {
                Ok(run) => runs.push(run),
                // Each zip has a password of its own.
                Err(error) if error.is_key() || matches!(error, Error::Archive { .. }) => {
                    let kind = match error.is_key() {
                        true => FindingKind::Locked,
                        false => FindingKind::Damaged,
                    };
                    log.add(file.as_bytes(), kind, error.to_string());
                    problem.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        let choice = mirror::Choice {
            time_zone: &options.time_zone,
            all_runs: options.all_runs,
            without_deleted: options.without_deleted,
            name: &name,
        };
        runs.extend(mirror::runs(&reading, &found, &manifests, &choice, &log)?);
        if runs.is_empty() {
            return Err(problem.unwrap_or_else(|| Error::NoBackup { path: path.into() }));
        }
        runs.sort_by_key(|run| run.time);
        Ok(Self { runs, log })
    }

    /// What a restore brings back: the directory as its last run left it, or else the newest zip.
    pub fn latest(&self) -> &Run {
        let directory = self
            .runs
            .iter()
            .rfind(|run| matches!(run.kind, RunKind::Directory { .. }));
        directory
            .or(self.runs.last())
            .expect("a backup has at least one run")
    }

    /// What was found wrong with the backup as a whole.
    pub fn findings(&self) -> Vec<Finding> {
        self.log.all()
    }
}

/// The manifests in the top directory that can be read, the oldest first, and the names of zips.
fn read_manifests(root: &Root, found: &scan::Scan, log: &Log) -> (Vec<Manifest>, Vec<String>) {
    let (mut manifests, mut zips) = (Vec::new(), Vec::new());
    for file in found.files_at_top() {
        if names::stamp_of_zip(file).is_some() {
            zips.push(file.to_owned());
        }
        let Some(stamp) = names::stamp_of_manifest(file) else {
            continue;
        };
        match manifest::read(root, file, stamp) {
            Ok(manifest) => manifests.push(manifest),
            Err(problem) => log.add(file.as_bytes(), FindingKind::BadManifest, problem),
        }
    }
    manifests.sort_by(|one, other| one.stamp.cmp(&other.stamp));
    (manifests, zips)
}

/// A name as JSON has it.
fn name_of(bytes: &[u8]) -> Name {
    Name(bytes.to_vec())
}
