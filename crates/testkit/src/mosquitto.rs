//! A real broker of MQTT, and who listens to it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::program::{Program, free_port};

/// Who may connect.
pub const USER: &str = "me";
/// With what.
pub const PASSWORD: &str = "s3cret";

/// Debian has it where only root looks.
const PROGRAMS: [&str; 3] = [
    "/usr/sbin/mosquitto",
    "/usr/bin/mosquitto",
    "/usr/local/sbin/mosquitto",
];

/// A broker of one user. It keeps nothing over a restart.
#[derive(Debug)]
pub struct Broker {
    /// Where it listens, without TLS.
    pub port: u16,
    program: Program,
    _dir: tempfile::TempDir,
}

impl Broker {
    /// Starts one.
    ///
    /// # Panics
    /// When mosquitto is not installed.
    pub fn start() -> Self {
        Self::with(&[], "")
    }

    /// Starts one with these files, and more of a configuration in which `@` is their folder.
    ///
    /// # Panics
    /// When mosquitto is not installed.
    pub fn with(files: &[(&str, &str)], more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        let done = Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(path("passwords"))
            .args([USER, PASSWORD])
            .stderr(Stdio::null())
            .status();
        let done = done.expect("Debian's package mosquitto is installed");
        assert!(done.success(), "mosquitto_passwd failed");
        let port = free_port();
        let config = format!(
            "allow_anonymous false\npassword_file @/passwords\nlistener {port} 127.0.0.1\n{more}"
        );
        let folder = dir.path().to_str().expect("a temporary directory is text");
        fs::write(path("config"), config.replace('@', folder)).expect("it can be written");
        for (name, text) in files {
            fs::write(path(name), text).expect("it can be written");
        }
        // As root it becomes a user of its own, who has to read these.
        let names = files.iter().map(|(name, _)| *name);
        for name in names.chain(["passwords", "config"]) {
            let readable = fs::Permissions::from_mode(0o644);
            fs::set_permissions(path(name), readable).expect("it is ours");
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let program = PROGRAMS.iter().find(|path| Path::new(path).exists());
        let program = program.expect("no mosquitto: install Debian's package mosquitto");
        let config = path("config").display().to_string();
        let log = path("log");
        Self {
            port,
            program: Program::start(&[program, "-c", &config], port, &log),
            _dir: dir,
        }
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.program.stop();
    }

    /// Starts it again: it has forgotten everything.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.program.restart();
    }

    /// Lets it do nothing, as if its machine hung.
    pub fn freeze(&mut self) {
        self.program.freeze();
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.program.thaw();
    }

    /// Listens to topics: first to what is retained there.
    ///
    /// # Panics
    /// When mosquitto's clients are not installed.
    pub fn listen(&self, topic: &str) -> Ear {
        let mut child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-u", USER, "-P", PASSWORD, "-t", topic])
            // In hexadecimal, for pictures have line feeds.
            .args(["-F", "%r %t %x"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's package mosquitto-clients is installed");
        let stdout = child.stdout.take().expect("it is piped");
        Ear {
            child,
            lines: BufReader::new(stdout),
        }
    }
}

/// A message.
#[derive(Debug)]
pub struct Heard {
    /// Whether it was there before anybody listened.
    pub retained: bool,
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
}

impl Heard {
    /// What, as a text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}

/// Who listens.
#[derive(Debug)]
pub struct Ear {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Ear {
    /// The next message; blocks until there is one.
    ///
    /// # Panics
    /// When the broker is gone.
    pub fn hear(&mut self) -> Heard {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it can be read");
        let mut parts = line.trim_end_matches('\n').splitn(3, ' ');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (retained, topic, hex) = (part() == "1", part(), part());
        assert!(!topic.is_empty(), "nobody tells anything any more");
        let bytes = hex.as_bytes().chunks(2).map(|two| {
            let two = std::str::from_utf8(two).expect("it is hexadecimal");
            u8::from_str_radix(two, 16).expect("it is hexadecimal")
        });
        Heard {
            retained,
            topic,
            payload: bytes.collect(),
        }
    }

    /// The next message of a topic that is as wanted; what comes before is passed over.
    ///
    /// # Panics
    /// When the broker is gone.
    pub fn find(&mut self, topic: &str, wanted: impl Fn(&Heard) -> bool) -> Heard {
        loop {
            let heard = self.hear();
            if heard.topic == topic && wanted(&heard) {
                return heard;
            }
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
