//! The tree itself, and what shows it, against real kernels and clients.
#![allow(clippy::unwrap_used)] // A test that fails says why.

#[cfg(target_os = "linux")]
mod fuse;
mod scene;
mod tree;
mod webdav;
