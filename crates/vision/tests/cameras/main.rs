//! Cameras that do what cameras do wrong, over real connections.

mod changes;
mod frames;
mod live;
mod mjpeg;
mod playback;
mod recognition;
mod recovery;
mod refusals;
mod scene;
mod streams;
