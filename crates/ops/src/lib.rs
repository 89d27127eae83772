//! What surrounds a backup.
//!
//! - [`backuphandler`] reads the backups of the tool BackupHandler, restores and imports them.
//! - [`hook`] runs commands of the user around a run.
//! - [`inventory`] says what a machine has, and writes a script that gives it to another.
//! - [`notify`] tells people and machines how it went.
//! - [`schedule`] says when a job runs.
//! - [`service`] writes files for service managers, and tells systemd how the service is.
//! - [`source`] dumps databases into a backup, and feeds dumps back.
//! - [`tailscale`] connects a machine before a run.
//! - [`volume`] makes snapshots of file systems, for backups to read from.
//!
//! Each module is one job beside the vault and knows nothing of the others, but [`RunStatus`], how a
//! run stands, and schedules, which service managers are to keep as well.
//!
//! The library does not print, prompt or read the environment, and starts no runtime.

#![forbid(unsafe_code)]

pub mod backuphandler;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod hook;
pub mod inventory;
pub mod notify;
mod process;
mod run;
pub mod schedule;
mod secrets;
pub mod service;
pub mod source;
pub mod tailscale;
pub mod volume;

pub use run::{FullSuccess, RunFacts, RunStatus};
