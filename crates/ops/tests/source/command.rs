//! Commands.

use keepwatch_core::with_causes;
use keepwatch_ops::source::RestoreTarget;
use serde_json::json;

use crate::world::{World, settings};

#[test]
fn what_a_command_prints_goes_in_and_back() {
    let world = World::new();
    let out = world.dir.path().join("out");
    let one = settings(json!({
        "kind": "command",
        "command": ["sh", "-c", "seq 100000; echo \"$SECRET\""],
        "environment": { "SECRET": "hunter2" },
        "name": "numbers",
        "restore": ["sh", "-c", format!("(cat; echo \"$SECRET\") >{}", out.display())],
    }));
    one.probe(&world.environment()).unwrap();
    assert!(!format!("{one:?}").contains("hunter2"));
    world.backup(&one).unwrap();
    assert_eq!(world.listed()[0].0, "numbers");
    world.restore(&one, "numbers", None, false).unwrap();
    let back = std::fs::read_to_string(&out).unwrap();
    assert_eq!(back.lines().count(), 100_002);
    // Both commands have the environment of the settings.
    assert!(back.ends_with("100000\nhunter2\nhunter2\n"));
}

#[test]
fn a_command_that_fails_leaves_no_snapshot() {
    let world = World::new();
    let fails =
        json!({ "kind": "command", "command": ["sh", "-c", "seq 1000; echo no room >&2; exit 4"] });
    let error = world.backup(&settings(fails)).unwrap_err();
    let told = with_causes(&error);
    assert!(told.contains("no room") && told.contains('4'), "{told}");
    let missing = json!({ "kind": "command", "command": ["no-such-program"] });
    let missing = settings(missing);
    assert!(missing.probe(&world.environment()).is_err());
    let told = with_causes(&world.backup(&missing).unwrap_err());
    assert!(told.contains("no-such-program"), "{told}");
    assert!(world.open().snapshots().unwrap().0.is_empty());
}

/// A command that says all that it knows, as with `set -x`, when it is backed up and restored.
#[test]
fn what_a_command_says_of_its_secrets_is_in_no_error() {
    let world = World::new();
    let tells = settings(json!({
        "kind": "command",
        "command": ["sh", "-c", "echo \"curl: (22) me, $SECRET, at db.lan\" >&2; exit 4"],
        "environment": { "SECRET": "hunter2", "OTHER": "a much longer one", "LEVEL": "22" },
        "restore": ["sh", "-c", "echo \"no $OTHER $SECRET\" >&2; exit 5"],
    }));
    let told = with_causes(&world.backup(&tells).unwrap_err());
    assert!(told.contains("curl: (22) me, …, at db.lan"), "{told}");
    let dump = Box::new(std::io::empty());
    let target = RestoreTarget::default();
    let restored = tells.restore("output", dump, &target, &world.environment());
    assert_eq!(restored.unwrap_err().to_string(), "sh: no … …");

    // The end of a long complaint is kept, which may begin within the secret.
    let endless = settings(json!({
        "kind": "command",
        "command": ["sh", "-c", "yes \"$SECRET\" | head -c 200000 >&2; exit 4"],
        "environment": { "SECRET": "correct horse battery staple" },
    }));
    let told = with_causes(&world.backup(&endless).unwrap_err());
    assert!(told.contains('…'));
    for part in ["correct", "horse", "battery", "staple"] {
        assert!(!told.contains(part));
    }
}

#[test]
fn nobody_waits_for_a_command_that_is_not_wanted_any_more() {
    let world = World::new();
    let endless = settings(json!({ "kind": "command", "command": ["yes"] }));
    let streams = endless.streams("db", &world.environment(), world.dir.path());
    let keepwatch_core::Source::Stream(Some(mut stream), _) = streams.unwrap().remove(0) else {
        panic!("it is a stream");
    };
    let mut first = [0; 1000];
    stream.reader.read_exact(&mut first).unwrap();
    drop(stream.reader);
    assert!((stream.finish)().is_err());
}

#[test]
fn a_command_that_stalls_is_given_up() {
    let world = World::new();
    let stalls = settings(json!({
        "kind": "command",
        "command": ["sh", "-c", "echo begun; sleep 1000; echo done"],
        "stall_timeout": "200ms",
    }));
    let told = with_causes(&world.backup(&stalls).unwrap_err());
    assert!(told.contains("nothing came from it for 200ms"), "{told}");
    assert!(world.open().snapshots().unwrap().0.is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for bad in [
        json!({ "kind": "command", "command": [] }),
        json!({ "kind": "command", "command": ["a"], "name": "../a" }),
        json!({ "kind": "command", "command": ["a"], "stall_timeout": "0s" }),
        json!({ "kind": "mysql", "databases": ["--all"] }),
        json!({ "kind": "mysql", "databases": ["../a"] }),
        json!({ "kind": "mysql", "socket": "/s", "host": "h" }),
        json!({ "kind": "postgres", "databases": ["a/b"] }),
        json!({ "kind": "sqlite", "path": "/" }),
    ] {
        assert!(settings(bad.clone()).check().is_err(), "{bad}");
    }
}
