//! From the first line to the end.

use std::io::{BufReader, Write as _};
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{connect, head, read_answer, read_head};
use crate::program::{PASSWORD, Program, Server, rest};
use crate::world::{World, fields};

#[test]
fn people_are_told_where_it_is_and_how_to_begin() {
    let world = World::empty();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--store", "store"];
    let mut program = Program::start(&mut world.command(serve));
    let url = program.line();
    let address = url.strip_prefix("serving at http://").unwrap();
    let address = address.strip_suffix('/').unwrap().parse().unwrap();
    let how = program.line();
    let (_, code) = how.split_once("with the code ").unwrap();
    let server = Server {
        ready: json!({ "setup_code": code }),
        address,
        program,
    };
    assert_eq!(server.readiness(), (200, "ok".to_owned()));
    server.set_up();
    // It works once.
    let again = json!({ "code": code, "user": "eve", "password": PASSWORD });
    server.ask("POST", "/api/v1/setup", &again).status(401);
    server.stop();

    let mut program = Program::start(&mut world.command(serve));
    program.line();
    assert_eq!(
        program.line(),
        "open that address with a browser and log in"
    );
    program.signal(Signal::INT);
    let stdout = std::mem::replace(&mut program.stdout, BufReader::new(never()));
    assert_eq!(program.end().0, 0);
    assert_eq!(rest(stdout), b"");
}

/// The standard output of something that says nothing.
fn never() -> std::process::ChildStdout {
    let mut child = std::process::Command::new("true")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    child.wait().unwrap();
    stdout
}

#[test]
fn programs_are_told_the_same() {
    let world = World::empty();
    let server = Server::start(&world, &[]);
    assert_eq!(fields(&server.ready), ["setup_code", "urls"]);
    assert_eq!(
        server.ready["urls"],
        json!([format!("http://{}/", server.address)])
    );
    let code = server.ready["setup_code"].as_str().unwrap();
    assert_eq!(code.len(), 19, "{code}");
    server.set_up();
    let setup = server.ask("GET", "/api/v1/setup", &Value::Null).json();
    assert_eq!(setup, json!({ "needed": false }));
    server.stop();

    let server = Server::start(&world, &[]);
    assert_eq!(fields(&server.ready), ["urls"]);
    server.log_in();
    server.stop();
}

#[test]
fn what_the_demo_camera_shows_is_recorded_and_the_end_is_in_order() {
    let world = World::empty();
    let server = Server::start(&world, &["--demo-camera"]);
    let ada = server.set_up();
    let mut stream = ada.follow(Some(0));
    let begun = stream.find(|event| event["kind"] == "motion");
    assert_eq!(begun["camera"], "demo");
    // The ball never rests, and what lasts goes on in another event.
    let first = ada.until(
        &format!("/api/v1/events/{}", begun["id"].as_str().unwrap()),
        |event| event["snapshot"] == true && event["clip"]["complete"] == true,
    );
    assert!(first["ended_at"].is_string(), "{first:#}");
    let listed = ada.get("/api/v1/events?camera=demo&order=asc");
    assert_eq!(listed["events"][0]["id"], begun["id"]);
    let of = |part: &str| {
        let path = format!("/api/v1/events/{}/{part}", begun["id"].as_str().unwrap());
        ada.ask(&path).status(200)
    };
    assert_eq!(of("snapshot").header("content-type"), Some("image/jpeg"));
    assert!(of("snapshot").body.starts_with(b"\xff\xd8"));
    assert_eq!(of("clip").header("content-type"), Some("video/mp4"));
    let lasting = stream.find(|event| event["id"] != begun["id"] && event["ended_at"].is_null());

    // One request that is half there, and one connection that nothing comes through.
    let body = json!({ "user": "ada", "password": PASSWORD }).to_string();
    let (first, second) = body.as_bytes().split_at(9);
    let mut asking = connect(server.address);
    let request = head("POST", "/api/v1/session", &[], body.len());
    asking.write_all(request.as_bytes()).unwrap();
    asking.write_all(first).unwrap();
    let mut idle = connect(server.address);
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut idle = BufReader::new(idle);
    assert_eq!(read_head(&mut idle).0, 200);
    // It is certain that the server has taken the other one when one that came after is answered.
    ada.get("/api/v1/system");

    server.program.signal(Signal::TERM);
    server.program.wait_for(0, "stopping");
    // Who listens hears of the end of what lasted, and then that it is over.
    let mut last = lasting;
    while let Some(event) = stream.next().expect("it ends in order") {
        last = event;
    }
    assert!(last["ended_at"].is_string(), "{last:#}");
    assert_eq!(last["clip"]["complete"], true, "{last:#}");
    asking.write_all(second).unwrap();
    assert_eq!(read_answer(asking).status, 200);
    rest(idle);
    let (code, said) = server.program.end();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("cut off"), "{said}");

    nothing_is_open(&world);
    let clip = last["id"].as_str().unwrap();
    world
        .run([
            "events", "export", "--store", "store", "--clip", clip, "-o", "clip.mp4",
        ])
        .ok();
    let bytes = std::fs::read(world.path("clip.mp4")).unwrap();
    let scanned = keepwatch_vision::mp4::scan(&bytes[..]).unwrap();
    assert!(!scanned.cut, "{scanned:?}");
    let probed = world.run(["camera", "probe", "--json", "clip.mp4"]).ok();
    assert!(probed.json()["frames"].as_u64().unwrap() > 10);
}

/// Every event has ended, every file is sealed, and the chain says so.
pub fn nothing_is_open(world: &World) {
    let listed = world.run(["events", "list", "--store", "store", "--json"]);
    for event in listed.ok().json().as_array().unwrap() {
        assert!(event["ended_at"].is_string(), "{event:#}");
    }
    sealed(&world.path("store/media"));
    world
        .run(["events", "verify", "--store", "store", "--media"])
        .ok();
}

/// All files beneath a folder are sealed and whole.
pub fn sealed(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => assert!(path.extension().unwrap() == "kw", "{}", path.display()),
            }
        }
    }
}

#[test]
fn whoever_asks_twice_does_not_wait() {
    let world = World::empty();
    let server = Server::start(&world, &["--demo-camera"]);
    let mut asking = connect(server.address);
    // It would be waited for.
    let request = head("POST", "/api/v1/session", &[], 100);
    asking.write_all(request.as_bytes()).unwrap();
    let ada = server.set_up();
    let mut stream = ada.follow(Some(0));
    server.program.signal(Signal::TERM);
    server.program.wait_for(0, "stopping");
    // When streams end, recordings have.
    while stream.next().unwrap().is_some() {}
    server.program.signal(Signal::TERM);
    assert_eq!(server.program.end().0, 130);
    nothing_is_open(&world);
}

#[test]
fn logs_are_json_with_the_ids_of_requests() {
    let world = World::empty();
    let server = Server::start(&world, &["--log-format", "json"]);
    let found = server.ask("GET", "/readyz", &Value::Null);
    let missing = server.ask("GET", "/nowhere", &Value::Null);
    let lines: Vec<Value> = server
        .stop()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    for line in &lines {
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
    for (answer, route) in [(found, "/readyz"), (missing, "")] {
        let id = answer.header("x-request-id").unwrap();
        let of = |line: &&Value| line["span"]["id"] == id;
        let line = lines.iter().find(of).expect("it is logged");
        assert_eq!(line["status"], answer.status);
        assert_eq!(line["span"]["route"], route);
        assert_eq!(line["span"]["method"], "GET");
    }
    let distinct: std::collections::BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line["span"]["id"].as_str())
        .collect();
    assert_eq!(distinct.len(), 2);
}
