//! What surrounds a backup.
//!
//! - [`hook`] runs commands of the user around a run.
//! - [`notify`] tells people and machines how it went.
//! - [`schedule`] says when a job runs.
//!
//! Each module is one job beside the vault and knows nothing of the others, but [`RunStatus`], how a
//! run stands.
//!
//! The library does not print, prompt or read the environment, and starts no runtime.

#![forbid(unsafe_code)]

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod hook;
pub mod notify;
mod process;
mod run;
pub mod schedule;

pub use run::{FullSuccess, RunFacts, RunStatus};
pub mod inventory;
