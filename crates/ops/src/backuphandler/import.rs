//! Bringing a backup into a repository, or back to where files are used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use keepwatch_core::{
    BackupOptions, Compression, Error as CoreError, Id, Mode, Name, PathError, Progress,
    Repository, RestoreOptions, RestoreReport, Snapshot, Source, restore_tree,
};
use serde::Serialize;

use super::error::Result;
use super::finding::{Finding, Weight};
use super::names::SUFFIX;
use super::{Backup, Run, RunKind};

/// Every snapshot that was brought in has it.
const TAG: &str = "backuphandler";
/// Those of earlier runs of which not all was there have it, too.
const TAG_PARTIAL: &str = "partial";

/// How to bring a backup in.
#[derive(Debug)]
pub struct ImportOptions {
    /// The machine it is of: backups do not say it.
    pub host: String,
    /// Who brings it in.
    pub user: String,
    /// The program's name and version, for the record.
    pub program: String,
    /// Where snapshots have the files, instead of where manifests say.
    pub place: Option<PathBuf>,
    /// Tags besides `backuphandler`.
    pub tags: Vec<String>,
    /// How hard to compress.
    pub compression: Compression,
    /// Read and compare everything, and write nothing.
    pub dry_run: bool,
    /// Set to stop: what was stored stays, and the same import again goes on from there.
    pub stop: Option<Arc<AtomicBool>>,
}

/// What became of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// Its manifest or zip.
    pub name: Option<String>,
    /// What it made.
    #[serde(flatten)]
    pub kind: RunKind,
    /// When it ended, and the snapshot's time.
    pub time: Timestamp,
    /// Where the snapshot has the files.
    pub path: Name,
    /// The snapshot; nothing after a dry run.
    pub snapshot: Option<Id>,
    /// Whether it was there already, from an earlier import.
    pub is_old: bool,
    /// Whether later runs have overwritten something of it.
    pub is_partial: bool,
    /// Files in the snapshot.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files that could not be read, or are not what they were.
    pub failed: u64,
}

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct ImportReport {
    /// The runs, the oldest first.
    pub runs: Vec<Imported>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What else went wrong.
    pub errors: Vec<PathError>,
}

/// What a restore without a repository did.
#[derive(Clone, Debug, Serialize)]
pub struct RestoredReport {
    /// The manifest or zip.
    pub name: Option<String>,
    /// When that run ended.
    pub time: Timestamp,
    /// What was written.
    #[serde(flatten)]
    pub report: RestoreReport,
    /// What was found. What is told here is not among the errors.
    pub findings: Vec<Finding>,
}

impl ImportReport {
    /// The weight of the heaviest finding.
    pub fn weight(&self) -> Option<Weight> {
        // What an earlier import has left out is not there either.
        let is_short = self.runs.iter().any(|run| run.failed > 0);
        weight(&self.findings, &self.errors).max(is_short.then_some(Weight::Doubt))
    }
}

impl RestoredReport {
    /// The weight of the heaviest finding.
    pub fn weight(&self) -> Option<Weight> {
        weight(&self.findings, &self.report.errors)
    }
}

fn weight(findings: &[Finding], errors: &[PathError]) -> Option<Weight> {
    let heaviest = findings.iter().map(|finding| finding.weight).max();
    heaviest.max((!errors.is_empty()).then_some(Weight::Doubt))
}

