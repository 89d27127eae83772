//! Licence plates: finding, straightening and reading them.

pub mod grammar;
pub mod list;
pub mod lookalike;
pub mod text;
pub mod vote;
pub mod localize;
pub mod ocr;
pub mod preprocess;
pub mod rectify;
pub mod scan;

mod components;
#[cfg(test)]
mod drawn;
mod isolate;
mod lines;
