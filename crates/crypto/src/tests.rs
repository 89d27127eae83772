//! Published vectors, run through the code that the crate itself uses.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests: a failure is a panic, and the counts show that vectors were run"
)]

mod rfc;
mod wycheproof;
mod xaes;

use std::path::PathBuf;

/// The directory of fixtures, as the workspace's test kit finds it.
fn testdata() -> PathBuf {
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

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}
