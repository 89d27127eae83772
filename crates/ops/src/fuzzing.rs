//! Entry points for the fuzz targets: each takes bytes that a user, or the other side of a
//! connection, may write, or a machine may hold.
//!
//! Beside *no crash* each checks what must hold of what is accepted.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use crate::inventory::fuzzing::inventory;
use crate::notify::fuzzing as parts;
use crate::notify::{Notification, Severity};
use crate::schedule::{Decision, Schedule, ScheduleSettings};

const ZONES: [&str; 4] = [
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
];

/// A moment, a zone, and a cron expression or a time of day.
pub fn schedule(bytes: &[u8]) {
    let Some(([second @ .., zone], rest)) = bytes.split_first_chunk::<5>() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let zone = ZONES[usize::from(*zone) % ZONES.len()];
    let zone = TimeZone::get(zone).expect("the database of time zones is installed");
    let [a, b, c, d] = *second;
    let mut now = Timestamp::UNIX_EPOCH
        + SignedDuration::from_secs(i64::from(u32::from_le_bytes([a, b, c, d])));
    let settings = [
        ScheduleSettings {
            cron: Some(text.to_owned()),
            ..ScheduleSettings::default()
        },
        ScheduleSettings {
            times: text.split(' ').map(str::to_owned).collect(),
            ..ScheduleSettings::default()
        },
    ];
    for settings in settings {
        let Ok(schedule) = Schedule::new(&settings, &zone) else {
            continue;
        };
        let begin = now;
        for _ in 0..4 {
            let Some(slot) = schedule.slot_after(now) else {
                break;
            };
            assert!(slot > now, "{settings:?}");
            assert_eq!(schedule.decide("job", now, slot), Decision::Run { slot });
            assert!(!matches!(
                schedule.decide("job", slot, slot),
                Decision::Run { .. }
            ));
            now = slot;
        }
        // However long nothing ran, the newest slot runs.
        if now > begin {
            assert_eq!(
                schedule.decide("job", begin, now),
                Decision::Run { slot: now }
            );
        }
    }
}

/// A text as each medium shows it, and a template.
pub fn notification(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let told = Notification {
        severity: Severity::Failure,
        job: text.to_owned(),
        title: text.to_owned(),
        text: text.to_owned(),
        facts: vec![(text.to_owned(), text.to_owned())],
        time: Timestamp::UNIX_EPOCH,
        key: text.to_owned(),
    };
    parts::bodies(&told);
    if let Ok(template) = serde_json::from_str::<Value>(text) {
        parts::template(&template, &told);
    }
    parts::retry_after(text);
}

/// What a broker of MQTT answers.
pub fn broker(bytes: &[u8]) {
    parts::broker(bytes);
}
