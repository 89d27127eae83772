//! Schedules in the language of `OnCalendar` (systemd.time(7)).

use std::collections::BTreeSet;

use crate::schedule::{MonthDays, Rule, Rules};

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Expressions of which each adds its times to those of the others.
pub(super) fn lines(rules: &Rules) -> Vec<String> {
    let zone = match &rules.zone {
        Some(name) => format!(" {name}"),
        None => String::new(),
    };
    let rules = rules.rules.iter();
    rules.map(|rule| line(rule) + &zone).collect()
}

fn line(rule: &Rule) -> String {
    let weekdays = match rule.weekdays.len() {
        7 => String::new(),
        _ => {
            // The week of systemd begins on Monday.
            let days = [1, 2, 3, 4, 5, 6, 0];
            let days = days.iter().filter(|day| rule.weekdays.contains(day));
            let names: Vec<&str> = days.map(|day| WEEKDAYS[usize::from(*day)]).collect();
            names.join(",") + " "
        }
    };
    let days = match &rule.days {
        MonthDays::Any => "-*".to_owned(),
        MonthDays::These(days) => format!("-{}", numbers(days, 31)),
        // Counted from the end of the month.
        MonthDays::Last => "~01".to_owned(),
        MonthDays::LastSeven => "~01..07".to_owned(),
    };
    format!(
        "{weekdays}*-{}{days} {}:{}:00",
        numbers(&rule.months, 12),
        numbers(&rule.hours, 24),
        numbers(&rule.minutes, 60),
    )
}

/// `01,03..05`, or a star for as many as there are.
fn numbers(of: &BTreeSet<u8>, all: usize) -> String {
    if of.len() == all {
        return "*".to_owned();
    }
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for &number in of {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => format!("{first:02}"),
            1 => format!("{first:02},{last:02}"),
            _ => format!("{first:02}..{last:02}"),
        })
        .collect();
    runs.join(",")
}
