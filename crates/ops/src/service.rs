//! Files by which a machine's service manager runs Keepwatch.
//!
//! [`Service::files`] makes them of settings and touches nothing: systemd's units, launchd's
//! property lists, tasks of Windows' Task Scheduler. There are two ways:
//!
//! - [`Form::Runner`]: one service, `keepwatch run`, that keeps all schedules itself. What
//!   [`schedule`](crate::schedule) promises (changed clocks, catching up, jitter) holds.
//! - [`Form::Timers`]: the service manager keeps the schedules and runs `keepwatch job run` once for
//!   each slot. What it cannot say exactly is refused. When clocks change it does what it does:
//!   systemd leaves out a time that the clock leaves out, and an hour that is shown twice counts
//!   once.
//!
//! Names and paths are taken for hostile: what a format cannot hold is refused, all else is quoted.
//!
//! [`notify`] is how the running service tells systemd that it lives.

mod error;
mod launchd;
pub mod notify;
mod quote;
mod systemd;
#[cfg(test)]
mod tests;
mod windows;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use error::ServiceError;

use crate::schedule::{NoRules, Rules, ScheduleSettings};

/// More jobs are in no configuration.
const MAX_JOBS: usize = 1000;

/// What runs services on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// On Linux. Version 247 or later.
    Systemd,
    /// On macOS.
    Launchd,
    /// Task Scheduler.
    Windows,
}

impl Manager {
    /// Its name, for people to read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
            Self::Windows => "Windows' Task Scheduler",
        }
    }
}

/// On whose behalf it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The machine's: as root, all files can be read.
    System,
    /// The user's who installs it, and with their rights.
    User,
}

/// Who keeps the schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `keepwatch run`.
    Runner,
    /// The service manager.
    Timers,
}

/// A job as a service manager knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceJob {
    /// Its name in the configuration.
    pub name: String,
    /// When it runs. Without, when somebody says so.
    pub schedule: Option<ScheduleSettings>,
}

/// A secret in a file, which systemd reads and hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The name of the file that the service finds in its `$CREDENTIALS_DIRECTORY`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

impl Credential {
    /// The one for a secret that a configuration names as `file:PATH`.
    pub fn of(path: &str, absolute: PathBuf) -> Self {
        Self {
            name: credential_name(path),
            path: absolute,
        }
    }
}

/// The name under which a service finds the secret that a configuration names as `file:PATH`.
///
/// Whoever reads such a file looks for this name in `$CREDENTIALS_DIRECTORY` first. So the same
/// configuration holds in a service and without one.
pub fn credential_name(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let stem: String = last.chars().filter(plain).take(32).collect();
    // Two files of one name are two secrets.
    let hash = hex::encode(&blake3::hash(path.as_bytes()).as_bytes()[..8]);
    format!("{hash}-{stem}")
}

/// What is to run, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Who runs it.
    pub manager: Manager,
    /// On whose behalf.
    pub scope: Scope,
    /// Who keeps the schedules.
    pub form: Form,
    /// The program `keepwatch`: an absolute path, as all of them are.
    pub program: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Directories that it writes to besides its state and its cache: repositories on this machine,
    /// and where the configuration says that the state is.
    pub writable: Vec<PathBuf>,
    /// Secrets in files.
    pub credentials: Vec<Credential>,
    /// The jobs of the configuration.
    pub jobs: Vec<ServiceJob>,
}

/// A file for a service manager.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its name within the directory of such files; a plain one.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
}

impl File {
    /// What is in it, for people to read.
    pub fn text(&self) -> String {
        let Some(utf16) = self.content.strip_prefix(&[0xff, 0xfe]) else {
            return String::from_utf8_lossy(&self.content).into_owned();
        };
        let units = utf16.chunks_exact(2);
        let units = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let text = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        text.filter(|c| *c != '\r').collect()
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("File").field(&self.name).finish()
    }
}

impl Service {
    /// The files. The same settings give the same bytes.
    ///
    /// # Errors
    /// A name or path that the format cannot hold, a schedule that is wrong or that the service
    /// manager cannot keep exactly, or nothing to run.
    pub fn files(&self) -> Result<Vec<File>, ServiceError> {
        self.check()?;
        let files = match self.manager {
            Manager::Systemd => systemd::files(self),
            Manager::Launchd => launchd::files(self),
            Manager::Windows => windows::files(self),
        }?;
        if files.is_empty() {
            return Err(ServiceError::Nothing);
        }
        Ok(files)
    }

    /// Where the service manager looks for them, given the home directory of the user and, if it is
    /// elsewhere than usual, the one for configuration (`$XDG_CONFIG_HOME`). Windows looks nowhere.
    pub fn directory(&self, home: &Path, config_home: Option<&Path>) -> Option<PathBuf> {
        Some(match (self.manager, self.scope) {
            (Manager::Systemd, Scope::System) => "/etc/systemd/system".into(),
            (Manager::Systemd, Scope::User) => match config_home {
                Some(config) => config.join("systemd/user"),
                None => home.join(".config/systemd/user"),
            },
            (Manager::Launchd, Scope::System) => "/Library/LaunchDaemons".into(),
            (Manager::Launchd, Scope::User) => home.join("Library/LaunchAgents"),
            (Manager::Windows, _) => return None,
        })
    }

    /// The commands, as lists of arguments, that have the service manager run what these files are
    /// for. `uid` is the user's number.
    pub fn enable(&self, files: &[File], directory: &Path, uid: u32) -> Vec<Vec<String>> {
        match self.manager {
            Manager::Systemd => systemd::enable(self, files),
            Manager::Launchd => launchd::enable(self, files, directory, uid),
            Manager::Windows => windows::enable(files, directory),
        }
    }

    fn check(&self) -> Result<(), ServiceError> {
        if self.jobs.len() > MAX_JOBS {
            return Err(ServiceError::TooMany { most: MAX_JOBS });
        }
        let mut seen = BTreeSet::new();
        for job in &self.jobs {
            quote::name(&job.name)?;
            // File systems of macOS and Windows do not tell them apart.
            if !seen.insert(job.name.to_ascii_lowercase()) {
                return Err(ServiceError::Twice {
                    job: job.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// The rules of a job's schedule, where the service manager can keep them.
    fn rules(&self, job: &ServiceJob) -> Result<Option<Rules>, ServiceError> {
        let Some(schedule) = &job.schedule else {
            return Ok(None);
        };
        let rules = schedule.rules().map_err(|problem| match problem {
            NoRules::Wrong(source) => ServiceError::Schedule {
                job: job.name.clone(),
                source,
            },
            NoRules::Unsayable(what) => self.inexact(job, what),
        })?;
        Ok(Some(rules))
    }

    fn inexact(&self, job: &ServiceJob, what: &'static str) -> ServiceError {
        ServiceError::Inexact {
            job: job.name.clone(),
            manager: self.manager.as_str(),
            what,
        }
    }

    /// What comes after the program: `--` keeps a name from being an option.
    fn arguments<'a>(&self, config: &'a str, job: Option<&'a str>) -> Vec<&'a str> {
        match job {
            None => vec!["run", "--config", config],
            Some(job) => vec!["job", "run", "--config", config, "--", job],
        }
    }
}
