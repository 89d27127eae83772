//! Times as other schedulers reckon them, against the slots of [`schedule`](crate::schedule).

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::*;
use crate::schedule::Schedule;

/// So many slots are compared of each schedule.
const SLOTS: usize = 12;
/// A Sunday. In Europe, clocks change four weeks before and four months after.
const BEGIN: &str = "2026-11-01";
/// Two leap years and a bit are in so many days; nothing is rarer than 29 February.
const DAYS: i64 = 70;

/// Expressions of every kind.
const EXPRESSIONS: [&str; 24] = [
    "* * * * *",
    "*/15 * * * *",
    "5-59/15 * * * *",
    "7 3 * * *",
    "0,30 8-18 * * MON-FRI",
    "@hourly",
    "@daily",
    "@weekly",
    "@monthly",
    "0 */6 * * *",
    "15 4 1,15 * *",
    "15 4 1,15 * FRI",
    "0 0 13 * FRI",
    "0 0 13 * +FRI",
    "0 0 L * *",
    "0 0 1,L * *",
    "0 12 * * FRI#2",
    "0 12 * * MON#5",
    "0 12 * * SUNL",
    "0 12 * * MON#1,WED#3,FRIL",
    "30 6 L 2,11 SAT#1",
    "0 0 31 * *",
    "59 23 * 11,12 0",
    "0 0 29 2 *",
];

fn settings(cron: &str, zone: Option<&str>) -> ScheduleSettings {
    ScheduleSettings {
        cron: Some(cron.to_owned()),
        time_zone: zone.map(str::to_owned),
        ..ScheduleSettings::default()
    }
}

fn daily(times: &[&str], zone: Option<&str>) -> ScheduleSettings {
    ScheduleSettings {
        times: times.iter().map(|&time| time.to_owned()).collect(),
        time_zone: zone.map(str::to_owned),
        ..ScheduleSettings::default()
    }
}

fn begin() -> Timestamp {
    format!("{BEGIN}T00:00:00Z").parse().unwrap()
}

/// The first slots of a schedule.
fn slots(settings: &ScheduleSettings) -> Vec<Timestamp> {
    let schedule = Schedule::new(settings, &TimeZone::UTC).unwrap();
    let first = schedule.slot_after(begin());
    let slots = std::iter::successors(first, |slot| schedule.slot_after(*slot));
    slots.take(SLOTS).collect()
}

/// The first times at which systemd starts the timer of a schedule.
fn elapses(settings: &ScheduleSettings) -> Vec<Timestamp> {
    let mut service = service(Manager::Systemd, Scope::System, Form::Timers);
    service.jobs[0].schedule = Some(settings.clone());
    service.jobs.truncate(1);
    let timer = shown(&service.files().unwrap()[1..]);
    let mut all = BTreeSet::new();
    for expression in timer
        .lines()
        .filter_map(|line| line.strip_prefix("OnCalendar="))
    {
        let mut command = systemd_analyze();
        command.args(["calendar", &format!("--iterations={SLOTS}")]);
        command.args([&format!("--base-time={BEGIN} 00:00:00"), expression]);
        let (good, text) = said(&mut command, "systemd", b"");
        assert!(good, "{expression}: {text}");
        let elapses = text.lines().filter_map(|line| {
            let (what, time) = line.trim().split_once(": ")?;
            (what == "Next elapse" || what.starts_with("Iter. #")).then_some(time)
        });
        all.extend(elapses.map(|text| {
            // "Mon 2026-11-02 02:30:00 UTC"
            let time = text
                .get(4..23)
                .unwrap_or_else(|| panic!("{expression}: {text}"));
            assert!(text.ends_with(" UTC"), "{text}");
            format!("{}Z", time.replace(' ', "T"))
                .parse::<Timestamp>()
                .unwrap()
        }));
    }
    all.into_iter().take(SLOTS).collect()
}

