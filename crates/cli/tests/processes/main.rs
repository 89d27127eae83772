//! The binary among other processes: killed, interrupted, side by side, on a full disk.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stdout, reason = "it tells what it counted")]

mod dice;
mod disk_full;
mod interrupts;
mod kills;
mod repository;
mod secrets;
mod small_disk;
mod stress;
#[path = "../cli/world.rs"]
#[allow(dead_code, reason = "another test binary needs all of it")]
mod world;
