//! Jobs as they are run: real repositories, real programs as hooks, a clock that tests set.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod backups;
mod drills;
mod presence;
mod schedules;
mod surroundings;
mod volumes;
mod world;
