//! The vault as a whole: what goes in comes out, whatever happens in between.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod backup;
mod copy;
mod crash;
mod damage;
mod far;
mod fixture;
mod holds;
mod interleave;
mod keys;
mod no_space;
mod parity;
mod reader;
mod refill;
mod restore;
mod resume;
mod scene;
mod virtual_tree;
