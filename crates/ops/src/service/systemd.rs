//! Units of systemd.

mod calendar;

use std::fmt::{Display, Write};
use std::path::Path;

use super::{File, Form, Scope, Service, ServiceError, ServiceJob, quote};
use crate::schedule::{CatchUp, Rules};

/// The service that keeps all schedules.
const RUNNER: &str = "keepwatch.service";

/// Settings that take away what a backup does not need, and that hold with the rights of a user.
///
/// The first is what lets a user set the others. Those that would need a view of the file system of
/// its own are not among them: a user gets one only together with a mapping of users, in which
/// everybody else's files would belong to nobody, and snapshots would say so.
const FOR_ALL: [(&str, &str); 10] = [
    ("NoNewPrivileges", "yes"),
    (
        "RestrictAddressFamilies",
        "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    ),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallErrorNumber", "EPERM"),
];

/// Further ones that only the system's manager can set.
const FOR_SYSTEM: [(&str, &str); 16] = [
    // Root without this reads what root owns, and nobody else's files.
    ("CapabilityBoundingSet", "CAP_DAC_READ_SEARCH"),
    ("AmbientCapabilities", ""),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "read-only"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectProc", "invisible"),
    ("KeyringMode", "private"),
    ("RemoveIPC", "yes"),
    ("DevicePolicy", "closed"),
];

/// A unit as it is written.
struct Unit(String);

impl Unit {
    fn new() -> Self {
        Self(
            "# Written by `keepwatch service`, which does not overwrite what was changed.\n".into(),
        )
    }

    fn section(&mut self, name: &str) {
        let _ = write!(self.0, "\n[{name}]\n");
    }

    fn set(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key}={value}");
    }

    fn comment(&mut self, text: &str) {
        let _ = writeln!(self.0, "# {text}");
    }

    fn into_file(self, name: String) -> File {
        File {
            name,
            content: self.0.into_bytes(),
        }
    }
}

pub(super) fn files(service: &Service) -> Result<Vec<File>, ServiceError> {
    if service.form == Form::Runner {
        return Ok(vec![runner(service)?]);
    }
    let mut files = Vec::new();
    for job in &service.jobs {
        files.push(of_job(service, job)?);
        if let Some(rules) = service.rules(job)? {
            files.push(timer(service, job, &rules)?);
        }
    }
    Ok(files)
}

pub(super) fn enable(service: &Service, files: &[File]) -> Vec<Vec<String>> {
    let systemctl = |arguments: &[&str]| -> Vec<String> {
        let mut command = vec!["systemctl"];
        if service.scope == Scope::User {
            command.push("--user");
        }
        command.extend(arguments);
        command.into_iter().map(str::to_owned).collect()
    };
    let mut enable = vec!["enable", "--now", "--"];
    let started = |name: &str| name == RUNNER || name.ends_with(".timer");
    let names = files.iter().map(|file| file.name.as_str());
    enable.extend(names.filter(|name| started(name)));
    vec![systemctl(&["daemon-reload"]), systemctl(&enable)]
}

fn runner(service: &Service) -> Result<File, ServiceError> {
    let mut unit = Unit::new();
    unit.section("Unit");
    unit.set(
        "Description",
        "Keepwatch: scheduled backups, checks and drills",
    );
    waits_for_network(service, &mut unit);
    unit.section("Service");
    unit.set("Type", "notify");
    unit.set("NotifyAccess", "main");
    unit.set("WatchdogSec", "5min");
    unit.set("Restart", "on-failure");
    unit.set("RestartSec", "30s");
    unit.comment("A configuration that is wrong does not get better by itself.");
    unit.set("RestartPreventExitStatus", "2");
    unit.comment("It reads its configuration again.");
    unit.set("ExecReload", "/bin/kill -HUP $MAINPID");
    unit.comment("A run that is told to stop ends in good order.");
    unit.set("TimeoutStopSec", "5min");
    unit.set("ExecStart", command(service, None)?);
    surroundings(service, &mut unit)?;
    unit.section("Install");
    unit.set(
        "WantedBy",
        match service.scope {
            Scope::System => "multi-user.target",
            Scope::User => "default.target",
        },
    );
    Ok(unit.into_file(RUNNER.to_owned()))
}

