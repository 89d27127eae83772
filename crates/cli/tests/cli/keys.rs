//! `init` and `key`

use crate::world::{World, fields, run};

#[test]
fn init_tells_what_it_made() {
    let world = World::empty();
    world.write("pw", "a passphrase\n");
    let made = world
        .run_bare([
            "init",
            "--json",
            "--password-file",
            "pw",
            "--suite",
            "xchacha20-poly1305",
            "--chunker",
            "prf",
            "--padding",
            "padme",
        ])
        .ok()
        .json();
    assert_eq!(fields(&made), ["kdf", "repository", "suite"]);
    assert_eq!(made["kdf"], "argon2id");
    assert_eq!(made["suite"], "xchacha20-poly1305");
    let again = world.run_bare(["init", "--password-file", "pw"]).code(1);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
}

#[test]
fn pbkdf2_can_be_chosen() {
    let world = World::empty();
    world.write("pw", "a passphrase\n");
    let made = world
        .run_bare(["init", "--json", "--password-file", "pw", "--kdf", "pbkdf2"])
        .ok()
        .json();
    assert_eq!(made["kdf"], "pbkdf2");
    world
        .run_bare(["key", "list", "--password-command", "cat pw"])
        .ok();
}

#[test]
fn an_identity_opens_what_its_recipient_locks() {
    let world = World::empty();
    let made = world
        .run_bare(["keygen", "--json", "-o", "identity"])
        .ok()
        .json();
    let recipient = made["public_key"].as_str().unwrap();
    let init = world
        .run_bare(["init", "--json", "--recipient", recipient])
        .ok();
    assert!(init.json()["kdf"].is_null());
    world.run_bare(["snapshots", "--identity", "identity"]).ok();
    world.run_bare(["keygen", "-o", "other"]).ok();
    world
        .run_bare(["snapshots", "--identity", "other"])
        .code(12);
}

#[test]
fn keys_are_added_listed_and_removed() {
    let world = World::new();
    world.write("second", [9; 32]);
    let added = world
        .run([
            "key",
            "add",
            "--json",
            "--label",
            "spare",
            "--new-key-file",
            "second",
        ])
        .ok()
        .json();
    assert_eq!(added["label"], "spare");
    let keys = world.run(["key", "list", "--json"]).ok().json();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    world.run_bare(["--key-file", "second", "key", "list"]).ok();
    world.run(["key", "remove", "spare"]).ok();
    world
        .run_bare(["--key-file", "second", "key", "list"])
        .code(12);
    world.run(["key", "remove", "first"]).code(1);
    let epoch = world.run(["key", "rotate", "--json"]).ok().json();
    assert_eq!(epoch["epoch"], 3);
}

#[test]
fn a_passphrase_is_changed() {
    let world = World::empty();
    world.write("old", "old passphrase\n");
    world.write("new", "new passphrase\n");
    world.run_bare(["init", "--password-file", "old"]).ok();
    world
        .run_bare([
            "key",
            "passwd",
            "--password-file",
            "old",
            "--new-password-file",
            "new",
        ])
        .ok();
    world
        .run_bare(["snapshots", "--password-file", "old"])
        .code(12);
    let mut command = world.bare(["snapshots"]);
    run(command.env("KEEPWATCH_PASSWORD", "new passphrase")).ok();
}

#[test]
fn a_writer_adds_and_reads_nothing() {
    let world = World::new();
    world.write("writer", [9; 32]);
    world.write("src/a", "x");
    world
        .run(["key", "add", "--role", "writer", "--new-key-file", "writer"])
        .ok();
    let as_writer = |args: &[&str]| {
        let mut command = world.bare(["--key-file", "writer"]);
        run(command.args(args))
    };
    as_writer(&["backup", "src"]).ok();
    as_writer(&["backup", "src"]).ok();
    as_writer(&["snapshots"]).code(1);
    as_writer(&["restore", "latest", "-t", "out"]).code(1);
    as_writer(&["forget", "--keep-last", "1"]).code(1);
    as_writer(&["prune"]).code(1);
    let status = as_writer(&["status", "--json"]).ok().json();
    assert_eq!(status["snapshots"], 2);
    assert_eq!(status["role"], "writer");
    assert!(status["last_snapshot"].is_null());
    world.run(["check", "--read-data"]).ok();
}
