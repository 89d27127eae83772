//! A restore drill: a snapshot, or some of it, is restored where nothing else is, compared with what
//! the repository holds, and looked at by a program of the user. The sources are not looked at.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keepwatch_config::SecretText;
use keepwatch_core::{DrillOptions, Error, Id, Progress, Repository, Snapshot};
use keepwatch_ops::RunFacts;
use keepwatch_ops::hook::{Environment, HookSettings, Stage, run_hook};
use serde_json::json;

use super::{Ended, Task, problems, summary};
use crate::record::DrillFault;

/// What is drilled.
pub struct DrillPlan {
    /// How much is restored.
    pub options: DrillOptions,
    /// A program that looks at it where it was restored; `options.keep` lets it find it.
    pub check: Option<HookSettings>,
    /// How old the snapshot may be.
    pub max_age: Option<Duration>,
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
            let said = result.output.text();
            ended.problems.push(match said.trim() {
                "" => error.to_string(),
                said => format!("{error}; it said: {}", last_of(said)),
            });
            fault = fault.or(Some(DrillFault::Command));
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

/// The end of a text, where errors stand.
fn last_of(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(1000))..]
}
