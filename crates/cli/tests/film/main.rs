//! The binary on published pictures and videos, which are not part of the project:
//! `KEEPWATCH_TESTDATA` names their folder.

#![cfg(feature = "vision")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod faces;
mod plates;
mod watch;
#[path = "../cli/world.rs"]
#[allow(dead_code, reason = "another test binary needs all of it")]
mod world;
