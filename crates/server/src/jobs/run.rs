//! One run of a job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use jiff::Timestamp;
use keepwatch_config::JobKind;
use keepwatch_core::crypto::random_bytes;
use keepwatch_core::{Error, Progress, with_causes};
use keepwatch_runner::{Finished, RunRecord, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// So many problems are remembered of a run.
const PROBLEMS: usize = 50;

/// How a run is, or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunState {
    Running,
    /// Everything.
    Done,
    /// But for what `problems` say.
    Partly,
    Failed,
    /// By somebody.
    Stopped,
    /// The server ended meanwhile.
    Interrupted,
}

/// One run of a job.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub id: String,
    pub job: String,
    #[schema(value_type = JobKindView)]
    pub kind: JobKind,
    /// Who started it.
    pub by: String,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    pub state: RunState,
    /// How far it is, while it runs.
    pub progress: Option<RunProgress>,
    /// Numbers and texts, by kind.
    #[schema(value_type = Option<Object>)]
    pub summary: Option<BTreeMap<String, Value>>,
    /// What could not be done; the first fifty.
    pub problems: Vec<String>,
}

/// What a job does.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobKind)]
#[allow(
    dead_code,
    reason = "it stands for `JobKind` in the description of the API"
)]
pub(crate) enum JobKindView {
    Backup,
    Check,
    Prune,
    Drill,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RunProgress {
    pub files: u64,
    pub bytes: u64,
    /// If it is known.
    pub total_bytes: Option<u64>,
}

impl Run {
    pub fn new(name: &str, kind: JobKind, by: &str, now: Timestamp) -> Result<Self, Error> {
        Ok(Self {
            id: hex::encode(random_bytes::<8>()?),
            job: name.to_owned(),
            kind,
            by: by.to_owned(),
            started_at: now,
            ended_at: None,
            state: RunState::Running,
            progress: None,
            summary: None,
            problems: Vec::new(),
        })
    }

    /// What another process has written down.
    pub fn of(record: &RunRecord) -> Self {
        let mut run = Self {
            id: record.id.clone(),
            job: record.job.clone(),
            kind: record.kind,
            by: record.by.clone(),
            started_at: record.started_at,
            ended_at: record.ended_at,
            state: RunState::Running,
            progress: None,
            summary: None,
            problems: Vec::new(),
        };
        run.take(record, None);
        run
    }

    /// It has ended so.
    pub fn finish(
        &mut self,
        done: thread::Result<Result<Finished, keepwatch_runner::Error>>,
        now: Timestamp,
    ) {
        match done {
            Ok(Ok(finished)) => self.take(&finished.record, finished.error.as_ref()),
            Ok(Err(error)) => {
                self.state = RunState::Failed;
                tracing::error!(job = self.job, error = with_causes(&error), "a job failed");
                self.problems.push(match error {
                    keepwatch_runner::Error::Running { .. } => "another run is at it".to_owned(),
                    _ => UNSAID.to_owned(),
                });
            }
            Err(_) => {
                self.state = RunState::Failed;
                self.problems
                    .push("it came to an unexpected end".to_owned());
            }
        }
        self.ended_at = Some(now);
        self.problems.truncate(PROBLEMS);
    }

    fn take(&mut self, record: &RunRecord, error: Option<&Error>) {
        self.state = match record.status {
            Status::Running => RunState::Running,
            Status::Done => RunState::Done,
            Status::Partly => RunState::Partly,
            Status::Failed => RunState::Failed,
            Status::Stopped => RunState::Stopped,
            Status::Interrupted => RunState::Interrupted,
        };
        let mut summary = record.summary.clone();
        if record.destinations.len() > 1 {
            let there = record.destinations.iter().map(|there| {
                json!({
                    "repository": there.repository,
                    "state": there.status,
                    "snapshot": there.snapshot,
                })
            });
            summary.insert("destinations".to_owned(), there.collect());
        }
        self.summary = (!summary.is_empty()).then_some(summary);
        self.problems.clear();
        match (error, &record.error) {
            (Some(Error::Interrupted), _) => {}
            (Some(error), _) => self.problems.push(said(error)),
            (None, Some(_)) if record.destinations.is_empty() && record.problems.is_empty() => {
                self.problems.push(UNSAID.to_owned());
            }
            (None, _) => {}
        }
        let failed = record
            .destinations
            .iter()
            .filter(|there| there.error.is_some());
        for there in failed {
            self.problems
                .push(format!("{}: {UNSAID}", there.repository));
        }
        self.problems.extend(record.problems.iter().cloned());
    }
}

/// What is not for everybody who may see jobs: it may name paths of the server.
const UNSAID: &str = "it failed; the log says why";

/// What failed, for who may see jobs, and without the paths of the server; the log has all of it.
fn said(error: &Error) -> String {
    match error {
        Error::NoRepository { .. } => {
            "there is no repository at the path in the configuration".to_owned()
        }
        Error::WrongKey { .. } => {
            "the repository does not open with the key in the configuration".to_owned()
        }
        Error::Busy { .. } => "another run is at it".to_owned(),
        Error::NeedsFullKey { .. } => error.to_string(),
        Error::Invalid { what, problem } => format!("{what}: {problem}"),
        Error::Damaged { .. } | Error::Missing { .. } => {
            "the repository is damaged: `keepwatch check` says where".to_owned()
        }
        Error::Io {
            operation, source, ..
        } => format!("cannot {operation} a file: {source}"),
        _ => UNSAID.to_owned(),
    }
}

/// What a run counts while it works, and whether it is to stop.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub stop: Arc<AtomicBool>,
    files: AtomicU64,
    bytes: AtomicU64,
    total: AtomicU64,
}

impl Counters {
    pub fn progress(&self) -> RunProgress {
        let total = self.total.load(Ordering::Relaxed);
        RunProgress {
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            total_bytes: (total > 0).then_some(total),
        }
    }
}

impl Progress for Counters {
    fn wants_total(&self) -> bool {
        true
    }

    fn total(&self, _files: u64, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn advance(&self, files: u64, bytes: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
