//! The vault as a whole: what goes in comes out, whatever happens in between.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod backup;
mod fixture;
mod restore;
