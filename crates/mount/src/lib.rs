//! The snapshots of a repository as a file system that is only read.
//!
//! [`Tree`] is the heart: `/snapshots/<time>`, `/ids/<id>`, `/hosts/<host>/<time>`,
//! `/tags/<tag>/<time>` and `/latest`, with directories that are read as far as somebody looks and
//! files whose chunks are read ahead. `fuse` (on Linux) gives it to the kernel, [`webdav`] to
//! programs that speak HTTP.

mod chunks;
mod error;
mod file;
#[cfg(target_os = "linux")]
pub mod fuse;
mod listing;
mod lru;
mod names;
mod snapshots;
mod tree;
pub mod webdav;

pub use error::{Error, Result};
pub use file::OpenFile;
pub use tree::{Dir, Entries, Entry, EntryKind, StoredEntry, Tree, TreeOptions};
