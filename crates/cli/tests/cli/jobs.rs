//! Jobs of the configuration, run one by one and by their schedules.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use keepwatch_testkit::s3::{self, S3};
use keepwatch_testkit::tree;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::{Ran, World, run};

/// With a configuration: a repository on this disk and one in a bucket.
fn world(server: &S3, more: &str) -> World {
    let world = World::new();
    world.write("secret", format!("{}\n", s3::SECRET_KEY));
    world.write("source/a", tree::noise(200_000, 1));
    world.write("source/deep/b", b"b");
    let folder = world.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    let config = format!(
        "[run]\nstate = \"state\"\n\
         [repositories.disk]\npath = \"repo\"\nkey_file = \"key\"\n\
         [repositories.bucket]\npath = \"{}\"\nkey_file = \"key\"\n\
         remote = {{ user = \"{}\", password = \"file:{folder}/secret\", patience = 1 }}\n\
         [jobs.nightly]\nkind = \"backup\"\nrepository = [\"disk\", \"bucket\"]\n\
         paths = [\"source\"]\nkeep = {{ last = 2 }}\nprune = true\n\
         schedule = {{ times = [\"02:30\"] }}\n\
         [jobs.drill]\nkind = \"drill\"\nrepository = \"bucket\"\nall = true\n{more}",
        server.address("offsite"),
        s3::ACCESS_KEY,
    );
    world.write("keepwatch.toml", config);
    let address = server.address("offsite");
    let mut init = world.command(["--repo", &address, "init"]);
    init.env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY);
    run(&mut init).ok();
    world
}

fn job(world: &World, args: &[&str]) -> Ran {
    let mut command = world.bare(["job"]);
    command.args(args).args(["--config", "keepwatch.toml"]);
    run(&mut command)
}

#[test]
fn a_disk_and_a_bucket_and_what_became_of_each() {
    let mut server = S3::start();
    let world = world(&server, "");
    let done = job(&world, &["run", "nightly", "--json"]).ok().json();
    assert_eq!(done["status"], "done");
    assert_eq!(done["destinations"][1]["from"], "disk");
    job(&world, &["run", "drill"]).ok();

    // The bucket goes away: what is on the disk is there, and that it is not all is said.
    server.program.stop();
    let partly = job(&world, &["run", "nightly"]).code(3);
    assert!(partly.stderr.contains("bucket: "), "{}", partly.stderr);
    assert!(!partly.stderr.contains(s3::SECRET_KEY), "{}", partly.stderr);
    assert_eq!(world.snapshot_count(), 2);
    job(&world, &["run", "drill"]).code(1);
    server.program.restart();
    let again = job(&world, &["run", "nightly", "--json"]).ok().json();
    assert_eq!(again["destinations"][0]["forgotten"], 1);

    let listed = job(&world, &["list", "--json"]).ok().json();
    assert_eq!(listed[0]["name"], "drill");
    assert_eq!(listed[0]["last"]["status"], "failed");
    assert_eq!(listed[1]["last"]["status"], "done");
    assert!(listed[1]["next"].is_string() && listed[0]["next"].is_null());
    let history = job(&world, &["history", "nightly", "--json"]).ok().json();
    let states: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["status"])
        .collect();
    assert_eq!(states, ["done", "partly", "done"]);
    let shown = job(&world, &["history"]).ok();
    assert!(shown.text().contains("command line"), "{}", shown.text());
    let unknown = job(&world, &["run", "weekly"]).code(2);
    assert!(unknown.stderr.contains("job list"), "{}", unknown.stderr);
    // Without a repository, the status is that of the jobs.
    let mut status = world.bare(["status", "--config", "keepwatch.toml"]);
    status.env_remove("KEEPWATCH_REPO");
    let status = run(&mut status).ok();
    assert!(status.text().contains("nightly"), "{}", status.text());
}

#[test]
fn a_scheduler_makes_up_for_what_was_missed_and_ends_when_told() {
    let server = S3::start();
    let world = world(&server, "");
    // As of a machine that was off since.
    let missed = json!({
        "version": 1,
        "jobs": { "nightly": { "after": "2026-01-01T02:30:00Z", "schedule": "02:30" } },
    });
    world.write("state/slots.json", missed.to_string());
    let manager = UnixDatagram::bind(world.path("notify")).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let told = || {
        let mut message = [0; 1000];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let mut command = world.bare(["run", "--config", "keepwatch.toml"]);
    command.env("NOTIFY_SOCKET", world.path("notify"));
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let history = || job(&world, &["history", "--json"]).ok().json();
    let begun = std::time::Instant::now();
    while history()[0]["status"] != "done" {
        assert!(begun.elapsed().as_secs() < 60, "{}", history());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(history()[0]["by"], "schedule");
    assert_eq!(told(), "READY=1");
    assert!(told().starts_with("STATUS=nightly running"));
    // Another one with the same state has nothing to do.
    let mut second: Command = world.bare(["run", "--config", "keepwatch.toml"]);
    let second = run(&mut second).code(11);
    assert!(
        second.stderr.contains("another `keepwatch run`"),
        "{}",
        second.stderr
    );
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("a job is done"), "{said}");
    assert_eq!(history().as_array().unwrap().len(), 1);
    let mut last = told();
    while !last.starts_with("STOPPING") {
        last = told();
    }
}

#[test]
fn a_drill_has_exit_codes_of_its_own() {
    let world = World::new();
    world.write("source/a", b"a");
    world.backup("source");
    let drill = |args: &[&str]| {
        let mut command = world.command(["drill"]);
        run(command.args(args))
    };
    drill(&["--all", "--max-age", "1h"]).ok();
    let told = drill(&["--json"]).ok().json();
    assert_eq!((&told["ok"], &told["files"]), (&json!(true), &json!(1)));
    let place = world.path("source/a").display().to_string();
    drill(&["--", "test", "-f", &format!(".{place}")]).ok();
    let refused = drill(&["--", "sh", "-c", "echo rotten; exit 5"]).code(21);
    assert!(refused.stderr.contains("rotten"), "{}", refused.stderr);
    drill(&["--max-age", "1ms"]).code(22);
    world.damage_packs();
    let damaged = drill(&[]);
    assert!([13, 20].contains(&damaged.code), "{}", damaged.stderr);
}
