//! Hooks as they are written down, and what can be wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration_text;
use keepwatch_core::SecretText;
use serde::Deserialize;

use super::Stage;
use super::environment::FACTS;
use crate::process;

const LONGEST: Duration = Duration::from_secs(24 * 3600);
const MAX_HOOKS: usize = 32;

/// What a `before` hook that fails does to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// There is none.
    Stop,
    /// It goes on.
    Continue,
}

/// A command and how it is run.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookSettings {
    /// The program and its arguments. No shell reads them; one that is wanted is named:
    /// `["sh", "-c", "…"]`.
    pub command: Vec<String>,
    /// How long it may take: up to a day.
    #[serde(default = "default_timeout", with = "duration_text")]
    pub timeout: Duration,
    /// How long after SIGTERM comes SIGKILL, both to the whole process group.
    #[serde(default = "default_kill_after", with = "duration_text")]
    pub kill_after: Duration,
    /// Where it runs. Without, where this process does.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// What its environment has besides.
    #[serde(default)]
    pub environment: BTreeMap<String, SecretText>,
    /// Variables that it inherits although they may hold secrets.
    #[serde(default)]
    pub pass_environment: Vec<String>,
    /// `before` alone: what its failure does to the run. Without, it stops it.
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
}

impl HookSettings {
    /// A command with the usual patience.
    pub fn new(command: Vec<String>) -> Self {
        Self {
            command,
            timeout: default_timeout(),
            kill_after: default_kill_after(),
            directory: None,
            environment: BTreeMap::new(),
            pass_environment: Vec::new(),
            on_failure: None,
        }
    }

    /// Refuses what cannot be run, of a command that is no hook of a list.
    ///
    /// # Errors
    /// [`HookError::Settings`] with what is wrong.
    pub fn check_alone(&self) -> Result<(), HookError> {
        let stage = Stage::Check;
        self.check(stage).map_err(|problem| HookError::Settings {
            stage: stage.as_str(),
            problem,
        })
    }
}

/// Arguments may hold what nobody is to see.
impl fmt::Debug for HookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookSettings")
            .field("program", &process::name_of(&self.command))
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The hooks of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HooksSettings {
    /// Before the run.
    pub before: Vec<HookSettings>,
    /// After a run that made something, all or part of it.
    pub after: Vec<HookSettings>,
    /// After a run that failed.
    pub failed: Vec<HookSettings>,
    /// At the end, however the run went.
    pub finally: Vec<HookSettings>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(300)
}

fn default_kill_after() -> Duration {
    Duration::from_secs(10)
}

impl HooksSettings {
    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// [`HookError::Settings`] with what is wrong.
    pub fn check(&self) -> Result<(), HookError> {
        let stages = [
            (Stage::Before, &self.before),
            (Stage::After, &self.after),
            (Stage::Failed, &self.failed),
            (Stage::Finally, &self.finally),
        ];
        for (stage, hooks) in stages {
            let bad = |problem| HookError::Settings {
                stage: stage.as_str(),
                problem,
            };
            if hooks.len() > MAX_HOOKS {
                return Err(bad("there are more than 32"));
            }
            for hook in hooks {
                hook.check(stage).map_err(bad)?;
            }
        }
        Ok(())
    }
}

impl HookSettings {
    fn check(&self, stage: Stage) -> Result<(), &'static str> {
        let has_nul = |text: &str| text.contains('\0');
        if self.command.first().is_none_or(String::is_empty) {
            return Err("command: it names no program");
        }
        if self.command.iter().any(|argument| has_nul(argument)) {
            return Err("command: no argument can hold a NUL");
        }
        if !(Duration::from_millis(1)..=LONGEST).contains(&self.timeout) {
            return Err("timeout: it is more than 0 and up to 24h");
        }
        if self.kill_after > LONGEST {
            return Err("kill_after: it is up to 24h");
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains('=') || has_nul(name) || has_nul(value.expose()) {
                return Err("environment: a name is not empty and has no \"=\", and neither a NUL");
            }
            if name.starts_with(FACTS) {
                return Err("environment: names that begin with KEEPWATCH_ are for facts");
            }
        }
        let is_ours = |name: &String| name.starts_with("KEEPWATCH");
        if self.pass_environment.iter().any(is_ours) {
            return Err("pass_environment: Keepwatch's own secrets are for no hook");
        }
        if self.on_failure.is_some() && stage != Stage::Before {
            return Err("on_failure: only a hook before a run can stop it");
        }
        Ok(())
    }
}

/// What is wrong with hooks, or went wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// Settings that cannot be.
    #[error("hooks.{stage}: {problem}")]
    Settings {
        /// The list.
        stage: &'static str,
        /// The key, and what is wrong with it.
        problem: &'static str,
    },
    /// An exit status other than 0.
    #[error("the {stage} hook {program:?} failed with exit status {code}")]
    Exited {
        /// When it ran.
        stage: &'static str,
        /// The program.
        program: String,
        /// The status.
        code: i32,
    },
    /// Somebody ended it.
    #[error("the {stage} hook {program:?} was ended by signal {signal}")]
    Signal {
        /// When it ran.
        stage: &'static str,
        /// The program.
        program: String,
        /// Its number.
        signal: i32,
    },
    /// It took too long.
    #[error("the {stage} hook {program:?} took longer than it may and was ended")]
    TimedOut {
        /// When it ran.
        stage: &'static str,
        /// The program.
        program: String,
    },
    /// It could not be started.
    #[error("the {stage} hook {program:?} could not be started: {problem}")]
    NotStarted {
        /// When it was to run.
        stage: &'static str,
        /// The program.
        program: String,
        /// Why.
        problem: io::ErrorKind,
    },
    /// The system lost sight of it.
    #[error(
        "the {stage} hook {program:?} was started, and what became of it is unknown: {problem}"
    )]
    Lost {
        /// When it ran.
        stage: &'static str,
        /// The program.
        program: String,
        /// Why.
        problem: io::ErrorKind,
    },
}

impl HookError {
    /// How to put it right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "a hook is like { command = [\"program\", \"argument\"] }",
            Self::Exited { .. } => "the end of what it wrote is with the result of the run",
            Self::Signal { .. } => "look for who ended it, as the kernel does when memory runs out",
            Self::TimedOut { .. } => "find out what it waits for, or give it a longer timeout",
            Self::NotStarted { .. } => {
                "look whether the program and the directory are there and the user may use them"
            }
            Self::Lost { .. } => "look into the log of the system",
        }
    }
}
