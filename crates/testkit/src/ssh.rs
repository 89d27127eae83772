//! OpenSSH's server, for SFTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Program, free_port};

/// The passphrase of [`Ssh::locked_key`].
pub const PASSPHRASE: &str = "a key's pass phrase: $HOME";

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Ssh {
    /// The program, to stop and start.
    pub program: Program,
    port: u16,
    dir: tempfile::TempDir,
}

impl Ssh {
    /// Starts one that lets [`Ssh::key`] and [`Ssh::locked_key`] in.
    ///
    /// # Panics
    /// When that fails; most likely Debian's package `openssh-server` is not installed.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        let text = |path: &Path| path.to_str().expect("its name is text").to_owned();
        make_key(&at("host"), "");
        make_key(&at("key"), "");
        make_key(&at("locked"), PASSPHRASE);
        let public = |name: &str| fs::read_to_string(at(name)).expect("a public key");
        let may = public("key.pub") + &public("locked.pub");
        fs::write(at("may"), may).expect("it can be written");
        let port = free_port();
        let known = format!("[127.0.0.1]:{port} {}", public("host.pub"));
        fs::write(at("known_hosts"), known).expect("it can be written");
        fs::create_dir(at("data")).expect("a folder");
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n\
             PermitRootLogin yes\nMaxStartups 100\nSubsystem sftp internal-sftp\n",
            text(&at("host")),
            text(&at("may")),
        );
        fs::write(at("config"), config).expect("it can be written");
        // Where the server goes that has no rights. Only root starts one that needs it.
        fs::create_dir_all("/run/sshd").unwrap_or_default();
        let config = text(&at("config"));
        let command = ["/usr/sbin/sshd", "-D", "-e", "-f", &config];
        Self {
            program: Program::start(&command, port, &at("log")),
            port,
            dir,
        }
    }

    /// The address of a repository in a folder of the server.
    pub fn address(&self, path: &str) -> String {
        self.address_at(path, self.port)
    }

    /// The same behind something else that listens on 127.0.0.1.
    pub fn address_at(&self, path: &str, port: u16) -> String {
        format!("sftp://127.0.0.1:{port}{}/{path}", self.data().display())
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where repositories are.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A private key that is let in.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    /// Another, which [`PASSPHRASE`] opens.
    pub fn locked_key(&self) -> PathBuf {
        self.dir.path().join("locked")
    }

    /// The file that knows the server's key.
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.path().join("known_hosts")
    }

    /// Gives the server another key, as somebody would have who answers in its place.
    ///
    /// # Panics
    /// When that fails.
    pub fn change_host_key(&mut self) {
        self.program.stop();
        let path = self.dir.path().join("host");
        fs::remove_file(&path).expect("it is there");
        make_key(&path, "");
        self.program.restart();
    }
}

fn make_key(path: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", "tests", "-N", passphrase, "-f"])
        .arg(path)
        .status();
    assert!(made.expect("ssh-keygen").success(), "no key was made");
}
