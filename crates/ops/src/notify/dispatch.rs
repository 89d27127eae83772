//! Between what happens and who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::spool::{Entry, MAX_STATE, Spool};
use super::{Notification, NotifyError, RetryAfter, Severity, SpoolError, SpoolLimits, Target};

/// What was told lately.
const STATE: &str = "told.json";
/// More keys are not remembered: those told longest ago are told again.
const MAX_KEYS: usize = 2000;
/// No answer can have a message wait for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How things are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatchOptions {
    /// Within so long the same key is told once, and counted.
    pub window: Duration,
    /// The wait after a first failure, doubled with each further one.
    pub retry_first: Duration,
    /// The longest wait.
    pub retry_longest: Duration,
    /// How much is kept, and how long.
    pub spool: SpoolLimits,
}

impl Default for DispatchOptions {
    /// An hour; 10 seconds to one hour.
    fn default() -> Self {
        Self {
            window: Duration::from_secs(3600),
            retry_first: Duration::from_secs(10),
            retry_longest: Duration::from_secs(3600),
            spool: SpoolLimits::default(),
        }
    }
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is kept for so many targets, to be delivered.
    Kept(usize),
    /// It is as one that was told: so many more times by now.
    Counted(u32),
}

/// One attempt to tell.
#[derive(Debug)]
pub struct Delivery {
    /// The name of the target.
    pub target: String,
    /// What was to be told.
    pub title: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told.
    Delivered,
    /// It will be tried again, not before a moment.
    Postponed {
        /// Why.
        error: NotifyError,
        /// Not before this.
        until: Timestamp,
    },
    /// It will not be tried again: the other side will never take it.
    Refused(NotifyError),
    /// It became too old, or its file was damaged, or its target is no more.
    Dropped,
}

/// The same key, since it was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lately {
    since: Timestamp,
    latest: Timestamp,
    count: u32,
    severity: Severity,
    job: String,
    title: String,
}

/// Tells targets of what happens.
///
/// [`Dispatcher::tell`] writes to disk and returns at once; [`Dispatcher::deliver`] sends what is
/// due. A process that is started again, or another with the same directory, goes on where the
/// last one was. A message is told at least once: again, if the process ends between the answer and
/// the removal of its file.
pub struct Dispatcher {
    targets: BTreeMap<String, Target>,
    options: DispatchOptions,
    spool: Spool,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("targets", &self.targets.keys())
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Takes targets by name and the directory of the spool, which is made if need be.
    ///
    /// # Errors
    /// [`SpoolError`] if that fails.
    pub fn new(
        targets: BTreeMap<String, Target>,
        dir: PathBuf,
        options: DispatchOptions,
    ) -> Result<Self, SpoolError> {
        Ok(Self {
            targets,
            options,
            spool: Spool::open(dir, options.spool)?,
        })
    }

    /// Takes something to tell. Nothing is sent as yet.
    ///
    /// What has the key of something told within the window is counted; unless it is worse than
    /// that was.
    ///
    /// # Errors
    /// [`SpoolError`] if it cannot be kept; then [`Dispatcher::tell_without_spool`] is left.
    pub fn tell(&self, notification: &Notification, now: Timestamp) -> Result<Told, SpoolError> {
        let notification = notification.bounded();
        let _lock = self.spool.lock("told.lock")?;
        let mut lately = self.lately()?;
        if let Some(told) = lately.get_mut(&notification.key)
            && self.is_within(told, now)
            && notification.severity <= told.severity
        {
            told.count = told.count.saturating_add(1);
            told.latest = now;
            let count = told.count;
            self.spool.write(STATE, &lately)?;
            return Ok(Told::Counted(count));
        }
        if let Some(ended) = lately.remove(&notification.key) {
            self.summarise(&notification.key, &ended, now)?;
        }
        let kept = self.keep(&notification, now)?;
        let told = Lately {
            since: now,
            latest: now,
            count: 0,
            severity: notification.severity,
            job: notification.job.clone(),
            title: notification.title.clone(),
        };
        lately.insert(notification.key, told);
        while lately.len() > MAX_KEYS {
            let oldest = lately.iter().min_by_key(|(_, told)| told.since);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            lately.remove(&key);
        }
        self.spool.write(STATE, &lately)?;
        Ok(Told::Kept(kept))
    }

