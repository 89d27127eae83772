//! Test doubles and fixtures.
//!
//! - [`FaultStorage`] and [`NoSpaceStorage`] make any storage fail at a chosen operation and let
//!   a test act between two operations.
//! - [`CrashDisk`] says which objects may be left after a crash.
//! - [`corrupt`] damages objects in a [`MemoryStorage`](keepwatch_core::storage::MemoryStorage).
//! - [`storage_conformance`] is the contract of a storage as a list of checks.
//! - [`tree`] makes and compares directory trees.
//! - [`vault`] makes repositories and event stores.
//! - `camera` (with the feature of that name) serves video over RTSP and HTTP, as well or as badly
//!   as a test asks.
//! - [`onnx`] writes small networks.
//! - [`mariadb`] and [`postgres`] start database servers.
//! - [`proxy`] is a line that goes bad, and [`network`] a network in which packets vanish.
//! - [`program`] runs any server for a test, [`s3`] one for objects, [`ssh`] one for files and
//!   [`mosquitto`] one for messages.
//! - [`testdata`] finds the fixtures.

#[cfg(feature = "camera")]
pub mod camera;
mod conformance;
pub mod corrupt;
mod crash_disk;
mod fault;
pub mod gcs;
pub mod locked_s3;
pub mod mariadb;
pub mod mosquitto;
pub mod network;
mod no_space;
pub mod onnx;
pub mod postgres;
pub mod program;
pub mod proxy;
mod random;
pub mod s3;
pub mod ssh;
pub mod tree;
pub mod vault;

use std::path::PathBuf;

pub use conformance::{storage_conformance, storage_conformance_one_by_one};
pub use crash_disk::{CrashDisk, LogEntry};
pub use fault::{FaultStorage, Op, OpKind, Persisted, When, is_crash, is_injected};
pub use no_space::NoSpaceStorage;

/// The directory of fixtures: the environment variable `KEEPWATCH_TESTDATA`, or else
/// `shared/testdata` next to the workspace.
///
/// # Panics
///
/// When there is no such directory: a test without its fixtures must not pass.
pub fn testdata() -> PathBuf {
    let path = match std::env::var_os("KEEPWATCH_TESTDATA") {
        Some(path) => PathBuf::from(path),
        // Asked when the test runs: checkouts that share a target directory share its binaries.
        None => PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
            .join("../../../shared/testdata"),
    };
    assert!(
        path.is_dir(),
        "no fixtures at {}: set KEEPWATCH_TESTDATA to the directory that holds them",
        path.display()
    );
    path
}
