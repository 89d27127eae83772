//! Who hears of a run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keepwatch_config::{Config, JobConfig, JobKind};
use keepwatch_core::with_causes;
use keepwatch_ops::notify::{
    DispatchOptions, Dispatcher, Heartbeat, Network, Notification, Severity, Told,
};

use crate::error::{Error, Result};
use crate::record::{RunRecord, Status};
use crate::runner::Setup;

/// So many problems are told; the record has more.
const MAX_PROBLEMS: usize = 10;

/// Tells targets and watchdogs.
pub(crate) struct Tell {
    /// Of each job, those whom it names. All share one spool.
    jobs: BTreeMap<String, OfJob>,
    /// All, to deliver to.
    all: Dispatcher,
}

struct OfJob {
    dispatcher: Dispatcher,
    heartbeat: Option<Heartbeat>,
}

impl Tell {
    pub fn new(config: &Config, setup: &Setup, network: &Network) -> Result<Self> {
        let dispatcher = |wanted: &dyn Fn(&str) -> bool| -> Result<Dispatcher> {
            let mut targets = BTreeMap::new();
            for (name, settings) in config.notify.iter().filter(|(name, _)| wanted(name)) {
                let target = settings
                    .build(network, setup.environment.iter().cloned())
                    .map_err(|source| Error::Notify {
                        name: name.clone(),
                        source,
                    })?;
                targets.insert(name.clone(), target);
            }
            let options = DispatchOptions::default();
            Ok(Dispatcher::new(targets, setup.state.spool(), options)?)
        };
        let mut jobs = BTreeMap::new();
        for (name, job) in &config.jobs {
            let named = |target: &str| match &job.notify {
                None => true,
                Some(names) => names.iter().any(|name| name == target),
            };
            let heartbeat = job.heartbeat.as_ref().map(|settings| {
                Heartbeat::new(settings, network).map_err(|source| Error::Notify {
                    name: format!("the heartbeat of {name}"),
                    source,
                })
            });
            let of_job = OfJob {
                dispatcher: dispatcher(&named)?,
                heartbeat: heartbeat.transpose()?,
            };
            jobs.insert(name.clone(), of_job);
        }
        Ok(Self {
            jobs,
            all: dispatcher(&|_| true)?,
        })
    }

    /// A run begins.
    pub fn begins(&self, name: &str, _: &JobConfig) {
        let heartbeat = self.jobs.get(name).and_then(|job| job.heartbeat.as_ref());
        if let Some(Err(error)) = heartbeat.map(Heartbeat::start) {
            tracing::warn!(job = name, %error, "the heartbeat did not hear that a job begins");
        }
    }

    /// A run has ended. What is to be told is kept, and told at once only where it cannot be kept;
    /// a heartbeat hears of it now or not at all.
    pub fn ended(&self, job: &JobConfig, record: &RunRecord, now: Timestamp) {
        let Some(of_job) = self.jobs.get(&record.job) else {
            return;
        };
        if let Some(heartbeat) = &of_job.heartbeat {
            let log = text(record);
            let told = match record.status.as_run_status().full_success() {
                Some(all) => heartbeat.success(all, &log),
                None => heartbeat.fail(0, &log),
            };
            if let Err(error) = told {
                tracing::warn!(job = record.job, %error, "the heartbeat did not hear how it went");
            }
        }
        let notification = notification(job, record);
        match of_job.dispatcher.tell(&notification, now) {
            Ok(Told::Kept(_) | Told::Counted(_)) => {}
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "a notification cannot be kept; it is told at once");
                of_job.dispatcher.tell_without_spool(&notification, now);
            }
        }
    }

    /// Something besides a run, to all.
    pub fn tell_all(&self, notification: &Notification, now: Timestamp) {
        if let Err(error) = self.all.tell(notification, now) {
            let error = with_causes(&error);
            tracing::error!(error, "a notification cannot be kept; it is told at once");
            self.all.tell_without_spool(notification, now);
        }
    }

    /// Tells what is due, and says when there is more.
    pub fn deliver(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.all.deliver(now).and_then(|_| self.all.next_due(now));
        next.unwrap_or_else(|error| {
            let error = with_causes(&error);
            tracing::error!(error, "notifications cannot be delivered");
            None
        })
    }
}

/// A drill that fails is worse than a backup that does: what was thought safe is not.
fn severity(record: &RunRecord) -> Severity {
    match (record.status, record.kind) {
        (Status::Done | Status::Running, _) => Severity::Success,
        (Status::Partly | Status::Stopped, _) => Severity::Warning,
        (Status::Failed | Status::Interrupted, JobKind::Drill | JobKind::Check) => {
            Severity::Critical
        }
        (Status::Failed | Status::Interrupted, _) => Severity::Failure,
    }
}

fn notification(job: &JobConfig, record: &RunRecord) -> Notification {
    let kind = record.kind.as_str();
    let went = match record.status {
        Status::Done | Status::Running => "is done",
        Status::Partly => "is only partly done",
        Status::Stopped => "was stopped",
        Status::Interrupted => "was interrupted",
        Status::Failed => "failed",
    };
    let mut facts = vec![("repository".to_owned(), job.repositories.join(", "))];
    for there in record
        .destinations
        .iter()
        .skip_while(|_| record.destinations.len() < 2)
    {
        let how = match (&there.snapshot, &there.error) {
            (Some(id), None) => format!(
                "{}, snapshot {}",
                there.status.as_str(),
                short(&id.to_string())
            ),
            (Some(id), Some(error)) => {
                format!("snapshot {}, then: {error}", short(&id.to_string()))
            }
            (None, Some(error)) => format!("failed: {error}"),
            (None, None) => there.status.as_str().to_owned(),
        };
        facts.push((there.repository.clone(), how));
    }
    for (name, value) in &record.summary {
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        facts.push((name.replace('_', " "), value));
    }
    if let Some(ended) = record.ended_at {
        let seconds = ended.duration_since(record.started_at).as_secs_f64();
        facts.push(("seconds".to_owned(), format!("{seconds:.1}")));
    }
    facts.push(("run".to_owned(), record.id.clone()));
    Notification {
        severity: severity(record),
        job: record.job.clone(),
        title: format!("{}: the {kind} {went}", record.job),
        text: text(record),
        facts,
        time: record.ended_at.unwrap_or(record.started_at),
        // The same outcome again and again is told once within a while, and counted.
        key: format!("job {} {}", record.job, record.status.as_str()),
    }
}

/// What went wrong, in lines.
fn text(record: &RunRecord) -> String {
    let mut lines = record.said();
    let more = lines.len().saturating_sub(MAX_PROBLEMS);
    lines.truncate(MAX_PROBLEMS);
    let mut text = lines.join("\n");
    if more > 0 {
        text.push_str(&format!("\nand {more} more"));
    }
    text
}

fn short(id: &str) -> &str {
    &id[..id.len().min(8)]
}
