//! The Keepwatch vault: encrypted, deduplicated backups that are verified and proven to restore.
//!
//! Start with [`Repository`]: [`Repository::init`] makes one in any [`storage::Storage`],
//! [`Repository::open`] opens it, [`Repository::backup`] and [`Repository::restore`] are what it is
//! for. `docs/FORMAT.md` describes every byte that it writes, `docs/ARCHITECTURE.md` how the parts
//! work together.

pub mod chunker;
pub mod events;
pub mod fs;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod id;
pub mod index;
pub mod retention;
pub mod storage;
pub mod tree;
mod tree_packs;

mod backup;
mod browse;
mod cache;
mod check;
mod compress;
mod config;
mod drill;
mod error;
mod forget;
mod gc;
mod holds;
mod keyring;
mod keys;
mod keyslot;
mod keyslots;
mod listing;
mod mark;
mod object;
mod pack;
mod parallel;
mod parity;
mod progress;
mod read;
mod reader;
mod refill;
mod repair;
mod repository;
mod restore;
mod scrub;
mod secret_text;
mod segment;
mod snapshot;
mod wal;
mod walk;

pub use jiff;
pub use keepwatch_crypto as crypto;

pub use backup::{
    BackupOptions, BackupReport, ByteCounts, CopiedSnapshot, CopyOptions, CopyReport, FileCounts,
    PathError, Source, Stream, VirtualContent, VirtualEntry, VirtualKind, VirtualTree,
};
pub use browse::{Change, ChangeKind, Listed, Stats};
pub use cache::CachePlace;
pub use check::{CheckError, CheckReport, Checked, ParityCheck, ReadData};
pub use compress::Compression;
pub use config::{ChunkerConfig, Config, FORMAT_VERSION, MAX_CHUNK, MAX_PACK, Padding};
pub use drill::{DrillOptions, DrillReport};
pub use error::{Error, Result, with_causes};
pub use forget::{Filter, ForgetEntry, ForgetReport};
pub use gc::{PruneOptions, PruneReport};
pub use id::Id;
pub use keyring::Role;
pub use keys::KeyInfo;
pub use listing::{DirectoryChunk, DirectoryReader};
pub use parity::{
    MendReport, Mended, ParityOptions, ParityRemoved, ParityReport, ParityStatus, Remedy,
};
pub use progress::{Progress, Silent};
pub use reader::{ChunkFetcher, FileChunk, FilePart, FileReader};
pub use refill::{RefillReport, Remains};
pub use repair::RepairReport;
pub use repository::{InitOptions, Repository};
pub use restore::{Overwrite, RestoreOptions, RestoreReport, restore_tree};
pub use secret_text::SecretText;
pub use snapshot::{Mode, Name, Snapshot, Trashed};

/// The example in the README is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
