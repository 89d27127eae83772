//! The event store, as its users see it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod backup;
mod bundle;
mod common;
mod kill;
mod media;
mod numbered;
mod purge;
mod store;
mod verify;