fn of_job(service: &Service, job: &ServiceJob) -> Result<File, ServiceError> {
    let mut unit = Unit::new();
    unit.section("Unit");
    unit.set("Description", format_args!("Keepwatch: job {}", job.name));
    waits_for_network(service, &mut unit);
    unit.section("Service");
    unit.set("Type", "oneshot");
    unit.set("TimeoutStopSec", "5min");
    unit.set("ExecStart", command(service, Some(&job.name))?);
    surroundings(service, &mut unit)?;
    Ok(unit.into_file(format!("keepwatch-job-{}.service", job.name)))
}

fn timer(service: &Service, job: &ServiceJob, rules: &Rules) -> Result<File, ServiceError> {
    if rules.catch_up != CatchUp::Always {
        return Err(service.inexact(job, "catch_up that ends after a time"));
    }
    let mut unit = Unit::new();
    unit.section("Unit");
    unit.set(
        "Description",
        format_args!("Keepwatch: when job {} runs", job.name),
    );
    unit.section("Timer");
    for line in calendar::lines(rules) {
        unit.set("OnCalendar", line);
    }
    unit.comment("A time at which the machine was off is made up for.");
    unit.set("Persistent", "true");
    unit.set("AccuracySec", "1s");
    if !rules.jitter.is_zero() {
        let seconds = rules.jitter.as_secs().max(1);
        unit.set("RandomizedDelaySec", format_args!("{seconds}s"));
        unit.set("FixedRandomDelay", "true");
    }
    unit.section("Install");
    unit.set("WantedBy", "timers.target");
    Ok(unit.into_file(format!("keepwatch-job-{}.timer", job.name)))
}

/// A user's manager does not know about the network.
fn waits_for_network(service: &Service, unit: &mut Unit) {
    if service.scope == Scope::System {
        unit.set("Wants", "network-online.target");
        unit.set("After", "network-online.target");
    }
}

fn surroundings(service: &Service, unit: &mut Unit) -> Result<(), ServiceError> {
    let system = service.scope == Scope::System;
    if system {
        unit.set("StateDirectory", "keepwatch");
        unit.set("StateDirectoryMode", "0700");
        unit.set("CacheDirectory", "keepwatch");
        unit.set("CacheDirectoryMode", "0700");
        unit.comment(
            "Where these two are, for a program that looks for them where people have them.",
        );
        unit.set("Environment", "XDG_STATE_HOME=%S XDG_CACHE_HOME=%C");
        for credential in &service.credentials {
            unit.set("LoadCredential", load(&credential.name, &credential.path)?);
        }
    }
    unit.set("UMask", "0077");
    unit.set("Nice", "10");
    unit.set("IOSchedulingClass", "best-effort");
    unit.set("IOSchedulingPriority", "7");
    let settings = FOR_SYSTEM.iter().filter(|_| system).chain(&FOR_ALL);
    for (key, value) in settings {
        unit.set(key, value);
    }
    if system {
        for path in &service.writable {
            let path = quote::unix_path("the directory", path)?;
            // One that is not there yet, on a disk that comes later, does not keep it from starting.
            unit.set("ReadWritePaths", word(&format!("-{path}")));
        }
    }
    Ok(())
}

/// `ExecStart`. The colon keeps systemd from putting variables in place of `$`.
fn command(service: &Service, job: Option<&str>) -> Result<String, ServiceError> {
    let program = quote::unix_path("the program", &service.program)?;
    let config = quote::unix_path("the configuration", &service.config)?;
    // systemd does not run what has one of these in its name, however it is quoted.
    if program.contains(['"', '\'', '\\']) || program.ends_with('/') {
        let problem = "has a quote or a backslash, or is a directory";
        return Err(quote::refused("the program", &service.program, problem));
    }
    let mut line = word(&format!(":{program}"));
    for argument in service.arguments(config, job) {
        line.push(' ');
        line.push_str(&word(argument));
    }
    Ok(line)
}

/// One word of a list of words (systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers").
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-+@,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' => out.push_str("%%"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `LoadCredential`, whose path is all the rest of the line and is not quoted.
fn load(name: &str, path: &Path) -> Result<String, ServiceError> {
    quote::name(name)?;
    let text = quote::unix_path("the file of a secret", path)?;
    // A backslash would take the next line in, and blanks at the end are not read.
    if text.ends_with('\\') || text.ends_with(char::is_whitespace) {
        let problem = "ends with a backslash or a blank";
        return Err(quote::refused("the file of a secret", path, problem));
    }
    Ok(format!("{name}:{}", text.replace('%', "%%")))
}
