//! Slots against a second reckoning, zones and years at random, and clocks that jump.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::{CatchUp, Decision, MAX_CLOCK_ERROR, Schedule, ScheduleError, ScheduleSettings};

const ZONES: [&str; 12] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Europe/Dublin",
    "UTC",
];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the database of time zones is installed (Debian: tzdata)")
}

fn cron(expression: &str, zone: &str) -> Schedule {
    let settings = ScheduleSettings {
        cron: Some(expression.to_owned()),
        time_zone: Some(zone.to_owned()),
        ..ScheduleSettings::default()
    };
    Schedule::new(&settings, &TimeZone::UTC).unwrap()
}

fn daily(times: &[&str], zone: &str) -> Schedule {
    let settings = ScheduleSettings {
        times: times.iter().map(|&time| time.to_owned()).collect(),
        time_zone: Some(zone.to_owned()),
        ..ScheduleSettings::default()
    };
    Schedule::new(&settings, &TimeZone::UTC).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn slots(schedule: &Schedule, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let first = schedule.slot_after(from);
    std::iter::successors(first, |slot| schedule.slot_after(*slot))
        .take_while(|slot| *slot <= to)
        .collect()
}

/// The first moment that is not before a time on the clock.
fn moment(zone: &TimeZone, wall: DateTime) -> Timestamp {
    zone.to_ambiguous_timestamp(wall).compatible().unwrap()
}

/// Slots of a day as a clock there shows them, with the offset.
fn shown(schedule: &Schedule, zone_name: &str, day: Date) -> Vec<String> {
    let zone = zone(zone_name);
    let midnight = |day: Date| moment(&zone, day.at(0, 0, 0, 0)) - SignedDuration::from_nanos(1);
    slots(schedule, midnight(day), midnight(day.tomorrow().unwrap()))
        .into_iter()
        .map(|slot| {
            let time = zone.to_datetime(slot).strftime("%H:%M").to_string();
            let seconds = zone.to_offset(slot).seconds();
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            format!("{time}+{hours:02}:{minutes:02}")
        })
        .collect()
}

#[test]
fn the_expressions_of_cron_mean_what_they_mean_there() {
    // From a Thursday.
    let from = at("2026-01-01T12:00:00Z");
    let cases: [(&str, [&str; 3]); 14] = [
        (
            "*/15 * * * *",
            ["01-01 12:15", "01-01 12:30", "01-01 12:45"],
        ),
        (
            "5,35 9-10 * * *",
            ["01-02 09:05", "01-02 09:35", "01-02 10:05"],
        ),
        (
            "0 4 * * MON-FRI",
            ["01-02 04:00", "01-05 04:00", "01-06 04:00"],
        ),
        ("0 4 * * 7", ["01-04 04:00", "01-11 04:00", "01-18 04:00"]),
        (
            "0 4 * feb,APR 1",
            ["02-02 04:00", "02-09 04:00", "02-16 04:00"],
        ),
        (
            "0 0 13 * FRI",
            ["01-02 00:00", "01-09 00:00", "01-13 00:00"],
        ),
        ("0 0 L * *", ["01-31 00:00", "02-28 00:00", "03-31 00:00"]),
        (
            "0 0 * * FRI#2",
            ["01-09 00:00", "02-13 00:00", "03-13 00:00"],
        ),
        (
            "0 0 * * FRIL",
            ["01-30 00:00", "02-27 00:00", "03-27 00:00"],
        ),
        (
            "10-20/5 3 2 * *",
            ["01-02 03:10", "01-02 03:15", "01-02 03:20"],
        ),
        ("@hourly", ["01-01 13:00", "01-01 14:00", "01-01 15:00"]),
        ("@midnight", ["01-02 00:00", "01-03 00:00", "01-04 00:00"]),
        ("@weekly", ["01-04 00:00", "01-11 00:00", "01-18 00:00"]),
        ("@Monthly", ["02-01 00:00", "03-01 00:00", "04-01 00:00"]),
    ];
    for (expression, expected) in cases {
        let schedule = cron(expression, "UTC");
        let first = schedule.slot_after(from);
        let found: Vec<_> = std::iter::successors(first, |slot| schedule.slot_after(*slot))
            .take(3)
            .map(|slot| slot.strftime("%m-%d %H:%M").to_string())
            .collect();
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_a_hint() {
    let cases = [
        "",
        "* * * *",
        "* * * * * *",
        "* * * * * * *",
        "61 * * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 30 2 *",
        "0 0 31 2,4 *",
        "@reboot",
        "0 0 * * FRI#6",
        "5-1 * * * *",
        "*/0 * * * *",
        "\u{661} * * * *",
    ];
    for expression in cases
        .iter()
        .map(|&case| case.to_owned())
        .chain(["* ".repeat(4000)])
    {
        let settings = ScheduleSettings {
            cron: Some(expression.clone()),
            ..ScheduleSettings::default()
        };
        let error = Schedule::new(&settings, &TimeZone::UTC).unwrap_err();
        assert!(
            matches!(error, ScheduleError::Cron { .. }),
            "{expression}: {error}"
        );
        assert!(error.to_string().len() < 600 && error.hint().contains("five fields"));
    }
    for text in [
        "24:00", "12:60", "1:2", "+1:00", "-1:00", "12", "12:00:00", "12:+1", "٣:00",
    ] {
        let settings = ScheduleSettings {
            times: vec![text.to_owned()],
            ..ScheduleSettings::default()
        };
        let error = Schedule::new(&settings, &TimeZone::UTC).unwrap_err();
        assert!(
            matches!(error, ScheduleError::TimeOfDay { .. }),
            "{text}: {error}"
        );
    }
}

#[test]
fn settings_are_read_from_a_file_and_checked() {
    let read = |text: &str| -> ScheduleSettings { serde_json::from_str(text).unwrap() };
    let check = |text: &str| Schedule::new(&read(text), &TimeZone::UTC).map(|_| ());
    assert_eq!(
        check(r#"{"times":["2:30","14:30"],"jitter":"10m","catch_up":"6h"}"#),
        Ok(())
    );
    assert_eq!(
        check(r#"{"cron":"@daily","time_zone":"Europe/Berlin","catch_up":"always"}"#),
        Ok(())
    );
    assert_eq!(check("{}"), Err(ScheduleError::Nothing));
    assert_eq!(
        check(r#"{"cron":"@daily","times":["2:30"]}"#),
        Err(ScheduleError::Both)
    );
    assert_eq!(
        check(r#"{"cron":"@daily","catch_up":"59s"}"#),
        Err(ScheduleError::CatchUp)
    );
    let zone = check(r#"{"cron":"@daily","time_zone":"Europe/Atlantis"}"#).unwrap_err();
    assert_eq!(
        zone.to_string(),
        "there is no time zone \"Europe/Atlantis\""
    );
    let jitter = check(r#"{"cron":"@daily","jitter":"192h"}"#).unwrap_err();
    assert_eq!(jitter.to_string(), "the jitter is longer than 7 days");
    assert!(serde_json::from_str::<ScheduleSettings>(r#"{"catch_up":"-1h"}"#).is_err());
    assert!(serde_json::from_str::<ScheduleSettings>(r#"{"chron":"@daily"}"#).is_err());
    let settings = read(r#"{"times":["2:30"],"jitter":"10m","catch_up":"6h"}"#);
    let again = serde_json::to_string(&settings).unwrap();
    assert_eq!(read(&again), settings, "{again}");
}

#[test]
fn in_spring_a_slot_in_the_gap_runs_when_the_gap_ends() {
    let day = date(2026, 3, 29);
    let zone = "Europe/Berlin";
    assert_eq!(shown(&cron("30 2 * * *", zone), zone, day), ["03:00+02:00"]);
    assert_eq!(
        shown(&daily(&["02:10", "02:50", "03:00"], zone), zone, day),
        ["03:00+02:00"]
    );
    assert_eq!(
        shown(&cron("0 */2 * * *", zone), zone, day)[..3],
        ["00:00+01:00", "03:00+02:00", "04:00+02:00"]
    );
    assert_eq!(shown(&cron("@hourly", zone), zone, day).len(), 23);
    assert_eq!(
        shown(&cron("*/15 1-3 * * *", zone), zone, day)[3..5],
        ["01:45+01:00", "03:00+02:00"]
    );
    let island = "Australia/Lord_Howe";
    assert_eq!(
        shown(&daily(&["02:15"], island), island, date(2026, 10, 4)),
        ["02:30+11:00"]
    );
}

#[test]
fn in_autumn_a_slot_runs_once_and_every_hour_has_one() {
    let day = date(2026, 10, 25);
    let zone = "Europe/Berlin";
    assert_eq!(shown(&cron("30 2 * * *", zone), zone, day), ["02:30+02:00"]);
    assert_eq!(
        shown(&daily(&["02:00", "02:59", "03:00"], zone), zone, day),
        ["02:00+02:00", "02:59+02:00", "03:00+01:00"]
    );
    assert_eq!(
        shown(&cron("*/30 2 * * *", zone), zone, day),
        ["02:00+02:00", "02:30+02:00"]
    );
    assert_eq!(shown(&cron("@hourly", zone), zone, day).len(), 25);
    assert_eq!(shown(&cron("*/20 0-23 * * *", zone), zone, day).len(), 75);
    assert_eq!(shown(&cron("0 */2 * * *", zone), zone, day).len(), 12);
    let island = "Australia/Lord_Howe";
    assert_eq!(
        shown(&daily(&["01:45"], island), island, date(2026, 4, 5)),
        ["01:45+11:00"]
    );
    assert_eq!(
        shown(&cron("45 * * * *", island), island, date(2026, 4, 5))[1..3],
        ["01:45+11:00", "01:45+10:30"]
    );
}

#[test]
fn the_day_that_samoa_left_out_has_its_run_when_the_next_begins() {
    let zone = "Pacific/Apia";
    let schedule = daily(&["03:00"], zone);
    let found = slots(
        &schedule,
        at("2011-12-29T13:00:00Z"),
        at("2011-12-31T00:00:00Z"),
    );
    // 29 December 03:00-10, then the gap's end at midnight of the 31st, then 03:00+14.
    assert_eq!(
        found,
        [
            at("2011-12-29T13:00:00Z"),
            at("2011-12-30T10:00:00Z"),
            at("2011-12-30T13:00:00Z")
        ][1..]
    );
}

#[test]
fn one_run_makes_up_for_years_of_slots() {
    let schedule = cron("* * * * *", "Europe/Berlin");
    let now = at("2026-06-01T12:00:30Z");
    assert_eq!(
        schedule.decide("a", at("1999-01-01T00:00:00Z"), now),
        Decision::Run {
            slot: at("2026-06-01T12:00:00Z")
        }
    );
    assert_eq!(
        schedule.decide("a", at("2026-06-01T12:00:00Z"), now),
        Decision::Wait {
            until: at("2026-06-01T12:01:00Z"),
            skipped: None
        }
    );
}

#[test]
fn what_is_too_old_is_not_caught_up_but_told() {
    let mut schedule = daily(&["02:00"], "UTC");
    schedule.catch_up = CatchUp::Within(Duration::from_secs(3600));
    let after = at("2026-05-01T02:00:00Z");
    let wait = Decision::Wait {
        until: at("2026-05-05T02:00:00Z"),
        skipped: Some(at("2026-05-04T02:00:00Z")),
    };
    assert_eq!(
        schedule.decide("a", after, at("2026-05-04T03:00:01Z")),
        wait
    );
    assert_eq!(
        schedule.decide("a", after, at("2026-05-04T03:00:00Z")),
        Decision::Run {
            slot: at("2026-05-04T02:00:00Z")
        }
    );
}

#[test]
fn a_last_run_far_ahead_was_a_wrong_clock() {
    let schedule = daily(&["02:00"], "UTC");
    let now = at("2026-05-04T01:00:00Z");
    let until = |decision| match decision {
        Decision::Wait { until, .. } => until,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        until(schedule.decide("a", at("2040-01-01T02:00:00Z"), now)),
        at("2026-05-04T02:00:00Z")
    );
    assert_eq!(
        until(schedule.decide("a", now + MAX_CLOCK_ERROR, now)),
        at("2026-05-05T02:00:00Z")
    );
}

/// The tables of zones end in January 2038, and rules go on from there.
#[test]
fn slots_only_go_forward_at_every_change_of_every_zone() {
    for name in ZONES {
        let (schedule, zone) = (cron("7,20 * * * *", name), zone(name));
        let changes = zone.following(Timestamp::UNIX_EPOCH);
        for change in changes.take_while(|change| change.timestamp().as_second() < 2_300_000_000) {
            let mut now = change.timestamp() - SignedDuration::from_hours(30);
            let mut count = 0;
            while now < change.timestamp() + SignedDuration::from_hours(30) {
                let next = schedule.slot_after(now).unwrap();
                assert!(next > now, "{name}: {next} after {now}");
                (now, count) = (next, count + 1);
            }
            // Two in each of 60 hours; none on a day that is left out, more when it comes twice.
            assert!(
                (70..=170).contains(&count),
                "{name}: {count} at {}",
                change.timestamp()
            );
        }
    }
}

/// Slots by jiff's own view of a zone, time by time on the clock; `hours` of `None` are all.
fn reckoned(
    zone: &TimeZone,
    first: Date,
    days: i64,
    hours: Option<&BTreeSet<i8>>,
    minutes: &BTreeSet<i8>,
) -> Vec<Timestamp> {
    let all_hours = (0..24).collect();
    let times: Vec<Time> = hours
        .unwrap_or(&all_hours)
        .iter()
        .flat_map(|hour| {
            minutes
                .iter()
                .map(|minute| Time::constant(*hour, *minute, 0, 0))
        })
        .collect();
    let mut found = BTreeSet::new();
    let walls = (0..days).flat_map(|day| {
        let day = first.checked_add(day.days()).unwrap();
        times.iter().map(move |time| day.to_datetime(*time))
    });
    for wall in walls {
        match zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                found.insert(offset.to_timestamp(wall).unwrap());
            }
            AmbiguousOffset::Fold { before, after } => {
                found.insert(before.to_timestamp(wall).unwrap());
                if hours.is_none() {
                    found.insert(after.to_timestamp(wall).unwrap());
                }
            }
            AmbiguousOffset::Gap { after, .. } => {
                // Before the change by the clock of after it.
                let earlier = after.to_timestamp(wall).unwrap();
                found.insert(zone.following(earlier).next().unwrap().timestamp());
            }
        }
    }
    found.into_iter().collect()
}

/// A day in the middle of which the zone's clock changes, or some day if it never does.
fn near_change(zone: &TimeZone, seconds: i64) -> Date {
    let moment = Timestamp::from_second(seconds).unwrap();
    let change = zone.following(moment).next();
    let moment = change.map_or(moment, |change| change.timestamp());
    zone.to_datetime(moment).date()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn slots_are_those_of_a_second_reckoning(
        name in prop::sample::select(&ZONES[..]),
        seconds in 0..2_200_000_000_i64,
        minutes in prop::collection::btree_set(0..60_i8, 1..4),
        hours in prop::option::of(prop::collection::btree_set(0..24_i8, 1..5)),
    ) {
        let zone = zone(name);
        let first = near_change(&zone, seconds).checked_sub(3.days()).unwrap();
        let list = |values: &BTreeSet<i8>| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let hour_field = hours.as_ref().map_or("*".to_owned(), list);
        let schedule = cron(&format!("{} {hour_field} * * *", list(&minutes)), name);
        let all = reckoned(&zone, first, 7, hours.as_ref(), &minutes);
        let begin = moment(&zone, first.checked_add(1.day()).unwrap().at(0, 0, 0, 0));
        let end = moment(&zone, first.checked_add(6.days()).unwrap().at(0, 0, 0, 0));
        let expected: Vec<_> = all.into_iter().filter(|slot| *slot > begin && *slot <= end).collect();
        prop_assert_eq!(&slots(&schedule, begin, end), &expected);
        // From any moment, not only from slot to slot.
        for hour in 0..(5 * 24) {
            let moment = begin + SignedDuration::from_secs(hour * 3600 + seconds % 3600);
            if let Some(slot) = expected.get(expected.partition_point(|slot| *slot <= moment)) {
                prop_assert_eq!(schedule.slot_after(moment), Some(*slot));
            }
        }
    }

    #[test]
    fn every_day_has_one_slot_of_each_time_over_the_years(
        name in prop::sample::select(&ZONES[..]),
        year in 1975..2037_i16,
        hour in 0..24_i8,
        minute in 0..60_i8,
    ) {
        let zone = zone(name);
        let schedule = daily(&[&format!("{hour}:{minute:02}")], name);
        let all = reckoned(&zone, date(year, 1, 1), 366, Some(&[hour].into()), &[minute].into());
        let begin = *all.first().unwrap();
        let end = *all.last().unwrap();
        let found = slots(&schedule, begin - SignedDuration::from_secs(1), end);
        prop_assert_eq!(found.len(), all.len());
        prop_assert!(found.iter().eq(all.iter()));
    }

    #[test]
    fn starts_come_in_the_order_of_slots_and_the_same_each_time(
        name in prop::sample::select(&ZONES[..]),
        seconds in 0..2_200_000_000_i64,
        jitter in 0..100_000_u64,
        job in "[a-z]{1,8}",
    ) {
        let mut schedule = cron("0,7 */3 * * *", name);
        schedule.jitter = Duration::from_secs(jitter);
        let from = Timestamp::from_second(seconds).unwrap();
        let slots = slots(&schedule, from, from + SignedDuration::from_hours(48));
        let starts: Vec<_> = slots.iter().map(|slot| schedule.start_of(&job, *slot)).collect();
        for (pair, start) in slots.windows(2).zip(&starts) {
            prop_assert!(pair[0] <= *start && *start < pair[1]);
            prop_assert!(start.duration_since(pair[0]).unsigned_abs() <= schedule.jitter);
            prop_assert_eq!(*start, schedule.clone().start_of(&job, pair[0]));
        }
    }

    /// A scheduler as the real one is, whose clock jumps, whose runs take long and which is killed.
    #[test]
    fn jumping_clocks_long_runs_and_restarts_neither_repeat_nor_lose_a_slot(
        name in prop::sample::select(&ZONES[..]),
        expression in prop::sample::select(vec!["*/10 * * * *", "0 * * * *", "30 */2 * * *", "15,45 1-3 * * *"]),
        seconds in 0..2_200_000_000_i64,
        jitter in prop::sample::select(vec![0, 120, 7200]),
        steps in prop::collection::vec((0..4_u8, 1..5400_i64), 50..200),
    ) {
        let mut schedule = cron(expression, name);
        schedule.jitter = Duration::from_secs(jitter);
        let zone = zone(name);
        let day = near_change(&zone, seconds);
        let begin = moment(&zone, day.at(0, 0, 0, 0));
        let (mut now, mut after, mut latest) = (begin, begin, begin);
        let mut ran: Vec<Timestamp> = Vec::new();
        // In hours; less than what counts as plainly wrong.
        let mut error = 0_i64;
        for (kind, seconds) in steps {
            let jump = match kind {
                0 if error < 8 => 3600,
                1 if error > -8 => -3600,
                // Time passes, asked or not: a long run, or sleep.
                2 => seconds,
                _ => 30,
            };
            if jump.abs() == 3600 && kind < 2 {
                error += jump.signum();
            }
            now += SignedDuration::from_secs(jump);
            latest = latest.max(now);
            // Asked twice, as by two processes in a row.
            for _ in 0..2 {
                match schedule.decide("job", after, now) {
                    Decision::Run { slot } => {
                        prop_assert!(slot <= now && ran.last().is_none_or(|last| *last < slot));
                        ran.push(slot);
                        after = slot;
                    }
                    Decision::Wait { until, skipped } => {
                        prop_assert!(until > now && skipped.is_none());
                    }
                    Decision::Never => prop_assert!(false),
                }
            }
            // Nothing is left behind: whatever has started by the latest clock, ran or was made up for.
            for slot in slots(&schedule, begin.max(now - SignedDuration::from_hours(6)), now) {
                prop_assert!(slot <= after || schedule.start_of("job", slot) > now, "{slot} is lost at {now}");
            }
        }
        let all = slots(&schedule, begin, latest);
        prop_assert!(ran.iter().all(|slot| all.contains(slot)));
    }
}
