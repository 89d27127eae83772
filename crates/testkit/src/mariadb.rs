//! A server of MariaDB.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Program, free_port};

/// Who may do everything.
pub const USER: &str = "keeper";
/// The password.
pub const PASSWORD: &str = "a 'secret\" of $tests";

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct MariaDb {
    /// The program, to stop and start.
    pub program: Program,
    port: u16,
    dir: tempfile::TempDir,
}

impl MariaDb {
    /// Starts one with a user and no database.
    ///
    /// # Panics
    /// When that fails; most likely Debian's package `mariadb-server` is not installed.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let as_root = rustix::process::getuid().is_root();
        let mut install = Command::new("mariadb-install-db");
        install
            .args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"])
            .arg("--auth-root-authentication-method=normal")
            .arg(format!("--datadir={}", at("data")))
            // A server that starts removes what others have in the same directory.
            .env("TMPDIR", dir.path());
        if as_root {
            install.arg("--user=root");
        }
        let made = install.output();
        let made = made.expect("mariadb-install-db (Debian's package mariadb-server)");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        let port = free_port();
        let command = [
            "mariadbd".to_owned(),
            "--no-defaults".to_owned(),
            format!("--datadir={}", at("data")),
            format!("--socket={}", at("socket")),
            format!("--tmpdir={}", dir.path().display()),
            format!("--pid-file={}", at("pid")),
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--innodb-buffer-pool-size=32M".to_owned(),
            "--innodb-flush-log-at-trx-commit=0".to_owned(),
            if as_root {
                "--user=root".to_owned()
            } else {
                "--skip-name-resolve".to_owned()
            },
        ];
        // It is where services are, and not always where users look.
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        if !on_path("mariadbd") {
            words[0] = "/usr/sbin/mariadbd";
        }
        let this = Self {
            program: Program::start(&words, port, &dir.path().join("log")),
            port,
            dir,
        };
        let password = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        this.run_as(
            "root",
            "",
            &format!(
                "CREATE USER '{USER}'@'%' IDENTIFIED BY '{password}'; \
                 GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;"
            ),
        );
        this
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs statements, and gives what they say, columns by tabs.
    ///
    /// # Panics
    /// When they fail.
    pub fn run(&self, sql: &str) -> String {
        self.run_as(USER, PASSWORD, sql)
    }

    fn run_as(&self, user: &str, password: &str, sql: &str) -> String {
        let ran = Command::new("mariadb")
            .args([
                "--no-defaults",
                "--batch",
                "--skip-column-names",
                "--binary-as-hex",
            ])
            .args(["--default-character-set=utf8mb4"])
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--user={user}"))
            .arg(format!("--execute={sql}"))
            .env("MYSQL_PWD", password)
            .output()
            .expect("mariadb (Debian's package mariadb-client)");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{sql}: {said}");
        String::from_utf8(ran.stdout).expect("UTF-8")
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir: PathBuf| Path::is_file(&dir.join(program)))
}
