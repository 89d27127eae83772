//! Jobs as they are run: real repositories, real programs as hooks, a clock that tests set.

mod backups;
mod drills;
mod schedules;
mod surroundings;
mod world;
