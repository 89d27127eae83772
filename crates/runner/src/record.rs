//! What is remembered of a run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keepwatch_config::JobKind;
use keepwatch_core::Id;
use keepwatch_ops::RunStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a run is, or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is under way.
    Running,
    /// All was done.
    Done,
    /// But for what its problems say.
    Partly,
    /// Nothing was made, or what was found is bad.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// Its process ended meanwhile.
    Interrupted,
}

impl Status {
    /// As hooks and notifications tell it.
    pub fn as_run_status(self) -> RunStatus {
        match self {
            Status::Running => RunStatus::Running,
            Status::Done => RunStatus::Success,
            Status::Partly => RunStatus::Partial,
            Status::Failed | Status::Stopped | Status::Interrupted => RunStatus::Failed,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Done => "done",
            Status::Partly => "partly",
            Status::Failed => "failed",
            Status::Stopped => "stopped",
            Status::Interrupted => "interrupted",
        }
    }
}

/// What became of one repository that a backup went to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Its name in the configuration.
    pub repository: String,
    /// How it went there.
    pub status: Status,
    /// The snapshot there.
    pub snapshot: Option<Id>,
    /// The repository that the snapshot was handed on from; nothing where the sources were read.
    pub from: Option<String>,
    /// Bytes that were added to it.
    pub bytes_stored: u64,
    /// Snapshots that its rules moved to the trash.
    pub forgotten: u64,
    /// What went wrong.
    pub error: Option<String>,
}

/// Why a drill failed, if something could be restored at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrillFault {
    /// What came back is not what was backed up, or did not come back.
    Content,
    /// The user's own program says no.
    Command,
    /// The newest snapshot is older than it may be.
    Age,
}

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Its number, which no other run has.
    pub id: String,
    /// The job.
    pub job: String,
    /// What it does.
    pub kind: JobKind,
    /// Who started it.
    pub by: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, hooks included.
    pub ended_at: Option<Timestamp>,
    /// How it is.
    pub status: Status,
    /// A backup: what became of each repository.
    pub destinations: Vec<Destination>,
    /// Numbers and texts, by kind.
    pub summary: BTreeMap<String, Value>,
    /// What could not be done; the first fifty.
    pub problems: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// A drill: why it failed.
    pub fault: Option<DrillFault>,
}

impl RunRecord {
    /// What went wrong, one thing a line.
    pub fn said(&self) -> Vec<String> {
        let there = self.destinations.iter().filter_map(|there| {
            let error = match (&there.error, there.status) {
                (Some(error), _) => error,
                (None, Status::Stopped) => "it was stopped before its turn",
                (None, _) => return None,
            };
            Some(format!("{}: {error}", there.repository))
        });
        let all = self.error.iter().cloned().chain(there);
        let mut lines: Vec<String> = Vec::new();
        for line in all.chain(self.problems.iter().cloned()) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }

    /// The snapshot that was made, or looked at.
    pub fn snapshot(&self) -> Option<String> {
        let made = self.destinations.iter().find_map(|there| there.snapshot);
        let seen = || self.summary.get("snapshot")?.as_str().map(str::to_owned);
        made.map(|id| id.to_string()).or_else(seen)
    }
}
