//! `keepwatch serve` as a service manager, a browser and a program have it.

#![cfg(feature = "vision")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stdout, reason = "it tells what it left out")]

mod calls;
mod certificates;
mod client;
mod full;
mod life;
mod locked;
mod program;
mod reload;
mod shared;
#[path = "../processes/small_disk.rs"]
#[allow(dead_code, reason = "another test binary needs all of it")]
mod small_disk;
#[path = "../cli/world.rs"]
#[allow(dead_code, reason = "another test binary needs all of it")]
mod world;
