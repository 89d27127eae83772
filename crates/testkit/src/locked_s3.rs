//! A server of S3 whose buckets keep versions and hold on to objects (moto).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::program::{Program, free_port, from_pypi};

/// A bucket that was made with object lock.
pub const LOCKED: &str = "locked";
/// A bucket that keeps no versions.
pub const PLAIN: &str = "plain";

/// A signature that nobody checks; who sends none may do nothing.
const SOMEBODY: &str = "Authorization: AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/s3/\
    aws4_request, SignedHeaders=host, Signature=0\r\n";

/// A running server. It stops when it is dropped. It believes whoever asks.
#[derive(Debug)]
pub struct LockedS3 {
    _program: Program,
    port: u16,
    _dir: tempfile::TempDir,
}

impl LockedS3 {
    /// Starts one with both buckets.
    ///
    /// # Panics
    /// When that fails; most likely moto is not installed, which `make setup` does.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let program = from_pypi("moto_server");
        let command = [&program, "--host", "127.0.0.1", "--port", &port.to_string()];
        let server = Self {
            _program: Program::start(&command, port, &dir.path().join("log")),
            port,
            _dir: dir,
        };
        let (status, _) = server.ask("PUT", LOCKED, "x-amz-bucket-object-lock-enabled: true\r\n");
        assert_eq!(status, 200, "a bucket with object lock");
        let (status, _) = server.ask("PUT", PLAIN, "");
        assert_eq!(status, 200, "a bucket");
        server
    }

    /// The address of a repository, and more of its query, which begins with `&`.
    pub fn address(&self, bucket: &str, prefix: &str, more: &str) -> String {
        self.address_at(self.port, bucket, prefix, more)
    }

    /// The same behind something else that listens on 127.0.0.1.
    pub fn address_at(&self, port: u16, bucket: &str, prefix: &str, more: &str) -> String {
        format!("s3://{bucket}/{prefix}?endpoint=http%3A%2F%2F127.0.0.1%3A{port}%2F{more}")
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks as somebody else would who has the credentials: the status, and the whole answer.
    ///
    /// # Panics
    /// When nothing is answered.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server");
        write!(
            stream,
            "{method} /{path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\n{SOMEBODY}{headers}\r\n",
            self.port
        )
        .expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).expect("a status");
        (status.parse().expect("a number"), answer)
    }

    /// All objects of a bucket, and which of their versions: name and version, the latest first.
    pub fn versions(&self, bucket: &str) -> Vec<(String, String)> {
        let (status, list) = self.ask("GET", &format!("{bucket}?versions&max-keys=100000"), "");
        assert_eq!(status, 200, "{list}");
        let inner = |text: &str, tag: &str| {
            let (_, rest) = text.split_once(&format!("<{tag}>"))?;
            let (value, _) = rest.split_once(&format!("</{tag}>"))?;
            Some(value.to_owned())
        };
        list.split("<Version>")
            .skip(1)
            .filter_map(|version| Some((inner(version, "Key")?, inner(version, "VersionId")?)))
            .collect()
    }
}
