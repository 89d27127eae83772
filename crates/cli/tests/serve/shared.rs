//! Several hosts on one PostgreSQL database.

use std::fs;
use std::process::Command;

use keepwatch_testkit::postgres::{PASSWORD, Postgres};
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Stream;
use crate::life::sealed;
use crate::program::{Browser, Program, Server};
use crate::world::{World, run};

/// A server of databases, and a world in which a file says where it is: no command line does.
struct Hosts {
    world: World,
    postgres: Postgres,
    url: String,
}

impl Hosts {
    fn new() -> Self {
        let postgres = Postgres::start();
        postgres.create_database("events");
        let url = postgres.tcp_url("events");
        let world = World::empty();
        world.write("address", format!("{url}\n"));
        world.write(
            "keepwatch.toml",
            "[store]\npath = \"file:address\"\nmedia = \"media\"\n",
        );
        Self {
            world,
            postgres,
            url,
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        command.args(["--config", "keepwatch.toml"]);
        command
    }

    /// The address comes by the environment here.
    fn server(&self, options: &[&str]) -> Server {
        let serve = ["serve", "--json", "--listen", "127.0.0.1:0", "--media-dir"];
        let mut command = self.world.command(serve);
        command.arg("media").args(options);
        command
            .env("KEEPWATCH_STORE", &self.url)
            .env("KEEPWATCH_LOG", "info");
        Server::of(&mut command)
    }

    /// A host that watches a camera.
    fn host(&self, camera: &str) -> Program {
        let config = format!(
            "[store]\npath = \"file:address\"\nmedia = \"media\"\n\
             [cameras.{camera}]\nurl = \"test:ball\"\nmax_clip = \"10s\"\n"
        );
        let file = format!("{camera}.toml");
        self.world.write(&file, config);
        let mut command = self.world.command(["watch", "--json", "--config", &file]);
        Program::start(command.env("KEEPWATCH_LOG", "info"))
    }

    fn list(&self) -> Vec<Value> {
        let mut command = self.world.command(["events", "list", "--json"]);
        command
            .args(["--media-dir", "media"])
            .env("KEEPWATCH_STORE", &self.url);
        run(&mut command).ok().json().as_array().unwrap().clone()
    }

    fn verify(&self) {
        let mut command = self.world.command(["events", "verify", "--media"]);
        command
            .args(["--media-dir", "media"])
            .env("KEEPWATCH_STORE", &self.url);
        run(&mut command).ok();
    }
}

/// The first motion of each of two cameras, whichever comes first.
fn first_of(stream: &mut Stream, cameras: [&str; 2]) -> [Value; 2] {
    let mut begun = [Value::Null, Value::Null];
    while begun.iter().any(Value::is_null) {
        let event = stream.find(|event| event["kind"] == "motion");
        let at = usize::from(motion_of(cameras[1])(&event));
        begun[at] = event;
    }
    begun
}

fn motion_of(camera: &str) -> impl Fn(&Value) -> bool {
    move |event| event["camera"] == camera && event["kind"] == "motion"
}

#[test]
fn events_of_all_hosts_are_listed_told_and_played() {
    let hosts = Hosts::new();
    let server = hosts.server(&[]);
    let ada = server.set_up();
    let mut stream = ada.follow(None);
    let watching = [hosts.host("yard"), hosts.host("door")];
    let begun = first_of(&mut stream, ["yard", "door"]);
    let listed = ada.get("/api/v1/events?kind=motion");
    for camera in ["yard", "door"] {
        let events = listed["events"].as_array().unwrap();
        assert!(events.iter().any(motion_of(camera)), "{listed:#}");
    }
    for host in watching {
        let (code, said) = host.stop();
        assert!([0, 130].contains(&code), "{code}: {said}");
    }
    for event in &begun {
        let path = format!("/api/v1/events/{}", event["id"].as_str().unwrap());
        let ended = ada.until(&path, |event| event["clip"]["complete"] == true);
        assert!(ended["ended_at"].is_string(), "{ended:#}");
        let told = stream.find(|told| told["id"] == event["id"] && !told["clip"].is_null());
        assert_eq!(told, ended);
        let clip = ada.ask(&format!("{path}/clip")).status(200);
        let scanned = keepwatch_vision::mp4::scan(&clip.body[..]).unwrap();
        assert!(!scanned.cut && scanned.whole_bytes == clip.body.len() as u64);
        let picture = ada.ask(&format!("{path}/snapshot")).status(200);
        assert!(picture.body.starts_with(b"\xff\xd8"));
    }
    // Where the files are not, that is all that is missing.
    fs::rename(
        hosts.world.path("media/media"),
        hosts.world.path("elsewhere"),
    )
    .unwrap();
    let path = format!("/api/v1/events/{}", begun[0]["id"].as_str().unwrap());
    ada.ask(&path).status(200);
    let missing = ada.ask(&format!("{path}/clip")).status(404).json();
    assert!(!missing.to_string().contains("media"), "{missing}");
    fs::rename(
        hosts.world.path("elsewhere"),
        hosts.world.path("media/media"),
    )
    .unwrap();
    server.stop();
    hosts.verify();
    sealed(&hosts.world.path("media/media"));
}

/// Each reads something else of the store.
const ASKED: [&str; 8] = [
    "/api/v1/events",
    "/api/v1/events/summary",
    "/api/v1/segments",
    "/api/v1/faces",
    "/api/v1/audit",
    "/api/v1/system",
    "/api/v1/events/00000000-0000-7000-8000-000000000000",
    "/events",
];

fn unavailable(ada: &Browser, path: &str) {
    let answer = ada.ask(path);
    assert_eq!(answer.status, 503, "{path}: {}", answer.json());
    assert!(answer.header("retry-after").is_some(), "{path}");
    let said = answer.json();
    assert!(said["detail"].is_string(), "{path}: {said}");
    for inside in [
        "postgres",
        "127.0.0.1",
        "keepwatch@",
        "SQL",
        "connection",
        "/",
    ] {
        assert!(!said["detail"].as_str().unwrap().contains(inside), "{said}");
    }
}

#[test]
fn a_database_that_goes_away_is_503_and_nothing_is_lost_when_it_is_back() {
    let mut hosts = Hosts::new();
    // The server watches, too.
    let server = hosts.server(&["--camera", "own=test:ball"]);
    let ada = server.set_up();
    let host = hosts.host("yard");
    let mut stream = ada.follow(Some(0));
    let begun = first_of(&mut stream, ["yard", "own"]);

    hosts.postgres.stop();
    for path in ASKED {
        unavailable(&ada, path);
    }
    assert_eq!(server.readiness(), (503, "store".to_owned()));
    assert_eq!(server.ask("GET", "/livez", &Value::Null).status, 200);
    let body = serde_json::json!({ "user": "ada", "password": crate::program::PASSWORD });
    let refused = server.ask("POST", "/api/v1/session", &body).status(503);
    assert!(refused.json()["detail"].is_string());
    let patch = serde_json::json!({ "fps_target": 3.0 });
    let refused = ada.send("PATCH", "/api/v1/cameras/own", &patch).status(503);
    assert!(refused.json()["detail"].is_string());
    server.program.wait_for(0, "events cannot be read");
    // What the host sees meanwhile is to be kept until there is a database again.
    host.wait_for(0, "cannot store events");

    hosts.postgres.restart();
    server.program.wait_for(0, "events can be read again");
    for path in ASKED {
        let status = ada.ask(path).status;
        assert!([200, 404].contains(&status), "{path}: {status}");
    }
    ada.until("/api/v1/events", |_| server.readiness().0 == 200);
    // Nor does who comes first meet a connection that nobody has used meanwhile.
    server.log_in();
    // The same stream goes on, and nothing is missing in it.
    let ended = stream.find(|event| {
        event["id"] == begun[0]["id"] && event["ended_at"].is_string() && !event["clip"].is_null()
    });
    assert!(ended["number"].as_u64() > begun[0]["number"].as_u64());
    let (code, said) = host.stop();
    assert!([0, 130].contains(&code), "{code}: {said}");
    server.program.signal(Signal::TERM);
    let mut last = Value::Null;
    while let Some(event) = stream.next().unwrap() {
        last = event;
    }
    let (code, said) = server.program.end();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(last["id"], begun[1]["id"], "{last:#}");
    assert!(
        last["ended_at"].is_string() && !last["clip"].is_null(),
        "{last:#}"
    );
    for event in hosts.list() {
        assert!(event["ended_at"].is_string(), "{event:#}");
    }
    hosts.verify();
    sealed(&hosts.world.path("media/media"));
}

#[test]
fn a_server_that_cannot_listen_says_so_and_no_more() {
    let hosts = Hosts::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = run(&mut hosts.command(&["serve", "--listen", &address])).code(1);
    assert!(ran.stderr.contains("cannot listen"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

/// What the password looks like, plain and in an address.
fn assert_secret(what: &str, text: &str) {
    let encoded: String = PASSWORD
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    for form in [PASSWORD, &encoded[..], &PASSWORD[5..], &encoded[12..]] {
        assert!(!text.contains(form), "{form} is in {what}: {text}");
    }
}

#[test]
fn the_password_of_the_database_comes_out_nowhere() {
    let mut hosts = Hosts::new();
    let server = {
        let mut command = hosts.command(&["serve", "--json", "--listen", "127.0.0.1:0", "-vvv"]);
        Server::of(command.env("KEEPWATCH_LOG", "trace"))
    };
    let ada = server.set_up();
    let line = fs::read(format!("/proc/{}/cmdline", server.program.id())).unwrap();
    assert_secret("the command line", &String::from_utf8_lossy(&line));
    for path in ASKED.iter().chain(&["/metrics", "/api/v1/openapi.json"]) {
        let answer = ada.ask(path);
        assert_secret(path, &String::from_utf8_lossy(&answer.body));
    }
    hosts.postgres.stop();
    for path in ASKED {
        let answer = ada.ask(path);
        assert_secret(path, &String::from_utf8_lossy(&answer.body));
    }
    for json in [&["--json"][..], &["-vvv"]] {
        for args in [&["events", "list"][..], &["watch", "--camera", "a=test:"]] {
            let mut command = hosts.world.command(args);
            command
                .args(json)
                .args(["--media-dir", "media"])
                .env("KEEPWATCH_STORE", &hosts.url)
                .env("KEEPWATCH_LOG", "trace");
            let ran = run(&mut command).code(11);
            assert_secret("an error", &format!("{}{}", ran.stderr, ran.text()));
        }
    }
    hosts.postgres.restart();
    // A wrong one, an address that cannot be read, and one where there is no place for a media.
    let wrong = hosts.url.replace("%70%61%73%73", "%70%61%73%71");
    let unreadable = hosts.url.replace("127.0.0.1", "127.0.0.1:x");
    for (url, code) in [(&wrong, 1), (&unreadable, 1)] {
        let mut command = hosts.world.command(["serve", "--media-dir", "media"]);
        let ran = run(command
            .env("KEEPWATCH_STORE", url)
            .env("KEEPWATCH_LOG", "trace"))
        .code(code);
        let said = format!("{}{}", ran.stderr, ran.text());
        assert_secret("an error", &said);
        assert!(!said.contains("pasq:w"), "{said}");
    }
    let mut command = hosts.world.command(["serve"]);
    let ran = run(command.env("KEEPWATCH_STORE", &hosts.url)).code(2);
    assert!(ran.stderr.contains("--media-dir"), "{}", ran.stderr);
    assert_secret("an error", &ran.stderr);
    let said = server.stop();
    assert_secret("the log", &said);
}
