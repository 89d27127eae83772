//! Licence plates.

pub mod grammar;
pub mod list;
pub mod lookalike;
pub mod text;
pub mod vote;
pub mod localize;
