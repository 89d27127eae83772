//! Snapshots as files: `keepwatch webdav` and `keepwatch mount`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use keepwatch_testkit::tree;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::world::World;

/// A command that goes on until it is stopped, and has said that it is ready.
struct Running {
    child: Child,
    ready: Value,
    /// Open as long as it runs: whoever cannot write ends.
    _output: BufReader<ChildStdout>,
}

impl Running {
    fn start(world: &World, args: &[&str]) -> Self {
        let mut command = world.command(args);
        let child = command.arg("--json").stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Self {
            child,
            ready: serde_json::from_str(&line).unwrap_or_else(|_| panic!("it is ready: {line:?}")),
            _output: output,
        }
    }

    fn says(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap()
    }

    /// Stops it once; gives its exit code.
    fn stop(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

/// A test that fails leaves nothing mounted.
impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// A world with a snapshot of `src`, and the path of that beneath the snapshot's root.
fn backed_up() -> (World, String) {
    let world = World::new();
    world.write("src/a", tree::noise(100_000, 1));
    world.write("src/deep/b", b"b");
    world.backup("src");
    let source = world.path("src").canonicalize().unwrap();
    (world, source.to_str().unwrap().to_owned())
}

/// The status and the body that a server answers a GET with.
fn get(url: &str) -> (u16, Vec<u8>) {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let is_end = |part: &[u8]| part == b"\r\n\r\n";
    let end = answer.windows(4).position(is_end).unwrap();
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

#[test]
fn a_browser_gets_what_was_backed_up() {
    let (world, source) = backed_up();
    let server = Running::start(&world, &["webdav", "--listen", "127.0.0.1:0"]);
    let url = server.says("url").trim_end_matches('/');
    let (status, body) = get(&format!("{url}/latest{source}/a"));
    assert_eq!(status, 200);
    assert!(body == tree::noise(100_000, 1));
    assert_eq!(get(&format!("{url}/latest{source}/none")).0, 404);
    // Who does not know the address sees nothing.
    let (open, _) = url.rsplit_once('/').unwrap();
    assert_eq!(get(&format!("{open}/latest{source}/a")).0, 404);
    assert_eq!(server.stop(Signal::INT), Some(0));
}

#[test]
fn a_server_may_be_open_to_this_machine_and_to_no_other() {
    let (world, source) = backed_up();
    let server = Running::start(&world, &["webdav", "--listen", "127.0.0.1:0", "--open"]);
    let url = server.says("url").trim_end_matches('/');
    assert_eq!(
        get(&format!("{url}/latest{source}/deep/b")),
        (200, b"b".to_vec())
    );
    assert_eq!(server.stop(Signal::TERM), Some(0));
    world.run(["webdav", "--listen", "0.0.0.0:0"]).code(2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_mount_shows_what_was_backed_up_until_ctrl_c() {
    let (world, source) = backed_up();
    let at = world.path("mnt");
    fs::create_dir(&at).unwrap();
    let mounted = Running::start(&world, &["mount", "mnt"]);
    assert_eq!(mounted.says("mounted"), "mnt");
    assert!(is_mounted(&at));
    let inside: PathBuf = at.join("latest").join(source.trim_start_matches('/'));
    tree::assert_same_tree(&world.path("src"), &inside);
    assert_eq!(mounted.stop(Signal::INT), Some(0));
    assert!(!is_mounted(&at));
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_mount_ends_with_umount() {
    let (world, _) = backed_up();
    let at = world.path("mnt");
    fs::create_dir(&at).unwrap();
    let mut mounted = Running::start(&world, &["mount", "mnt"]);
    let unmounted = std::process::Command::new("fusermount3")
        .arg("-u")
        .arg(&at)
        .status();
    assert!(unmounted.unwrap().success());
    assert_eq!(mounted.child.wait().unwrap().code(), Some(0));
    // Nothing is mounted where nothing is.
    world.run(["mount", "no-such-folder"]).code(1);
}

fn is_mounted(at: &Path) -> bool {
    let at = at.canonicalize().unwrap();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.contains(at.to_str().unwrap())
}
