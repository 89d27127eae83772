//! The vault.

pub mod chunker;
