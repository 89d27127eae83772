//! One run of a job, from what has to be so before it to who hears of it.

use std::any::Any;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_config::{Config, JobConfig};
use keepwatch_core::crypto::random_bytes;
use keepwatch_core::{Error as CoreError, Progress, with_causes};
use keepwatch_ops::RunFacts;
use keepwatch_ops::hook::{Around, Environment, Hooks};
use keepwatch_ops::notify::Network;
use keepwatch_ops::tailscale::{Connection, connect};

use crate::error::{Error, Result};
use crate::nice::stand_back;
use crate::preflight;
use crate::record::{RunRecord, Status};
use crate::repositories::Repositories;
use crate::state::State;
use crate::tell::Tell;
use crate::work::{Ended, Task, work};

/// So many problems are remembered of a run.
const MAX_PROBLEMS: usize = 50;

/// What a runner needs of its surroundings.
#[derive(Clone)]
pub struct Setup {
    /// What is to be known the next time.
    pub state: State,
    /// Opens repositories.
    pub repositories: Repositories,
    /// The variables of the process.
    pub environment: Vec<(OsString, OsString)>,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The time zone of the machine.
    pub zone: TimeZone,
    /// The program and its version, for the record.
    pub program: String,
}

/// Runs jobs of a configuration.
pub struct Runner {
    config: Arc<Config>,
    setup: Setup,
    environment: Environment,
    tell: Tell,
}

/// Who asks for a run, and how it is followed.
pub struct Asked<'a> {
    /// Who.
    pub by: &'a str,
    /// The number of the run, if it has one already.
    pub id: Option<String>,
    /// Hears how far it is.
    pub progress: &'a dyn Progress,
    /// Set to end it early.
    pub stop: Arc<AtomicBool>,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// What is remembered of it.
    pub record: RunRecord,
    /// Why nothing of it could be done, as the vault says it.
    pub error: Option<CoreError>,
}

/// How the work between the hooks went.
enum Went {
    Done(Ended),
    /// It was not begun: this is not as it has to be.
    NotReady(Vec<String>),
    Error(CoreError),
}

impl Runner {
    /// Checks what can be checked before a job runs.
    ///
    /// # Errors
    /// When somebody cannot be told, or what is to be told cannot be kept.
    pub fn new(config: Arc<Config>, setup: Setup) -> Result<Self> {
        Ok(Self {
            tell: Tell::new(&config, &setup, &Network::system())?,
            environment: Environment::new(setup.environment.iter().cloned()),
            config,
            setup,
        })
    }

