//! A restore drill: a snapshot, or some of it, is restored where nothing else is, compared with what
//! the repository holds, and looked at by a program of the user. The sources are not looked at.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use keepwatch_config::SecretText;
use keepwatch_core::{DrillOptions, Error, Id, Progress, Repository, Snapshot, with_causes};
use keepwatch_ops::RunFacts;
use keepwatch_ops::hook::{Environment, HookSettings, Stage, run_hook};
use keepwatch_ops::source::{DatabaseSettings, FOLDER, SourceError};
use serde_json::json;

use super::{Ended, Task, problems, summary};
use crate::dumps::{dumps_of, with_dump};
use crate::record::DrillFault;

/// What is drilled.
pub struct DrillPlan {
    /// How much is restored.
    pub options: DrillOptions,
    /// A program that looks at it where it was restored; `options.keep` lets it find it.
    pub check: Option<HookSettings>,
    /// How old the snapshot may be.
    pub max_age: Option<Duration>,
    /// Databases of the snapshot, by their names there, each with where its dumps are tried.
    pub scratch: Vec<(String, DatabaseSettings)>,
    /// What the program is told of the run.
    pub facts: RunFacts,
    /// What it inherits.
    pub environment: Environment,
    /// The time.
    pub now: Timestamp,
}

impl DrillPlan {
    pub(super) fn of(task: &Task) -> Self {
        let (job, defaults) = (task.job, DrillOptions::default());
        Self {
            options: DrillOptions {
                files: job.sample_files.unwrap_or(defaults.files),
                bytes: job.sample_bytes.unwrap_or(defaults.bytes),
                all: job.all,
                keep: job.check.is_some(),
                stop: Some(task.stop.clone()),
            },
            check: job.check.clone(),
            max_age: job.max_age,
            scratch: job
                .scratch
                .iter()
                .filter_map(|(name, server)| {
                    let settings = task.config.databases.get(server)?;
                    Some((name.clone(), settings.clone()))
                })
                .collect(),
            facts: task.facts.clone(),
            environment: task.environment.clone(),
            now: task.now,
        }
    }
}

/// Restores as much of a snapshot as the plan says, in a temporary directory, and looks at it.
///
/// # Errors
/// When nothing could be restored; what came back wrong is in what it returns.
pub fn drill(
    repository: &Repository,
    id: &Id,
    snapshot: &Snapshot,
    plan: &DrillPlan,
    progress: &dyn Progress,
) -> Result<Ended, Error> {
    let folder = tempfile::Builder::new()
        .prefix("keepwatch-drill-")
        .tempdir()
        .map_err(|source| Error::Io {
            operation: "make a directory for",
            path: "the drill".into(),
            source,
        })?;
    let restored = folder.path().join("restored");
    let report = repository.drill(id, snapshot, &restored, &plan.options, progress)?;
    let age = plan.now.duration_since(snapshot.time);
    let mut ended = Ended {
        summary: summary([
            ("snapshot", json!(report.snapshot)),
            ("snapshot_time", json!(report.time)),
            ("age_seconds", json!(age.as_secs())),
            ("files", json!(report.files)),
            ("bytes", json!(report.bytes)),
            ("of_files", json!(report.of_files)),
            ("restore_seconds", json!(report.restore_s)),
        ]),
        problems: problems(&report.errors),
        ..Ended::default()
    };
    let mut fault = (!report.is_ok()).then_some(DrillFault::Content);
    if let Some(check) = &plan.check {
        let mut check = check.clone();
        let place = restored.display().to_string();
        check.directory = Some(restored);
        let variable = "KEEPWATCH_DRILL_DIR".to_owned();
        check.environment.insert(variable, SecretText::new(place));
        let result = run_hook(&check, Stage::Check, &plan.facts, &plan.environment);
        if let Some(error) = result.error() {
            let said = result.said();
            ended.problems.push(match said.trim() {
                "" => error.to_string(),
                said => format!("{error}; it said: {}", last_of(said)),
            });
            fault = fault.or(Some(DrillFault::Command));
        }
    }
    if !plan.scratch.is_empty() {
        let whole = rehearse(repository, snapshot, plan, folder.path(), &mut ended);
        if !whole {
            fault = fault.or(Some(DrillFault::Content));
        }
    }
    if let Some(most) = plan.max_age
        && age > SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX)
    {
        ended.problems.push(format!(
            "the newest snapshot is of {:.0}, which is longer ago than {}h",
            snapshot.time,
            most.as_secs() / 3600
        ));
        fault = fault.or(Some(DrillFault::Age));
    }
    ended.failed = fault.is_some();
    ended.fault = fault;
    Ok(ended)
}

/// Tries the dumps of databases where nothing else is. Whether all of them came back.
fn rehearse(
    repository: &Repository,
    snapshot: &Snapshot,
    plan: &DrillPlan,
    scratch: &Path,
    ended: &mut Ended,
) -> bool {
    let begun = Instant::now();
    let (mut databases, mut tables) = (0_u64, 0);
    let before = ended.problems.len();
    for (name, server) in &plan.scratch {
        let dumps = match dumps_of(repository, snapshot, name) {
            Ok(dumps) => dumps,
            Err(error) => {
                ended
                    .problems
                    .push(format!("{FOLDER}/{name}: {}", with_causes(&error)));
                continue;
            }
        };
        for dump in dumps {
            let done = with_dump(repository, snapshot, name, &dump, |reader| {
                server
                    .rehearse(&dump, reader, scratch, &plan.environment)
                    .map_err(Failed::from)
            });
            match done {
                Ok(Some(back)) => {
                    databases += 1;
                    tables += back.tables;
                }
                Ok(None) => tracing::info!(dump, "it is of the whole server, and is not tried"),
                Err(error) => {
                    let path = format!("{FOLDER}/{name}/{dump}");
                    ended
                        .problems
                        .push(format!("{path}: {}", with_causes(&error)));
                }
            }
        }
    }
    let whole = ended.problems.len() == before;
    if whole && databases == 0 {
        let problem = "no dump of a database is in the snapshot that could be tried";
        ended.problems.push(problem.to_owned());
    }
    ended.summary.extend(summary([
        ("databases", json!(databases)),
        ("tables", json!(tables)),
        ("databases_seconds", json!(begun.elapsed().as_secs_f64())),
    ]));
    whole && databases > 0
}

/// Why a dump was not restored.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("it cannot be read")]
    Io(#[from] std::io::Error),
}

/// The end of a text, where errors stand.
fn last_of(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(1000))..]
}
