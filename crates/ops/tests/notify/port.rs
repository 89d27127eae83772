//! Servers that are other programs.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::PATIENCE;

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// A server that is ended with the test.
pub struct Server(Child);

impl Server {
    /// Starts one and waits until it listens.
    pub fn start(command: &mut Command, package: &str, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("{command:?}: {error}: is Debian's package {package} installed?")
        });
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().expect("it is ours");
            assert!(
                ended.is_none(),
                "{command:?} ended: is Debian's package {package} installed?"
            );
            assert!(Instant::now() < deadline, "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self(child)
    }

    /// The same, and what it prints.
    pub fn start_with_output(
        command: &mut Command,
        package: &str,
        port: u16,
    ) -> (Self, ChildStdout) {
        let mut server = Self::start(command.stdout(Stdio::piped()), package, port);
        let output = server.0.stdout.take().expect("it is piped");
        (server, output)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
