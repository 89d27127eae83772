//! Faces and licence plates in pictures.
//!
//! The parts work on pixels in memory and need neither a camera nor a file. [`photo`] reads the
//! files that people have.

pub mod confirm;
pub mod detect;
pub mod face;
pub mod geometry;
pub mod infer;
pub mod models;
pub mod object;
pub mod photo;
pub mod picture;
pub mod plate;
pub mod resample;
pub mod settings;
pub mod store;

#[cfg(feature = "fuzzing")]
pub mod fuzzing;

mod error;

#[cfg(not(any(feature = "ort", feature = "tract")))]
compile_error!("keepwatch-recognition needs its feature ort or tract: something has to compute");

pub use error::{Error, Result};
pub use geometry::{Box2, Point, Quad};
pub use picture::{Channels, Picture, View};
