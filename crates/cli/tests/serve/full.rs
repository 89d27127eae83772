//! A disk without room.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Answer;
use crate::program::{PASSWORD, Server};
use crate::small_disk::SmallDisk;
use crate::world::World;

/// Takes all that is left, and whatever is freed, until it is dropped.
struct Filler {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Filler {
    fn start(path: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut file = File::create(&path).unwrap();
        fill(&mut file);
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                fill(&mut file);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self {
            path,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        std::fs::remove_file(&self.path).unwrap();
    }
}

fn fill(file: &mut File) {
    let piece = vec![7; 64 << 10];
    let mut size = piece.len();
    while size > 0 {
        if file.write_all(&piece[..size]).is_err() {
            size /= 2;
        }
    }
}

/// Asks until there is no room, since the server itself frees some now and then: that is said, and
/// nothing of where. Gives how often there was room.
#[track_caller]
fn refused(ask: impl Fn(usize) -> Answer, done: u16) -> usize {
    for count in 0..1000 {
        let answer = ask(count);
        if answer.status == done {
            continue;
        }
        let said = answer.status(507).json();
        assert_eq!(said, json!({ "detail": "the disk is full" }));
        return count;
    }
    panic!("there is always room");
}

#[test]
fn a_full_disk_is_told_and_what_was_seen_meanwhile_is_stored_once_there_is_room() {
    let world = World::empty();
    let disk = world.path("disk");
    let Some(_small) = SmallDisk::mount(&disk, "24m") else {
        return;
    };
    let store = disk.join("store").display().to_string();
    let server = {
        let mut command = world.command(["serve", "--json", "--listen", "127.0.0.1:0"]);
        command.args(["--demo-camera", "--store", &store]);
        Server::of(command.env("KEEPWATCH_LOG", "info"))
    };
    let ada = server.set_up();
    let mut stream = ada.follow(Some(0));
    let first = stream.find(|event| event["kind"] == "motion" && event["snapshot"] == true);
    let lasting = stream.find(|event| event["id"] != first["id"]);
    let before = ada.get("/api/v1/events?limit=1000");
    let zoe = json!({ "name": "zoe", "password": PASSWORD, "role": "viewer" });
    ada.send("POST", "/api/v1/users", &zoe).status(201);

    let filler = Filler::start(disk.join("filler"));
    // What is to be kept is refused, and what is there can be seen.
    let user = |count: usize| {
        let name = format!("user{count:03}");
        json!({ "name": name, "password": PASSWORD, "role": "viewer" })
    };
    let add = |count: usize| ada.send("POST", "/api/v1/users", &user(count));
    let added = refused(add, 201);
    let log_in = json!({ "user": "ada", "password": PASSWORD });
    refused(|_| server.ask("POST", "/api/v1/session", &log_in), 200);
    let picture = format!("/api/v1/events/{}/snapshot", first["id"].as_str().unwrap());
    let read = |when: &str| {
        let events = ada.get("/api/v1/events?limit=1000");
        let ids = |events: &Value| -> Vec<Value> {
            let events = events["events"].as_array().unwrap().iter();
            events.map(|event| event["id"].clone()).collect()
        };
        let now = ids(&events);
        for id in ids(&before) {
            assert!(now.contains(&id), "{when}: {id} is gone");
        }
        assert!(ada.ask(&picture).status(200).body.starts_with(b"\xff\xd8"));
    };
    read("full");
    let system = ada.get("/api/v1/system");
    let problems = system["problems"].to_string();
    assert!(problems.contains("a twentieth"), "{problems}");
    // Events cannot be stored, and whoever watches the server hears of it.
    server.program.wait_for(0, "cannot store events");
    assert_eq!(server.readiness(), (503, "store".to_owned()));
    assert_eq!(server.ask("GET", "/livez", &Value::Null).status, 200);
    read("failing");

    drop(filler);
    // The end of what lasted, and what came after it.
    let ended = stream.find(|event| event["id"] == lasting["id"] && event["ended_at"].is_string());
    let later = stream.find(|event| event["kind"] == "motion" && event["ended_at"].is_null());
    assert!(later["number"].as_u64() > ended["number"].as_u64());
    ada.until("/api/v1/events", |_| {
        server.readiness() == (200, "ok".to_owned())
    });
    read("freed");
    server.log_in();
    // It may be there: what cannot be written down is refused, also when it is done.
    assert!([201, 409].contains(&add(added).status));
    let users = ada.get("/api/v1/users");
    let users = users["users"].as_array().unwrap().iter();
    let users: Vec<Value> = users.map(|user| user["name"].clone()).collect();
    let mut expected = vec![json!("ada")];
    expected.extend((0..=added).map(|count| user(count)["name"].clone()));
    expected.push(json!("zoe"));
    assert_eq!(users, expected);
    let said = server.stop();
    assert!(!said.contains("are lost"), "{said}");
    world
        .run(["events", "verify", "--store", &store, "--media"])
        .ok();
}