impl Backup {
    /// Makes a snapshot of each run, at its own time. One that an earlier import has made is not made
    /// again.
    ///
    /// # Errors
    /// What the vault says. What cannot be read is in the report.
    pub fn import(
        &self,
        repository: &Repository,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<ImportReport> {
        let there = match repository.snapshots() {
            Ok((snapshots, _)) => snapshots,
            // Who may only write cannot know.
            Err(CoreError::NeedsFullKey { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let mut report = ImportReport {
            runs: Vec::new(),
            findings: Vec::new(),
            errors: Vec::new(),
        };
        let mut findings = BTreeSet::from_iter(self.findings());
        for run in &self.runs {
            let place = options.place.as_ref().unwrap_or(&run.place);
            let source = Source::Tree(run.tree.clone(), place.clone());
            let path = Name(place.as_os_str().as_encoded_bytes().to_vec());
            let mut imported = Imported {
                name: run.name.clone(),
                kind: run.kind.clone(),
                time: run.time,
                path,
                snapshot: None,
                is_old: false,
                is_partial: run.is_partial,
                files: 0,
                bytes: 0,
                failed: 0,
            };
            let old = there
                .iter()
                .find(|(_, snapshot)| is_of(snapshot, &imported, run, &options.host));
            if let Some((id, snapshot)) = old {
                imported.snapshot = Some(*id);
                imported.is_old = true;
                imported.files = snapshot.files;
                imported.bytes = snapshot.bytes;
                imported.failed = snapshot.failed;
            } else {
                let done =
                    repository.backup(vec![source], &backup_options(run, options), progress)?;
                imported.snapshot = done.snapshot;
                imported.files = done.files.new + done.files.changed + done.files.unmodified;
                imported.bytes = done.bytes.scanned;
                imported.failed = done.files.failed;
                report
                    .errors
                    .extend(unexplained(done.errors, &run.findings()));
            }
            findings.extend(run.findings());
            report.runs.push(imported);
        }
        report.findings = findings.into_iter().collect();
        Ok(report)
    }

    /// Restores the state after the last run right into a directory.
    ///
    /// # Errors
    /// What [`restore_tree`] says. What cannot be read is in the report.
    pub fn restore(
        &self,
        target: &Path,
        options: &RestoreOptions,
        progress: &dyn Progress,
    ) -> Result<RestoredReport> {
        let run = self.latest();
        let mut report = restore_tree(&run.tree, target, options, progress)?;
        let mut findings = BTreeSet::from_iter(self.findings());
        findings.extend(run.findings());
        report.errors = unexplained(report.errors, &run.findings());
        report.damaged = findings
            .iter()
            .any(|finding| finding.weight == Weight::Damage);
        Ok(RestoredReport {
            name: run.name.clone(),
            time: run.time,
            report,
            findings: findings.into_iter().collect(),
        })
    }
}

/// Whether a snapshot is what an earlier import made of a run.
fn is_of(snapshot: &Snapshot, imported: &Imported, run: &Run, host: &str) -> bool {
    snapshot.time == run.time
        && snapshot.host == host
        && snapshot.paths == [imported.path.clone()]
        && snapshot.tags.iter().any(|tag| tag == TAG)
        && snapshot.tags.iter().any(|tag| tag == TAG_PARTIAL) == run.is_partial
}

fn backup_options(run: &Run, options: &ImportOptions) -> BackupOptions {
    let mut tags = vec![TAG.to_owned()];
    if run.is_partial {
        tags.push(TAG_PARTIAL.to_owned());
    }
    for tag in &options.tags {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    BackupOptions {
        mode: Mode::Full,
        tags,
        host: options.host.clone(),
        user: options.user.clone(),
        program: options.program.clone(),
        compression: options.compression,
        dry_run: options.dry_run,
        stop: options.stop.clone(),
        ..BackupOptions::at(run.time)
    }
}

/// The errors of the vault that no finding tells of: what a reader failed of stands in both.
fn unexplained(errors: Vec<PathError>, findings: &[Finding]) -> Vec<PathError> {
    let told = |error: &PathError| {
        findings.iter().any(|finding| {
            let path = &finding.path.0;
            let path = path.strip_suffix(SUFFIX).unwrap_or(path);
            let stem = error.path.0.strip_suffix(SUFFIX).unwrap_or(&error.path.0);
            let above = stem.strip_suffix(path);
            error.error == finding.detail && above.is_some_and(|above| above.ends_with(b"/"))
        })
    };
    errors.into_iter().filter(|error| !told(error)).collect()
}
