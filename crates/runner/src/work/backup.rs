//! A backup into one or more repositories.
//!
//! The sources are read once, for the first repository that takes them. The others get the snapshot
//! from there, chunk by chunk under their own keys. A repository that does not answer keeps the
//! others from nothing: what became of each is told apart, and the next run makes up for it.

mod volumes;

use std::sync::atomic::Ordering;

use keepwatch_core::fs::ExcludesBuilder;
use keepwatch_core::storage::ObjectKind;
use keepwatch_core::{
    BackupOptions, BackupReport, CopyOptions, Error, Filter, Id, Progress, Role, Snapshot, Source,
    with_causes,
};
use keepwatch_ops::source::FOLDER;
use keepwatch_ops::volume::LEFT_OUT;
use serde_json::json;

use volumes::Volumes;

use super::{Ended, Task, host_name, problems, prune, renew_holds, summary};
use crate::record::{Destination, Status};
use crate::repositories::Opened;

/// The repository that has the snapshot, for the others.
struct Made {
    name: String,
    opened: Opened,
    id: Id,
    snapshot: Snapshot,
}

pub(super) fn backup(task: &Task, progress: &dyn Progress) -> Result<Ended, Error> {
    let mut ended = Ended::default();
    let mut made: Option<Made> = None;
    let mut first_error = None;
    for name in &task.job.repositories {
        let mut there = Destination {
            repository: name.clone(),
            status: Status::Failed,
            snapshot: None,
            from: None,
            bytes_stored: 0,
            forgotten: 0,
            error: None,
        };
        let result = match task.stop.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => to_one(task, &mut there, &mut made, &mut ended, progress),
        };
        match result {
            Ok(()) => {}
            Err(Error::Interrupted) => there.status = Status::Stopped,
            Err(error) => {
                let told = with_causes(&error);
                tracing::error!(
                    repository = name,
                    error = told,
                    "a backup did not get there"
                );
                there.error = Some(told);
                // A snapshot that is there stays one, whatever came afterwards.
                there.status = match there.snapshot {
                    Some(_) => Status::Partly,
                    None => Status::Failed,
                };
                first_error.get_or_insert(error);
            }
        }
        ended.destinations.push(there);
    }
    let all = ended.destinations.iter();
    let stopped = all.clone().any(|there| there.status == Status::Stopped);
    let kept = all.clone().any(|there| there.snapshot.is_some());
    match (stopped, kept, first_error) {
        // One is known: there is more to be said than how it ended.
        (false, false, Some(error))
            if ended.destinations.len() == 1 && ended.problems.is_empty() =>
        {
            return Err(error);
        }
        (true, false, _) => return Err(Error::Interrupted),
        _ => {}
    }
    ended.failed = !kept;
    Ok(ended)
}

/// Brings a snapshot to one repository, and keeps its rules there.
fn to_one(
    task: &Task,
    there: &mut Destination,
    made: &mut Option<Made>,
    ended: &mut Ended,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let opened = task.open(&there.repository)?;
    let copied = match &*made {
        None => None,
        Some(from) => match hand_on(from, &opened, there, progress) {
            Ok(id) => Some((id, from.snapshot.clone())),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            // Whose fault is it? One that does not answer any more is no source.
            Err(_)
                if from
                    .opened
                    .storage
                    .list(ObjectKind::Snapshot, &mut |_, _| {})
                    .is_err() =>
            {
                None
            }
            Err(error) => return Err(error),
        },
    };
    let (id, snapshot) = match copied {
        Some(copied) => copied,
        None => {
            let report = read_sources(task, &opened, &mut ended.problems, progress)?;
            let id = report.snapshot.ok_or_else(|| Error::Invalid {
                what: "backup",
                problem: "it made no snapshot".to_owned(),
            })?;
            there.bytes_stored = report.bytes.stored;
            there.snapshot = Some(id);
            for problem in problems(&report.errors) {
                if !ended.problems.contains(&problem) {
                    ended.problems.push(problem);
                }
            }
            if ended.summary.is_empty() {
                ended.summary = facts(&report);
            }
            there.status = match report.errors.is_empty() {
                true => Status::Done,
                false => Status::Partly,
            };
            if opened.repository.role() == Role::Writer {
                // What it has written it cannot read: neither to hand it on, nor to forget it.
                return renew_holds(&opened, task);
            }
            let (id, snapshot) = opened.repository.find_snapshot(&id.to_string())?;
            (id, snapshot)
        }
    };
    there.snapshot = Some(id);
    if there.from.is_some() {
        // As whole as what it was handed on from.
        let partly = ended.destinations.iter().any(|other| {
            there.from.as_ref() == Some(&other.repository)
                && other.status == Status::Partly
                && other.error.is_none()
        });
        there.status = if partly { Status::Partly } else { Status::Done };
    }
    let whole = there.status == Status::Done;
    let kept = keep_rules(task, &opened, &snapshot, whole, there);
    if there.from.is_none() {
        *made = Some(Made {
            name: there.repository.clone(),
            opened,
            id,
            snapshot,
        });
    }
    kept
}

