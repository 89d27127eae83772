//! The edges of what file systems hold: odd names, huge things, holes, and files that move.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "../vault/fixture.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod fixture;
mod huge;
mod moving;
mod names;
mod sparse;
mod swapped;