    /// Sends what is due, in the order in which it happened; a target that fails is left alone until
    /// its time comes. Blocks for as long as the targets take. While another process does the
    /// same, nothing is done.
    ///
    /// # Errors
    /// [`SpoolError`] if the disk fails.
    pub fn deliver(&self, now: Timestamp) -> Result<Vec<Delivery>, SpoolError> {
        let Some(_lock) = self.spool.try_lock("deliver.lock")? else {
            return Ok(Vec::new());
        };
        if let Err(error) = self.end_windows(now) {
            // As when the disk is full, which is just what somebody is to hear of.
            tracing::warn!(%error, "what was counted is not told as yet");
        }
        let mut done = Vec::new();
        let mut waiting = BTreeSet::new();
        for name in self.spool.names()? {
            let entry = self.spool.entry(&name, now)?;
            let target = entry
                .as_ref()
                .and_then(|entry| self.targets.get(&entry.target));
            let (Some(mut entry), Some(target)) = (entry.clone(), target) else {
                self.spool.remove(&name)?;
                done.push(Delivery {
                    target: entry
                        .as_ref()
                        .map(|entry| entry.target.clone())
                        .unwrap_or_default(),
                    title: entry
                        .map(|entry| entry.notification.title)
                        .unwrap_or_default(),
                    outcome: Outcome::Dropped,
                });
                continue;
            };
            if waiting.contains(&entry.target) || !is_due(&entry, now, self.options.retry_longest) {
                waiting.insert(entry.target);
                continue;
            }
            let outcome = match target.notifier.send(&entry.notification, now) {
                Ok(()) => Outcome::Delivered,
                Err(error) if error.is_temporary() => {
                    entry.attempts = entry.attempts.saturating_add(1);
                    let until = now.saturating_add(self.wait(&name, entry.attempts, &error, now));
                    entry.next = until.expect("a span without calendar units can be added");
                    waiting.insert(entry.target.clone());
                    Outcome::Postponed {
                        error,
                        until: entry.next,
                    }
                }
                Err(error) => Outcome::Refused(error),
            };
            match outcome {
                Outcome::Postponed { .. } => {
                    // Without it, the next attempt only comes sooner.
                    if let Err(error) = self.spool.write(&name, &entry) {
                        tracing::warn!(%error, "an attempt is not noted");
                    }
                }
                _ => self.spool.remove(&name)?,
            }
            log(&entry.target, &outcome);
            done.push(Delivery {
                target: entry.target,
                title: entry.notification.title,
                outcome,
            });
        }
        Ok(done)
    }

    /// Tells it without the disk, for when [`Dispatcher::tell`] fails: once, to all that are to hear
    /// of it, and what does not arrive is lost. Blocks for as long as the targets take.
    pub fn tell_without_spool(&self, notification: &Notification, now: Timestamp) -> Vec<Delivery> {
        let notification = notification.bounded();
        let heard = |target: &&Target| notification.severity >= target.from;
        let targets = self.targets.iter().filter(|(_, target)| heard(target));
        targets
            .map(|(name, target)| {
                let outcome = match target.notifier.send(&notification, now) {
                    Ok(()) => Outcome::Delivered,
                    Err(error) => Outcome::Refused(error),
                };
                log(name, &outcome);
                Delivery {
                    target: name.clone(),
                    title: notification.title.clone(),
                    outcome,
                }
            })
            .collect()
    }

    /// When there is something to deliver next, if there is.
    ///
    /// # Errors
    /// [`SpoolError`] if the disk fails.
    pub fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, SpoolError> {
        let mut heads = BTreeMap::new();
        for name in self.spool.names()? {
            // What is to be dropped is due at once.
            let (target, next) = match self.spool.entry(&name, now)? {
                Some(entry) => (entry.target, entry.next),
                None => (String::new(), now),
            };
            heads.entry(target).or_insert(next);
        }
        let lately = self.lately()?;
        let counted = lately.values().filter(|told| told.count > 0);
        let ends = counted.filter_map(|told| told.since.saturating_add(self.options.window).ok());
        Ok(heads.into_values().chain(ends).min())
    }

