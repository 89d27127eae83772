//! A folder and a database, a disk and a bucket, a schedule, rules, hooks, somebody who hears, and
//! drills: all of it under `keepwatch run`, while one after the other goes away and comes back.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use keepwatch_testkit::mariadb::{MariaDb, PASSWORD, USER};
use keepwatch_testkit::s3::{self, S3};
use keepwatch_testkit::tree;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::world::{World, run};

const PATIENCE: Duration = Duration::from_secs(120);

/// Hears what is told, as JSON.
fn ear() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(number) = line.strip_prefix("content-length: ") {
                    length = number.parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            reader.get_mut().write_all(answer).unwrap();
            if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (port, told)
}

struct Scene {
    world: World,
    address: String,
    told: Receiver<Value>,
}

impl Scene {
    fn new(server: &S3, database: &MariaDb) -> Self {
        let world = World::new();
        let (port, told) = ear();
        let folder = world.path("");
        let folder = folder.to_str().unwrap().trim_end_matches('/');
        world.write("secret", format!("{}\n", s3::SECRET_KEY));
        world.write("db-password", format!("{PASSWORD}\n"));
        world.write("source/a", tree::noise(200_000, 1));
        let address = server.address("offsite");
        world.write(
            "keepwatch.toml",
            format!(
                r#"
                [run]
                state = "state"
                [repositories.disk]
                path = "repo"
                key_file = "key"
                [repositories.bucket]
                path = "{address}"
                key_file = "key"
                remote = {{ user = "{}", password = "file:{folder}/secret", patience = 1 }}
                [databases.shop]
                kind = "mariadb"
                socket = "{}"
                user = "{USER}"
                password = "file:{folder}/db-password"
                [jobs.nightly]
                kind = "backup"
                repository = ["disk", "bucket"]
                paths = ["source"]
                databases = ["shop"]
                schedule = {{ times = ["02:30"] }}
                keep = {{ last = 3 }}
                prune = true
                [[jobs.nightly.hooks.finally]]
                command = ["sh", "-c", "echo $$KEEPWATCH_STATUS >>{folder}/hooks"]
                [jobs.drill]
                kind = "drill"
                repository = "bucket"
                all = true
                schedule = {{ cron = "0 6 * * SUN" }}
                [notify.ops]
                kind = "webhook"
                url = "http://127.0.0.1:{port}/"
                allow_private = true
                from = "success"
                "#,
                s3::ACCESS_KEY,
                database.socket().display(),
            ),
        );
        let scene = Self {
            world,
            address,
            told,
        };
        run(&mut scene.bucket(&["init"])).ok();
        scene
    }

