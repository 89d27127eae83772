//! Where no secret may turn up.

use std::fs;
use std::process::Command;

use crate::repository::files_beneath;
use crate::world::{Ran, World, run};

const PASSPHRASE: &str = "tr0ub4dor-and-3-horses";
const WRONG: &str = "m1staken-pass-ph4se";

/// Prints the command lines of who runs it and of whom that runs, and its own environment.
const SPY: &str =
    "cat /proc/$PPID/cmdline /proc/$$/cmdline /proc/$$/environ | tr '\\0' '\\n'; true";

struct Session {
    world: World,
    said: String,
    secrets: Vec<String>,
}

impl Session {
    fn run(&mut self, command: &mut Command) -> Ran {
        let ran = run(command.env("KEEPWATCH_LOG", "trace"));
        self.said.push_str(&ran.stderr);
        self.said.push_str(&String::from_utf8_lossy(&ran.stdout));
        ran
    }

    /// With the passphrase in a file, and with everything that can be said.
    fn say(&mut self, args: &[&str]) -> Ran {
        let mut command = self.world.bare(["-vv", "--password-file", "pw"]);
        self.run(command.args(args))
    }

    fn say_with_environment(&mut self, args: &[&str]) -> Ran {
        let mut command = self.world.bare(["-vv"]);
        self.run(command.args(args).env("KEEPWATCH_PASSWORD", PASSPHRASE))
    }

    #[track_caller]
    fn assert_silent(&self) {
        for secret in &self.secrets {
            assert!(!self.said.contains(secret), "{secret} was told");
        }
    }
}

#[test]
fn no_output_log_or_command_line_tells_a_secret() {
    let world = World::empty();
    world.write("pw", format!("{PASSPHRASE}\n"));
    world.write("wrong", format!("{WRONG}\n"));
    world.write("src/a", "x");
    world.run_bare(["keygen", "-o", "identity"]).ok();
    let identity = fs::read_to_string(world.path("identity")).unwrap();
    let identity = identity.lines().last().unwrap().to_owned();
    assert!(identity.starts_with("AGE-SECRET-KEY-1"));
    let key = hex::encode([7; 32]);
    let mut session = Session {
        world,
        said: String::new(),
        secrets: vec![
            PASSPHRASE.to_owned(),
            WRONG.to_owned(),
            identity.clone(),
            key,
        ],
    };
    session.say(&["init"]).ok();
    let public = session.world.run_bare(["keygen", "--json", "-o", "other"]);
    let public = public.ok().json()["public_key"]
        .as_str()
        .unwrap()
        .to_owned();
    session.say(&["key", "add", "--recipient", &public]).ok();
    session.say(&["key", "add", "--new-key-file", "key"]).ok();
    session.say(&["backup", "src"]).ok();
    session.say(&["backup", "src", "missing"]).code(3);
    session.say(&["check", "--read-data"]).ok();

    // Commands that it starts see the passphrase neither in command lines nor in the environment.
    let spy = ["backup", "--command", "seen", "--", "sh", "-c", SPY];
    session.say_with_environment(&spy).ok();
    let seen = session.say(&["dump", "latest", "seen"]).ok();
    assert!(seen.text().contains("--command"), "it has seen us");
    fs::write(
        session.world.path("password-command"),
        format!("#!/bin/sh\ncat pw\n({SPY}) >> seen-by-password-command\n"),
    )
    .unwrap();
    let mut command =
        session
            .world
            .bare(["snapshots", "--password-command", "sh password-command"]);
    session
        .run(command.env("KEEPWATCH_PASSWORD", PASSPHRASE))
        .ok();
    let seen = fs::read_to_string(session.world.path("seen-by-password-command")).unwrap();
    assert!(seen.contains("--password-command"));
    session.said.push_str(&seen);

    // Errors.
    for args in [
        ["snapshots", "--password-file", "wrong"],
        ["snapshots", "--password-command", "cat wrong"],
        ["snapshots", "--identity", "identity"],
        // A secret in the wrong kind of file.
        ["snapshots", "--key-file", "pw"],
        ["snapshots", "--identity", "pw"],
        ["snapshots", "--password-command", "sh -c 'cat pw; exit 1'"],
    ] {
        for more in [&["-vv"][..], &["-vv", "--json"]] {
            let mut command = session.world.bare(args);
            let ran = session.run(command.args(more));
            assert!([1, 12].contains(&ran.code), "{args:?}: {}", ran.stderr);
        }
    }
    session.say(&["encrypt", "src/a"]).ok();
    session.say(&["decrypt", "src/a.kw", "-o", "b"]).ok();

    assert!(session.said.contains("INFO"), "nothing is logged");
    session.assert_silent();
    println!("{} bytes of output without a secret", session.said.len());

    // Nor do the repository and the cache hold one, nor a name or a piece of content.
    let mut places = files_beneath(&session.world.path("repo"));
    places.extend(files_beneath(&session.world.path(".cache")));
    session
        .secrets
        .push(session.world.path("src").display().to_string());
    for path in places {
        let bytes = fs::read(&path).unwrap();
        for secret in &session.secrets {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {}", path.display());
        }
    }
}
