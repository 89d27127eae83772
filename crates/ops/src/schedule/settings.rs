//! A schedule as it is written down.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration_text;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Schedule;
use super::times::Times;

/// The shortest time within which a missed slot is caught up: nobody asks at the very second of a
/// slot, and none is to be missed for that.
pub const MIN_CATCH_UP: Duration = Duration::from_secs(60);
/// A run that may start a week late is on another schedule.
const MAX_JITTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// What becomes of slots that passed while the machine was off or asleep, or a run was busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// One run makes up for them, however late.
    #[default]
    Always,
    /// One run makes up for them if the newest is not older than this.
    Within(Duration),
}

impl<'de> Deserialize<'de> for CatchUp {
    /// `"always"`, or a duration as `"6h"`.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        if text == "always" {
            return Ok(Self::Always);
        }
        let bad = "it is \"always\" or a duration as \"6h\"";
        let span: SignedDuration = text.parse().map_err(|_| serde::de::Error::custom(bad))?;
        let span = Duration::try_from(span).map_err(|_| serde::de::Error::custom(bad))?;
        Ok(Self::Within(span))
    }
}

impl Serialize for CatchUp {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Always => output.serialize_str("always"),
            Self::Within(span) => duration_text::serialize(span, output),
        }
    }
}

/// When a job runs: one of `cron` and `times`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleSettings {
    /// Five fields: minute, hour, day of the month, month, day of the week; with names (`MON`,
    /// `JAN`), ranges, lists, steps, `L`, `W` and `#`; or `@hourly`, `@daily`, `@midnight`,
    /// `@weekly`, `@monthly`, `@yearly`. With both a day of the month and a day of the week, either
    /// will do, as in crontab(5).
    pub cron: Option<String>,
    /// Times of day, `HH:MM`.
    pub times: Vec<String>,
    /// A name of the IANA database, as `Europe/Berlin`. Without, that of the machine.
    pub time_zone: Option<String>,
    /// How much later a run may start, so that not all do at once.
    #[serde(with = "duration_text")]
    pub jitter: Duration,
    /// What becomes of slots that were missed.
    pub catch_up: CatchUp,
}

impl ScheduleSettings {
    pub(super) fn check(&self, machine: &TimeZone) -> Result<Schedule, ScheduleError> {
        let times = match (&self.cron, self.times.is_empty()) {
            (Some(cron), true) => Times::cron(cron)?,
            (None, false) => Times::daily(&self.times)?,
            (Some(_), false) => return Err(ScheduleError::Both),
            (None, true) => return Err(ScheduleError::Nothing),
        };
        let zone = match &self.time_zone {
            Some(name) => TimeZone::get(name).map_err(|_| ScheduleError::TimeZone {
                name: name.chars().take(64).collect(),
            })?,
            None => machine.clone(),
        };
        if self.jitter > MAX_JITTER {
            return Err(ScheduleError::Jitter {
                longest: MAX_JITTER,
            });
        }
        if let CatchUp::Within(span) = self.catch_up
            && span < MIN_CATCH_UP
        {
            return Err(ScheduleError::CatchUp);
        }
        Ok(Schedule {
            times,
            zone,
            jitter: self.jitter,
            catch_up: self.catch_up,
        })
    }
}

/// What is wrong with a schedule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Neither an expression nor times.
    #[error("the schedule names no time")]
    Nothing,
    /// An expression and times.
    #[error("the schedule has both a cron expression and times of day")]
    Both,
    /// An expression that cannot be read, or never comes true.
    #[error("{expression:?} is no cron expression: {problem}")]
    Cron {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No time of day.
    #[error("{text:?} is no time of day")]
    TimeOfDay {
        /// What was given.
        text: String,
    },
    /// More times than a list may have.
    #[error("the schedule has more than {most} times of day")]
    TooManyTimes {
        /// How many it may have.
        most: usize,
    },
    /// A zone that the database does not have.
    #[error("there is no time zone {name:?}")]
    TimeZone {
        /// What was given.
        name: String,
    },
    /// Jitter beyond measure.
    #[error("the jitter is longer than {} days", longest.as_secs() / 86_400)]
    Jitter {
        /// How long it may be.
        longest: Duration,
    },
    /// Too little catching up.
    #[error("catch_up is shorter than a minute")]
    CatchUp,
}

impl ScheduleError {
    /// How to put it right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nothing | Self::Both => {
                "give one of: cron = \"30 2 * * *\", times = [\"02:30\", \"14:30\"]"
            }
            Self::Cron { .. } => {
                "five fields: minute, hour, day of the month, month, day of the week, as \
                 \"30 2 * * MON-FRI\"; or a name as \"@daily\""
            }
            Self::TimeOfDay { .. } => "times of day are from \"00:00\" to \"23:59\"",
            Self::TooManyTimes { .. } => "a cron expression says it shorter",
            Self::TimeZone { .. } => {
                "a name of the IANA time zone database, as \"Europe/Berlin\"; where the machine \
                 has no database (Debian's package tzdata), only \"UTC\""
            }
            Self::Jitter { .. } => "minutes or hours will do",
            Self::CatchUp => {
                "with less than a minute, slots would be missed between two looks at the clock"
            }
        }
    }
}
