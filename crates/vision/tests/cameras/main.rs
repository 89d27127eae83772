//! Cameras that do what cameras do wrong, over real connections.

mod changes;
mod frames;
mod mjpeg;
mod recognition;
mod recovery;
mod refusals;
mod scene;
mod streams;
