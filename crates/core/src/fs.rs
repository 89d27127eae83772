//! The file system: what to leave out of a backup, and how files are read and restored.
//!
//! Everything is reached from open directories, never by a path of several components: a
//! directory that is swapped for a symbolic link in the middle of a run leads nowhere, and paths
//! may be longer than the system's limit of 4096 bytes.

mod atomic;
mod excludes;
mod held;
mod owners;
mod paths;
mod sealed;
mod secret;
mod source;
mod stat;
mod target;

pub use atomic::{AtomicFile, Replace};
pub use excludes::*;
pub use held::HeldFile;
pub use paths::{overlap, plain_path};
pub use sealed::{seal_file, unseal_file};
pub use secret::read_secret;

pub(crate) use owners::OwnerNames;
pub(crate) use source::{SourceDir, SourceFile};
pub(crate) use stat::{FileKind, Stat};
pub(crate) use target::{RestoreDir, RestoreRoot, TEMPORARY_PREFIX};
