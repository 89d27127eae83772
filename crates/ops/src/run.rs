//! What is said of a run.

use jiff::Timestamp;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// It is under way.
    Running,
    /// All was done.
    Success,
    /// Something was made, but not of everything.
    Partial,
    /// Nothing was made.
    Failed,
}

impl RunStatus {
    /// Its name, as in `KEEPWATCH_STATUS`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }

    /// The proof that all was done, for those who may be told nothing less.
    pub fn full_success(self) -> Option<FullSuccess> {
        (self == Self::Success).then_some(FullSuccess(()))
    }
}

/// All of a run was done. Only [`RunStatus::full_success`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullSuccess(());

/// What a run is and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// The name of the job.
    pub job: String,
    /// The run.
    pub run_id: String,
    /// How it stands.
    pub status: RunStatus,
    /// The snapshot that was made.
    pub snapshot: Option<String>,
    /// What went wrong. No secret belongs in it.
    pub error: Option<String>,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
}
