//! A database that another process has locked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::program::{PASSWORD, Server};
use crate::world::World;

/// Holds the lock of writers, as a process does that is stopped in its transaction: byte 120 of the
/// shared memory of the log (<https://www.sqlite.org/walformat.html>, section 2.3.1).
const HOLD: &str = "
import fcntl, sys
log = open(sys.argv[1], 'r+b')
fcntl.lockf(log, fcntl.LOCK_EX, 1, 120)
print('held', flush=True)
sys.stdin.read()
";

struct Held(Child);

impl Held {
    fn take(store: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", HOLD])
            .arg(store.join("events.db-shm"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed: Rust has no safe locks of a byte");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }

    fn release(mut self) {
        self.0.stdin.take().unwrap().flush().unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn a_locked_database_is_503_for_who_writes_and_nothing_is_lost() {
    let world = World::empty();
    let server = Server::start(&world, &["--demo-camera"]);
    let ada = server.set_up();
    let mut stream = ada.follow(Some(0));
    let lasting = stream.find(|event| event["kind"] == "motion" && event["ended_at"].is_null());
    let held = Held::take(&world.path("store"));
    let log_in = json!({ "user": "ada", "password": PASSWORD });
    std::thread::scope(|scope| {
        // Those that wait for each other as well as for the lock are answered all the same.
        let waiting: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| server.ask("POST", "/api/v1/session", &log_in)))
            .collect();
        // Whoever reads does not wait.
        ada.get("/api/v1/events");
        ada.get("/api/v1/system");
        for answer in waiting {
            let answer = answer.join().unwrap();
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.header("retry-after").is_some());
            let said = answer.json();
            assert_eq!(
                said,
                json!({ "detail": "the event store cannot be reached" })
            );
        }
    });
    server.program.wait_for(0, "cannot store events");
    assert_eq!(server.readiness(), (503, "store".to_owned()));
    held.release();
    stream.find(|event| event["id"] == lasting["id"] && event["ended_at"].is_string());
    server.log_in();
    ada.until("/api/v1/events", |_| server.readiness().0 == 200);
    let said = server.stop();
    assert!(!said.contains("are lost"), "{said}");
    crate::life::nothing_is_open(&world);
}
