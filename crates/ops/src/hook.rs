//! Commands of the user around a run.
//!
//! [`Hooks::around`] runs what is to be done between the hooks of a job: `before`, then the run,
//! then `after` if it made something, or else `failed`, and `finally` in any case, even if the run
//! panics. A command is an array of arguments and no shell reads it.
//!
//! # Environment
//!
//! A hook has the environment that it is given ([`Environment`]), without what secrets are usually
//! kept in and without service manager's descriptors, and with these:
//!
//! | variable | |
//! |---|---|
//! | `KEEPWATCH_HOOK` | `before`, `after`, `failed` or `finally`; or `check`, of a drill |
//! | `KEEPWATCH_JOB` | the name of the job |
//! | `KEEPWATCH_RUN_ID` | the run |
//! | `KEEPWATCH_STATUS` | `running`, `success`, `partial` or `failed` |
//! | `KEEPWATCH_SNAPSHOT` | the snapshot that was made |
//! | `KEEPWATCH_ERROR` | what went wrong, up to 4 KiB |
//! | `KEEPWATCH_STARTED` | when the run started, RFC 3339 in UTC |
//! | `KEEPWATCH_FINISHED` | when it ended |
//! | `KEEPWATCH_SECONDS` | how long it took |
//!
//! All are always there; what is not known is empty.

mod environment;
mod settings;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::process::{self, Program};
use crate::secrets::Secrets;

pub use crate::process::{Ending, MAX_OUTPUT, Output};
pub use crate::run::{RunFacts, RunStatus};
pub(crate) use environment::is_harmless;

pub use environment::Environment;
pub use settings::{HookError, HookSettings, HooksSettings, OnFailure};

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the run.
    Before,
    /// After a run that made something, all or part of it.
    After,
    /// After a run that failed.
    Failed,
    /// At the end, however the run went.
    Finally,
    /// In a drill, when something has been restored.
    Check,
}

impl Stage {
    /// Its name in `KEEPWATCH_HOOK` and in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Failed => "failed",
            Self::Finally => "finally",
            Self::Check => "check",
        }
    }
}

/// What became of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookResult {
    /// When it ran.
    pub stage: Stage,
    /// The program, without its arguments: those may hold what nobody is to see.
    pub program: String,
    /// How it ended.
    pub ending: Ending,
    /// The end of what it wrote, standard output and error together, as it wrote it.
    pub output: Output,
    /// How long it took.
    pub took: Duration,
    secrets: Secrets,
}

impl HookResult {
    /// The end of what it wrote, with `…` in place of secrets that its settings gave to it.
    pub fn said(&self) -> String {
        self.secrets.hide(&self.output.text())
    }

    /// Whether it did what it was to do.
    pub fn is_success(&self) -> bool {
        self.ending == Ending::Exited(0)
    }

    /// What went wrong, if it did.
    pub fn error(&self) -> Option<HookError> {
        let (stage, program) = (self.stage.as_str(), self.program.clone());
        match self.ending {
            Ending::Exited(0) => None,
            Ending::Exited(code) => Some(HookError::Exited {
                stage,
                program,
                code,
            }),
            Ending::Signal(signal) => Some(HookError::Signal {
                stage,
                program,
                signal,
            }),
            Ending::TimedOut => Some(HookError::TimedOut { stage, program }),
            Ending::NotStarted(problem) => Some(HookError::NotStarted {
                stage,
                program,
                problem,
            }),
            Ending::Lost(problem) => Some(HookError::Lost {
                stage,
                program,
                problem,
            }),
        }
    }
}

/// What became of a run and its hooks.
#[derive(Debug)]
pub struct Around<T> {
    /// What the run gave, if it was begun at all.
    pub value: Option<T>,
    /// What hooks were told last.
    pub facts: RunFacts,
    /// All hooks that ran, in that order.
    pub hooks: Vec<HookResult>,
}

/// The hooks of a job.
#[derive(Clone, Debug)]
pub struct Hooks {
    settings: HooksSettings,
    environment: Environment,
}

impl Hooks {
    /// Checks settings. `environment` is what hooks inherit.
    ///
    /// # Errors
    /// [`HookError`] with what is wrong.
    pub fn new(settings: HooksSettings, environment: Environment) -> Result<Self, HookError> {
        settings.check()?;
        Ok(Self {
            settings,
            environment,
        })
    }

    /// Runs `work` between the hooks. It writes into the facts how the run went; `clock` says when
    /// it ended. Blocks until all hooks have ended.
    ///
    /// A `before` hook that fails ends the run before it begins, unless it is set to go on; then the
    /// run counts as failed. No other hook changes what the run was.
    ///
    /// # Panics
    /// With what `work` panics with, after the `failed` and `finally` hooks.
    pub fn around<T>(
        &self,
        mut facts: RunFacts,
        clock: &dyn Fn() -> Timestamp,
        work: impl FnOnce(&mut RunFacts) -> T,
    ) -> Around<T> {
        let mut hooks = Vec::new();
        let stopped = self.before(&facts, &mut hooks);
        let done = match stopped {
            Some(error) => {
                facts.status = RunStatus::Failed;
                facts.error = Some(error.to_string());
                Ok(None)
            }
            None => {
                // Nothing of the facts that is half written can mislead: they are texts.
                let done = catch_unwind(AssertUnwindSafe(|| work(&mut facts)));
                if done.is_err() || facts.status == RunStatus::Running {
                    facts.status = RunStatus::Failed;
                    facts
                        .error
                        .get_or_insert_with(|| "the run broke off".to_owned());
                }
                done.map(Some)
            }
        };
        facts.finished = Some(clock());
        let (stage, list) = match facts.status {
            RunStatus::Success | RunStatus::Partial => (Stage::After, &self.settings.after),
            RunStatus::Failed | RunStatus::Running => (Stage::Failed, &self.settings.failed),
        };
        for (stage, list) in [(stage, list), (Stage::Finally, &self.settings.finally)] {
            for hook in list {
                hooks.push(run_hook(hook, stage, &facts, &self.environment));
            }
        }
        match done {
            Ok(value) => Around {
                value,
                facts,
                hooks,
            },
            Err(panic) => resume_unwind(panic),
        }
    }

    /// The error of the hook because of which there is to be no run.
    fn before(&self, facts: &RunFacts, hooks: &mut Vec<HookResult>) -> Option<HookError> {
        for hook in &self.settings.before {
            let result = run_hook(hook, Stage::Before, facts, &self.environment);
            let error = result.error();
            hooks.push(result);
            if error.is_some() && hook.on_failure != Some(OnFailure::Continue) {
                return error;
            }
        }
        None
    }
}

/// Runs one command with what hooks find in their environment, and blocks until it has ended.
pub fn run_hook(
    hook: &HookSettings,
    stage: Stage,
    facts: &RunFacts,
    environment: &Environment,
) -> HookResult {
    let begun = Instant::now();
    let (ending, output) = process::run(&Program {
        command: &hook.command,
        directory: hook.directory.as_deref(),
        environment: &environment.of(hook, stage, facts),
        timeout: hook.timeout,
        kill_after: hook.kill_after,
    });
    let result = HookResult {
        stage,
        program: process::name_of(&hook.command),
        ending,
        output,
        took: begun.elapsed(),
        secrets: environment.secrets_of(hook),
    };
    match result.error() {
        None => tracing::info!(
            job = facts.job,
            hook = stage.as_str(),
            program = result.program,
            "hook ran"
        ),
        Some(error) => tracing::warn!(
            job = facts.job,
            hook = stage.as_str(),
            program = result.program,
            %error,
            "hook failed"
        ),
    }
    result
}
