//! Times on the clock on the wall, wherever it hangs.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::civil::{DateTime, Time, date};
use jiff::{SignedDuration, ToSpan};

use super::ScheduleError;

/// Longer expressions name more than anybody means.
const MAX_EXPRESSION: usize = 256;
/// More times of day than this are a cron expression.
const MAX_TIMES: usize = 288;

/// Times on a clock.
#[derive(Clone, Debug)]
pub(super) enum Times {
    Cron {
        // A parsed expression is large, and schedules are cloned.
        cron: Arc<Cron>,
        hourly: bool,
    },
    Daily(BTreeSet<Time>),
}

impl Times {
    /// A cron expression of five fields, or a nickname.
    pub(super) fn cron(expression: &str) -> Result<Self, ScheduleError> {
        let bad = |problem: String| ScheduleError::Cron {
            expression: expression.chars().take(MAX_EXPRESSION).collect(),
            problem,
        };
        if expression.len() > MAX_EXPRESSION {
            return Err(bad(format!("it is longer than {MAX_EXPRESSION} bytes")));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let parse = |text: &str| parser.parse(text).map_err(|error| bad(error.to_string()));
        let trimmed = expression.trim();
        let text = match trimmed.to_ascii_lowercase().as_str() {
            "@midnight" => "@daily",
            _ => trimmed,
        };
        let cron = parse(text)?;
        let times = Self::Cron {
            hourly: (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false)),
            cron: Arc::new(cron),
        };
        // 29 February comes within eight years, on a given day of the week within forty.
        let begin = date(2000, 1, 1).at(0, 0, 0, 0);
        match times.at_or_after(begin) {
            Some(first) if first < begin.saturating_add(100.years()) => Ok(times),
            _ => Err(bad("no day of the calendar is like that".to_owned())),
        }
    }

    /// Times of day, `HH:MM`.
    pub(super) fn daily<'a>(
        texts: impl IntoIterator<Item = &'a String>,
    ) -> Result<Self, ScheduleError> {
        let mut times = BTreeSet::new();
        for text in texts {
            let time = time_of_day(text).ok_or_else(|| ScheduleError::TimeOfDay {
                text: text.chars().take(16).collect(),
            })?;
            if times.len() == MAX_TIMES {
                return Err(ScheduleError::TooManyTimes { most: MAX_TIMES });
            }
            times.insert(time);
        }
        if times.is_empty() {
            return Err(ScheduleError::Nothing);
        }
        Ok(Self::Daily(times))
    }

    /// Whether every hour of the day is meant.
    pub(super) fn is_hourly(&self) -> bool {
        match self {
            Self::Cron { hourly, .. } => *hourly,
            Self::Daily(_) => false,
        }
    }

    /// The first at or after a time, which is in whole seconds.
    pub(super) fn at_or_after(&self, from: DateTime) -> Option<DateTime> {
        match self {
            Self::Cron { cron, .. } => {
                let found = cron.find_next_occurrence(&Wall(from), true).ok()?;
                Some(found.0)
            }
            Self::Daily(times) => match times.range(from.time()..).next() {
                Some(time) => Some(from.date().to_datetime(*time)),
                None => {
                    let tomorrow = from.date().tomorrow().ok()?;
                    Some(tomorrow.to_datetime(*times.first()?))
                }
            },
        }
    }
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| -> Option<i8> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (1..=2).contains(&text.len()) {
            text.parse().ok()
        } else {
            None
        }
    };
    if minute.len() != 2 {
        return None;
    }
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// A clock without a time zone: what changes of the clock do is our rule, not croner's.
#[derive(Clone, Copy)]
struct Wall(DateTime);

impl CronDateTime for Wall {
    fn to_civil(&self) -> CivilDateTime {
        let field = |value: i8| u32::from(value.unsigned_abs());
        let time = self.0;
        CivilDateTime::from_ymd_hms_opt(
            i32::from(time.year()),
            field(time.month()),
            field(time.day()),
            field(time.hour()),
            field(time.minute()),
            field(time.second()),
        )
        .expect("both have the Gregorian calendar")
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::from(day.unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let bad = |_| CronError::InvalidDate;
        let field = |value: u32| i8::try_from(value).map_err(bad);
        let time = DateTime::new(
            i16::try_from(civil.year()).map_err(bad)?,
            field(civil.month())?,
            field(civil.day())?,
            field(civil.hour())?,
            field(civil.minute())?,
            field(civil.second())?,
            0,
        );
        let time = time.map_err(|_| CronError::InvalidDate)?;
        Ok(Resolution::Single(Self(time)))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let moved = self.0.checked_add(SignedDuration::from_secs(seconds));
        moved.ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
