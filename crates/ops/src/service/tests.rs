//! Files as they are, as those read them who know the formats, and times against our own.

#![allow(clippy::unwrap_used)] // A test may panic.

mod quoting;
mod times;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::schedule::CatchUp;

fn job(name: &str, cron: Option<&str>) -> ServiceJob {
    ServiceJob {
        name: name.to_owned(),
        schedule: cron.map(|cron| ScheduleSettings {
            cron: Some(cron.to_owned()),
            ..ScheduleSettings::default()
        }),
    }
}

fn service(manager: Manager, scope: Scope, form: Form) -> Service {
    let windows = manager == Manager::Windows;
    let path = |unix: &str, other: &str| PathBuf::from(if windows { other } else { unix });
    let mut home = job("home", None);
    home.schedule = Some(ScheduleSettings {
        times: ["12:30", "02:30", "02:05"].map(str::to_owned).to_vec(),
        jitter: match manager {
            Manager::Launchd => Duration::ZERO,
            _ => Duration::from_secs(600),
        },
        time_zone: (manager == Manager::Systemd).then(|| "Europe/Berlin".to_owned()),
        ..ScheduleSettings::default()
    });
    Service {
        manager,
        scope,
        form,
        program: path(
            "/usr/bin/keepwatch",
            r"C:\Program Files\Keepwatch\keepwatch.exe",
        ),
        config: path(
            "/etc/keepwatch/keepwatch.toml",
            r"C:\ProgramData\Keepwatch\keepwatch.toml",
        ),
        writable: vec!["/srv/backup".into(), "/mnt/my disk".into()],
        credentials: vec![Credential::of(
            "/etc/keepwatch/home.pass",
            "/etc/keepwatch/home.pass".into(),
        )],
        jobs: vec![
            home,
            job("check", Some("0 */6 * * MON-FRI")),
            job("by-hand", None),
        ],
    }
}

/// All files as one text.
fn shown(files: &[File]) -> String {
    let files = files.iter();
    files
        .map(|file| format!("=== {}\n{}", file.name, file.text()))
        .collect()
}

/// What somebody else's program says about something, on all its outputs.
fn said(command: &mut Command, package: &str, input: &[u8]) -> (bool, String) {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error} (Debian: {package})"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn systemd_analyze() -> Command {
    let mut command = Command::new("systemd-analyze");
    // A machine's own settings are no part of the tests.
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TZ", "UTC")
        .env("LC_ALL", "C");
    command
}

/// Has systemd read units, with a program that is really there.
fn verify(service: &Service) {
    let dir = tempfile::tempdir().unwrap();
    let files = service.files().unwrap();
    let mut command = systemd_analyze();
    if service.scope == Scope::User {
        command.arg("--user").env("XDG_RUNTIME_DIR", dir.path());
    }
    command.args(["verify", "--man=no"]);
    for file in &files {
        let path = dir.path().join(&file.name);
        fs::write(&path, &file.content).unwrap();
        command.arg(path);
    }
    let (good, text) = said(&mut command, "systemd", b"");
    assert!(good && text.is_empty(), "{text}\n{}", shown(&files));
}

/// A file that can be run, as far as systemd looks.
fn program(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(path)
        .unwrap();
}

const EVERY: [(Scope, Form); 4] = [
    (Scope::System, Form::Runner),
    (Scope::System, Form::Timers),
    (Scope::User, Form::Runner),
    (Scope::User, Form::Timers),
];

#[test]
fn files_read_so() {
    for (manager, name) in [
        (Manager::Systemd, "systemd"),
        (Manager::Launchd, "launchd"),
        (Manager::Windows, "windows"),
    ] {
        for (scope, form) in EVERY {
            let name = format!("{name}_{scope:?}_{form:?}").to_lowercase();
            let service = service(manager, scope, form);
            let files = service.files().unwrap();
            assert_eq!(files, service.files().unwrap());
            let home = Path::new("/home/ada");
            let directory = service.directory(home, None);
            let directory = directory.unwrap_or_else(|| r"C:\Keepwatch".into());
            let commands = service.enable(&files, &directory, 1000);
            let commands: String = commands.iter().map(|argv| argv.join(" ") + "\n").collect();
            insta::assert_snapshot!(name, shown(&files) + "=== enabled by\n" + &commands);
        }
    }
}

#[test]
fn systemd_takes_every_unit() {
    let dir = tempfile::tempdir().unwrap();
    for (scope, form) in EVERY {
        let mut service = service(Manager::Systemd, scope, form);
        service.program = dir.path().join(format!("{scope:?}{form:?}/keepwatch"));
        program(&service.program);
        verify(&service);
    }
}

/// Tenths of points of exposure, of 100: what is left is root, the network, and all files to read.
const EXPOSURE: &str = "25";

#[test]
fn systemd_finds_the_services_little_exposed() {
    let dir = tempfile::tempdir().unwrap();
    for form in [Form::Runner, Form::Timers] {
        let files = service(Manager::Systemd, Scope::System, form)
            .files()
            .unwrap();
        let units = files.iter().filter(|file| file.name.ends_with(".service"));
        for file in units {
            let path = dir.path().join(&file.name);
            fs::write(&path, &file.content).unwrap();
            let mut command = systemd_analyze();
            command.args(["security", "--offline=true", "--no-pager"]);
            command.arg(format!("--threshold={EXPOSURE}")).arg(&path);
            let (good, text) = said(&mut command, "systemd", b"");
            assert!(good, "{text}");
        }
    }
}

#[test]
fn a_user_may_have_configuration_elsewhere() {
    let service = service(Manager::Systemd, Scope::User, Form::Runner);
    let (home, elsewhere) = (Path::new("/home/ada"), Path::new("/home/ada/etc"));
    let usual = service.directory(home, None);
    assert_eq!(usual.unwrap(), Path::new("/home/ada/.config/systemd/user"));
    let other = service.directory(home, Some(elsewhere));
    assert_eq!(other.unwrap(), Path::new("/home/ada/etc/systemd/user"));
}

#[test]
fn jobs_without_schedules_make_no_timers() {
    for manager in [Manager::Launchd, Manager::Windows] {
        let mut service = service(manager, Scope::System, Form::Timers);
        service.jobs = vec![job("by-hand", None)];
        assert_eq!(service.files(), Err(ServiceError::Nothing));
    }
    let mut service = service(Manager::Systemd, Scope::System, Form::Timers);
    service.jobs = vec![job("by-hand", None)];
    let names: Vec<String> = service
        .files()
        .unwrap()
        .into_iter()
        .map(|file| file.name)
        .collect();
    assert_eq!(names, ["keepwatch-job-by-hand.service"]);
}
