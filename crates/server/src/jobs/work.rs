//! What each kind of job does.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use keepwatch_config::{JobConfig, JobKind, RepositoryConfig};
use keepwatch_core::fs::ExcludesBuilder;
use keepwatch_core::{
    BackupOptions, DrillOptions, Error, Id, PathError, PruneOptions, ReadData, Repository,
    Snapshot, Source,
};
use serde_json::{Value, json};

use super::run::{Counters, Ended};
use crate::vault::Repositories;

/// How long forgotten snapshots can be taken back.
const KEEP_TRASH: SignedDuration = SignedDuration::from_hours(24 * 7);
const MAX_UNUSED_PERCENT: f64 = 5.0;

/// Does a job.
pub(super) fn work(
    repositories: &Repositories,
    job: &JobConfig,
    config: &RepositoryConfig,
    counters: &Arc<Counters>,
    now: Timestamp,
) -> Result<Ended, Error> {
    let (repository, storage) = repositories.open_new(config)?;
    match job.kind {
        JobKind::Backup => backup(&repository, job, config, counters, now),
        JobKind::Check => check(&repository, job, counters),
        JobKind::Prune => {
            let ended = prune(&repository, counters, now)?;
            if let Err(error) = storage.sweep_temporaries() {
                let error = keepwatch_core::with_causes(&error);
                tracing::warn!(error, "cannot remove what interrupted writes have left");
            }
            Ok(ended)
        }
        JobKind::Drill => drill(&repository, job, counters),
    }
}

fn summary<const N: usize>(facts: [(&str, Value); N]) -> BTreeMap<String, Value> {
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What is wrong with paths in a backup is for who has made the job: they are paths of its sources.
fn problems(errors: &[PathError]) -> Vec<String> {
    let errors = errors.iter();
    errors
        .map(|problem| format!("{}: {}", problem.path, problem.error))
        .collect()
}

fn backup(
    repository: &Repository,
    job: &JobConfig,
    config: &RepositoryConfig,
    counters: &Arc<Counters>,
    now: Timestamp,
) -> Result<Ended, Error> {
    let mut excludes = ExcludesBuilder::new();
    for pattern in &job.exclude {
        excludes = excludes.glob(pattern).map_err(pattern_error)?;
    }
    let sources = job.paths.iter().map(|path| Source::at(path));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let options = BackupOptions {
        tags: job.tags.clone(),
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        user: rustix::process::getuid().as_raw().to_string(),
        program: concat!("keepwatch ", env!("CARGO_PKG_VERSION")).to_owned(),
        time: now,
        excludes: excludes.build().map_err(pattern_error)?,
        skip: config.path.canonicalize().into_iter().collect(),
        stop: Some(counters.stop.clone()),
        ..BackupOptions::at(now)
    };
    let report = repository.backup(sources, &options, &**counters)?;
    Ok(Ended {
        summary: summary([
            ("snapshot", json!(report.snapshot)),
            ("files_new", json!(report.files.new)),
            ("files_changed", json!(report.files.changed)),
            ("files_unmodified", json!(report.files.unmodified)),
            ("bytes_scanned", json!(report.bytes.scanned)),
            ("bytes_stored", json!(report.bytes.stored)),
        ]),
        problems: problems(&report.errors),
        failed: false,
    })
}

fn pattern_error(error: impl std::error::Error) -> Error {
    Error::Invalid {
        what: "exclude",
        problem: error.to_string(),
    }
}

fn check(
    repository: &Repository,
    job: &JobConfig,
    counters: &Arc<Counters>,
) -> Result<Ended, Error> {
    let read = match job.read_data_percent {
        None => ReadData::No,
        Some(percent) => ReadData::Percent(percent),
    };
    let report = repository.check(read, &**counters)?;
    let errors = report.errors.iter();
    Ok(Ended {
        summary: summary([
            ("snapshots", json!(report.checked.snapshots)),
            ("packs", json!(report.checked.packs)),
            ("chunks", json!(report.checked.chunks)),
            ("bytes_read", json!(report.checked.bytes)),
        ]),
        problems: errors
            .map(|found| format!("{}: {}", found.object, found.error))
            .collect(),
        failed: !report.ok,
    })
}

fn prune(
    repository: &Repository,
    counters: &Arc<Counters>,
    now: Timestamp,
) -> Result<Ended, Error> {
    let options = PruneOptions {
        dry_run: false,
        max_unused_percent: MAX_UNUSED_PERCENT,
        keep_trash: KEEP_TRASH,
        drop_pending: false,
        stop: Some(counters.stop.clone()),
    };
    let report = repository.prune(&options, now)?;
    Ok(Ended {
        summary: summary([
            ("packs_removed", json!(report.packs_removed)),
            ("packs_rewritten", json!(report.packs_rewritten)),
            ("bytes_freed", json!(report.bytes_freed)),
        ]),
        problems: Vec::new(),
        failed: false,
    })
}

fn drill(
    repository: &Repository,
    job: &JobConfig,
    counters: &Arc<Counters>,
) -> Result<Ended, Error> {
    let (id, snapshot) = latest(repository)?;
    let defaults = DrillOptions::default();
    let options = DrillOptions {
        files: job.sample_files.unwrap_or(defaults.files),
        bytes: job.sample_bytes.unwrap_or(defaults.bytes),
        stop: Some(counters.stop.clone()),
    };
    let folder = tempfile::Builder::new()
        .prefix("keepwatch-drill-")
        .tempdir()
        .map_err(|source| Error::Io {
            operation: "make a directory for",
            path: "the drill".into(),
            source,
        })?;
    let report = repository.drill(&id, &snapshot, folder.path(), &options, &**counters)?;
    Ok(Ended {
        summary: summary([
            ("snapshot", json!(report.snapshot)),
            ("snapshot_time", json!(report.time)),
            ("files", json!(report.files)),
            ("bytes", json!(report.bytes)),
            ("of_files", json!(report.of_files)),
            ("restore_seconds", json!(report.restore_s)),
        ]),
        failed: !report.is_ok(),
        problems: problems(&report.errors),
    })
}

/// The newest snapshot, whoever made it.
fn latest(repository: &Repository) -> Result<(Id, Snapshot), Error> {
    let (snapshots, _) = repository.snapshots()?;
    let newest = snapshots
        .into_iter()
        .max_by_key(|(_, snapshot)| snapshot.time);
    newest.ok_or_else(|| Error::Invalid {
        what: "repository",
        problem: "there is no snapshot to restore from".to_owned(),
    })
}
