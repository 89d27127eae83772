//! The vault.

pub mod id;
pub mod storage;
