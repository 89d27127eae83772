//! When jobs run.
//!
//! A [`Schedule`] is a list of moments, its *slots*: those that a cron expression or a list of
//! times of day names on the clock of a time zone. [`Schedule::decide`] says what is to be done
//! now, from nothing but the schedule, the last slot that was dealt with and the present time. It
//! keeps no state and reads no clock, so a process that is started again decides as before.
//!
//! Whoever runs jobs keeps the slot of [`Decision::Run`] on disk *before* it starts the run and
//! gives it back as `after` from then on. Then no slot runs twice, however often it is asked,
//! however the clock jumps, and a slot that passes while a run is busy is due when it is over.
//!
//! # When clocks change
//!
//! - A time that the clock leaves out (in spring; or a whole day, as on Samoa in 2011) has its
//!   slot at the moment when the gap ends. Several such times share that one slot.
//! - A time that the clock shows twice (in autumn) has one slot, the first time. Only schedules for
//!   every hour of the day (`*`, `*/1` or `0-23` in the field of hours, `@hourly`) are by the hour,
//!   not by the clock: they have their slots in the repeated hour, too.
//!
//! # When the clock is wrong
//!
//! A clock that jumps ahead makes one run, that of the newest slot it jumped over. When it is set
//! back, nothing runs again until it has passed the last slot that ran. A last slot more than
//! [`MAX_CLOCK_ERROR`] ahead is the trace of a clock that was plainly wrong: it counts as if it were
//! now, for otherwise one start with a clock in 2040 would end all backups.

mod rules;
mod settings;
#[cfg(test)]
mod tests;
mod times;
mod zone;

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use settings::{CatchUp, MIN_CATCH_UP, ScheduleError, ScheduleSettings};

pub(crate) use rules::{MonthDays, NoRules, Rule, Rules};

use times::Times;

/// How far ahead of the present the last slot may be before it is taken for a wrong clock's.
pub const MAX_CLOCK_ERROR: SignedDuration = SignedDuration::from_hours(24);

/// When a job runs.
#[derive(Clone, Debug)]
pub struct Schedule {
    times: Times,
    zone: TimeZone,
    jitter: Duration,
    catch_up: CatchUp,
}

/// What is to be done at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The job is to run now, once, for this slot and all before it that are not dealt with.
    Run {
        /// The slot: the next `after`, to be kept before the run starts.
        slot: Timestamp,
    },
    /// Nothing is due.
    Wait {
        /// When the next run starts, jitter included. Clocks jump and machines sleep: ask again at
        /// least every minute rather than sleep until then.
        until: Timestamp,
        /// The newest slot that was missed by more than is caught up.
        skipped: Option<Timestamp>,
    },
    /// There are no slots any more within the calendar.
    Never,
}

impl Schedule {
    /// Checks settings. `machine` is the time zone where they name none.
    ///
    /// # Errors
    /// [`ScheduleError`] with what is wrong.
    pub fn new(settings: &ScheduleSettings, machine: &TimeZone) -> Result<Self, ScheduleError> {
        settings.check(machine)
    }

    /// The first slot after a moment, without jitter.
    pub fn slot_after(&self, after: Timestamp) -> Option<Timestamp> {
        zone::slot_after(&self.times, &self.zone, after.max(Timestamp::UNIX_EPOCH))
    }

    /// When the run of a slot starts: up to the jitter later, but before the next slot.
    ///
    /// How much later hangs on the name of the job and the slot alone: hosts and jobs spread out,
    /// and a process that is started again comes to the same moment.
    pub fn start_of(&self, job: &str, slot: Timestamp) -> Timestamp {
        let room = match self.slot_after(slot) {
            Some(next) => next.duration_since(slot).unsigned_abs().min(self.jitter),
            None => self.jitter,
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&slot.as_second().to_le_bytes());
        hasher.update(job.as_bytes());
        let mut share = [0; 8];
        hasher.finalize_xof().fill(&mut share);
        // Less than 2^64 parts of 2^64: the next slot itself is never reached.
        let late = (room.as_nanos() * u128::from(u64::from_le_bytes(share))) >> 64;
        let late = SignedDuration::from_nanos(i64::try_from(late).unwrap_or(i64::MAX));
        slot.saturating_add(late)
            .expect("a span without calendar units can be added")
    }

    /// What is to be done at `now`, when all slots up to `after` are dealt with: the last that ran,
    /// or else the moment when the job was first seen.
    pub fn decide(&self, job: &str, after: Timestamp, now: Timestamp) -> Decision {
        let ahead = after.duration_since(now) > MAX_CLOCK_ERROR;
        let after = if ahead { now } else { after };
        let newest = self.newest_slot(after, now);
        let to_come = newest.filter(|slot| self.start_of(job, *slot) > now);
        let missed = match to_come {
            // Slots before it start before it does.
            Some(slot) => self.newest_slot(after, slot - SignedDuration::from_secs(1)),
            None => newest,
        };
        if let Some(slot) = missed
            && self.catches_up(now.duration_since(self.start_of(job, slot)))
        {
            return Decision::Run { slot };
        }
        match to_come.or_else(|| self.slot_after(after.max(now))) {
            Some(next) => Decision::Wait {
                until: self.start_of(job, next),
                skipped: missed,
            },
            None => Decision::Never,
        }
    }

    fn catches_up(&self, late: SignedDuration) -> bool {
        match self.catch_up {
            CatchUp::Always => true,
            CatchUp::Within(longest) => late.unsigned_abs() <= longest,
        }
    }

    /// The newest slot after `after` and not after `now`.
    ///
    /// By bisection, for there may be years between the two, and a slot in every minute.
    fn newest_slot(&self, after: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let within = |from: Timestamp| self.slot_after(from).filter(|slot| *slot <= now);
        let mut newest = within(after)?;
        let (mut low, mut high) = (newest.as_second(), now.as_second());
        while low < high {
            let middle = low + (high - low) / 2;
            let from = Timestamp::from_second(middle).expect("it is between two that are");
            match within(from) {
                Some(slot) => {
                    newest = slot;
                    low = slot.as_second();
                }
                None => high = middle,
            }
        }
        Some(newest)
    }
}
