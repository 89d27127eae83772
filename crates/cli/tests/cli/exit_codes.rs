//! What a script can rely on: exit codes, and errors as JSON.

use std::fs;
use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use crate::world::{World, fields, run};

#[test]
fn usage_errors_are_2() {
    let world = World::new();
    world.run(["backup"]).code(2);
    world.run(["no-such-command"]).code(2);
    world.run(["backup", "--exclude", "a[", "."]).code(2);
    world.run(["forget"]).code(2);
    world.run(["forget", "abcd", "--keep-last", "1"]).code(2);
    world.run_bare(Vec::<&str>::new()).code(2);
    let mut without = world.command(["snapshots"]);
    run(without.env_remove("KEEPWATCH_REPO")).code(2);
    let mut remote = world.command(["snapshots"]);
    run(remote.env("KEEPWATCH_REPO", "s3://bucket/path")).code(2);
}

#[test]
fn nothing_is_asked_without_a_terminal() {
    let world = World::new();
    let ran = world.run_bare(["snapshots"]).code(2);
    assert!(ran.stderr.contains("--password-file"), "{}", ran.stderr);
}

#[test]
fn an_empty_passphrase_is_refused() {
    let world = World::empty();
    world.write("empty", "\n");
    world.run_bare(["init", "--password-file", "empty"]).code(2);
    let mut command = world.bare(["init"]);
    run(command.env("KEEPWATCH_PASSWORD", "")).code(2);
    world
        .run_bare(["init", "--password-command", "true"])
        .code(2);
    assert!(!world.path("repo/config").exists());
}

#[test]
fn no_repository_is_10() {
    let world = World::empty();
    let missing = world.run(["snapshots", "--json"]).code(10);
    let error: serde_json::Value = serde_json::from_str(&missing.stderr).unwrap();
    assert_eq!(fields(&error), ["code", "error", "hint"]);
    assert_eq!(error["code"], 10);
    assert!(missing.stdout.is_empty());
    world.write("repo/something", "else");
    world.run(["snapshots"]).code(10);
    world.run(["init"]).code(1);
}

#[test]
fn a_second_backup_of_the_same_paths_is_11() {
    let world = World::new();
    world.write("src/a", "x");
    world.backup("src");
    let cache = world.path(".cache/keepwatch");
    let repository = fs::read_dir(cache).unwrap().next().unwrap().unwrap();
    let lock = fs::read_dir(repository.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("set-")
        })
        .unwrap();
    let lock = File::open(lock).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    world.run(["backup", "src"]).code(11);
    drop(lock);
    world.backup("src");
}

#[test]
fn a_wrong_key_is_12() {
    let world = World::empty();
    world.write("right", "the passphrase\n");
    world.write("wrong", "another\n");
    world.write("other-key", [8; 32]);
    world.write("short-key", [8; 31]);
    world.run_bare(["init", "--password-file", "right"]).ok();
    world
        .run_bare(["snapshots", "--password-file", "right"])
        .ok();
    let wrong = world
        .run_bare(["snapshots", "--password-file", "wrong"])
        .code(12);
    assert!(!wrong.stderr.contains("another"));
    world
        .run_bare(["snapshots", "--key-file", "other-key"])
        .code(12);
    world
        .run_bare(["snapshots", "--key-file", "short-key"])
        .code(1);
    world
        .run_bare(["snapshots", "--password-file", "none"])
        .code(1);
    world
        .run_bare(["snapshots", "--password-file", "right", "--key-file", "key"])
        .code(2);
}

#[test]
fn an_interrupted_backup_is_130() {
    let world = World::new();
    let script = "kill -INT $PPID; cat /dev/zero | head -c 1000000";
    world
        .run(["backup", "--command", "x", "--", "sh", "-c", script])
        .code(130);
    assert_eq!(world.run(["snapshots", "--json"]).ok().text(), "[]\n");
}

#[test]
fn usage_errors_are_json_too() {
    let world = World::new();
    let ran = world.run(["backup", "--json", "--no-such-option"]).code(2);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["code"], 2);
}

/// Runs it with a reader that goes away at once.
fn unread(mut command: std::process::Command) -> std::process::Output {
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

#[test]
fn a_verdict_does_not_need_a_reader() {
    let world = World::new();
    world.write("src/a", vec![1; 100_000]);
    let first = unread(world.command(["backup", "--json", "src", "missing"]));
    assert_eq!(first.status.code(), Some(3));
    world.damage_packs();
    for args in [
        &["check", "--read-data"][..],
        &["check", "--read-data", "--json"],
        &["restore", "latest", "-t", "out"],
    ] {
        assert_eq!(unread(world.command(args)).status.code(), Some(13));
    }
}

#[test]
fn ciphertext_that_nobody_took_is_a_failure() {
    let world = World::empty();
    world.write("a", vec![1; 1_000_000]);
    let output = unread(world.command(["encrypt", "a", "-o", "-"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.is_empty());
}
