//! Real video from end to end.

mod footage;
mod frames;
mod live;
mod motion;
mod mp4;
mod objects;
mod recognition;
mod watch;
