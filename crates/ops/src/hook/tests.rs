//! Real programs: what they are told, how they end, and what is left of them.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keepwatch_core::SecretText;

use super::*;

fn hook(command: &[&str]) -> HookSettings {
    let command = command
        .iter()
        .map(|&part| part.to_owned())
        .collect::<Vec<_>>();
    serde_json::from_value(serde_json::json!({ "command": command })).unwrap()
}

fn shell(script: &str) -> HookSettings {
    hook(&["sh", "-c", script])
}

fn facts() -> RunFacts {
    RunFacts {
        job: "documents".to_owned(),
        run_id: "r1".to_owned(),
        status: RunStatus::Running,
        snapshot: None,
        error: None,
        started: "2026-01-01T00:00:00Z".parse().unwrap(),
        finished: None,
    }
}

fn clock() -> Timestamp {
    facts().started + SignedDuration::from_secs(90)
}

fn inherited() -> Environment {
    let path = std::env::var_os("PATH").expect("tests have a PATH");
    Environment::new([("PATH".into(), path)])
}

fn around(settings: HooksSettings, status: RunStatus) -> Around<u32> {
    let hooks = Hooks::new(settings, inherited()).unwrap();
    hooks.around(facts(), &clock, |facts| {
        facts.status = status;
        7
    })
}

fn one(hook: HookSettings) -> HookResult {
    let settings = HooksSettings {
        finally: vec![hook],
        ..HooksSettings::default()
    };
    around(settings, RunStatus::Success).hooks.remove(0)
}

fn stages(hooks: &[HookResult]) -> Vec<(Stage, bool)> {
    hooks
        .iter()
        .map(|hook| (hook.stage, hook.is_success()))
        .collect()
}

fn all_four(before: HookSettings) -> HooksSettings {
    HooksSettings {
        before: vec![before],
        after: vec![shell("exit 3"), shell(":")],
        failed: vec![shell(":")],
        finally: vec![shell("exit 4"), shell(":")],
    }
}

#[test]
fn hooks_run_around_a_run_and_none_but_before_changes_it() {
    let done = around(all_four(shell(":")), RunStatus::Partial);
    assert_eq!(done.value, Some(7));
    assert_eq!(done.facts.status, RunStatus::Partial);
    let expected = [
        (Stage::Before, true),
        (Stage::After, false),
        (Stage::After, true),
        (Stage::Finally, false),
        (Stage::Finally, true),
    ];
    assert_eq!(stages(&done.hooks), expected);
    let done = around(all_four(shell(":")), RunStatus::Failed);
    assert_eq!(stages(&done.hooks)[1], (Stage::Failed, true));
}

#[test]
fn a_before_hook_that_fails_stops_the_run_unless_it_may_not() {
    let done = around(all_four(shell("exit 9")), RunStatus::Success);
    assert_eq!((done.value, done.facts.status), (None, RunStatus::Failed));
    assert_eq!(
        done.facts.error.unwrap(),
        "the before hook \"sh\" failed with exit status 9"
    );
    let expected = [
        (Stage::Before, false),
        (Stage::Failed, true),
        (Stage::Finally, false),
        (Stage::Finally, true),
    ];
    assert_eq!(stages(&done.hooks), expected);
    let goes_on = HookSettings {
        on_failure: Some(OnFailure::Continue),
        ..shell("exit 9")
    };
    assert_eq!(around(all_four(goes_on), RunStatus::Success).value, Some(7));
}

#[test]
fn a_run_that_panics_or_says_nothing_has_failed_and_finally_runs() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let note = format!(
        "echo $KEEPWATCH_HOOK $KEEPWATCH_STATUS $KEEPWATCH_ERROR >>'{}'",
        trace.display()
    );
    let settings = HooksSettings {
        failed: vec![shell(&note)],
        finally: vec![shell(&note)],
        ..HooksSettings::default()
    };
    let hooks = Hooks::new(settings, inherited()).unwrap();
    let run = || hooks.around(facts(), &clock, |_| -> u32 { panic!("on purpose") });
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    hooks.around(facts(), &clock, |_| ());
    let expected = "failed failed the run broke off\nfinally failed the run broke off\n".repeat(2);
    assert_eq!(fs::read_to_string(trace).unwrap(), expected);
}

