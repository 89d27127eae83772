//! The event store, as its users see it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod backup;
mod bundle;
mod common;
mod follow;
mod kill;
mod labels;
mod media;
mod numbered;
mod purge;
mod store;
mod verify;
