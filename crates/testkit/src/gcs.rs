//! A server that speaks the protocol of Google Cloud Storage.

use crate::program::{Program, free_port, from_pypi};

/// A bucket that is there.
pub const BUCKET: &str = "evidence";

/// A running server. It stops when it is dropped. It believes whoever asks.
#[derive(Debug)]
pub struct Gcs {
    _program: Program,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Gcs {
    /// Starts one with an empty bucket.
    ///
    /// # Panics
    /// When that fails; most likely gcp-storage-emulator is not installed, which `make setup` does.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let program = from_pypi("gcp-storage-emulator");
        let text = port.to_string();
        let command = [
            &program,
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            &text,
            "--in-memory",
            "--default-bucket",
            BUCKET,
        ];
        Self {
            _program: Program::start(&command, port, &dir.path().join("log")),
            port,
            _dir: dir,
        }
    }

    /// The address of a repository in it.
    pub fn address(&self, prefix: &str) -> String {
        let port = self.port;
        format!("gs://{BUCKET}/{prefix}?endpoint=http%3A%2F%2F127.0.0.1%3A{port}%2F")
    }
}