#[test]
fn systemd_runs_jobs_when_we_would() {
    let mut compared = 0;
    for zone in ["UTC", "Asia/Kathmandu"] {
        for cron in EXPRESSIONS {
            let settings = settings(cron, Some(zone));
            assert_eq!(elapses(&settings), slots(&settings), "{cron} {zone}");
            compared += 1;
        }
        let every_other = daily(&["0:00", "12:30", "02:30", "02:05", "23:59"], Some(zone));
        assert_eq!(elapses(&every_other), slots(&every_other));
    }
    // Where clocks change, in between.
    for zone in ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"] {
        for settings in [
            daily(&["02:30", "2:05"], Some(zone)),
            settings("0 0-6 * * MON,TUE", Some(zone)),
        ] {
            assert_eq!(elapses(&settings), slots(&settings), "{zone}");
            compared += 1;
        }
    }
    assert_eq!(compared, 2 * EXPRESSIONS.len() + 6);
}

#[test]
fn a_zone_is_called_as_the_database_has_it() {
    let written = elapses(&settings("0 3 * * *", Some("europe/berlin")));
    assert_eq!(
        written,
        slots(&settings("0 3 * * *", Some("Europe/Berlin")))
    );
}

/// A field: a star, a step, or some numbers.
fn field(from: u32, to: u32) -> impl Strategy<Value = String> {
    let some = prop::collection::btree_set(from..=to, 1..4);
    let list = some.prop_map(|some| {
        let some: Vec<String> = some.iter().map(u32::to_string).collect();
        some.join(",")
    });
    let range = (from..=to, from..=to).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    prop_oneof![
        Just("*".to_owned()),
        (2..=to).prop_map(|step| format!("*/{step}")),
        list,
        range
    ]
}

/// Expressions with everything that timers can say.
fn expression() -> impl Strategy<Value = String> {
    let days =
        prop_oneof![3 => field(1, 31), 1 => Just("L".to_owned()), 1 => Just("3,L".to_owned())];
    let nth = (0..7u8, 1..=4u8).prop_map(|(day, nth)| format!("{day}#{nth}"));
    let last = (0..7u8).prop_map(|day| format!("{day}L"));
    let week = prop_oneof![3 => field(0, 6), 1 => nth, 1 => last];
    (field(0, 59), field(0, 23), days, field(1, 12), week).prop_map(
        |(minute, hour, day, month, week)| format!("{minute} {hour} {day} {month} {week}"),
    )
}

#[test]
fn systemd_agrees_about_expressions_at_random() {
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&expression(), |cron| {
        let settings = settings(&cron, Some("UTC"));
        // 31 June and the like.
        prop_assume!(Schedule::new(&settings, &TimeZone::UTC).is_ok());
        prop_assert_eq!(elapses(&settings), slots(&settings), "{}", cron);
        Ok(())
    });
    outcome.unwrap();
}

/// What a reader of ours says about a file, with the minutes of [`DAYS`] days at which it runs.
pub(super) fn read(kind: &str, file: &File) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/service/tests/read.py");
    let mut command = Command::new("python3");
    command.args([script, kind, BEGIN, &DAYS.to_string()]);
    let (good, text) = said(&mut command, "python3", &file.content);
    assert!(good, "{text}\n{}", shown(std::slice::from_ref(file)));
    serde_json::from_str(&text).unwrap()
}

/// All slots in [`DAYS`] days, as `read.py` writes them.
fn all_slots(settings: &ScheduleSettings) -> Vec<String> {
    let schedule = Schedule::new(settings, &TimeZone::UTC).unwrap();
    let end = begin() + SignedDuration::from_hours(24 * DAYS);
    let first = schedule.slot_after(begin() - SignedDuration::from_secs(1));
    std::iter::successors(first, |slot| schedule.slot_after(*slot))
        .take_while(|slot| *slot < end)
        .map(|slot| slot.strftime("%Y-%m-%dT%H:%M").to_string())
        .collect()
}

/// The same by the file for a manager; none if it cannot keep the schedule.
fn all_starts(manager: Manager, settings: &ScheduleSettings) -> Option<Vec<String>> {
    let mut service = service(manager, Scope::System, Form::Timers);
    service.jobs[0].schedule = Some(settings.clone());
    service.jobs.truncate(1);
    let files = match service.files() {
        Err(ServiceError::Inexact { .. }) => return None,
        files => files.unwrap(),
    };
    let kind = match manager {
        Manager::Windows => "task",
        _ => "plist",
    };
    let read = read(kind, &files[0]);
    let times = read["times"].as_array().unwrap().iter();
    Some(
        times
            .map(|time| time.as_str().unwrap().to_owned())
            .collect(),
    )
}

