//! Property lists of launchd (launchd.plist(5)).

use std::collections::BTreeSet;
use std::path::Path;

use super::quote::xml;
use super::{File, Form, Scope, Service, ServiceError, ServiceJob, quote};
use crate::schedule::{CatchUp, MonthDays, Rule, Rules};

const LABEL: &str = "org.keepwatch";
/// Each time is an entry of its own; more than this are a schedule for the runner.
const MAX_ENTRIES: usize = 1024;

pub(super) fn files(service: &Service) -> Result<Vec<File>, ServiceError> {
    if service.form == Form::Runner {
        // Again when it failed, and not when it ended as it was told to.
        let when = "\t<key>RunAtLoad</key>\n\t<true/>\n\
                    \t<key>KeepAlive</key>\n\t<dict>\n\
                    \t\t<key>SuccessfulExit</key>\n\t\t<false/>\n\t</dict>\n\
                    \t<key>ThrottleInterval</key>\n\t<integer>30</integer>\n";
        return Ok(vec![file(service, None, when)?]);
    }
    let mut files = Vec::new();
    for job in &service.jobs {
        if let Some(rules) = service.rules(job)? {
            let when = times(service, job, &rules)?;
            files.push(file(service, Some(&job.name), &when)?);
        }
    }
    Ok(files)
}

pub(super) fn enable(
    service: &Service,
    files: &[File],
    directory: &Path,
    uid: u32,
) -> Vec<Vec<String>> {
    let domain = match service.scope {
        Scope::System => "system".to_owned(),
        Scope::User => format!("gui/{uid}"),
    };
    let path = |file: &File| directory.join(&file.name).to_string_lossy().into_owned();
    let bootstrap = |file| {
        vec![
            "launchctl".into(),
            "bootstrap".into(),
            domain.clone(),
            path(file),
        ]
    };
    files.iter().map(bootstrap).collect()
}

fn file(service: &Service, job: Option<&str>, when: &str) -> Result<File, ServiceError> {
    let program = quote::unix_path("the program", &service.program)?;
    let config = quote::unix_path("the configuration", &service.config)?;
    let label = match job {
        None => format!("{LABEL}.run"),
        Some(job) => format!("{LABEL}.job.{job}"),
    };
    let mut arguments = format!("\t\t<string>{}</string>\n", xml(program));
    for argument in service.arguments(config, job) {
        arguments += &format!("\t\t<string>{}</string>\n", xml(argument));
    }
    // 63 is 077: what it writes is for its owner only.
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n\
         \t<key>Label</key>\n\t<string>{label}</string>\n\
         \t<key>ProgramArguments</key>\n\t<array>\n{arguments}\t</array>\n\
         {when}\
         \t<key>ProcessType</key>\n\t<string>Background</string>\n\
         \t<key>LowPriorityIO</key>\n\t<true/>\n\
         \t<key>Nice</key>\n\t<integer>10</integer>\n\
         \t<key>Umask</key>\n\t<integer>63</integer>\n\
         </dict>\n</plist>\n",
        label = xml(&label),
    );
    Ok(File {
        name: format!("{label}.plist"),
        content: content.into_bytes(),
    })
}

/// `StartCalendarInterval`. A time that passes while the machine sleeps is made up for when it wakes;
/// one that passes while it is off is not.
fn times(service: &Service, job: &ServiceJob, rules: &Rules) -> Result<String, ServiceError> {
    let no = |what| Err(service.inexact(job, what));
    if rules.zone.is_some() {
        return no("a time zone; it knows the machine's only");
    }
    if !rules.jitter.is_zero() {
        return no("jitter");
    }
    if rules.catch_up != CatchUp::Always {
        return no("catch_up that ends after a time");
    }
    let mut entries = String::new();
    let mut count: usize = 0;
    for rule in &rules.rules {
        let days = match days(rule) {
            Ok(days) => days,
            Err(what) => return no(what),
        };
        let minutes = choices("Minute", &rule.minutes, 60);
        let hours = choices("Hour", &rule.hours, 24);
        let months = choices("Month", &rule.months, 12);
        count += [&minutes, &hours, &months, &days]
            .iter()
            .map(|choices| choices.len())
            .product::<usize>();
        if count > MAX_ENTRIES {
            return no("so many different times");
        }
        for month in &months {
            for day in &days {
                for hour in &hours {
                    for minute in &minutes {
                        entries += "\t\t<dict>\n";
                        for (key, number) in [month, day, hour, minute].into_iter().flatten() {
                            entries += &format!(
                                "\t\t\t<key>{key}</key>\n\t\t\t<integer>{number}</integer>\n"
                            );
                        }
                        entries += "\t\t</dict>\n";
                    }
                }
            }
        }
    }
    Ok(format!(
        "\t<key>StartCalendarInterval</key>\n\t<array>\n{entries}\t</array>\n"
    ))
}

/// A key with its number, or nothing where any number will do.
type Choice = Option<(&'static str, u8)>;

fn choices(key: &'static str, numbers: &BTreeSet<u8>, all: usize) -> Vec<Choice> {
    match numbers.len() == all {
        true => vec![None],
        false => numbers.iter().map(|number| Some((key, *number))).collect(),
    }
}

/// An entry with both a day and a weekday would mean either, so that no entry has both.
fn days(rule: &Rule) -> Result<Vec<Choice>, &'static str> {
    match (&rule.days, rule.weekdays.len()) {
        (MonthDays::Any, _) => Ok(choices("Weekday", &rule.weekdays, 7)),
        (MonthDays::These(days), 7) => Ok(choices("Day", days, 31)),
        (MonthDays::These(_), _) => Err("a weekday in a part of the month"),
        (MonthDays::Last | MonthDays::LastSeven, _) => Err("days from the end of the month (L)"),
    }
}
