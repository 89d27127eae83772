//! `encrypt`, `decrypt`, `keygen`

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keepwatch_testkit::testdata;

use crate::world::{World, run, run_with};

const PASSPHRASE: &str = "correct horse battery staple";

/// Everything in a directory, temporary files too.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_recipient_opens_a_sealed_file() {
    let world = World::empty();
    let made = world.run_bare(["keygen", "--json", "-o", "id"]).ok().json();
    let mode = fs::metadata(world.path("id")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let recipient = made["public_key"].as_str().unwrap();
    assert!(
        fs::read_to_string(world.path("id"))
            .unwrap()
            .contains(recipient)
    );
    world.write("clip", vec![5; 300_000]);
    let sealed = world
        .run_bare(["encrypt", "--json", "-r", recipient, "clip"])
        .ok()
        .json();
    assert_eq!(sealed["output"], "clip.kw");
    world.run_bare(["encrypt", "-r", recipient, "clip"]).code(1);
    world
        .run_bare(["encrypt", "--force", "-r", recipient, "clip"])
        .ok();
    world
        .run_bare(["decrypt", "--identity", "id", "--output", "back", "clip.kw"])
        .ok();
    assert_eq!(fs::read(world.path("back")).unwrap(), vec![5; 300_000]);
    world
        .run_bare(["decrypt", "--identity", "id", "clip.kw"])
        .code(1);
    world.run_bare(["keygen", "-o", "id"]).code(1);
}

#[test]
fn a_failed_decryption_leaves_nothing() {
    let world = World::empty();
    world.write("other", [8; 32]);
    world.write("dir/plain", vec![5; 300_000]);
    world.run(["encrypt", "dir/plain", "-o", "sealed"]).ok();
    let sealed = fs::read(world.path("sealed")).unwrap();
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    world.write("changed", &changed);
    world.write("short", &sealed[..sealed.len() - 70_000]);
    world.write("junk", "this is no sealed file");
    let decrypt = |key: &str, input: &str| {
        let ran = world.run_bare(["decrypt", "--key-file", key, "-o", "dir/out", input]);
        assert_eq!(names(&world.path("dir")), ["plain"], "after {input}");
        ran
    };
    decrypt("other", "sealed").code(12);
    decrypt("key", "changed").code(12);
    decrypt("key", "short").code(12);
    decrypt("key", "junk").code(13);
    decrypt("key", "missing").code(1);
    world.run(["decrypt", "-o", "dir/out", "sealed"]).ok();
    assert_eq!(names(&world.path("dir")), ["out", "plain"]);
}

#[test]
fn pipes_work() {
    let world = World::empty();
    let sealed = run_with(&mut world.command(["encrypt", "-"]), b"from a pipe").ok();
    assert!(sealed.stderr.is_empty());
    let opened = run_with(&mut world.command(["decrypt", "-"]), &sealed.stdout).ok();
    assert_eq!(opened.stdout, b"from a pipe");
    let key = world.run_bare(["keygen", "--key-file"]).ok();
    assert_eq!(key.stdout.len(), 32);
    world.run_bare(["keygen", "--key-file", "-o", "k1"]).ok();
    world.run_bare(["keygen", "--key-file", "k2"]).ok();
    for name in ["k1", "k2"] {
        assert_eq!(fs::read(world.path(name)).unwrap().len(), 32);
    }
}

#[test]
fn genuine_backuphandler_files_open() {
    let data = testdata().join("backuphandler");
    let world = World::empty();
    let sealed = data.join("enc_passphrase/readme.txt.enc");
    let mut command = world.bare(["decrypt", "-o", "readme"]);
    run(command.arg(&sealed).env("KEEPWATCH_PASSWORD", PASSPHRASE)).ok();
    let plain = fs::read(data.join("source/readme.txt")).unwrap();
    assert_eq!(fs::read(world.path("readme")).unwrap(), plain);

    let mut command = world.bare(["decrypt", "-o", "cameras", "--key-file"]);
    command
        .arg(data.join("backup.key"))
        .arg(data.join("enc_keyfile/config/cameras.json.enc"));
    run(&mut command).ok();
    let plain = fs::read(data.join("source/config/cameras.json")).unwrap();
    assert_eq!(fs::read(world.path("cameras")).unwrap(), plain);

    let mut command = world.bare(["decrypt", "-o", "none"]);
    run(command.arg(&sealed).env("KEEPWATCH_PASSWORD", "wrong")).code(12);
    assert!(!world.path("none").exists());
}

#[test]
fn backuphandler_files_are_written_too() {
    let world = World::empty();
    world.write("a", "content");
    world
        .run(["encrypt", "--format", "backuphandler", "a"])
        .ok();
    assert_eq!(
        fs::metadata(world.path("a.enc")).unwrap().len(),
        16 + 12 + 7 + 16
    );
    fs::rename(world.path("a.enc"), world.path("renamed")).unwrap();
    world
        .run(["decrypt", "--format", "backuphandler", "renamed", "-o", "b"])
        .ok();
    assert_eq!(fs::read(world.path("b")).unwrap(), b"content");
    let mut piped = world.command(["decrypt", "--format", "backuphandler", "-"]);
    run_with(&mut piped, b"x").code(1);
}

#[test]
fn the_passphrase_of_the_environment_is_not_added_unasked() {
    let world = World::empty();
    let made = world.run_bare(["keygen", "--json", "-o", "id"]).ok().json();
    let recipient = made["public_key"].as_str().unwrap();
    world.write("a", "content");
    let with_passphrase = |args: &[&str]| {
        let mut command = world.bare(args);
        run(command.env("KEEPWATCH_PASSWORD", PASSPHRASE))
    };
    with_passphrase(&["encrypt", "-r", recipient, "a"]).ok();
    with_passphrase(&["decrypt", "-o", "b", "a.kw"]).code(12);
    with_passphrase(&["encrypt", "--force", "-p", "-r", recipient, "a"]).ok();
    with_passphrase(&["decrypt", "-o", "b", "a.kw"]).ok();
    world
        .run_bare(["decrypt", "--identity", "id", "-o", "c", "a.kw"])
        .ok();
    world.run_bare(["encrypt", "a", "-o", "d"]).code(2);
}

#[test]
fn a_password_command_leaves_standard_input_alone() {
    let world = World::empty();
    world.write("greedy", "#!/bin/sh\ncat > taken\necho passphrase\n");
    let mut encrypt = world.bare(["encrypt", "-", "--password-command", "sh greedy"]);
    let sealed = run_with(&mut encrypt, b"all of it").ok();
    let mut decrypt = world.bare(["decrypt", "-", "--password-command", "sh greedy"]);
    let opened = run_with(&mut decrypt, &sealed.stdout).ok();
    assert_eq!(opened.stdout, b"all of it");
    assert_eq!(fs::read(world.path("taken")).unwrap(), b"");
}

#[test]
fn messages_give_no_orders_to_a_terminal() {
    let world = World::empty();
    world.write("a\x1b[31m", "x");
    let ran = world.run(["encrypt", "a\x1b[31m"]).ok();
    assert!(ran.stderr.contains("encrypted a"), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\x1b'));
}
