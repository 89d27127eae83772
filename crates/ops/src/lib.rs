//! What surrounds a backup.
//!
//! Each module is one job beside the vault and knows nothing of the others.
//!
//! The library does not print, prompt or read the environment, and starts no runtime.

#![forbid(unsafe_code)]

pub mod backuphandler;
