//! The way to a destination that is reached through Tailscale.
//!
//! [`connect`] asks the daemon of the machine, by the program `tailscale`, whether it is connected,
//! and has it connect if it is not. [`Connection::end`] disconnects, if that is wanted and if it was
//! this run that connected.
//!
//! The key with which a machine logs in is never an argument, where everybody sees it: the program
//! reads it from its standard input, which is a pipe (`--auth-key=file:/dev/stdin`).
//!
//! What a network really does is not tested here: that needs one, with an account.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Write, pipe};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration_text;
use keepwatch_core::SecretText;
use serde::Deserialize;

pub use error::TailscaleError;

use crate::process::ask::{Answer, Bounds, Runner, directories};

const LONGEST: Duration = Duration::from_secs(3600);
/// A key has some sixty characters.
const MAX_KEY: usize = 1024;
/// What the daemon says of itself alone is a few kilobytes.
const MAX_STATUS: usize = 1024 * 1024;
/// What `up` and `down` say is for people.
const MAX_SAID: usize = 64 * 1024;
/// How long the daemon may think about how it is.
const ASKING: Duration = Duration::from_secs(10);
/// How long disconnecting may take.
const ENDING: Duration = Duration::from_secs(30);
/// The daemon cannot be waited for, only asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// How a machine is connected by Tailscale.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TailscaleSettings {
    /// With what the machine logs in. Without, somebody has done it.
    pub auth_key: Option<SecretText>,
    /// Where it logs in: `https://…` of a server other than Tailscale's own.
    pub login_server: Option<String>,
    /// The name that it logs in with. Without, the machine's own.
    pub hostname: Option<String>,
    /// Whether, from the login on, it reaches networks behind other machines.
    pub accept_routes: bool,
    /// Whether it is disconnected when the run is over, if the run has connected it.
    pub disconnect_after: bool,
    /// How long connecting may take.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// The program `tailscale`: a name that is looked for in `PATH`, or an absolute path.
    pub program: String,
    /// The socket of the daemon, if it is not the usual one.
    pub socket: Option<PathBuf>,
}

impl Default for TailscaleSettings {
    fn default() -> Self {
        Self {
            auth_key: None,
            login_server: None,
            hostname: None,
            accept_routes: false,
            disconnect_after: false,
            timeout: Duration::from_secs(60),
            program: "tailscale".to_owned(),
            socket: None,
        }
    }
}

impl TailscaleSettings {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// [`TailscaleError::Settings`] with what is wrong.
    pub fn check(&self) -> Result<(), TailscaleError> {
        let bad = |problem| Err(TailscaleError::Settings { problem });
        if !(Duration::from_secs(1)..=LONGEST).contains(&self.timeout) {
            return bad("timeout: it is 1s to 1h");
        }
        if let Some(key) = &self.auth_key {
            let key = key.expose().trim();
            if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
                return bad("auth_key: it is no key");
            }
        }
        if let Some(server) = &self.login_server {
            let known = ["https://", "http://"]
                .iter()
                .any(|scheme| server.starts_with(scheme));
            // An argument is seen by everybody.
            if !known || !server.bytes().all(|b| b.is_ascii_graphic()) || server.contains('@') {
                return bad("login_server: it is an address without user and password");
            }
        }
        if let Some(name) = &self.hostname {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
            if !(1..=253).contains(&name.len()) || !name.bytes().all(plain) {
                return bad("hostname: it has letters, digits, - and . only");
            }
        }
        if self.program.is_empty() || self.program.contains('\0') {
            return bad("program: it names none");
        }
        if let Some(socket) = &self.socket
            && (!socket.is_absolute() || socket.to_str().is_none_or(|path| path.contains('\0')))
        {
            return bad("socket: it is an absolute path");
        }
        Ok(())
    }
}

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// On the way to somewhere.
    Changing,
    Stopped,
    NeedsLogin,
    /// Something else that no waiting changes.
    Other(String),
}

/// The one thing that matters of `tailscale status --json`.
#[derive(Deserialize)]
struct Status {
    #[serde(rename = "BackendState")]
    backend_state: String,
}

/// A machine that is connected.
#[derive(Debug)]
#[must_use = "what this run has connected stays so until it is ended"]
pub struct Connection {
    tailscale: Tailscale,
    ours: bool,
    disconnect_after: bool,
}

impl Connection {
    /// Whether it was this run that connected the machine.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// Disconnects, if that is wanted and it was this run that connected.
    ///
    /// # Errors
    /// What the program says.
    pub fn end(self) -> Result<(), TailscaleError> {
        if !self.ours || !self.disconnect_after {
            return Ok(());
        }
        self.tailscale.down()
    }
}

/// Connects the machine, if it is not connected.
///
/// The program gets `environment`, in whose `PATH` it is looked for.
///
/// # Errors
/// If settings are wrong, there is no such program or no daemon, nobody is logged in and there is no
/// key, or it is not connected in time. What was begun is taken back where settings have it
/// disconnected afterwards.
pub fn connect(
    settings: &TailscaleSettings,
    environment: &BTreeMap<OsString, OsString>,
) -> Result<Connection, TailscaleError> {
    settings.check()?;
    let tailscale = Tailscale::new(settings, environment);
    let mut connection = Connection {
        tailscale,
        ours: false,
        disconnect_after: settings.disconnect_after,
    };
    match connection.establish(settings) {
        Ok(()) => Ok(connection),
        Err(error) => {
            // Why there is no connection matters more than what then fails as well.
            let _ = connection.end();
            Err(error)
        }
    }
}

