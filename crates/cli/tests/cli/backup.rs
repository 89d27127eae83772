//! `backup`

use std::fs;

use crate::world::{World, fields, run_with};

#[test]
fn a_backup_says_what_it_did() {
    let world = World::new();
    world.write("src/a", "first");
    world.write("src/d/b", "second");
    let first = world.run(["backup", "--json", "src"]).ok().json();
    assert_eq!(
        fields(&first),
        [
            "bytes",
            "dirs",
            "duration_s",
            "errors",
            "files",
            "parent",
            "snapshot"
        ]
    );
    assert_eq!(fields(&first["bytes"]), ["new", "scanned", "stored"]);
    assert_eq!(
        fields(&first["files"]),
        ["changed", "failed", "new", "unmodified"]
    );
    assert_eq!(first["files"]["new"], 2);
    assert_eq!(first["bytes"]["scanned"], 11);
    assert!(first["parent"].is_null());

    world.write("src/a", "other");
    let second = world.run(["backup", "--json", "src"]).ok().json();
    assert_eq!(second["parent"], first["snapshot"]);
    assert_eq!(second["files"]["changed"], 1);
    assert_eq!(second["files"]["unmodified"], 1);
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::new();
    world.write("src/a", "x");
    let report = world
        .run(["backup", "--json", "--dry-run", "src"])
        .ok()
        .json();
    assert!(report["snapshot"].is_null());
    assert_eq!(world.snapshot_count(), 0);
}

#[test]
fn options_choose_what_is_left_out() {
    let world = World::new();
    for name in [
        "keep",
        "x.o",
        "cache/CACHEDIR.TAG",
        "cache/y",
        "marked/.nobackup",
        "marked/z",
        "git/.gitignore",
        "git/ignored",
        "git/tracked",
        "listed",
    ] {
        world.write(&format!("src/{name}"), "ignored\n");
    }
    world.write(
        "src/cache/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55\n",
    );
    world.write("src/large", vec![0; 5000]);
    world.write("patterns", "# not these\nlisted\n");
    world
        .run([
            "backup",
            "src",
            "--exclude",
            "*.o",
            "--exclude-file",
            "patterns",
            "--exclude-caches",
            "--exclude-if-present",
            ".nobackup",
            "--exclude-larger-than",
            "4K",
            "--gitignore",
            "--tag",
            "a,b",
            "--host",
            "fern",
            "--compression",
            "max",
            "--mode",
            "full",
        ])
        .ok();
    let listed = world.run(["ls", "--json"]).ok().json_lines();
    let base = format!("{}/", world.path("src").canonicalize().unwrap().display());
    let names: Vec<&str> = listed
        .iter()
        .filter(|entry| entry["type"] == "file")
        .map(|entry| entry["path"].as_str().unwrap().strip_prefix(&base).unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "cache/CACHEDIR.TAG",
            "git/.gitignore",
            "git/tracked",
            "keep",
            "marked/.nobackup"
        ]
    );
    let snapshots = world.run(["snapshots", "--json"]).ok().json();
    assert_eq!(
        fields(&snapshots[0]),
        [
            "bytes", "files", "host", "id", "paths", "tags", "time", "user"
        ]
    );
    assert_eq!(snapshots[0]["host"], "fern");
    assert!(snapshots[0]["user"].is_string());
    assert_eq!(snapshots[0]["tags"], serde_json::json!(["a", "b"]));
}

#[test]
fn the_repository_is_never_part_of_a_backup() {
    let world = World::new();
    world.write("file", "x");
    world.run(["backup", "."]).ok();
    let listing = world.run(["ls"]).ok();
    assert!(listing.text().contains("/file\n"));
    assert!(!listing.text().contains("/repo/packs"));
}

#[test]
fn standard_input_becomes_a_file() {
    let world = World::new();
    let mut command = world.command(["backup", "--stdin-name", "dumps/db.sql"]);
    run_with(&mut command, b"insert").ok();
    let dumped = world.run(["dump", "latest", "/dumps/db.sql"]).ok();
    assert_eq!(dumped.stdout, b"insert");
    for bad in ["..", "a/../b", "/", "x/"] {
        world.run(["backup", "--stdin-name", bad]).code(2);
    }
}

#[test]
fn the_output_of_a_command_becomes_a_file() {
    let world = World::new();
    world
        .run([
            "backup",
            "--command",
            "greeting",
            "--",
            "printf",
            "%s",
            "a  b",
        ])
        .ok();
    let dumped = world.run(["dump", "latest", "greeting"]).ok();
    assert_eq!(dumped.stdout, b"a  b");
}

#[test]
fn a_command_that_fails_gives_no_snapshot() {
    let world = World::new();
    let script = "echo half of it; exit 3";
    let failed = world
        .run(["backup", "--command", "x", "--", "sh", "-c", script])
        .code(1);
    assert!(
        failed.stderr.contains("exit status: 3"),
        "{}",
        failed.stderr
    );
    world
        .run(["backup", "--command", "x", "--", "/no/such/program"])
        .code(1);
    assert_eq!(world.run(["snapshots", "--json"]).ok().text(), "[]\n");
}

#[test]
fn a_command_does_not_learn_the_passphrase() {
    let world = World::empty();
    let with_passphrase = |args: &[&str]| {
        let mut command = world.bare(args);
        crate::world::run(command.env("KEEPWATCH_PASSWORD", "open sesame"))
    };
    with_passphrase(&["init"]).ok();
    with_passphrase(&["backup", "--command", "env", "--", "env"]).ok();
    let environment = with_passphrase(&["dump", "latest", "env"]).ok();
    assert!(environment.text().contains("PATH="));
    assert!(!environment.text().contains("sesame"));
}

#[test]
fn a_partly_readable_source_is_told() {
    let world = World::new();
    world.write("src/a", "x");
    let ran = world.run(["backup", "--json", "src", "missing"]).code(3);
    assert!(ran.stderr.contains("missing"), "{}", ran.stderr);
    let report = ran.json();
    assert!(report["snapshot"].is_string());
    assert_eq!(report["errors"].as_array().unwrap().len(), 1);
    assert_eq!(fields(&report["errors"][0]), ["error", "path"]);
}

#[test]
fn paths_are_made_absolute_and_plain() {
    let world = World::new();
    world.write("src/d/a", "x");
    fs::create_dir(world.path("elsewhere")).unwrap();
    world.run(["backup", "elsewhere/../src/./d"]).ok();
    let snapshots = world.run(["snapshots", "--json"]).ok().json();
    let path = world.path("src/d");
    assert_eq!(snapshots[0]["paths"][0], path.to_str().unwrap());
}
