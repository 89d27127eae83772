//! Licence plates: finding, straightening, reading and understanding them.

pub mod area;
pub mod grammar;
pub mod list;
pub mod localize;
pub mod lookalike;
pub mod network;
pub mod ocr;
pub mod preprocess;
pub mod rectify;
pub mod scan;
pub mod text;
pub mod vote;

mod components;
#[cfg(test)]
mod drawn;
#[cfg(feature = "tesseract")]
mod isolate;
mod lines;
