//! What surrounds a run: locks, pre-flight, hooks, and who hears of it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use keepwatch_core::Silent;
use keepwatch_runner::{Asked, Error, Status};

use crate::world::{Ear, World, run, script};

fn job(more: &str) -> String {
    format!("[jobs.j]\nkind = \"backup\"\nrepository = \"disk\"\npaths = [\"@/source\"]\n{more}")
}

#[test]
fn a_job_has_one_run_at_a_time() {
    let world = World::new();
    world.init("disk");
    let inner = std::sync::Mutex::new(None);
    let runner = world.runner(&job(""));
    // While it runs, it is started again: by its progress, and by another process.
    struct Again<'a>(&'a World, &'a std::sync::Mutex<Option<Error>>);
    impl keepwatch_core::Progress for Again<'_> {
        fn advance(&self, _: u64, _: u64) {
            let mut first = self.1.lock().unwrap();
            if first.is_none() {
                let asked = Asked {
                    by: "another",
                    id: None,
                    progress: &Silent,
                    stop: Arc::new(AtomicBool::new(false)),
                };
                *first = Some(self.0.runner(&job("")).run("j", asked).unwrap_err());
            }
        }
    }
    let asked = Asked {
        by: "test",
        id: Some("first".to_owned()),
        progress: &Again(&world, &inner),
        stop: Arc::new(AtomicBool::new(false)),
    };
    let record = runner.run("j", asked).unwrap().record;
    assert_eq!((record.status, record.id.as_str()), (Status::Done, "first"));
    let second = inner.into_inner().unwrap().expect("it was tried");
    assert!(matches!(second, Error::Running { .. }), "{second:?}");
    assert_eq!(runner.state().runs().unwrap().len(), 1);
    let none = Asked {
        by: "test",
        id: None,
        progress: &Silent,
        stop: Arc::new(AtomicBool::new(false)),
    };
    assert!(matches!(runner.run("k", none), Err(Error::NoJob { .. })));
}

#[test]
fn what_is_not_ready_does_not_begin() {
    let world = World::new();
    world.init("disk");
    let after = script(
        &world.path("hook"),
        "echo \"$KEEPWATCH_HOOK\" >>\"$(dirname \"$0\")/ran\"",
    );
    let more = format!(
        "preflight = {{ mounted = [\"@/source\"] }}\n\
         hooks = {{ after = [{{ command = [\"{after}\"] }}], failed = [{{ command = [\"{after}\"] }}] }}\n"
    );
    let record = run(&world.runner(&job(&more)), "j");
    assert_eq!(record.status, Status::Failed);
    let error = record.error.unwrap();
    assert!(error.contains("nothing is mounted at"), "{error}");
    assert!(world.snapshots("disk").is_empty());
    assert_eq!(
        std::fs::read_to_string(world.path("ran")).unwrap(),
        "failed\n"
    );
}

#[test]
fn hooks_know_the_facts_and_one_that_fails_is_told() {
    let world = World::new();
    world.init("disk");
    let hook = script(
        &world.path("hook"),
        "echo \"$KEEPWATCH_HOOK $KEEPWATCH_JOB $KEEPWATCH_STATUS ${KEEPWATCH_SNAPSHOT:-none}\" \
         >>\"$(dirname \"$0\")/ran\"\n[ \"$KEEPWATCH_HOOK\" != finally ]",
    );
    let one = format!("[{{ command = [\"{hook}\"] }}]");
    let more = format!("hooks = {{ before = {one}, after = {one}, finally = {one} }}\n");
    let record = run(&world.runner(&job(&more)), "j");
    // All was backed up, but not all was done.
    assert_eq!(record.status, Status::Partly);
    assert!(
        record.problems[0].contains("finally"),
        "{:?}",
        record.problems
    );
    let id = record.snapshot().unwrap();
    let ran = std::fs::read_to_string(world.path("ran")).unwrap();
    let lines: Vec<&str> = ran.lines().collect();
    assert_eq!(lines[0], "before j running none");
    assert_eq!(lines[1], format!("after j success {id}"));
    assert_eq!(lines[2], format!("finally j success {id}"));

    let refusing = script(&world.path("no"), "exit 3");
    let more = format!("hooks = {{ before = [{{ command = [\"{refusing}\"] }}] }}\n");
    let record = run(&world.runner(&job(&more)), "j");
    assert_eq!(record.status, Status::Failed);
    assert!(record.error.unwrap().contains("before"));
    assert_eq!(world.snapshots("disk").len(), 1);
}

