//! A directory of its own for every test, and the binary in it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What a call of the binary did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    /// It must have ended so.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, expected, "{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The one JSON value on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }

    /// The JSON values on standard output, one a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A home, a key and a place for a repository.
pub struct World {
    dir: TempDir,
}

impl World {
    /// How many snapshots are listed.
    pub fn snapshot_count(&self) -> usize {
        let listed = self.run(["snapshots", "--json"]).ok().json();
        listed.as_array().unwrap().len()
    }

    /// Without a repository.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), [7; 32]).unwrap();
        Self { dir }
    }

    /// With a repository that the key file opens.
    pub fn new() -> Self {
        let world = Self::empty();
        world.run(["init"]).ok();
        world
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, and the directories above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A command line without any credential.
    pub fn bare<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepwatch"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("USER", "tester")
            .env("TZ", "UTC")
            .env("COLUMNS", "100")
            .env("KEEPWATCH_REPO", self.path("repo"))
            .stdin(Stdio::null());
        command
    }

    /// A command line with the key file.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        // Options of every command may stand before it.
        let mut command = self.bare(["--key-file", "key"]);
        command.args(args);
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        run(&mut self.command(args))
    }

    pub fn run_bare<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        run(&mut self.bare(args))
    }

    /// Backs up a path beneath the world; gives the id of the snapshot.
    #[track_caller]
    pub fn backup(&self, name: &str) -> String {
        let report = self.run(["backup", "--json", name]).ok().json();
        report["snapshot"].as_str().unwrap().to_owned()
    }

    /// Changes one byte in the middle of every pack.
    pub fn damage_packs(&self) {
        for dir in fs::read_dir(self.path("repo/packs")).unwrap() {
            for pack in fs::read_dir(dir.unwrap().path()).unwrap() {
                let path = pack.unwrap().path();
                let mut bytes = fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::remove_file(&path).unwrap();
                fs::write(&path, bytes).unwrap();
            }
        }
    }
}

pub fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command that reads this from standard input.
pub fn run_with(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The names of an object's fields.
#[track_caller]
pub fn fields(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}
