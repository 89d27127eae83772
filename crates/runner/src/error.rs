//! Why a job does not run at all.

use keepwatch_ops::hook::HookError;
use keepwatch_ops::notify::{NotifyError, SpoolError};
use keepwatch_ops::schedule::ScheduleError;

/// The result of what can keep a job from running.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a job does not run. A job that runs and fails is no error: its
/// [`RunRecord`](crate::RunRecord) says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration has no job of this name.
    #[error("there is no job {name:?} in the configuration")]
    NoJob {
        /// The name.
        name: String,
    },
    /// It runs already, here or in another process.
    #[error("the job {name:?} is running already")]
    Running {
        /// The name.
        name: String,
    },
    /// Another scheduler works with the same state.
    #[error("another `keepwatch run` has the state in {path}")]
    Scheduled {
        /// The directory.
        path: String,
    },
    /// What is to be remembered cannot be read or written.
    #[error(transparent)]
    State(#[from] keepwatch_core::Error),
    /// Hooks cannot run.
    #[error("the hooks of the job {name:?}")]
    Hooks {
        /// The job.
        name: String,
        /// Why not.
        #[source]
        source: HookError,
    },
    /// A schedule means nothing.
    #[error("the schedule of the job {name:?}")]
    Schedule {
        /// The job.
        name: String,
        /// Why not.
        #[source]
        source: ScheduleError,
    },
    /// Somebody cannot be told.
    #[error("what is told to {name:?}")]
    Notify {
        /// Whom.
        name: String,
        /// Why not.
        #[source]
        source: NotifyError,
    },
    /// Nothing can be kept to be told.
    #[error("notifications cannot be kept")]
    Spool(#[from] SpoolError),
}
