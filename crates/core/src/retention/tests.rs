use std::fmt::Write;

use jiff::ToSpan;
use proptest::prelude::*;

use super::*;

struct Made {
    time: Timestamp,
    host: &'static str,
    paths: Vec<Name>,
    tags: Vec<String>,
}

fn at(time: &str) -> Made {
    Made {
        time: time.parse().expect("a time"),
        host: "fern",
        paths: vec![Name(b"/home".to_vec())],
        tags: Vec::new(),
    }
}

fn tagged(time: &str, tags: &[&str]) -> Made {
    Made {
        tags: tags.iter().map(ToString::to_string).collect(),
        ..at(time)
    }
}

fn candidates(made: &[Made]) -> Vec<Candidate<'_>> {
    made.iter()
        .enumerate()
        .map(|(nth, made)| Candidate {
            id: Id::of(&nth.to_le_bytes()),
            time: made.time,
            host: made.host,
            paths: &made.paths,
            tags: &made.tags,
        })
        .collect()
}

const NOW: &str = "2026-06-15T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// One line for each snapshot, newest first: its time, and why it stays.
fn table(policy: &Policy, made: &[Made]) -> String {
    let mut lines = String::new();
    for decision in policy
        .apply(&candidates(made), now())
        .expect("a usable policy")
    {
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        let line = format!("{} {}", made[decision.index].time, reasons.join(" "));
        writeln!(lines, "{}", line.trim_end()).expect("a string takes all");
    }
    lines
}

/// How many snapshots stay.
fn kept(policy: &Policy, made: &[Made]) -> usize {
    policy
        .apply(&candidates(made), now())
        .expect("a usable policy")
        .iter()
        .filter(|decision| !decision.reasons.is_empty())
        .count()
}

/// A year and a half with three snapshots a day.
fn history() -> Vec<Made> {
    let first: Timestamp = "2025-01-01T00:00:00Z".parse().expect("a time");
    (0..540 * 3)
        .map(|nth| Made {
            time: first + (8 * nth).hours(),
            ..at(NOW)
        })
        .filter(|made| made.time <= now())
        .collect()
}

