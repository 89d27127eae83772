//! Licence plates.

pub mod grammar;
pub mod lookalike;
pub mod text;
pub mod vote;
