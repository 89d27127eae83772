//! A server that runs, and a browser before it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::client::{Answer, PATIENCE, Stream, connect, exchange};
use crate::world::World;

/// A good password.
pub const PASSWORD: &str = "correct horse battery";

/// What a program has said on standard error, line by line.
#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// A program that runs until it is told to stop.
pub struct Program {
    child: Child,
    said: Arc<Said>,
    listening: Option<JoinHandle<()>>,
    pub stdout: BufReader<ChildStdout>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Said::default());
        let (lines, hears) = (BufReader::new(child.stderr.take().unwrap()), said.clone());
        let listening = std::thread::spawn(move || {
            for line in lines.lines() {
                hears.lines.lock().unwrap().push(line.unwrap());
                hears.more.notify_all();
            }
        });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            said,
            listening: Some(listening),
            stdout,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line on standard output, without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it ended: {}", self.said());
        line.trim_end().to_owned()
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).unwrap();
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.said.lines.lock().unwrap().join("\n")
    }

    /// How many lines it has said so far.
    pub fn mark(&self) -> usize {
        self.said.lines.lock().unwrap().len()
    }

    /// Waits for a line with this text after a mark.
    #[track_caller]
    pub fn wait_for(&self, mark: usize, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.said.lines.lock().unwrap();
        loop {
            if let Some(line) = lines[mark..].iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it never said {text:?}: {lines:?}");
            lines = self.said.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits for its end; gives the exit code and all that it said.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        self.listening.take().unwrap().join().unwrap();
        (status.code().unwrap_or(-1), self.said())
    }

    /// Ends it as a service manager does.
    #[track_caller]
    pub fn stop(self) -> (i32, String) {
        self.signal(Signal::TERM);
        self.end()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, but for a test that failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server, with what it said when it was ready.
pub struct Server {
    pub program: Program,
    pub ready: Value,
    pub address: SocketAddr,
}

impl Server {
    /// On a store in the world, with a key file.
    #[track_caller]
    pub fn start(world: &World, options: &[&str]) -> Self {
        let mut command = world.command(["serve", "--json", "--listen", "127.0.0.1:0"]);
        command.args(["--store", "store"]).args(options);
        Self::of(command.env("KEEPWATCH_LOG", "info"))
    }

    /// Of a whole command line, which has `--json`.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        let mut program = Program::start(command);
        let ready: Value = serde_json::from_str(&program.line()).unwrap();
        let url = ready["urls"][0].as_str().unwrap();
        let (_, address) = url.trim_end_matches('/').split_once("://").unwrap();
        Self {
            address: address.parse().unwrap(),
            program,
            ready,
        }
    }

    /// A request of nobody.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        exchange(connect(self.address), (method, path), &[], &body)
    }

    /// The first admin.
    #[track_caller]
    pub fn set_up(&self) -> Browser {
        let code = self.ready["setup_code"].as_str().expect("there is a code");
        let body = json!({ "code": code, "user": "ada", "password": PASSWORD });
        let answer = self.ask("POST", "/api/v1/setup", &body).status(201);
        Browser::of(self.address, &answer)
    }

    /// Logs in as that.
    #[track_caller]
    pub fn log_in(&self) -> Browser {
        let body = json!({ "user": "ada", "password": PASSWORD });
        let answer = self.ask("POST", "/api/v1/session", &body).status(200);
        Browser::of(self.address, &answer)
    }

    /// What nobody needs to log in for.
    pub fn readiness(&self) -> (u16, String) {
        let answer = self.ask("GET", "/readyz", &Value::Null);
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    /// Ends it as a service manager does: it must be in order.
    #[track_caller]
    pub fn stop(self) -> String {
        let (code, said) = self.program.stop();
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }
}

/// A browser that is logged in.
pub struct Browser {
    address: SocketAddr,
    cookie: String,
    csrf: String,
}

impl Browser {
    #[track_caller]
    fn of(address: SocketAddr, answer: &Answer) -> Self {
        let cookie = answer.header("set-cookie").unwrap();
        Self {
            address,
            cookie: cookie.split(';').next().unwrap().to_owned(),
            csrf: answer.json()["csrf"].as_str().unwrap().to_owned(),
        }
    }

    fn headers(&self) -> [(&str, &str); 2] {
        [("Cookie", &self.cookie), ("X-CSRF-Token", &self.csrf)]
    }

    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let stream = connect(self.address);
        exchange(stream, (method, path), &self.headers(), &body)
    }

    pub fn ask(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null)
    }

    /// What is there.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.ask(path).status(200).json()
    }

    /// Asks until it is as wanted.
    #[track_caller]
    pub fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.get(path);
            if wanted(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "{path} stays {found:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// New events, after a number if one is given.
    pub fn follow(&self, after: Option<u64>) -> Stream {
        let after = after.map(|number| number.to_string());
        let mut headers = self.headers().to_vec();
        if let Some(after) = &after {
            headers.push(("Last-Event-ID", after));
        }
        Stream::open(self.address, "/api/v1/events/stream", &headers)
    }

    /// The names of the cameras.
    pub fn cameras(&self) -> Vec<String> {
        names(&self.get("/api/v1/cameras"))
    }
}

pub fn names(cameras: &Value) -> Vec<String> {
    let cameras = cameras["cameras"].as_array().unwrap().iter();
    let mut names: Vec<String> = cameras
        .map(|camera| camera["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Reads all that is left.
pub fn rest(mut reader: impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    rest
}