#[test]
fn a_hook_knows_the_facts_and_no_secrets() {
    let variables = [
        ("HOME", "/home/me"),
        ("LANG", "C"),
        ("SSH_AUTH_SOCK", "/run/agent"),
        ("PLAIN_URL", "https://example.org/a:b@c"),
        ("KEEPWATCH_PASSWORD", "s3cret"),
        ("KEEPWATCH__SERVER__AUTH_TOKEN", "s3cret"),
        ("KEEPWATCH_JOB", "s3cret"),
        ("MYSQL_PWD", "s3cret"),
        ("PGPASSWORD", "s3cret"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_ACCESS_KEY_ID", "s3cret"),
        ("AWS_SESSION_TOKEN", "s3cret"),
        ("github_token", "s3cret"),
        ("RESTIC_PASSWORD_COMMAND", "s3cret"),
        ("DB_PASS", "s3cret"),
        ("DATABASE_URL", "postgres://me:s3cret@host/db"),
        ("NOTIFY_SOCKET", "s3cret"),
        ("CREDENTIALS_DIRECTORY", "s3cret"),
        ("B2_KEY", "s3cret"),
        ("PASSED_TOKEN", "passed"),
    ];
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let path = ("PATH".into(), std::env::var_os("PATH").unwrap());
    let environment = Environment::new(variables.into_iter().chain([path]));
    assert!(!format!("{environment:?}").contains("s3cret"));
    let settings = HooksSettings {
        after: vec![HookSettings {
            pass_environment: vec!["PASSED_TOKEN".to_owned()],
            environment: [("OWN".to_owned(), SecretText::new("own".to_owned()))].into(),
            ..hook(&["env", "-0"])
        }],
        ..HooksSettings::default()
    };
    let hooks = Hooks::new(settings, environment).unwrap();
    let done = hooks.around(facts(), &clock, |facts| {
        facts.status = RunStatus::Partial;
        facts.snapshot = Some("0123abcd".to_owned());
        facts.error = Some(format!("a\0b\n{}", "ü".repeat(9999)));
    });
    let text = done.hooks[0].output.text();
    let mut found: Vec<_> = text
        .split('\0')
        .filter(|line| !line.starts_with("PATH=") && !line.is_empty())
        .collect();
    found.sort_unstable();
    let error = found
        .iter()
        .position(|line| line.starts_with("KEEPWATCH_ERROR=a\u{fffd}b\nü"))
        .unwrap();
    assert!(found.remove(error).len() < 5000);
    let expected = [
        "HOME=/home/me",
        "KEEPWATCH_FINISHED=2026-01-01T00:01:30Z",
        "KEEPWATCH_HOOK=after",
        "KEEPWATCH_JOB=documents",
        "KEEPWATCH_RUN_ID=r1",
        "KEEPWATCH_SECONDS=90",
        "KEEPWATCH_SNAPSHOT=0123abcd",
        "KEEPWATCH_STARTED=2026-01-01T00:00:00Z",
        "KEEPWATCH_STATUS=partial",
        "LANG=C",
        "OWN=own",
        "PASSED_TOKEN=passed",
        "PLAIN_URL=https://example.org/a:b@c",
        "SSH_AUTH_SOCK=/run/agent",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_a_hook_says_of_its_secrets_is_not_repeated() {
    let passed = ("PASSED_TOKEN".into(), "passed".into());
    let path = ("PATH".into(), std::env::var_os("PATH").unwrap());
    let settings = HookSettings {
        pass_environment: vec!["PASSED_TOKEN".to_owned()],
        environment: [
            ("OWN", "a long secret"),
            ("LEVEL", "debug"),
            ("KEEPWATCH_DRILL_DIR", "/tmp/drill"),
        ]
        .map(|(name, value)| (name.to_owned(), SecretText::new(value.to_owned())))
        .into(),
        ..hook(&[
            "sh",
            "-c",
            "echo $PASSED_TOKEN, $OWN, $LEVEL, $KEEPWATCH_DRILL_DIR",
        ])
    };
    let environment = Environment::new([passed, path]);
    let result = run_hook(&settings, Stage::Check, &facts(), &environment);
    assert_eq!(result.said(), "…, …, debug, /tmp/drill\n");
    assert!(result.output.text().contains("a long secret"));
    assert!(!format!("{:?}", result.secrets).contains("secret\""));
}

#[test]
fn arguments_are_handed_over_as_they_are_and_shown_to_nobody() {
    let hostile = "$(touch /tmp/x) `id` ; * \"'\n--token=s3cret";
    let settings = hook(&["printf", "%s", hostile]);
    assert!(!format!("{settings:?}").contains("s3cret"));
    let result = one(settings);
    assert_eq!(result.output.text(), hostile);
    assert_eq!(result.program, "printf");
    let failing = one(hook(&["/nonexistent/--token/program", "s3cret"]));
    let error = failing.error().unwrap();
    assert_eq!(
        error.to_string(),
        "the finally hook \"program\" could not be started: entity not found"
    );
    assert!(!format!("{failing:?} {error:?}").contains("s3cret"));
}

#[test]
fn a_hook_runs_in_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().canonicalize().unwrap();
    let result = one(HookSettings {
        directory: Some(directory.clone()),
        ..hook(&["pwd"])
    });
    assert_eq!(result.output.text().trim_end(), directory.to_str().unwrap());
}

#[test]
fn only_the_end_of_what_it_writes_is_kept() {
    let result = one(shell(
        "head -c 3000000 /dev/zero | tr '\\0' x; echo out; echo end >&2",
    ));
    assert!(result.is_success());
    let text = result.output.text();
    assert_eq!(text.len(), MAX_OUTPUT);
    assert!(text.ends_with("xout\nend\n"));
    assert_eq!(result.output.dropped(), 3_000_008 - MAX_OUTPUT as u64);
}

/// A pipe with a name, whose end is read when all that hold it are gone.
fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_takes_too_long_ends_with_all_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alive");
    fifo(&path);
    // Neither heeds SIGTERM; both hold the pipe. The one that leads says that all is set up.
    let script = format!(
        "exec 3>'{}'; trap '' TERM; sleep 1000 & echo ready; sleep 1000; sleep 1000",
        path.display()
    );
    let reader = std::thread::spawn(move || fs::read_to_string(path).unwrap());
    let result = one(HookSettings {
        timeout: Duration::from_secs(3),
        kill_after: Duration::from_millis(50),
        ..shell(&script)
    });
    assert_eq!(result.ending, Ending::TimedOut);
    assert_eq!(result.output.text(), "ready\n");
    // It ends only when nobody holds the pipe any more.
    assert_eq!(reader.join().unwrap(), "");
}

#[test]
fn who_heeds_the_signal_may_clean_up() {
    let result = one(HookSettings {
        timeout: Duration::from_secs(3),
        kill_after: Duration::from_secs(60),
        ..shell("trap 'echo cleaned; exit 0' TERM; sleep 1000 & wait")
    });
    assert_eq!(
        (result.ending, &*result.output.text()),
        (Ending::TimedOut, "cleaned\n")
    );
}

#[test]
fn what_is_left_in_the_background_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("goes-on");
    fifo(&path);
    let result = one(shell(&format!(
        "(read word <'{}') & echo done",
        path.display()
    )));
    assert_eq!(
        (result.ending, &*result.output.text()),
        (Ending::Exited(0), "done\n")
    );
    // It is alive, for somebody reads.
    fs::write(path, "word\n").unwrap();
}

