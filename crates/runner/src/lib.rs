//! Runs the jobs of a configuration: backups into one or more repositories, checks, prunes and
//! restore drills, each with its pre-flight, hooks, notifications, heartbeat and record.
//!
//! A [`Runner`] runs a job when it is asked to ([`Runner::run`]); a [`scheduler`] asks it when the
//! job's schedule says so. A [`CameraTeller`] tells brokers of MQTT of cameras. What is to be known the next time is in a [`State`], a directory that
//! any number of processes may share: a job has one run at a time in all of them.
//!
//! The library reads no environment and no clock of its own: [`Setup`] brings both.

#![forbid(unsafe_code)]

mod brokers;
mod cameras;
mod dumps;
mod error;
mod nice;
mod preflight;
mod presence;
mod record;
mod repositories;
mod runner;
pub mod scheduler;
mod state;
mod tell;
mod work;

pub use cameras::{CameraTeller, OpenPicture, WatchedCameras};
pub use dumps::{dumps_of, with_dump};
pub use error::{Error, Result};
pub use record::{Destination, DrillFault, RunRecord, Status};
pub use repositories::{Opened, Repositories, identities};
pub use runner::{Asked, Finished, Runner, Setup};
pub use state::State;
pub use work::{DrillPlan, Ended, Task, drill, work};
