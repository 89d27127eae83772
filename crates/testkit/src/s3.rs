//! A server that speaks the protocol of Amazon S3.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{Program, free_port};

/// Who asks.
pub const ACCESS_KEY: &str = "keepwatch-tests";
/// Their secret.
pub const SECRET_KEY: &str = "a/secret+of=tests";
/// A bucket that is there.
pub const BUCKET: &str = "evidence";

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct S3 {
    /// The program, to stop and start.
    pub program: Program,
    port: u16,
    dir: tempfile::TempDir,
}

impl S3 {
    /// Starts one with an empty bucket.
    ///
    /// # Panics
    /// When that fails; most likely `s3s-fs` is not installed, which `make setup` does.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        fs::create_dir_all(data.join(BUCKET)).expect("a bucket");
        let port = free_port();
        let text = port.to_string();
        let command = [
            "s3s-fs",
            "--host",
            "127.0.0.1",
            "--port",
            &text,
            "--access-key",
            ACCESS_KEY,
            "--secret-key",
            SECRET_KEY,
            data.to_str().expect("its name is text"),
        ];
        Self {
            program: Program::start(&command, port, &dir.path().join("log")),
            port,
            dir,
        }
    }

    /// The address of a repository in it.
    pub fn address(&self, prefix: &str) -> String {
        self.address_at(prefix, self.port)
    }

    /// The same behind something else that listens on 127.0.0.1.
    pub fn address_at(&self, prefix: &str, port: u16) -> String {
        format!("s3://{BUCKET}/{prefix}?endpoint=http%3A%2F%2F127.0.0.1%3A{port}%2F")
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a bucket's objects are files.
    pub fn bucket(&self) -> PathBuf {
        self.dir.path().join("data").join(BUCKET)
    }

    /// A folder that is removed with the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}