impl Connection {
    fn establish(&mut self, settings: &TailscaleSettings) -> Result<(), TailscaleError> {
        let started = Instant::now();
        let too_slow = || TailscaleError::TooSlow {
            timeout: settings.timeout,
        };
        let mut answered = false;
        loop {
            let left = settings.timeout.saturating_sub(started.elapsed());
            let state = match self.tailscale.state(left.min(ASKING)) {
                // It has answered before; now there was no time left for it.
                Err(TailscaleError::Silent { .. }) if answered && left < ASKING => {
                    return Err(too_slow());
                }
                state => state?,
            };
            answered = true;
            let up = match state {
                State::Running => return Ok(()),
                State::Other(state) => return Err(TailscaleError::State { state }),
                // It was told to connect, and that takes its time.
                State::Changing | State::Stopped | State::NeedsLogin if self.ours => None,
                State::Changing => None,
                State::Stopped => Some(Up::Again),
                State::NeedsLogin => {
                    let key = settings.auth_key.as_ref();
                    Some(Up::Login(key.ok_or(TailscaleError::NeedsLogin)?))
                }
            };
            let left = settings.timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(too_slow());
            }
            match up {
                Some(up) => {
                    // From here on it may connect, whatever becomes of the program.
                    self.ours = true;
                    self.tailscale.up(up, settings, left)?;
                }
                None => std::thread::sleep(AGAIN.min(left)),
            }
        }
    }
}

/// How the machine is told to connect.
#[derive(Clone, Copy)]
enum Up<'a> {
    /// As it was before.
    Again,
    /// With this key.
    Login(&'a SecretText),
}

/// The program, by which the daemon is spoken to.
#[derive(Debug)]
struct Tailscale {
    runner: Runner,
    program: String,
    socket: Option<String>,
    timeout: Duration,
}

impl Tailscale {
    fn new(settings: &TailscaleSettings, environment: &BTreeMap<OsString, OsString>) -> Self {
        let search = match settings.program.starts_with('/') {
            true => vec![PathBuf::from("/")],
            false => {
                let path = environment.get(OsStr::new("PATH"));
                directories(path.map(OsString::as_os_str).unwrap_or_default())
            }
        };
        let socket = settings.socket.as_ref();
        Self {
            runner: Runner {
                search,
                environment: environment.clone(),
            },
            program: settings.program.clone(),
            socket: socket.map(|path| format!("--socket={}", path.display())),
            timeout: settings.timeout,
        }
    }

    fn state(&self, time: Duration) -> Result<State, TailscaleError> {
        let bounds = Bounds {
            time,
            output: MAX_STATUS,
        };
        let arguments = ["status", "--json", "--peers=false"];
        let said = self.run("status", &arguments, Stdio::null(), bounds)?;
        // What it says is not repeated: it need not be what it should be.
        let status: Status =
            serde_json::from_slice(&said).map_err(|_| TailscaleError::NotUnderstood)?;
        Ok(match status.backend_state.as_str() {
            "Running" => State::Running,
            "NoState" | "Starting" => State::Changing,
            "Stopped" => State::Stopped,
            "NeedsLogin" => State::NeedsLogin,
            other => State::Other(other.chars().take(64).collect()),
        })
    }

    fn up(
        &self,
        up: Up,
        settings: &TailscaleSettings,
        time: Duration,
    ) -> Result<(), TailscaleError> {
        let mut arguments = vec!["up".to_owned()];
        let mut input = Stdio::null();
        let mut secret = None;
        // Without any option, the settings of the machine stay as they are; with some, all others
        // would have to be repeated. So they are for a login only.
        if let Up::Login(key) = up {
            arguments.push("--auth-key=file:/dev/stdin".to_owned());
            let server = settings.login_server.iter();
            arguments.extend(server.map(|server| format!("--login-server={server}")));
            let name = settings.hostname.iter();
            arguments.extend(name.map(|name| format!("--hostname={name}")));
            if settings.accept_routes {
                arguments.push("--accept-routes".to_owned());
            }
            let (reader, mut writer) = pipe().map_err(TailscaleError::Pipe)?;
            // It is shorter than what a pipe holds, so nobody is waited for.
            let key = key.expose().trim();
            writer
                .write_all(key.as_bytes())
                .map_err(TailscaleError::Pipe)?;
            input = Stdio::from(reader);
            secret = Some(key);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let bounds = Bounds {
            time,
            output: MAX_SAID,
        };
        let done = self.run("up", &arguments, input, bounds);
        done.map(drop).map_err(|error| error.without(secret))
    }

    fn down(&self) -> Result<(), TailscaleError> {
        let bounds = Bounds {
            time: ENDING,
            output: MAX_SAID,
        };
        self.run("down", &["down"], Stdio::null(), bounds).map(drop)
    }

    fn run(
        &self,
        what: &'static str,
        arguments: &[&str],
        input: Stdio,
        bounds: Bounds,
    ) -> Result<Vec<u8>, TailscaleError> {
        let mut argv = vec![self.program.as_str()];
        argv.extend(self.socket.as_deref());
        argv.extend(arguments);
        match self.runner.run_with(&argv, input, bounds) {
            Answer::Said(said) => Ok(said),
            Answer::Missing | Answer::NotRun => Err(TailscaleError::Missing {
                program: self.program.clone(),
            }),
            Answer::Failed { code, complaint } => Err(TailscaleError::Failed {
                command: what,
                code,
                complaint,
            }),
            Answer::TooSlow if what == "up" => Err(TailscaleError::TooSlow {
                timeout: self.timeout,
            }),
            Answer::TooSlow => Err(TailscaleError::Silent { command: what }),
            Answer::TooMuch => Err(TailscaleError::TooMuch { command: what }),
        }
    }
}
