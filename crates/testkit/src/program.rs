//! A server program that runs for a test and no longer.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the program until it is told to stop, or nobody is there any more to tell: also a test that
/// is killed leaves no server behind.
const KEEPER: &str = r#"
log=$1
shift
"$@" >>"$log" 2>&1 &
server=$!
while read -r word; do
    kill "-$word" "$server"
    case $word in STOP|CONT) ;; *) wait "$server"; exit ;; esac
done
kill -KILL "$server"
wait "$server"
"#;

/// A program that `make setup` installs from PyPI: where `KEEPWATCH_SERVERS` says, or in `PATH`.
pub(crate) fn from_pypi(name: &str) -> String {
    match std::env::var("KEEPWATCH_SERVERS") {
        Ok(directory) => format!("{directory}/{name}"),
        Err(_) => name.to_owned(),
    }
}

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    command: Vec<String>,
    log: PathBuf,
    port: u16,
    keeper: Option<Child>,
}

impl Program {
    /// Starts a program that listens on `port` of 127.0.0.1, and waits until it does. What it says
    /// goes to a file.
    ///
    /// # Panics
    /// When that fails; most likely the program is not installed.
    pub fn start(command: &[&str], port: u16, log: &Path) -> Self {
        let mut this = Self {
            command: command.iter().map(|&part| part.to_owned()).collect(),
            log: log.to_owned(),
            port,
            keeper: None,
        };
        this.restart();
        this
    }

    /// Starts it again after [`Program::stop`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        assert!(self.keeper.is_none(), "it is running");
        File::create(&self.log).expect("a log");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.log)
            .args(&self.command)
            .stdin(Stdio::piped())
            // Whoever reads what the test says is not kept waiting.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.keeper = Some(keeper.expect("a shell"));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "{} does not start: {}",
                self.command[0],
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it, and returns when it is gone.
    pub fn stop(&mut self) {
        let Some(mut keeper) = self.keeper.take() else {
            return;
        };
        send(&mut keeper, "KILL");
        keeper.wait().expect("a shell that was told to end, ends");
    }

    /// Lets it do nothing, as if its machine hung.
    pub fn freeze(&mut self) {
        send(self.keeper.as_mut().expect("it is running"), "STOP");
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        send(self.keeper.as_mut().expect("it is running"), "CONT");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

fn send(keeper: &mut Child, signal: &str) {
    let pipe = keeper.stdin.as_mut().expect("it is piped");
    writeln!(pipe, "{signal}").expect("the keeper listens");
}

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