    fn lately(&self) -> Result<BTreeMap<String, Lately>, SpoolError> {
        Ok(self.spool.read(STATE, MAX_STATE)?.unwrap_or_default())
    }

    /// A clock that was set back ends a window, lest it last for years.
    fn is_within(&self, told: &Lately, now: Timestamp) -> bool {
        let age = now.duration_since(told.since);
        !age.is_negative() && age.unsigned_abs() < self.options.window
    }

    /// Tells how often what was told came again.
    fn end_windows(&self, now: Timestamp) -> Result<(), SpoolError> {
        let _lock = self.spool.lock("told.lock")?;
        let mut lately = self.lately()?;
        let before = lately.len();
        for (key, told) in lately.clone() {
            if !self.is_within(&told, now) {
                self.summarise(&key, &told, now)?;
                lately.remove(&key);
            }
        }
        if lately.len() < before {
            self.spool.write(STATE, &lately)?;
        }
        Ok(())
    }

    fn summarise(&self, key: &str, told: &Lately, now: Timestamp) -> Result<(), SpoolError> {
        if told.count == 0 {
            return Ok(());
        }
        let times = if told.count == 1 { "time" } else { "times" };
        let summary = Notification {
            severity: told.severity,
            job: told.job.clone(),
            title: format!("{} (and {} more {times})", told.title, told.count),
            text: format!(
                "The same came {} more {times} after {:.0}, the last time at {:.0}.",
                told.count, told.since, told.latest
            ),
            facts: Vec::new(),
            time: told.latest,
            key: key.to_owned(),
        };
        self.keep(&summary, now).map(drop)
    }

    fn keep(&self, notification: &Notification, now: Timestamp) -> Result<usize, SpoolError> {
        let mut kept = 0;
        for (name, target) in &self.targets {
            if notification.severity < target.from {
                continue;
            }
            let dropped = self.spool.add(&Entry {
                target: name.clone(),
                created: now,
                attempts: 0,
                next: now,
                notification: notification.clone(),
            })?;
            if dropped > 0 {
                tracing::warn!(dropped, "the spool of notifications is full");
            }
            kept += 1;
        }
        Ok(kept)
    }

    /// Exponential, half of it by the name of the file, so that not all come back at one moment; and
    /// not before the other side wants to hear again.
    fn wait(&self, name: &str, attempts: u32, error: &NotifyError, now: Timestamp) -> Duration {
        let doubled = 1_u32 << attempts.saturating_sub(1).min(20);
        let step = self.options.retry_first.saturating_mul(doubled);
        let step = step.min(self.options.retry_longest);
        let hash = blake3::hash(format!("{name} {attempts}").as_bytes());
        let share = f64::from(hash.as_bytes()[0]) / 255.0;
        let own = step / 2 + (step / 2).mul_f64(share);
        let wanted = match error.retry_after() {
            Some(RetryAfter::Span(span)) => span,
            Some(RetryAfter::Moment(moment)) => {
                Duration::try_from(moment.duration_since(now)).unwrap_or_default()
            }
            None => Duration::ZERO,
        };
        own.max(wanted.min(LONGEST_WAIT))
    }
}

/// A clock that was set back leaves nothing waiting for longer than it may.
fn is_due(entry: &Entry, now: Timestamp, longest: Duration) -> bool {
    let wait = entry.next.duration_since(now);
    let most = SignedDuration::try_from(longest.max(LONGEST_WAIT)).unwrap_or(SignedDuration::MAX);
    wait <= SignedDuration::ZERO || wait > most
}

fn log(target: &str, outcome: &Outcome) {
    match outcome {
        Outcome::Delivered => tracing::debug!(to = target, "notification delivered"),
        Outcome::Postponed { error, .. } => {
            tracing::warn!(to = target, %error, "notification postponed");
        }
        Outcome::Refused(error) => {
            tracing::error!(to = target, %error, "notification refused");
        }
        Outcome::Dropped => tracing::warn!(to = target, "notification dropped"),
    }
}
