//! Real video from end to end.

mod footage;
mod motion;
mod watch;
