//! The event store in a database on a server.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "in_database.rs"]
mod backend;
mod bundle;
mod common;
mod follow;
mod kill;
mod labels;
mod media;
mod numbered;
mod purge;
mod server;
mod store;
mod verify;