#[test]
fn days_weeks_and_months_add_up() {
    let policy = Policy {
        keep_last: Some(2),
        keep_daily: Some(3),
        keep_weekly: Some(3),
        keep_monthly: Some(3),
        keep_yearly: Some(10),
        ..Policy::default()
    };
    let lines: String = table(&policy, &history())
        .lines()
        .filter(|line| line.contains(' '))
        .fold(String::new(), |lines, line| lines + line + "\n");
    insta::assert_snapshot!(lines, @r"
    2026-06-15T08:00:00Z last daily weekly monthly yearly
    2026-06-15T00:00:00Z last
    2026-06-14T16:00:00Z daily weekly
    2026-06-13T16:00:00Z daily
    2026-06-07T16:00:00Z weekly
    2026-05-31T16:00:00Z monthly
    2026-04-30T16:00:00Z monthly
    2025-12-31T16:00:00Z yearly
    2025-01-01T00:00:00Z oldest-yearly
    ");
}

#[test]
fn each_rule_keeps_as_many_as_it_says() {
    let history = history();
    let one = |set: fn(&mut Policy)| {
        let mut policy = Policy::default();
        set(&mut policy);
        kept(&policy, &history)
    };
    assert_eq!(one(|p| p.keep_last = Some(7)), 7);
    assert_eq!(one(|p| p.keep_hourly = Some(7)), 7);
    assert_eq!(one(|p| p.keep_daily = Some(7)), 7);
    assert_eq!(one(|p| p.keep_weekly = Some(7)), 7);
    assert_eq!(one(|p| p.keep_monthly = Some(7)), 7);
    assert_eq!(one(|p| p.keep_yearly = Some(2)), 2);
    assert_eq!(one(|p| p.keep_last = Some(u32::MAX)), history.len());
    assert_eq!(
        one(|p| p.keep_daily = Some(u32::MAX)),
        532,
        "531 days, and the oldest"
    );
    assert_eq!(one(|p| p.keep_within = Some(2.days())), 7);
    assert_eq!(one(|p| p.max_count = Some(5)), 5);
    assert_eq!(one(|p| p.max_age = Some(2.days())), 6);
}

#[test]
fn a_history_shorter_than_the_rule_keeps_its_oldest() {
    let policy = Policy {
        keep_daily: Some(3),
        ..Policy::default()
    };
    let made = [
        at("2026-06-14T05:00:00Z"),
        at("2026-06-14T04:00:00Z"),
        at("2026-06-13T23:00:00Z"),
        at("2026-06-13T22:00:00Z"),
        at("2026-06-13T21:00:00Z"),
    ];
    insta::assert_snapshot!(table(&policy, &made), @r"
    2026-06-14T05:00:00Z daily
    2026-06-14T04:00:00Z
    2026-06-13T23:00:00Z daily
    2026-06-13T22:00:00Z
    2026-06-13T21:00:00Z oldest-daily
    ");
}

#[test]
fn weeks_are_those_of_iso_8601() {
    let policy = Policy {
        keep_weekly: Some(2),
        ..Policy::default()
    };
    // The last days of 2024 belong to the first week of 2025.
    let made = [
        at("2025-01-05T12:00:00Z"),
        at("2024-12-30T12:00:00Z"),
        at("2024-12-29T12:00:00Z"),
        at("2024-12-22T12:00:00Z"),
    ];
    insta::assert_snapshot!(table(&policy, &made), @r"
    2025-01-05T12:00:00Z weekly
    2024-12-30T12:00:00Z
    2024-12-29T12:00:00Z weekly
    2024-12-22T12:00:00Z
    ");
}

#[test]
fn days_begin_where_the_user_is() {
    let made = [
        at("2026-06-14T23:30:00Z"),
        at("2026-06-14T20:00:00Z"),
        at("2026-06-14T10:00:00Z"),
    ];
    let mut policy = Policy {
        keep_daily: Some(2),
        ..Policy::default()
    };
    insta::assert_snapshot!(table(&policy, &made), @r"
    2026-06-14T23:30:00Z daily
    2026-06-14T20:00:00Z
    2026-06-14T10:00:00Z oldest-daily
    ");
    policy.time_zone = Some(TimeZone::get("Europe/Berlin").expect("a known zone"));
    insta::assert_snapshot!(table(&policy, &made), @r"
    2026-06-14T23:30:00Z daily
    2026-06-14T20:00:00Z daily
    2026-06-14T10:00:00Z
    ");
}

#[test]
fn an_hour_that_comes_twice_is_one_hour() {
    let policy = Policy {
        keep_hourly: Some(3),
        time_zone: Some(TimeZone::get("Europe/Berlin").expect("a known zone")),
        ..Policy::default()
    };
    // At 01:00 UTC clocks go back from 03:00 to 02:00.
    let made = [
        at("2025-10-26T02:10:00Z"),
        at("2025-10-26T01:10:00Z"),
        at("2025-10-26T00:10:00Z"),
        at("2025-10-25T23:10:00Z"),
        at("2025-10-25T22:10:00Z"),
    ];
    insta::assert_snapshot!(table(&policy, &made), @r"
    2025-10-26T02:10:00Z hourly
    2025-10-26T01:10:00Z hourly
    2025-10-26T00:10:00Z
    2025-10-25T23:10:00Z hourly
    2025-10-25T22:10:00Z
    ");
}

#[test]
fn within_is_counted_from_the_newest() {
    let policy = Policy {
        keep_within: Some(1.month()),
        ..Policy::default()
    };
    // A machine that was switched off in March keeps its last month.
    let made = [
        at("2026-03-31T00:00:00Z"),
        at("2026-02-28T00:00:00Z"),
        at("2026-02-27T23:59:59Z"),
    ];
    insta::assert_snapshot!(table(&policy, &made), @r"
    2026-03-31T00:00:00Z within
    2026-02-28T00:00:00Z within
    2026-02-27T23:59:59Z
    ");
}

#[test]
fn limits_alone_keep_what_they_allow() {
    let made = [
        at("2026-06-15T00:00:00Z"),
        at("2026-06-10T00:00:00Z"),
        at("2026-05-01T00:00:00Z"),
    ];
    let mut policy = Policy {
        max_age: Some(30.days()),
        ..Policy::default()
    };
    insta::assert_snapshot!(table(&policy, &made), @r"
    2026-06-15T00:00:00Z within-limits
    2026-06-10T00:00:00Z within-limits
    2026-05-01T00:00:00Z
    ");
    policy.max_count = Some(1);
    assert_eq!(kept(&policy, &made), 1);
}

#[test]
fn limits_take_away_from_what_rules_keep() {
    let policy = Policy {
        keep_monthly: Some(12),
        max_age: Some(30.days()),
        ..Policy::default()
    };
    let made = [
        at("2026-06-15T00:00:00Z"),
        at("2026-05-31T00:00:00Z"),
        at("2026-04-30T00:00:00Z"),
        tagged("2026-03-31T00:00:00Z", &[PIN_TAG]),
    ];
    insta::assert_snapshot!(table(&policy, &made), @r"
    2026-06-15T00:00:00Z monthly
    2026-05-31T00:00:00Z monthly
    2026-04-30T00:00:00Z
    2026-03-31T00:00:00Z pinned
    ");
}

#[test]
fn tags_and_pins_stay() {
    let policy = Policy {
        keep_last: Some(1),
        keep_tags: vec![vec!["a".into(), "b".into()], vec!["c".into()], vec![]],
        ..Policy::default()
    };
    let made = [
        at("2026-06-06T00:00:00Z"),
        tagged("2026-06-05T00:00:00Z", &["a"]),
        tagged("2026-06-04T00:00:00Z", &["b", "x", "a"]),
        tagged("2026-06-03T00:00:00Z", &["c"]),
        tagged("2026-06-02T00:00:00Z", &[PIN_TAG, "c"]),
        at("2026-06-01T00:00:00Z"),
    ];
    insta::assert_snapshot!(table(&policy, &made), @r"
    2026-06-06T00:00:00Z last
    2026-06-05T00:00:00Z
    2026-06-04T00:00:00Z tag
    2026-06-03T00:00:00Z tag
    2026-06-02T00:00:00Z tag pinned
    2026-06-01T00:00:00Z
    ");
}

#[test]
fn what_comes_from_the_future_stays_and_takes_no_place() {
    let policy = Policy {
        keep_last: Some(1),
        keep_within: Some(1.day()),
        ..Policy::default()
    };
    let made = [
        at("2036-01-01T00:00:00Z"),
        at("2026-06-15T12:00:01Z"),
        at("2026-06-15T12:00:00Z"),
        at("2026-06-14T12:00:00Z"),
        at("2026-06-13T12:00:00Z"),
    ];
    insta::assert_snapshot!(table(&policy, &made), @r"
    2036-01-01T00:00:00Z future-dated
    2026-06-15T12:00:01Z future-dated
    2026-06-15T12:00:00Z last within
    2026-06-14T12:00:00Z within
    2026-06-13T12:00:00Z
    ");
}

#[test]
fn groups_do_not_compete() {
    let policy = |group_by| Policy {
        keep_last: Some(1),
        group_by,
        ..Policy::default()
    };
    let swapped = |names: [&str; 2]| names.map(|name| Name(name.as_bytes().to_vec())).to_vec();
    let made = [
        at("2026-06-01T00:00:00Z"),
        Made {
            host: "moss",
            ..at("2026-06-02T00:00:00Z")
        },
        Made {
            paths: swapped(["/a", "/b"]),
            ..at("2026-06-03T00:00:00Z")
        },
        Made {
            paths: swapped(["/b", "/a"]),
            ..tagged("2026-06-04T00:00:00Z", &["x"])
        },
    ];
    let by = |host, paths, tags| kept(&policy(GroupBy { host, paths, tags }), &made);
    assert_eq!(kept(&policy(GroupBy::default()), &made), 3);
    assert_eq!(by(true, true, true), 4);
    assert_eq!(by(true, false, false), 2);
    assert_eq!(by(false, true, false), 2);
    assert_eq!(by(false, false, true), 2);
    assert_eq!(by(false, false, false), 1);
}

#[test]
fn policies_that_keep_nothing_are_refused() {
    let refused = |policy: &Policy, made: &[Made]| {
        policy
            .apply(&candidates(made), now())
            .expect_err("refused")
            .to_string()
    };
    let made = [at("2026-01-02T00:00:00Z"), at("2026-01-01T00:00:00Z")];
    let zero = Policy {
        keep_last: Some(0),
        keep_tags: vec![vec![]],
        ..Policy::default()
    };
    for empty in [&Policy::default(), &zero] {
        assert!(empty.is_empty());
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused(empty, &made), @"it has no rule and would keep nothing");
            insta::assert_snapshot!(refused(empty, &[]), @"it has no rule and would keep nothing");
        }
    }
    // The machine has made no backup for months, or the clock is wrong.
    let mut aged = Policy {
        max_age: Some(30.days()),
        ..Policy::default()
    };
    insta::assert_snapshot!(
        refused(&aged, &made),
        @"it would keep none of the 2 snapshots of host fern, paths /home"
    );
    let with_future = [at("2026-01-02T00:00:00Z"), at("2027-01-01T00:00:00Z")];
    insta::assert_snapshot!(
        refused(&aged, &with_future),
        @"it would keep none of the 1 snapshots of host fern, paths /home"
    );
    aged.allow_empty = true;
    assert_eq!(kept(&aged, &made), 0);
    let tags = Policy {
        keep_tags: vec![vec!["x".into()]],
        ..Policy::default()
    };
    refused(&tags, &made);
    let none = Policy {
        max_count: Some(0),
        ..Policy::default()
    };
    refused(&none, &made);
    assert_eq!(kept(&none, &[]), 0, "there is nothing to lose");
}

#[test]
fn a_span_beyond_all_time_is_refused() {
    let policy = Policy {
        keep_within: Some(19_000.years()),
        ..Policy::default()
    };
    let error = policy
        .apply(&candidates(&[at(NOW)]), now())
        .expect_err("refused");
    assert!(matches!(error, RetentionError::Span { .. }));
}

#[test]
fn every_candidate_is_decided_upon_once() {
    let history = history();
    let policy = Policy {
        keep_daily: Some(5),
        ..Policy::default()
    };
    let decisions = policy
        .apply(&candidates(&history), now())
        .expect("a usable policy");
    let mut indexes: Vec<usize> = decisions.iter().map(|decision| decision.index).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..history.len()).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn whatever_the_policy_what_must_stay_stays(
        hours in prop::collection::vec((0_i64..20_000, any::<bool>(), 0_u8..3), 0..40),
        keep_last in prop::option::of(0_u32..5),
        keep_daily in prop::option::of(0_u32..5),
        keep_monthly in prop::option::of(0_u32..5),
        within in prop::option::of(0_i64..100),
        max_age in prop::option::of(0_i64..1000),
        max_count in prop::option::of(0_u32..10),
        allow_empty: bool,
    ) {
        let hosts = ["fern", "moss", "reed"];
        let made: Vec<Made> = hours
            .iter()
            .map(|&(hours, pinned, host)| Made {
                // Some of them come from the future.
                time: now() + (500 - hours).hours(),
                host: hosts[usize::from(host)],
                tags: if pinned { vec![PIN_TAG.to_owned()] } else { Vec::new() },
                ..at(NOW)
            })
            .collect();
        let policy = Policy {
            keep_last,
            keep_daily,
            keep_monthly,
            keep_within: within.map(|days| days.days()),
            max_age: max_age.map(|days| days.days()),
            max_count,
            allow_empty,
            ..Policy::default()
        };
        let Ok(decisions) = policy.apply(&candidates(&made), now()) else {
            prop_assert!(policy.is_empty() || !allow_empty);
            return Ok(());
        };
        prop_assert_eq!(decisions.len(), made.len());
        let stays = |decision: &&Decision| !decision.reasons.is_empty();
        for decision in &decisions {
            let made = &made[decision.index];
            if made.time > now() || !made.tags.is_empty() {
                prop_assert!(stays(&decision));
            }
        }
        for host in hosts {
            let of_host = || decisions.iter().filter(|decision| made[decision.index].host == host);
            let past = of_host().filter(|decision| made[decision.index].time <= now());
            let left = past.clone().filter(stays).count();
            prop_assert!(allow_empty || left > 0 || past.count() == 0);
        }
    }
}
