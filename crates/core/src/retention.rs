//! Which snapshots to keep: a pure function of what there is, a policy, and the time.
//!
//! The rules are restic's: for each rule the newest snapshot of each of the last so many hours,
//! days, … that have one is kept, and a snapshot stays when any rule wants it. Snapshots of
//! different machines or paths do not compete: they are decided upon in groups.
//!
//! Four things protect from a policy, or a clock, gone wrong. A policy without rules is refused, and
//! so is one that would keep nothing of a group. A snapshot that says it comes from the future
//! neither goes nor takes the place of another. And what is pinned stays.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil::DateTime};
use serde::{Serialize, Serializer};

use crate::id::Id;
use crate::snapshot::Name;

/// A snapshot with this tag is never removed by a policy.
pub const PIN_TAG: &str = "keepwatch:pin";

/// A policy that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// There is no rule in it.
    #[error("it has no rule and would keep nothing")]
    Empty,
    /// It keeps nothing of a group.
    #[error("it would keep none of the {count} snapshots of {group}")]
    KeepsNothing {
        /// The group.
        group: String,
        /// How many snapshots would go.
        count: usize,
    },
    /// A time span cannot be subtracted from a snapshot's time.
    #[error("{span} is out of range")]
    Span {
        /// The span as it reads.
        span: String,
    },
}

/// Which snapshots compete with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// Those of one machine.
    pub host: bool,
    /// Those of the same paths.
    pub paths: bool,
    /// Those with the same tags.
    pub tags: bool,
}

impl Default for GroupBy {
    fn default() -> Self {
        Self {
            host: true,
            paths: true,
            tags: false,
        }
    }
}

/// Rules for what to keep.
///
/// The `keep` rules add up. When there are none, everything is kept that the limits `max_age` and
/// `max_count` allow; when there are some, the limits take away from what the rules kept, but
/// never what is pinned or kept for its tags.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// This many of the newest.
    pub keep_last: Option<u32>,
    /// The newest of each of the last so many hours that have one.
    pub keep_hourly: Option<u32>,
    /// The same for days.
    pub keep_daily: Option<u32>,
    /// The same for weeks, which begin on Monday.
    pub keep_weekly: Option<u32>,
    /// The same for months.
    pub keep_monthly: Option<u32>,
    /// The same for years.
    pub keep_yearly: Option<u32>,
    /// Those that are no more than this older than the newest of the group.
    pub keep_within: Option<Span>,
    /// Those that have all tags of one of these lists.
    pub keep_tags: Vec<Vec<String>>,
    /// None that is older than this.
    pub max_age: Option<Span>,
    /// No more than so many, counted from the newest on.
    pub max_count: Option<u32>,
    /// Which snapshots compete.
    pub group_by: GroupBy,
    /// Where days begin. The default is UTC.
    pub time_zone: Option<TimeZone>,
    /// Do not refuse to keep nothing of a group.
    pub allow_empty: bool,
}

/// What the policy has to know of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its id.
    pub id: Id,
    /// When it was made.
    pub time: Timestamp,
    /// On which machine.
    pub host: &'a str,
    /// Of which paths.
    pub paths: &'a [Name],
    /// With which tags.
    pub tags: &'a [String],
}

/// Why a snapshot stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is among the newest.
    Last,
    /// It is the newest of its period.
    Newest(Period),
    /// It is the oldest of all, and a rule for periods has not found as many as it may.
    Oldest(Period),
    /// It is young enough.
    Within,
    /// It has tags to keep.
    Tag,
    /// It is pinned.
    Pinned,
    /// It says that it comes from the future, so that nothing is decided about it.
    FutureDated,
    /// There are limits only, and it is within them.
    Limits,
}

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (oldest, period) = match self {
            Reason::Last => return f.write_str("last"),
            Reason::Within => return f.write_str("within"),
            Reason::Tag => return f.write_str("tag"),
            Reason::Pinned => return f.write_str("pinned"),
            Reason::FutureDated => return f.write_str("future-dated"),
            Reason::Limits => return f.write_str("within-limits"),
            Reason::Newest(period) => ("", period),
            Reason::Oldest(period) => ("oldest-", period),
        };
        let period = match period {
            Period::Hour => "hourly",
            Period::Day => "daily",
            Period::Week => "weekly",
            Period::Month => "monthly",
            Period::Year => "yearly",
        };
        write!(f, "{oldest}{period}")
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its place among the candidates.
    pub index: usize,
    /// Why it stays; nothing when it goes.
    pub reasons: Vec<Reason>,
}

