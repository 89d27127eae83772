//! Cameras: their pictures, and events of them.

pub mod analyzer;
pub mod camera;
pub mod config;
pub mod frame;
pub mod keeper;
pub mod pipeline;
pub mod settings;
pub mod status;
pub mod store;