#[test]
fn a_program_that_is_killed_has_not_succeeded() {
    let result = one(shell("kill -KILL $$"));
    assert_eq!(result.ending, Ending::Signal(9));
    assert_eq!(
        result.error().unwrap().to_string(),
        "the finally hook \"sh\" was ended by signal 9"
    );
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let check = |text: &str| {
        let settings: HooksSettings = serde_json::from_str(text).unwrap();
        settings.check().map_err(|error| error.to_string())
    };
    assert_eq!(
        check(r#"{"before":[{"command":["a"],"timeout":"2m","on_failure":"continue"}]}"#),
        Ok(())
    );
    let refused = [
        (
            r#"{"after":[{"command":[]}]}"#,
            "hooks.after: command: it names no program",
        ),
        (
            r#"{"after":[{"command":["a","\u0000"]}]}"#,
            "hooks.after: command: no argument can hold a NUL",
        ),
        (
            r#"{"failed":[{"command":["a"],"timeout":"0s"}]}"#,
            "hooks.failed: timeout: it is more than 0 and up to 24h",
        ),
        (
            r#"{"finally":[{"command":["a"],"on_failure":"stop"}]}"#,
            "hooks.finally: on_failure: only a hook before a run can stop it",
        ),
        (
            r#"{"before":[{"command":["a"],"pass_environment":["KEEPWATCH_PASSWORD"]}]}"#,
            "hooks.before: pass_environment: Keepwatch's own secrets are for no hook",
        ),
        (
            r#"{"before":[{"command":["a"],"environment":{"KEEPWATCH_JOB":"x"}}]}"#,
            "hooks.before: environment: names that begin with KEEPWATCH_ are for facts",
        ),
    ];
    for (text, problem) in refused {
        assert_eq!(check(text), Err(problem.to_owned()), "{text}");
    }
    assert!(serde_json::from_str::<HooksSettings>(r#"{"before":[{"command":"a b"}]}"#).is_err());
    assert!(
        serde_json::from_str::<HooksSettings>(r#"{"before":[{"command":["a"],"shell":true}]}"#)
            .is_err()
    );
}
