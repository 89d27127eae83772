//! Faces and plates in published pictures, which are not part of the project: `KEEPWATCH_TESTDATA`
//! names their folder.

mod common;
mod faces;
#[cfg(feature = "tesseract")]
mod plates;