    /// What it runs.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is to be known the next time.
    pub fn state(&self) -> &State {
        &self.setup.state
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.setup.clock)()
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.setup.zone
    }

    /// Tells who is still to be told, and gives the time of the next attempt.
    pub fn deliver(&self) -> Option<Timestamp> {
        self.tell.deliver(self.now())
    }

    pub(crate) fn tell(&self) -> &Tell {
        &self.tell
    }

    /// Runs a job, and blocks until all that belongs to it has ended. What is to be told of it is
    /// kept: [`Runner::deliver`] tells it.
    ///
    /// # Errors
    /// When it does not run at all: there is no such job, it runs already, or what is to be
    /// remembered of it cannot be written. A run that fails is no error.
    pub fn run(&self, name: &str, asked: Asked<'_>) -> Result<Finished> {
        let job = self.config.jobs.get(name).ok_or_else(|| Error::NoJob {
            name: name.to_owned(),
        })?;
        let _held = self
            .setup
            .state
            .hold_job(name)?
            .ok_or_else(|| Error::Running {
                name: name.to_owned(),
            })?;
        let hooks = Hooks::new(job.hooks.clone(), self.environment.clone()).map_err(|source| {
            Error::Hooks {
                name: name.to_owned(),
                source,
            }
        })?;
        let id = match asked.id {
            Some(id) => id,
            None => hex::encode(random_bytes::<8>().map_err(CoreError::from)?),
        };
        let mut record = RunRecord {
            id,
            job: name.to_owned(),
            kind: job.kind,
            by: asked.by.to_owned(),
            started_at: self.now(),
            ended_at: None,
            status: Status::Running,
            destinations: Vec::new(),
            summary: std::collections::BTreeMap::new(),
            problems: Vec::new(),
            error: None,
            fault: None,
        };
        let last = self.last_end(name)?;
        // What is not written down has not begun.
        self.setup.state.remember(&record)?;
        tracing::info!(job = name, run = record.id, "a job begins");
        self.tell.begins(name, job);
        stand_back(job);
        let facts = RunFacts {
            job: name.to_owned(),
            run_id: record.id.clone(),
            status: Status::Running.as_run_status(),
            snapshot: None,
            error: None,
            started: record.started_at,
            finished: None,
        };
        let mut error = None;
        let around = catch_unwind(AssertUnwindSafe(|| {
            hooks.around(facts, &*self.setup.clock, |facts| {
                let progress = UntilStopped {
                    progress: asked.progress,
                    stop: &asked.stop,
                };
                let went = self.work(job, facts, last, &progress, &asked.stop);
                error = settle(&mut record, went);
                facts.status = record.status.as_run_status();
                facts.snapshot = record.snapshot();
                facts.error = record.error.clone();
            })
        }));
        self.after_hooks(&mut record, around);
        record.ended_at = Some(self.now());
        record.problems.truncate(MAX_PROBLEMS);
        self.finish(job, &record);
        Ok(Finished { record, error })
    }

    fn last_end(&self, name: &str) -> Result<Option<Timestamp>> {
        let runs = self.setup.state.runs()?;
        Ok(runs
            .into_iter()
            .find(|run| run.job == name && run.ended_at.is_some())
            .and_then(|run| run.ended_at))
    }

    fn work(
        &self,
        job: &JobConfig,
        facts: &RunFacts,
        last: Option<Timestamp>,
        progress: &dyn Progress,
        stop: &Arc<AtomicBool>,
    ) -> Went {
        let now = self.now();
        let connected = match job.tailscale.as_ref() {
            None => None,
            Some(settings) => match connect(settings, &self.environment.harmless()) {
                Ok(connection) => Some(connection),
                Err(error) => return Went::NotReady(vec![with_causes(&error)]),
            },
        };
        let went = self.work_connected(job, facts, last, now, progress, stop);
        match (went, connected.map(Connection::end)) {
            (Went::Done(mut ended), Some(Err(error))) => {
                ended.problems.push(with_causes(&error));
                Went::Done(ended)
            }
            (went, _) => went,
        }
    }

    fn work_connected(
        &self,
        job: &JobConfig,
        facts: &RunFacts,
        last: Option<Timestamp>,
        now: Timestamp,
        progress: &dyn Progress,
        stop: &Arc<AtomicBool>,
    ) -> Went {
        let mut problems = preflight::problems(&self.config, job, now, last);
        problems.extend(preflight::databases(&self.config, job, &self.environment));
        if !problems.is_empty() {
            return Went::NotReady(problems);
        }
        let task = Task {
            config: &self.config,
            job,
            repositories: &self.setup.repositories,
            now,
            zone: self.setup.zone.clone(),
            program: &self.setup.program,
            environment: &self.environment,
            facts: facts.clone(),
            state: self.setup.state.path(),
            stop: stop.clone(),
        };
        match work(&task, progress) {
            Ok(ended) => Went::Done(ended),
            Err(error) => Went::Error(error),
        }
    }

    /// Hooks that failed are problems; a `before` hook that failed kept the run from beginning.
    fn after_hooks(&self, record: &mut RunRecord, around: Result<Around<()>, Box<dyn Any + Send>>) {
        let Ok(around) = around else {
            record.status = Status::Failed;
            record.error = Some("it came to an unexpected end".to_owned());
            return;
        };
        if around.value.is_none() {
            record.status = Status::Failed;
            record.error = around.facts.error;
        }
        for hook in &around.hooks {
            let Some(error) = hook.error() else { continue };
            record.problems.push(error.to_string());
            if record.status == Status::Done {
                record.status = Status::Partly;
            }
        }
    }

    /// Remembers it, and tells who is to hear of it. A run that cannot be written down is told all
    /// the more.
    fn finish(&self, job: &JobConfig, record: &RunRecord) {
        match record.status {
            Status::Done => tracing::info!(job = record.job, run = record.id, "a job is done"),
            status => tracing::warn!(
                job = record.job,
                run = record.id,
                status = status.as_str(),
                error = record.error,
                problems = ?record.problems,
                "a job has ended"
            ),
        }
        if let Err(error) = self.setup.state.remember(record) {
            let error = with_causes(&error);
            tracing::error!(error, "how a job went cannot be written down");
        }
        self.tell.ended(job, record, self.now());
    }
}

/// Ends what asks its progress when it is to stop.
struct UntilStopped<'a> {
    progress: &'a dyn Progress,
    stop: &'a AtomicBool,
}

impl Progress for UntilStopped<'_> {
    fn wants_total(&self) -> bool {
        self.progress.wants_total()
    }

    fn total(&self, files: u64, bytes: u64) {
        self.progress.total(files, bytes);
    }

    fn advance(&self, files: u64, bytes: u64) {
        self.progress.advance(files, bytes);
    }

    fn message(&self, text: &str) {
        self.progress.message(text);
    }

    fn finish(&self) {
        self.progress.finish();
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.progress.is_stopped()
    }
}

/// Writes down how the work went, and gives the error that ended it.
fn settle(record: &mut RunRecord, went: Went) -> Option<CoreError> {
    match went {
        Went::Done(ended) => {
            record.destinations = ended.destinations;
            record.summary = ended.summary;
            record.problems = ended.problems;
            record.fault = ended.fault;
            let is = |status| {
                record
                    .destinations
                    .iter()
                    .any(|there| there.status == status)
            };
            let whole = record.problems.is_empty()
                && record
                    .destinations
                    .iter()
                    .all(|there| there.status == Status::Done);
            record.status = match (ended.failed, is(Status::Stopped), whole) {
                (true, ..) => Status::Failed,
                (false, true, _) => Status::Stopped,
                (false, false, true) => Status::Done,
                (false, false, false) => Status::Partly,
            };
            if ended.failed {
                let said = record.said().into_iter().next();
                let nothing = || "it found something wrong".to_owned();
                record.error = Some(said.unwrap_or_else(nothing));
            }
            None
        }
        Went::NotReady(problems) => {
            record.status = Status::Failed;
            record.error = Some(format!("it did not begin: {}", problems.join("; ")));
            record.problems = problems;
            None
        }
        Went::Error(CoreError::Interrupted) => {
            record.status = Status::Stopped;
            record.error = Some("it was stopped".to_owned());
            Some(CoreError::Interrupted)
        }
        Went::Error(error) => {
            record.status = Status::Failed;
            record.error = Some(with_causes(&error));
            Some(error)
        }
    }
}
