//! A schedule as other schedulers write it down: sets of minutes, hours, days and months.

use std::collections::{BTreeMap, BTreeSet};

use croner::Cron;

use super::times::Times;
use super::{CatchUp, Schedule, ScheduleError, ScheduleSettings};

/// Bits of croner's fields, which have no names outside of it: the n-th such weekday of a month is
/// `1 << n`, up to the fifth.
const LAST: u8 = 1 << 6;
const NEAREST_WORKING_DAY: u8 = 1 << 7;
const WHATEVER: u8 = 1;

/// Times that a schedule has slots at: those that are in each of these sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) minutes: BTreeSet<u8>,
    pub(crate) hours: BTreeSet<u8>,
    pub(crate) months: BTreeSet<u8>,
    pub(crate) days: MonthDays,
    /// From 0, Sunday.
    pub(crate) weekdays: BTreeSet<u8>,
}

/// Days of the month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MonthDays {
    /// All of them.
    Any,
    /// From 1. Not every month has them.
    These(BTreeSet<u8>),
    /// The last one.
    Last,
    /// The last seven, in which each weekday is once.
    LastSeven,
}

/// A schedule as rules: it has a slot where one of them has.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    /// The canonical name of the zone that settings name.
    pub(crate) zone: Option<String>,
    pub(crate) jitter: std::time::Duration,
    pub(crate) catch_up: CatchUp,
}

/// Why settings are not rules.
pub(crate) enum NoRules {
    /// They are wrong.
    Wrong(ScheduleError),
    /// They say what no set does.
    Unsayable(&'static str),
}

impl ScheduleSettings {
    /// The rules that these settings stand for.
    pub(crate) fn rules(&self) -> Result<Rules, NoRules> {
        let schedule = Schedule::new(self, &jiff::tz::TimeZone::UTC).map_err(NoRules::Wrong)?;
        let rules = match &schedule.times {
            Times::Cron { cron, .. } => of_cron(cron).map_err(NoRules::Unsayable)?,
            Times::Daily(times) => {
                let mut by_minute: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
                for time in times {
                    let (hour, minute) = (time.hour().unsigned_abs(), time.minute().unsigned_abs());
                    by_minute.entry(minute).or_default().insert(hour);
                }
                by_minute
                    .into_iter()
                    .map(|(minute, hours)| Rule {
                        minutes: BTreeSet::from([minute]),
                        hours,
                        months: (1..=12).collect(),
                        days: MonthDays::Any,
                        weekdays: all_weekdays(),
                    })
                    .collect()
            }
        };
        let zone = match &self.time_zone {
            None => None,
            Some(_) => {
                let name = schedule.zone.iana_name().map(str::to_owned);
                Some(name.ok_or(NoRules::Unsayable("its time zone has no name"))?)
            }
        };
        Ok(Rules {
            rules,
            zone,
            jitter: schedule.jitter,
            catch_up: schedule.catch_up,
        })
    }
}

/// All days of the week.
fn all_weekdays() -> BTreeSet<u8> {
    (0..7).collect()
}

fn of_cron(cron: &Cron) -> Result<Vec<Rule>, &'static str> {
    let pattern = &cron.pattern;
    let set = |values: Vec<u16>| -> BTreeSet<u8> {
        let small = values.into_iter().map(u8::try_from);
        small.filter_map(Result::ok).collect()
    };
    let rule = |days, weekdays| Rule {
        minutes: set(pattern.minutes.values()),
        hours: set(pattern.hours.values()),
        months: set(pattern.months.values()),
        days,
        weekdays,
    };
    let (days, weekdays) = (&pattern.days, &pattern.days_of_week);
    if days.is_feature_enabled(NEAREST_WORKING_DAY)
        || days.count_set_values(NEAREST_WORKING_DAY) > 0
    {
        return Err("the working day nearest to another (W)");
    }

    // Each of these lists is of what will do.
    let mut of_month = Vec::new();
    let these = set(days.values());
    if pattern.is_dom_wildcard() {
        of_month.push(MonthDays::Any);
    } else if !these.is_empty() {
        of_month.push(MonthDays::These(these));
    }
    if days.is_feature_enabled(LAST) {
        of_month.push(MonthDays::Last);
    }
    let mut of_week = Vec::new();
    let plain = set(weekdays.get_set_values(WHATEVER));
    if !plain.is_empty() {
        of_week.push((MonthDays::Any, plain));
    }
    for nth in 1..=5 {
        let such = set(weekdays.get_set_values(1 << nth));
        if !such.is_empty() {
            let last = (7 * nth).min(31);
            of_week.push((MonthDays::These((7 * nth - 6..=last).collect()), such));
        }
    }
    let last = set(weekdays.get_set_values(LAST));
    if !last.is_empty() {
        of_week.push((MonthDays::LastSeven, last));
    }

    let by_month = |of_month: Vec<MonthDays>| -> Vec<Rule> {
        let rules = of_month.into_iter();
        rules.map(|days| rule(days, all_weekdays())).collect()
    };
    let by_week = |of_week: Vec<(MonthDays, BTreeSet<u8>)>| -> Vec<Rule> {
        let rules = of_week.into_iter();
        rules.map(|(days, week)| rule(days, week)).collect()
    };
    if pattern.is_dow_wildcard() {
        return Ok(by_month(of_month));
    }
    if pattern.is_dom_wildcard() {
        return Ok(by_week(of_week));
    }
    if !pattern.matches_dom_and_dow() {
        let mut rules = by_month(of_month);
        rules.extend(by_week(of_week));
        return Ok(rules);
    }
    if weekdays.has_modifiers() {
        return Err(
            "a day of the month that is a certain weekday of the month, too (+ with # or L)",
        );
    }
    let week = set(weekdays.values());
    let rules = of_month.into_iter();
    Ok(rules.map(|days| rule(days, week.clone())).collect())
}
