//! The vault.

pub mod chunker;
pub mod id;
pub mod storage;
