//! Faces and plates in pictures.

pub mod faces;
pub mod gallery;
pub mod networks;
pub mod picture;
pub mod plates;
pub mod reports;
pub mod securevision;
pub mod settings;
