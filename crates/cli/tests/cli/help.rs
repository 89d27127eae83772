//! `--help`, `completions` and `man`

use crate::world::World;

#[test]
fn help_reads_so() {
    let world = World::empty();
    let mut commands: Vec<Vec<&str>> = vec![vec![]];
    commands.extend(
        [
            "init",
            "backup",
            "snapshots",
            "ls",
            "find",
            "diff",
            "dump",
            "restore",
            "check",
            "repair-index",
            "repair",
            "parity",
            "forget",
            "prune",
            "copy",
            "stats",
            "key",
            "encrypt",
            "decrypt",
            "keygen",
            "inventory",
            "status",
            "completions",
            "man",
        ]
        .map(|name| vec![name]),
    );
    commands.push(vec!["import", "backuphandler"]);
    commands.extend(["list", "add", "remove", "passwd", "rotate"].map(|name| vec!["key", name]));
    commands.extend(["diff", "script"].map(|name| vec!["inventory", name]));
    commands.extend(["add", "status", "remove"].map(|name| vec!["parity", name]));
    #[cfg(feature = "vision")]
    {
        commands.push(vec!["config", "import"]);
        commands.push(vec!["restore-db"]);
        commands.extend(["show", "install"].map(|name| vec!["service", name]));
        commands.extend(["face", "plate", "model", "doctor"].map(|name| vec![name]));
        let face = [
            "enroll",
            "identify",
            "list",
            "remove",
            "refresh",
            "import",
            "purge-events",
        ];
        commands.extend(face.map(|name| vec!["face", name]));
        commands.extend(["read", "list", "add", "remove"].map(|name| vec!["plate", name]));
        commands.extend(["add", "list", "verify"].map(|name| vec!["model", name]));
    }
    let mut text = String::new();
    for mut command in commands {
        command.push("-h");
        let mut call = world.bare(&command);
        let ran = crate::world::run(call.env_remove("KEEPWATCH_REPO")).ok();
        text.push_str(&format!(
            "$ keepwatch {}\n{}\n",
            command.join(" "),
            ran.text()
        ));
    }
    // The global options are the same everywhere: once is enough.
    let text = without_repetition(&text);
    insta::assert_snapshot!(text);
}

fn without_repetition(text: &str) -> String {
    let mut seen = false;
    let mut kept = String::new();
    let mut skipping = false;
    for line in text.lines() {
        if line == "Global options:" {
            skipping = seen;
            seen = true;
        } else if line.is_empty() {
            skipping = false;
        }
        if !skipping {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(feature = "vision")]
#[test]
fn the_password_of_a_database_is_in_no_help() {
    let world = World::empty();
    let address = "postgres://keepwatch:hunter2@db.lan/events";
    for command in [
        &["serve"][..],
        &["watch"],
        &["events", "list"],
        &["face", "list"],
    ] {
        let mut call = world.bare(command.iter().chain(&["--help"]));
        let ran = crate::world::run(call.env("KEEPWATCH_STORE", address)).ok();
        assert!(ran.text().contains("KEEPWATCH_STORE"), "{command:?}");
        assert!(!ran.text().contains("hunter2"), "{command:?}");
    }
}

#[test]
fn the_version_is_told() {
    let world = World::empty();
    let ran = world.run_bare(["--version"]).ok();
    assert_eq!(
        ran.text(),
        concat!("keepwatch ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn completions_are_made_for_every_shell() {
    let world = World::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run_bare(["completions", shell]).ok();
        assert!(script.text().contains("repair-index"), "{shell}");
    }
    world.run_bare(["completions", "command.com"]).code(2);
}

#[test]
fn every_command_has_a_page() {
    let world = World::empty();
    let pages = world.run_bare(["man", "--json", "pages"]).ok().json();
    assert!(pages["pages"].as_array().unwrap().len() > 20);
    for name in ["keepwatch", "keepwatch-backup", "keepwatch-key-add"] {
        let page = std::fs::read_to_string(world.path(format!("pages/{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"));
    }
}
