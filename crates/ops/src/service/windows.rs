//! Tasks of Windows' Task Scheduler, as `schtasks /Create /XML` reads them.

use std::collections::BTreeSet;
use std::path::Path;

use super::quote::xml;
use super::{File, Form, Scope, Service, ServiceError, ServiceJob, quote};
use crate::schedule::{CatchUp, MonthDays, Rule, Rules};

/// A task has no more triggers than this.
const MAX_TRIGGERS: usize = 48;
const DAY: u16 = 24 * 60;
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) fn files(service: &Service) -> Result<Vec<File>, ServiceError> {
    if service.form == Form::Runner {
        let trigger = match service.scope {
            Scope::System => "BootTrigger",
            Scope::User => "LogonTrigger",
        };
        let trigger = format!("<{trigger}><Enabled>true</Enabled></{trigger}>");
        return Ok(vec![file(service, None, &[trigger])?]);
    }
    let mut files = Vec::new();
    for job in &service.jobs {
        if let Some(rules) = service.rules(job)? {
            let triggers = triggers(service, job, &rules)?;
            files.push(file(service, Some(&job.name), &triggers)?);
        }
    }
    Ok(files)
}

pub(super) fn enable(files: &[File], directory: &Path) -> Vec<Vec<String>> {
    files
        .iter()
        .map(|file| {
            let task = file.name.trim_end_matches(".xml").to_owned();
            let path = directory.join(&file.name).to_string_lossy().into_owned();
            let command = ["schtasks", "/Create", "/TN"].map(str::to_owned);
            let mut command = Vec::from(command);
            command.extend([format!("\\Keepwatch\\{task}"), "/XML".to_owned(), path]);
            command
        })
        .collect()
}

fn file(service: &Service, job: Option<&str>, triggers: &[String]) -> Result<File, ServiceError> {
    let program = windows_path("the program", &service.program)?;
    let config = windows_path("the configuration", &service.config)?;
    let arguments = service.arguments(config, job);
    let arguments: Vec<String> = arguments.into_iter().map(word).collect();
    let (name, what) = match job {
        None => (
            "keepwatch".to_owned(),
            "scheduled backups, checks and drills".to_owned(),
        ),
        Some(job) => (format!("keepwatch-job-{job}"), format!("job {job}")),
    };
    // S-1-5-18 is the system itself.
    let principal = match service.scope {
        Scope::System => "<UserId>S-1-5-18</UserId>\n      <RunLevel>HighestAvailable</RunLevel>",
        Scope::User => {
            "<LogonType>InteractiveToken</LogonType>\n      <RunLevel>LeastPrivilege</RunLevel>"
        }
    };
    // A job that failed is told of and comes again at its next time.
    let restart = match job {
        None => {
            "    <RestartOnFailure>\n      <Interval>PT1M</Interval>\n      \
             <Count>255</Count>\n    </RestartOnFailure>\n"
        }
        Some(_) => "",
    };
    let triggers: String = triggers
        .iter()
        .map(|trigger| format!("    {trigger}\n"))
        .collect();
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?>\n\
<Task version=\"1.3\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">
  <RegistrationInfo>
    <Description>Keepwatch: {what}</Description>
    <URI>\\Keepwatch\\{name}</URI>
  </RegistrationInfo>
  <Triggers>
{triggers}  </Triggers>
  <Principals>
    <Principal id=\"Author\">
      {principal}
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
{restart}    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>8</Priority>
  </Settings>
  <Actions Context=\"Author\">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
",
        what = xml(&what),
        name = xml(&name),
        program = xml(program),
        arguments = xml(&arguments.join(" ")),
    );
    // UTF-16 with its mark, and lines as Windows ends them.
    let text = format!("\u{feff}{}", content.replace('\n', "\r\n"));
    Ok(File {
        name: format!("{name}.xml"),
        content: text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    })
}

/// A path that Task Scheduler takes as it is: it puts variables in place of `%NAME%` and `$(NAME)`.
fn windows_path<'a>(what: &'static str, of: &'a Path) -> Result<&'a str, ServiceError> {
    let text = quote::path(what, of)?;
    let bytes = text.as_bytes();
    let drive = bytes.len() > 3
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'\\' | b'/');
    if !drive && !text.starts_with("\\\\") {
        return Err(quote::refused(what, of, "does not begin with a drive"));
    }
    if text.contains(['"', '<', '>', '|', '?', '*']) || text.contains('%') || text.contains("$(") {
        return Err(quote::refused(
            what,
            of,
            "has a character that Windows gives a meaning",
        ));
    }
    Ok(text)
}

/// One word of a command line, as programs on Windows take it apart.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "\\/:._-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    // A backslash before the closing quote would quote it. Quotes themselves are in no path.
    let backslashes = text.len() - text.trim_end_matches('\\').len();
    format!("\"{text}{}\"", "\\".repeat(backslashes))
}