/// Copies the snapshot, and those before it that did not get there when they were made.
fn hand_on(
    from: &Made,
    to: &Opened,
    there: &mut Destination,
    progress: &dyn Progress,
) -> Result<Id, Error> {
    let same =
        |other: &Snapshot| other.host == from.snapshot.host && other.paths == from.snapshot.paths;
    let mut snapshots = vec![(from.id, from.snapshot.clone())];
    if to.repository.role() == Role::Full {
        let (known, _) = to.repository.snapshots()?;
        let newest = known
            .iter()
            .filter(|(_, snapshot)| same(snapshot))
            .map(|(_, snapshot)| snapshot.time)
            .max();
        // Older ones than it has were taken away by its rules; where nothing is, nothing is missed.
        if let Some(newest) = newest {
            let (missed, _) = from.opened.repository.snapshots()?;
            snapshots.extend(missed.into_iter().filter(|(id, snapshot)| {
                *id != from.id && same(snapshot) && snapshot.time > newest
            }));
        }
    }
    there.from = Some(from.name.clone());
    let options = CopyOptions::default();
    let report = to
        .repository
        .copy_from(&from.opened.repository, snapshots, &options, progress)
        .inspect_err(|_| there.from = None)?;
    there.bytes_stored = report.bytes_stored;
    let copy = report.copied.iter().find(|copy| copy.from == from.id);
    copy.and_then(|copy| copy.to).ok_or_else(|| Error::Invalid {
        what: "copy of a snapshot",
        problem: "it was there before it was made".to_owned(),
    })
}

/// Reads all sources, the paths from snapshots of their file systems if that is wanted. What can
/// only be told of those snapshots is told in `problems`.
fn read_sources(
    task: &Task,
    opened: &Opened,
    problems: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<BackupReport, Error> {
    let mut excludes = ExcludesBuilder::new();
    for pattern in &task.job.exclude {
        excludes = excludes.glob(pattern).map_err(pattern_error)?;
    }
    // Last, so that nothing takes it back.
    excludes = excludes.glob(LEFT_OUT).map_err(pattern_error)?;
    let mut options = BackupOptions {
        tags: task.job.tags.clone(),
        host: host_name(),
        user: rustix::process::getuid().as_raw().to_string(),
        program: task.program.to_owned(),
        excludes: excludes.build().map_err(pattern_error)?,
        skip: task.never_entered(),
        stop: Some(task.stop.clone()),
        ..BackupOptions::at(task.now)
    };
    let volumes = Volumes::take(task)?;
    let report = volumes.sources(task).and_then(|mut sources| {
        sources.extend(databases(task)?);
        let missing = volumes.not_in(&options);
        volumes.skip_in_snapshots(&mut options.skip);
        let mut report = opened.repository.backup(sources, &options, progress)?;
        report.errors.extend(missing);
        Ok(report)
    });
    problems.extend(volumes.remove());
    report
}

fn databases(task: &Task) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for name in &task.job.databases {
        let Some(database) = task.config.databases.get(name) else {
            continue;
        };
        let streams = database.streams(name, task.environment, task.state);
        sources.extend(streams.map_err(|error| Error::SourceFailed {
            name: format!("{FOLDER}/{name}"),
            problem: with_causes(&error),
        })?);
    }
    Ok(sources)
}

fn pattern_error(error: impl std::error::Error) -> Error {
    Error::Invalid {
        what: "exclude",
        problem: error.to_string(),
    }
}

fn facts(report: &BackupReport) -> std::collections::BTreeMap<String, serde_json::Value> {
    summary([
        ("snapshot", json!(report.snapshot)),
        ("files_new", json!(report.files.new)),
        ("files_changed", json!(report.files.changed)),
        ("files_unmodified", json!(report.files.unmodified)),
        ("bytes_scanned", json!(report.bytes.scanned)),
        ("bytes_stored", json!(report.bytes.stored)),
    ])
}

/// Forgets what the rules do not keep, and frees it; only after a backup of everything.
fn keep_rules(
    task: &Task,
    opened: &Opened,
    snapshot: &Snapshot,
    whole: bool,
    there: &mut Destination,
) -> Result<(), Error> {
    if !whole {
        return renew_holds(opened, task);
    }
    if let Some(keep) = &task.job.keep {
        let filter = Filter {
            host: Some(snapshot.host.clone()),
            tags: Vec::new(),
            paths: snapshot.paths.clone(),
        };
        let policy = keep.policy(task.zone.clone());
        let report = opened
            .repository
            .forget_by_policy(&filter, &policy, task.now, false)?;
        there.forgotten = report.removed.len() as u64;
    }
    match task.job.prune {
        true => prune(opened, task).map(drop),
        false => renew_holds(opened, task),
    }
}
