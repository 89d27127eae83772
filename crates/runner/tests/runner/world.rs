//! A configuration with repositories, a clock, and somebody who hears.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_config::Config;
use keepwatch_core::storage::LocalStorage;
use keepwatch_core::{CachePlace, Repository, Silent, Snapshot};
use keepwatch_runner::{Asked, Finished, Repositories, RunRecord, Runner, Setup, State};
use keepwatch_testkit::{tree, vault};
use serde_json::Value;
use tokio::runtime::Runtime;

/// No wait of a test takes longer.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// 2026-11-05T12:00:00Z, a Thursday.
pub const NOON: i64 = 1_793_880_000;

pub struct World {
    pub dir: tempfile::TempDir,
    /// Milliseconds.
    clock: Arc<AtomicI64>,
}

impl World {
    /// With sources, and without a repository.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), vault::KEY_FILE).unwrap();
        tree::write(dir.path(), "source/a", tree::noise(40_000, 1));
        tree::write(dir.path(), "source/deep/b", b"b");
        Self {
            dir,
            clock: Arc::new(AtomicI64::new(NOON * 1000)),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn init(&self, name: &str) -> Repository {
        let storage = LocalStorage::create_dir(self.path(name)).unwrap();
        vault::init(Arc::new(storage), &vault::small(), &self.path("cache"))
    }

    pub fn open(&self, name: &str) -> Repository {
        let storage = LocalStorage::open(self.path(name)).unwrap();
        vault::open(Arc::new(storage), &self.path("cache")).unwrap()
    }

    /// Snapshots of a repository, the oldest first.
    pub fn snapshots(&self, name: &str) -> Vec<Snapshot> {
        let (snapshots, problems) = self.open(name).snapshots().unwrap();
        assert!(problems.is_empty());
        snapshots
            .into_iter()
            .map(|(_, snapshot)| snapshot)
            .collect()
    }

    pub fn later(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub fn setup(&self) -> Setup {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
        let cache = CachePlace::Dir(self.path("cache"));
        let clock = self.clock.clone();
        Setup {
            state: State::open(&self.path("state")).unwrap(),
            repositories: Repositories::new(cache, runtime.handle().clone()),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            clock: Arc::new(move || {
                Timestamp::from_millisecond(clock.load(Ordering::Relaxed)).unwrap()
            }),
            zone: TimeZone::UTC,
            program: "test".to_owned(),
        }
    }

    /// A runner of two repositories `disk` and `other`, and of these jobs. `@` is the folder.
    pub fn runner(&self, jobs: &str) -> Runner {
        Runner::new(Arc::new(self.config(jobs)), self.setup()).unwrap()
    }

    pub fn config(&self, jobs: &str) -> Config {
        let text = format!(
            "[repositories.disk]\npath = \"@/disk\"\nkey_file = \"@/key\"\n\
             [repositories.other]\npath = \"@/other\"\nkey_file = \"@/key\"\n{jobs}"
        );
        let text = text.replace('@', self.dir.path().to_str().unwrap());
        let read = |path: &str| std::fs::read_to_string(path);
        let loaded = Config::load(Some(&text), &BTreeMap::new(), &read);
        loaded.unwrap().config
    }

    /// What waits to be told.
    pub fn told(&self) -> Vec<Value> {
        let Ok(dir) = std::fs::read_dir(self.path("state/spool")) else {
            return Vec::new();
        };
        let mut told: Vec<(PathBuf, Value)> = dir
            .filter_map(|entry| {
                let path = entry.unwrap().path();
                let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).ok()?;
                value.get("notification")?;
                Some((path, value))
            })
            .collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told.into_iter().map(|(_, value)| value).collect()
    }
}

/// Runs a job that is there.
pub fn finish(runner: &Runner, job: &str) -> Finished {
    let asked = Asked {
        by: "test",
        id: None,
        progress: &Silent,
        stop: Arc::new(AtomicBool::new(false)),
    };
    runner.run(job, asked).unwrap()
}

pub fn run(runner: &Runner, job: &str) -> RunRecord {
    finish(runner, job).record
}

/// A program of a few lines.
pub fn script(path: &Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Hears requests of HTTP, and says that all is well.
pub struct Ear {
    port: u16,
    requests: Receiver<(String, String)>,
}

impl Ear {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if line.trim().is_empty() {
                        break;
                    }
                    lines.push(line.trim().to_ascii_lowercase());
                }
                let length = lines
                    .iter()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                reader.read_exact(&mut body).unwrap();
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                reader.get_mut().write_all(answer).unwrap();
                let heard = (lines[0].clone(), String::from_utf8(body).unwrap());
                if sender.send(heard).is_err() {
                    return;
                }
            }
        });
        Self { port, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next request: its line, and what came with it.
    pub fn next(&self) -> (String, String) {
        self.requests.recv_timeout(PATIENCE).expect("a request")
    }

    pub fn has_none(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}
