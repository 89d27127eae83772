//! Stores in directories.

use std::path::Path;

use keepwatch_core::Result;
use keepwatch_core::crypto::{Credential, Lock};
use keepwatch_core::events::{Store, StoreOptions, StoreRole};

pub fn create(
    dir: &Path,
    locks: &[(Lock<'_>, StoreRole)],
    options: &StoreOptions,
) -> Result<Store> {
    Store::create(dir, locks, options)
}

pub fn open(dir: &Path, credential: &Credential) -> Result<Store> {
    Store::open(dir, credential)
}

pub fn open_read_only(dir: &Path, credential: &Credential) -> Result<Store> {
    Store::open_read_only(dir, credential)
}

/// What another process needs to open them.
pub fn environment() -> Vec<(&'static str, String)> {
    Vec::new()
}