impl Policy {
    /// Whether there is no rule in it. A count of zero is no rule.
    pub fn is_empty(&self) -> bool {
        !self.has_keep_rules() && self.max_age.is_none() && self.max_count.is_none()
    }

    fn counts(&self) -> [(Option<Period>, Option<u32>); 6] {
        [
            (None, self.keep_last),
            (Some(Period::Hour), self.keep_hourly),
            (Some(Period::Day), self.keep_daily),
            (Some(Period::Week), self.keep_weekly),
            (Some(Period::Month), self.keep_monthly),
            (Some(Period::Year), self.keep_yearly),
        ]
    }

    fn has_keep_rules(&self) -> bool {
        self.counts()
            .iter()
            .any(|(_, count)| count.is_some_and(|count| count > 0))
            || self.keep_within.is_some()
            || self.keep_tags.iter().any(|list| !list.is_empty())
    }

    /// Decides about all candidates, which may come in any order; the result is in groups, each
    /// with the newest first.
    ///
    /// # Errors
    /// An empty policy, and one that keeps nothing of a group, are refused.
    pub fn apply(
        &self,
        candidates: &[Candidate<'_>],
        now: Timestamp,
    ) -> Result<Vec<Decision>, RetentionError> {
        if self.is_empty() {
            return Err(RetentionError::Empty);
        }
        let mut groups: BTreeMap<Group<'_>, Vec<usize>> = BTreeMap::new();
        for (index, candidate) in candidates.iter().enumerate() {
            let group = Group::of(candidate, self.group_by);
            groups.entry(group).or_default().push(index);
        }
        let mut decisions = Vec::with_capacity(candidates.len());
        for (group, mut members) in groups {
            members.sort_by_key(|&at| std::cmp::Reverse((candidates[at].time, candidates[at].id)));
            let future = members.partition_point(|&at| candidates[at].time > now);
            let (future, past) = members.split_at(future);
            let decided = self.decide(candidates, past, now)?;
            let kept = decided.iter().any(|decision| !decision.reasons.is_empty());
            if !kept && !past.is_empty() && !self.allow_empty {
                return Err(RetentionError::KeepsNothing {
                    group: group.to_string(),
                    count: past.len(),
                });
            }
            decisions.extend(future.iter().map(|&index| Decision {
                index,
                reasons: vec![Reason::FutureDated],
            }));
            decisions.extend(decided);
        }
        Ok(decisions)
    }

    /// Decides about one group, newest first, without those from the future.
    fn decide(
        &self,
        candidates: &[Candidate<'_>],
        members: &[usize],
        now: Timestamp,
    ) -> Result<Vec<Decision>, RetentionError> {
        let Some(&newest) = members.first() else {
            return Ok(Vec::new());
        };
        let zone = self.time_zone.clone().unwrap_or(TimeZone::UTC);
        let within = self
            .keep_within
            .map(|span| before(candidates[newest].time, span, &zone))
            .transpose()?;
        let too_old = self
            .max_age
            .map(|span| before(now, span, &zone))
            .transpose()?;
        let mut rules = self
            .counts()
            .map(|(period, count)| Rule::new(period, count.unwrap_or(0)));
        let limits_only = !self.has_keep_rules();
        let mut decisions = Vec::with_capacity(members.len());
        for (nth, &index) in members.iter().enumerate() {
            let candidate = &candidates[index];
            let local = zone.to_datetime(candidate.time);
            let oldest = nth + 1 == members.len();
            let mut reasons: Vec<Reason> = rules
                .iter_mut()
                .filter_map(|rule| rule.take(nth, local, oldest))
                .collect();
            if within.is_some_and(|limit| candidate.time >= limit) {
                reasons.push(Reason::Within);
            }
            if limits_only {
                reasons.push(Reason::Limits);
            }
            let beyond = too_old.is_some_and(|limit| candidate.time < limit)
                || self.max_count.is_some_and(|count| nth >= count as usize);
            if beyond {
                reasons.clear();
            }
            if self.keeps_tags(candidate.tags) {
                reasons.push(Reason::Tag);
            }
            if candidate.tags.iter().any(|tag| tag == PIN_TAG) {
                reasons.push(Reason::Pinned);
            }
            decisions.push(Decision { index, reasons });
        }
        Ok(decisions)
    }

    fn keeps_tags(&self, tags: &[String]) -> bool {
        self.keep_tags
            .iter()
            .any(|list| !list.is_empty() && list.iter().all(|tag| tags.contains(tag)))
    }
}

/// A rule that keeps so many, and how many it still may.
struct Rule {
    period: Option<Period>,
    left: u32,
    last: Option<(i64, i64)>,
}

impl Rule {
    fn new(period: Option<Period>, left: u32) -> Self {
        Self {
            period,
            left,
            last: None,
        }
    }

    /// Looks at the next older snapshot; says why it is kept if this rule does.
    fn take(&mut self, nth: usize, time: DateTime, oldest: bool) -> Option<Reason> {
        if self.left == 0 {
            return None;
        }
        let bucket = match self.period {
            None => (nth as i64, 0),
            Some(period) => period.bucket(time),
        };
        let same = self.last == Some(bucket);
        // The oldest is kept while a rule has room, so that a young history does not begin
        // later and later.
        if same && !oldest {
            return None;
        }
        self.last = Some(bucket);
        // `u32::MAX` stands for no limit; nobody has more snapshots.
        self.left -= 1;
        Some(match self.period {
            None => Reason::Last,
            Some(period) if same => Reason::Oldest(period),
            Some(period) => Reason::Newest(period),
        })
    }
}

impl Period {
    /// A number pair that is the same for all times in the same period.
    fn bucket(self, time: DateTime) -> (i64, i64) {
        let date = time.date();
        let day = i64::from(date.month()) * 32 + i64::from(date.day());
        let year = i64::from(date.year());
        match self {
            Period::Hour => (year, day * 24 + i64::from(time.hour())),
            Period::Day => (year, day),
            Period::Week => {
                let week = date.iso_week_date();
                (i64::from(week.year()), i64::from(week.week()))
            }
            Period::Month => (year, i64::from(date.month())),
            Period::Year => (year, 0),
        }
    }
}

fn before(time: Timestamp, span: Span, zone: &TimeZone) -> Result<Timestamp, RetentionError> {
    time.to_zoned_datetime(zone.clone())
        .checked_sub(span.abs())
        .map(|zoned| zoned.timestamp())
        .map_err(|_| RetentionError::Span {
            span: span.to_string(),
        })
}

/// What the snapshots of a group have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    host: Option<&'a str>,
    paths: Option<Vec<&'a Name>>,
    tags: Option<Vec<&'a str>>,
}

impl<'a> Group<'a> {
    fn of(candidate: &Candidate<'a>, by: GroupBy) -> Self {
        Self {
            host: by.host.then_some(candidate.host),
            paths: by.paths.then(|| sorted(candidate.paths.iter())),
            tags: by
                .tags
                .then(|| sorted(candidate.tags.iter().map(String::as_str))),
        }
    }
}

/// Without order and repetitions: both are accidents of how a backup was called.
fn sorted<T: Ord + Copy + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    let set: HashSet<T> = items.collect();
    let mut items: Vec<T> = set.into_iter().collect();
    items.sort();
    items
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(host) = self.host {
            parts.push(format!("host {host}"));
        }
        if let Some(paths) = &self.paths {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            parts.push(format!("paths {}", paths.join(" ")));
        }
        if let Some(tags) = &self.tags {
            parts.push(format!("tags {}", tags.join(" ")));
        }
        if parts.is_empty() {
            return f.write_str("the repository");
        }
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests;