    /// A command about the repository in the bucket.
    fn bucket(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.world.command(["--repo", &self.address]);
        command
            .args(args)
            .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY);
        command
    }

    /// As of a machine that has slept through the time of these jobs.
    fn wake(&self, jobs: &[(&str, &str)]) -> Child {
        let path = self.world.path("state/slots.json");
        let mut slots = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
            Err(_) => json!({ "version": 1, "jobs": {} }),
        };
        for (job, schedule) in jobs {
            slots["jobs"][*job] = json!({ "after": "2026-01-01T00:00:00Z", "schedule": schedule });
        }
        self.world.write("state/slots.json", slots.to_string());
        let mut command = self.world.bare(["run", "--config", "keepwatch.toml"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// The runs, the latest first, as soon as there are so many that have ended.
    fn history(&self, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let mut command = self.world.bare(["job", "history", "--json"]);
            command.args(["--config", "keepwatch.toml"]);
            let all = run(&mut command).ok().json();
            let all = all.as_array().unwrap().clone();
            if all.iter().filter(|run| run["status"] != "running").count() == count {
                return all;
            }
            assert!(begun.elapsed() < PATIENCE, "{all:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn hears(&self, title: &str, severity: &str) -> Value {
        let told = self.told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            (&told["title"], &told["severity"]),
            (&json!(title), &json!(severity))
        );
        told
    }
}

fn end(child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn all_of_it_runs_and_says_how_it_went() {
    let (mut server, mut database) = (S3::start(), MariaDb::start());
    database.run(
        "CREATE DATABASE shop; USE shop; CREATE TABLE shop.orders (id INT, what VARCHAR(100)); \
         INSERT INTO shop.orders SELECT seq, MD5(seq) FROM seq_1_to_5000",
    );
    let scene = Scene::new(&server, &database);
    let world = &scene.world;

    let child = scene.wake(&[("nightly", "02:30")]);
    assert_eq!(scene.history(1)[0]["status"], "done");
    scene.hears("nightly: the backup is done", "success");
    end(child);
    let child = scene.wake(&[("drill", "0 6 * * SUN")]);
    let drilled = scene.history(2)[0].clone();
    assert_eq!(
        (&drilled["status"], &drilled["summary"]["of_files"]),
        (&json!("done"), &json!(2))
    );
    scene.hears("drill: the drill is done", "success");

    // The bucket goes away while it runs.
    server.program.stop();
    end(child);
    world.write("source/b", tree::noise(50_000, 2));
    let child = scene.wake(&[("nightly", "02:30"), ("drill", "0 6 * * SUN")]);
    let runs = scene.history(4);
    let of = |job: &str| {
        runs[..2]
            .iter()
            .find(|run| run["job"] == job)
            .unwrap()
            .clone()
    };
    assert_eq!(of("nightly")["status"], "partly");
    assert_eq!(of("nightly")["destinations"][0]["status"], "done");
    assert_eq!(of("drill")["status"], "failed");
    let mut heard = [
        scene.told.recv_timeout(PATIENCE).unwrap(),
        scene.told.recv_timeout(PATIENCE).unwrap(),
    ];
    heard.sort_by_key(|told| told["job"].to_string());
    assert_eq!(
        (&heard[0]["job"], &heard[0]["severity"]),
        (&json!("drill"), &json!("critical"))
    );
    assert_eq!(
        (&heard[1]["job"], &heard[1]["severity"]),
        (&json!("nightly"), &json!("warning"))
    );
    let text = heard[1].to_string();
    assert!(
        text.contains("bucket") && !text.contains(s3::SECRET_KEY),
        "{text}"
    );
    end(child);

    // The database is killed, and nothing is said to be done that was not.
    server.program.restart();
    database.program.stop();
    let child = scene.wake(&[("nightly", "02:30")]);
    let failed = scene.history(5)[0].clone();
    assert_eq!(failed["status"], "failed");
    assert!(
        failed["error"].as_str().unwrap().contains("shop"),
        "{failed}"
    );
    scene.hears("nightly: the backup failed", "failure");
    end(child);
    assert_eq!(world.snapshot_count(), 2);

    // All is back: what was missed gets there.
    database.program.restart();
    let child = scene.wake(&[("nightly", "02:30")]);
    assert_eq!(scene.history(6)[0]["status"], "done");
    end(child);
    let there = run(&mut scene.bucket(&["snapshots", "--json"])).ok().json();
    assert_eq!(there.as_array().unwrap().len(), 3);
    let hooks = fs::read_to_string(world.path("hooks")).unwrap();
    assert_eq!(hooks, "success\npartial\nfailed\nsuccess\n");

    // And the orders come back out of the bucket.
    let told = database.run("SELECT MD5(GROUP_CONCAT(what ORDER BY id)) FROM shop.orders");
    let config = ["--config", "keepwatch.toml"];
    let back = [
        "restore-db",
        "latest",
        "shop/shop.sql",
        "--into",
        "before_it",
    ];
    run(scene.bucket(&back).args(config)).ok();
    let again = database.run("SELECT MD5(GROUP_CONCAT(what ORDER BY id)) FROM before_it.orders");
    assert_eq!(told, again);
    let taken = run(scene.bucket(&back).args(config)).code(1);
    assert!(taken.stderr.contains("--force"), "{}", taken.stderr);
}
