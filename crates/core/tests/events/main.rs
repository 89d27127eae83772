//! The event store, as its users see it.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "in_directory.rs"]
mod backend;
mod backup;
mod bundle;
mod common;
mod directory;
mod follow;
mod kill;
mod labels;
mod media;
mod numbered;
mod purge;
mod store;
mod verify;
