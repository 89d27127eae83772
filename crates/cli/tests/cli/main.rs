//! The binary, as scripts and people call it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod backup;
mod browse;
#[cfg(feature = "vision")]
mod cameras;
mod check;
#[cfg(feature = "vision")]
mod databases;
mod exit_codes;
mod forget;
mod help;
mod inventory;
#[cfg(feature = "vision")]
mod jobs;
mod keys;
#[cfg(feature = "vision")]
mod live;
mod never_again;
mod old_backups;
#[cfg(feature = "vision")]
mod operations;
mod parity;
#[cfg(feature = "vision")]
mod plates;
mod remote;
mod restore;
mod sealed;
mod served;
#[cfg(feature = "vision")]
mod users;
mod world;