#[test]
fn a_heartbeat_hears_of_full_success_alone() {
    let world = World::new();
    let ear = Ear::start();
    let url = ear.url("/ping/secret");
    let beat = format!("heartbeat = {{ url = \"{url}\", allow_private = true }}\n");
    let runner = world.runner(&job(&beat));
    let record = run(&runner, "j");
    assert_eq!(record.status, Status::Failed, "there is no repository");
    assert_eq!(ear.next().0, "post /ping/secret/start http/1.1");
    let (line, log) = ear.next();
    assert_eq!(line, "post /ping/secret/fail http/1.1");
    assert!(log.contains("disk"), "{log}");
    world.init("disk");
    assert_eq!(run(&runner, "j").status, Status::Done);
    assert_eq!(ear.next().0, "post /ping/secret/start http/1.1");
    assert_eq!(ear.next().0, "post /ping/secret http/1.1");
    // Partly is not enough.
    let partly = job(&beat).replace("@/source", "@/source\", \"@/none");
    assert_eq!(run(&world.runner(&partly), "j").status, Status::Partly);
    ear.next();
    assert_eq!(ear.next().0, "post /ping/secret/fail http/1.1");
    assert!(ear.has_none());
}

#[test]
fn who_is_to_hear_of_it_does_and_a_drill_is_louder() {
    let world = World::new();
    let ear = Ear::start();
    let hook = |name: &str, from: &str| {
        let url = ear.url(&format!("/{name}"));
        format!(
            "[notify.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\nallow_private = true\nfrom = \"{from}\"\n"
        )
    };
    let text = format!(
        "{}notify = [\"ops\"]\n[jobs.d]\nkind = \"drill\"\nrepository = \"disk\"\n{}{}",
        job(""),
        hook("ops", "success"),
        hook("boss", "critical"),
    );
    let runner = world.runner(&text);
    let severities = |world: &World| -> Vec<(String, String)> {
        let of = |entry: &serde_json::Value| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            (
                text(&entry["target"]),
                text(&entry["notification"]["severity"]),
            )
        };
        world.told().iter().map(of).collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    run(&runner, "j");
    assert_eq!(severities(&world), [pair("ops", "failure")]);
    runner.deliver();
    let (line, body) = ear.next();
    assert_eq!(line, "post /ops http/1.1");
    assert!(body.contains("j: the backup failed"), "{body}");
    assert!(world.told().is_empty(), "what was told is gone");
    // A drill of nothing fails: and that is worse.
    world.init("disk");
    run(&runner, "d");
    assert_eq!(
        severities(&world),
        [pair("boss", "critical"), pair("ops", "critical")]
    );
    // The same once more within the hour is counted and not told.
    run(&runner, "d");
    assert_eq!(severities(&world).len(), 2);
    run(&runner, "j");
    assert_eq!(severities(&world).last().unwrap(), &pair("ops", "success"));
}

#[test]
fn a_run_that_is_stopped_says_so() {
    let world = World::new();
    world.init("disk");
    let runner = world.runner(&job(""));
    let asked = Asked {
        by: "test",
        id: None,
        progress: &Silent,
        stop: Arc::new(AtomicBool::new(true)),
    };
    let record = runner.run("j", asked).unwrap().record;
    assert_eq!(record.status, Status::Stopped);
    assert!(world.snapshots("disk").is_empty());
}