fn triggers(
    service: &Service,
    job: &ServiceJob,
    rules: &Rules,
) -> Result<Vec<String>, ServiceError> {
    let no = |what| Err(service.inexact(job, what));
    if rules.zone.is_some() {
        return no("a time zone; it knows the machine's only");
    }
    if rules.catch_up != CatchUp::Always {
        return no("catch_up that ends after a time");
    }
    let delay = match rules.jitter.as_secs() {
        0 => String::new(),
        seconds => format!("<RandomDelay>PT{seconds}S</RandomDelay>"),
    };
    let mut triggers = Vec::new();
    for rule in &rules.rules {
        let days = match days(rule) {
            Ok(days) => days,
            Err(what) => return no(what),
        };
        for (start, repetition) in times_of_day(rule) {
            let (hour, minute) = (start / 60, start % 60);
            triggers.push(format!(
                "<CalendarTrigger>{repetition}\
                 <StartBoundary>2024-01-01T{hour:02}:{minute:02}:00</StartBoundary>\
                 <Enabled>true</Enabled>{delay}{days}</CalendarTrigger>"
            ));
        }
        if triggers.len() > MAX_TRIGGERS {
            return no("more than 48 times of day that do not come at regular intervals");
        }
    }
    Ok(triggers)
}

/// Minutes of the day with what repeats them. Times at one interval all day long are one trigger.
fn times_of_day(rule: &Rule) -> Vec<(u16, String)> {
    let times: Vec<u16> = rule
        .hours
        .iter()
        .flat_map(|hour| {
            let hour = u16::from(*hour) * 60;
            rule.minutes
                .iter()
                .map(move |minute| hour + u16::from(*minute))
        })
        .collect();
    let count = u16::try_from(times.len()).unwrap_or(u16::MAX);
    if count > 1 && DAY.is_multiple_of(count) {
        let interval = DAY / count;
        if times.windows(2).all(|two| two[1] - two[0] == interval) {
            // A minute less than a day, in which the next day's first time is not.
            let repetition = format!(
                "<Repetition><Interval>PT{interval}M</Interval><Duration>PT1439M</Duration>\
                 <StopAtDurationEnd>false</StopAtDurationEnd></Repetition>"
            );
            return vec![(times[0], repetition)];
        }
    }
    times
        .into_iter()
        .map(|time| (time, String::new()))
        .collect()
}

fn days(rule: &Rule) -> Result<String, &'static str> {
    let months = format!("<Months>{}</Months>", elements(&rule.months, &MONTHS, 1));
    let weekdays = format!(
        "<DaysOfWeek>{}</DaysOfWeek>",
        elements(&rule.weekdays, &WEEKDAYS, 0)
    );
    let by_month = |days: String| {
        format!("<ScheduleByMonth><DaysOfMonth>{days}</DaysOfMonth>{months}</ScheduleByMonth>")
    };
    let by_week_of_month = |weeks: &[&str]| {
        let weeks: String = weeks
            .iter()
            .map(|week| format!("<Week>{week}</Week>"))
            .collect();
        format!(
            "<ScheduleByMonthDayOfWeek><Weeks>{weeks}</Weeks>{weekdays}{months}\
             </ScheduleByMonthDayOfWeek>"
        )
    };
    let list = |days: &BTreeSet<u8>| days.iter().map(|day| format!("<Day>{day}</Day>")).collect();
    let (all_week, all_year) = (rule.weekdays.len() == 7, rule.months.len() == 12);
    Ok(match &rule.days {
        MonthDays::Any if all_week && all_year => {
            "<ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay>".to_owned()
        }
        MonthDays::Any if all_week => by_month(list(&(1..=31).collect())),
        MonthDays::Any if all_year => {
            format!("<ScheduleByWeek><WeeksInterval>1</WeeksInterval>{weekdays}</ScheduleByWeek>")
        }
        MonthDays::Any => by_week_of_month(&["1", "2", "3", "4", "Last"]),
        MonthDays::These(days) if all_week => by_month(list(days)),
        MonthDays::These(days) => match week_of_month(days) {
            Some(week) => by_week_of_month(&[week]),
            None => return Err("a weekday in a part of the month"),
        },
        MonthDays::Last if all_week => by_month("<Day>Last</Day>".to_owned()),
        MonthDays::Last => return Err("a weekday at the end of the month"),
        MonthDays::LastSeven => by_week_of_month(&["Last"]),
    })
}

/// Which of the first four weeks of a month these days are, if they are one.
fn week_of_month(days: &BTreeSet<u8>) -> Option<&'static str> {
    let is_week = |nth: u8| days.iter().copied().eq(7 * nth - 6..=7 * nth);
    let names = [(1, "1"), (2, "2"), (3, "3"), (4, "4")];
    let found = names.into_iter().find(|(nth, _)| is_week(*nth))?;
    Some(found.1)
}

fn elements(numbers: &BTreeSet<u8>, names: &[&str], first: u8) -> String {
    let names = numbers
        .iter()
        .filter_map(|number| names.get(usize::from(number - first)));
    names.map(|name| format!("<{name}/>")).collect()
}