#[test]
fn launchd_and_windows_run_jobs_when_we_would_or_say_no() {
    let schedules = EXPRESSIONS.map(|cron| settings(cron, None)).into_iter();
    let schedules = schedules.chain([daily(&["0:00", "12:30", "02:05"], None)]);
    let mut kept = [0, 0];
    for settings in schedules {
        let slots = all_slots(&settings);
        for (manager, kept) in [Manager::Launchd, Manager::Windows]
            .into_iter()
            .zip(&mut kept)
        {
            if let Some(starts) = all_starts(manager, &settings) {
                assert_eq!(starts, slots, "{manager:?} {:?}", settings.cron);
                *kept += 1;
            }
        }
    }
    // Those that are refused are named below.
    assert_eq!(kept, [17, 23]);
}

#[test]
fn what_cannot_be_kept_exactly_is_refused_in_words() {
    let refused = |manager, settings: &ScheduleSettings| {
        let mut service = service(manager, Scope::System, Form::Timers);
        service.jobs[0].schedule = Some(settings.clone());
        match service.files() {
            Err(error @ ServiceError::Inexact { .. }) => error.to_string(),
            other => panic!("{settings:?} {other:?}"),
        }
    };
    let mut told = String::new();
    let late = ScheduleSettings {
        catch_up: CatchUp::Within(Duration::from_secs(3600)),
        ..settings("@daily", None)
    };
    let jitter = ScheduleSettings {
        jitter: Duration::from_secs(60),
        ..settings("@daily", None)
    };
    let mut note = |manager, settings: &ScheduleSettings| {
        told += &(refused(manager, settings) + "\n");
    };
    for cron in ["0 0 15W * *", "0 0 LW * *", "0 0 1-7 * +MON#1"] {
        note(Manager::Systemd, &settings(cron, None));
    }
    for manager in [Manager::Systemd, Manager::Launchd, Manager::Windows] {
        note(manager, &late);
    }
    for manager in [Manager::Launchd, Manager::Windows] {
        note(manager, &settings("@daily", Some("Europe/Berlin")));
    }
    note(Manager::Launchd, &jitter);
    for cron in [
        "0 0 L * *",
        "0 0 * * MON#1",
        "0 0 13 * +FRI",
        "*/3 1-20 1-15 * *",
    ] {
        note(Manager::Launchd, &settings(cron, None));
    }
    for cron in [
        "0 0 * * MON#5",
        "0 0 13 * +FRI",
        "0 0 L * +FRI",
        "1-59 * * * *",
    ] {
        note(Manager::Windows, &settings(cron, None));
    }
    insta::assert_snapshot!(told);

    let wrong = settings("0 0 31 6 *", None);
    let mut service = service(Manager::Systemd, Scope::System, Form::Timers);
    service.jobs[0].schedule = Some(wrong);
    assert!(matches!(
        service.files(),
        Err(ServiceError::Schedule { .. })
    ));
}

/// What the documentation says about systemd, so that it stays true.
#[test]
fn on_the_days_when_clocks_change_systemd_differs() {
    let elapse = |base: &str, expression: &str| {
        let mut command = systemd_analyze();
        command.args([
            "calendar",
            "--iterations=2",
            &format!("--base-time={base}"),
            expression,
        ]);
        let (good, text) = said(&mut command, "systemd", b"");
        assert!(good, "{text}");
        text
    };
    // 02:30 is left out on 29 March 2026 in Berlin; our slot is at 03:00, which is 01:00 UTC.
    let spring = elapse("2026-03-28 12:00:00", "*-*-* 02:30:00 Europe/Berlin");
    assert!(
        !spring.contains("2026-03-29") && spring.contains("2026-03-30"),
        "{spring}"
    );
    let ours = Schedule::new(&daily(&["02:30"], Some("Europe/Berlin")), &TimeZone::UTC).unwrap();
    let noon: Timestamp = "2026-03-28T12:00:00Z".parse().unwrap();
    let end_of_gap = "2026-03-29T01:00:00Z".parse().unwrap();
    assert_eq!(ours.slot_after(noon), Some(end_of_gap));
}
