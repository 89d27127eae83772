//! What each kind of job does.

mod backup;
mod drill;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use keepwatch_config::{Config, JobConfig, JobKind};
use keepwatch_core::{
    CachePlace, Error, Id, PathError, Progress, PruneOptions, ReadData, Repository, Snapshot,
};
use keepwatch_ops::RunFacts;
use keepwatch_ops::hook::Environment;
use serde_json::{Value, json};

use crate::record::{Destination, DrillFault};
use crate::repositories::{Opened, Repositories};

pub use drill::{DrillPlan, drill};

/// How long forgotten snapshots can be taken back.
const KEEP_TRASH: SignedDuration = SignedDuration::from_hours(24 * 7);
const MAX_UNUSED_PERCENT: f64 = 5.0;

/// What is to be done, and with what.
pub struct Task<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The job of it.
    pub job: &'a JobConfig,
    /// Opens its repositories.
    pub repositories: &'a Repositories,
    /// When it begins.
    pub now: Timestamp,
    /// Where days begin.
    pub zone: TimeZone,
    /// The program and its version, for the record.
    pub program: &'a str,
    /// What programs that it runs inherit.
    pub environment: &'a Environment,
    /// What they are told of the run.
    pub facts: RunFacts,
    /// What jobs leave; never backed up, and where copies of databases may be for a while.
    pub state: &'a Path,
    /// Set to end it early.
    pub stop: Arc<AtomicBool>,
}

/// How it ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// A backup: what became of each repository.
    pub destinations: Vec<Destination>,
    /// Numbers and texts, by kind.
    pub summary: BTreeMap<String, Value>,
    /// What could not be done.
    pub problems: Vec<String>,
    /// Whether it failed by what it found, though it could be done.
    pub failed: bool,
    /// A drill: why it failed.
    pub fault: Option<DrillFault>,
}

/// Does a job.
///
/// # Errors
/// When nothing of it could be done.
pub fn work(task: &Task, progress: &dyn Progress) -> Result<Ended, Error> {
    match task.job.kind {
        JobKind::Backup => backup::backup(task, progress),
        JobKind::Check => check(&task.first()?.repository, task, progress),
        JobKind::Prune => {
            let opened = task.first()?;
            let report = prune(&opened, task)?;
            Ok(Ended {
                summary: summary([
                    ("packs_removed", json!(report.packs_removed)),
                    ("packs_rewritten", json!(report.packs_rewritten)),
                    ("bytes_freed", json!(report.bytes_freed)),
                ]),
                ..Ended::default()
            })
        }
        JobKind::Drill => {
            let repository = task.first()?.repository;
            let (id, snapshot) = latest(&repository)?;
            drill(&repository, &id, &snapshot, &DrillPlan::of(task), progress)
        }
    }
}

impl Task<'_> {
    fn open(&self, name: &str) -> Result<Opened, Error> {
        let config = self.config.repositories.get(name);
        self.repositories.open(config.ok_or_else(|| Error::Invalid {
            what: "repository",
            problem: format!("there is no {name} in the configuration"),
        })?)
    }

    /// Only backups have more than one.
    fn first(&self) -> Result<Opened, Error> {
        self.open(self.job.repositories.first().map_or("", String::as_str))
    }

    /// What no backup goes into: it would grow by what it writes.
    fn never_entered(&self) -> Vec<PathBuf> {
        let local = self.config.repositories.values();
        let local = local.filter(|repository| !repository.is_remote());
        let cache = match self.repositories.cache() {
            CachePlace::Dir(dir) => Some(dir.clone()),
            CachePlace::Temporary(_) => None,
        };
        let dirs = local.map(|repository| repository.path.clone());
        // What cannot be resolved does not exist, and is not entered either.
        dirs.chain(cache)
            .chain([self.state.to_owned()])
            .filter_map(|dir| dir.canonicalize().ok())
            .collect()
    }
}

pub(crate) fn host_name() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
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

fn check(repository: &Repository, task: &Task, progress: &dyn Progress) -> Result<Ended, Error> {
    let read = match task.job.read_data_percent {
        None => ReadData::No,
        Some(percent) => ReadData::Percent(percent),
    };
    let report = repository.check(read, progress)?;
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
        ..Ended::default()
    })
}

fn prune(opened: &Opened, task: &Task) -> Result<keepwatch_core::PruneReport, Error> {
    let options = PruneOptions {
        dry_run: false,
        max_unused_percent: MAX_UNUSED_PERCENT,
        keep_trash: KEEP_TRASH,
        drop_pending: false,
        stop: Some(task.stop.clone()),
    };
    let report = opened.repository.prune(&options, task.now)?;
    renew_holds(opened, task)?;
    if let Err(error) = opened.storage.sweep_temporaries() {
        let error = keepwatch_core::with_causes(&error);
        tracing::warn!(error, "cannot remove what interrupted writes have left");
    }
    Ok(report)
}

/// Holds on to what snapshots need, where the storage can; when that is due.
fn renew_holds(opened: &Opened, task: &Task) -> Result<(), Error> {
    opened.repository.renew_holds(task.now, &task.stop)?;
    Ok(())
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
