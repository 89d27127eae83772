//! Programs that speak SFTP on their standard input and output: `ssh` and `rclone`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::location::Sftp;
use crate::options::Options;

/// The variable in which `ssh` hands a password to [`ASKPASS`]. Only it and its children have it.
const PASSWORD: &str = "KEEPWATCH_SSH_PASSWORD";
/// What `ssh` runs to learn a password. It holds none.
const ASKPASS: &str = "#!/bin/sh\nprintf '%s\\n' \"$KEEPWATCH_SSH_PASSWORD\"\n";

/// How a program is started, each time a connection is needed.
pub(crate) struct Launcher {
    pub program: &'static str,
    /// What the server at the other end can do.
    pub manners: Manners,
    arguments: Vec<OsString>,
    password: Option<Password>,
}

/// How a server is best talked to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// What goes in one request, in bytes.
    pub piece: usize,
    /// So many requests are on their way at once.
    pub window: usize,
    /// Whether it makes links when it says so.
    pub links: bool,
    /// Whether another server stands behind it: a failure without a reason may pass, and an answer
    /// takes ten times as long at most.
    pub stands_between: bool,
}

/// A password, and how the program gets it.
enum Password {
    /// A script tells it to `ssh`.
    Asked {
        secret: Zeroizing<String>,
        script: Script,
    },
    /// That of rclone's configuration is in its environment.
    Given(Zeroizing<String>),
}

/// OpenSSH: 255 KiB is its limit, and so many at once fill a line with 50 ms of delay.
const OPENSSH: Manners = Manners {
    piece: 255 << 10,
    window: 16,
    links: true,
    stands_between: false,
};
/// rclone hands a file on while it is read or written, from beginning to end. It says that it makes
/// links, and does not.
const RCLONE: Manners = Manners {
    piece: 32 << 10,
    window: 1,
    links: false,
    stands_between: true,
};

/// A script in a directory of its own, both of which go when this does.
struct Script {
    dir: PathBuf,
}

impl Launcher {
    /// `ssh`, with all that is configured for the host, and no host that is not known.
    pub fn ssh(to: &Sftp, options: &Options) -> Result<Self> {
        let who = &options.credentials;
        let mut arguments: Vec<OsString> = Vec::new();
        let mut set = |option: &str, value: &OsStr| {
            let mut text = OsString::from("-o");
            text.push(option);
            text.push("=");
            text.push(value);
            arguments.push(text);
        };
        let mut say = |option: &str, value: &str| set(option, OsStr::new(value));
        // A host whose key is not known could be anybody, and one whose key has changed is not asked.
        say("StrictHostKeyChecking", "yes");
        say("ClearAllForwardings", "yes");
        say("ForwardAgent", "no");
        say("ServerAliveInterval", "10");
        say("ServerAliveCountMax", "3");
        say("ConnectTimeout", "15");
        // Connections of one storage are for working side by side, not for sharing one.
        say("ControlPath", "none");
        // With the instructions that processors have for it this is several times as fast.
        say("Ciphers", "^aes128-gcm@openssh.com,aes256-gcm@openssh.com");
        match who.secret {
            Some(_) => say("NumberOfPasswordPrompts", "1"),
            None => say("BatchMode", "yes"),
        }
        if let Some(port) = to.port {
            say("Port", &port.to_string());
        }
        if let Some(user) = to.user.as_ref().or(who.user.as_ref()) {
            say("User", user);
        }
        if let Some(file) = &who.key_file {
            say("IdentitiesOnly", "yes");
            set("IdentityFile", &quoted(file)?);
        }
        if let Some(file) = &who.known_hosts {
            set("UserKnownHostsFile", &quoted(file)?);
            set("GlobalKnownHostsFile", OsStr::new("none"));
        }
        arguments.extend(["-s", "--", &to.host, "sftp"].map(OsString::from));
        let password = who.secret.as_ref().map(|secret| {
            let script = Script::write(&options.scratch).map_err(|source| Error::Program {
                what: "write a script for",
                program: "ssh",
                source,
            })?;
            Ok::<_, Error>(Password::Asked {
                secret: secret.clone(),
                script,
            })
        });
        Ok(Self {
            program: "ssh",
            manners: OPENSSH,
            arguments,
            password: password.transpose()?,
        })
    }

    /// `rclone`, which reaches what its configuration calls by a name.
    pub fn rclone(name: &str, path: &str, options: &Options) -> Self {
        let patience = format!("--timeout={}s", options.limits.stall.as_secs().max(1));
        let words = [
            "serve",
            "sftp",
            "--stdio",
            // Each of several processes sees at once what the others do.
            "--dir-cache-time=0s",
            "--poll-interval=0s",
            // Otherwise each object is asked for its time.
            "--use-server-modtime",
            // There is nobody to answer.
            "--ask-password=false",
            "--contimeout=15s",
            // Failures are tried again here.
            "--low-level-retries=3",
            &patience,
            "--",
        ];
        let at = format!("{name}:{path}");
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(file) = &options.credentials.key_file {
            arguments.extend(["--config".into(), file.into()]);
        }
        arguments.extend(words.into_iter().chain([&*at]).map(OsString::from));
        Self {
            program: "rclone",
            manners: RCLONE,
            arguments,
            password: options.credentials.secret.clone().map(Password::Given),
        }
    }

    /// Starts it.
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .env_remove("SSH_ASKPASS");
        // What opens the vault is no business of theirs.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"KEEPWATCH_") {
                command.env_remove(name);
            }
        }
        match &self.password {
            Some(Password::Asked { secret, script }) => {
                command
                    .env(PASSWORD, secret.as_str())
                    .env("SSH_ASKPASS", script.path())
                    .env("SSH_ASKPASS_REQUIRE", "force");
            }
            Some(Password::Given(secret)) => {
                command.env("RCLONE_CONFIG_PASS", secret.as_str());
            }
            None => {}
        }
        command.spawn()
    }
}

impl Script {
    fn write(scratch: &Path) -> io::Result<Self> {
        let mut number = [0; 16];
        getrandom::fill(&mut number).map_err(io::Error::other)?;
        let dir = scratch.join(format!("keepwatch-{}", hex::encode(number)));
        fs::create_dir_all(scratch)?;
        let mut building = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut building, 0o700);
        building.create(&dir)?;
        let this = Self { dir };
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(this.path());
        file?.write_all(ASKPASS.as_bytes())?;
        Ok(this)
    }

    fn path(&self) -> PathBuf {
        self.dir.join("askpass")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // What stays behind holds no secret.
        fs::remove_dir_all(&self.dir).unwrap_or_default();
    }
}

/// A path as `ssh` reads it in an option: in quotes, and without its own words for other things.
fn quoted(path: &Path) -> Result<OsString> {
    let text = path
        .to_str()
        .filter(|text| !text.contains(['"', '\n', '$']));
    let text = text.ok_or_else(|| Error::Option {
        what: "file for ssh",
        problem: format!("ssh cannot be told of {}", path.display()),
    })?;
    Ok(format!("\"{}\"", text.replace('%', "%%")).into())
}
