//! What can be wrong with a service.

use crate::schedule::ScheduleError;

/// Why there are no files for a service manager.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A job's name that is no part of a file's name.
    #[error("{name:?} cannot be the name of a job's service")]
    Name {
        /// The name, or how it begins.
        name: String,
    },
    /// Two jobs that differ in capital letters at most.
    #[error("there are two jobs {job:?}, or they differ in nothing but capital letters")]
    Twice {
        /// One of them.
        job: String,
    },
    /// More jobs than are believed.
    #[error("there are more than {most} jobs")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// A path that the format cannot hold.
    #[error("{what} {path:?} {problem}")]
    Path {
        /// What the path is for.
        what: &'static str,
        /// The path, or how it begins.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A schedule that is wrong.
    #[error("job {job}")]
    Schedule {
        /// The job.
        job: String,
        /// What is wrong with it.
        source: ScheduleError,
    },
    /// A schedule that the service manager cannot keep.
    #[error("job {job}: {manager} cannot keep its schedule exactly: {what}")]
    Inexact {
        /// The job.
        job: String,
        /// The service manager.
        manager: &'static str,
        /// What it cannot say.
        what: &'static str,
    },
    /// No job has a schedule.
    #[error("no job has a schedule, so there is nothing to run")]
    Nothing,
}

impl ServiceError {
    /// How to put it right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Name { .. } => "a name is 1 to 64 of A-Z a-z 0-9 . _ - and begins with no dot",
            Self::Twice { .. } | Self::TooMany { .. } => "rename or remove jobs",
            Self::Path { .. } => "use another path, by a symbolic link for example",
            Self::Schedule { source, .. } => source.hint(),
            Self::Inexact { .. } => {
                "`keepwatch run` keeps every schedule: install it in place of timers"
            }
            Self::Nothing => "give jobs a schedule",
        }
    }
}
