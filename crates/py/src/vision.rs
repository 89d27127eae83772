//! Cameras: their pictures, and events of them.

pub mod camera;
pub mod frame;
pub mod settings;
pub mod status;
