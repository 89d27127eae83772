//! Repositories and event stores for tests: cheap keys, small packs, fixed names.

use std::path::Path;
use std::sync::Arc;

use keepwatch_core::chunker::ChunkerParams;
use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{Store, StoreOptions, StoreRole};
use keepwatch_core::storage::Storage;
use keepwatch_core::{
    BackupOptions, BackupReport, CachePlace, InitOptions, Repository, RestoreOptions,
    RestoreReport, Silent, Source,
};

/// The key file of every repository made here.
pub const KEY_FILE: [u8; 32] = *b"a key file that only tests know.";

/// An event store that the key file opens, in a new directory.
///
/// # Panics
///
/// When that fails.
pub fn event_store() -> (tempfile::TempDir, Arc<Store>) {
    let dir = tempfile::tempdir().expect("a directory");
    let key = Key::from_bytes(KEY_FILE);
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    let store = Store::create(&dir.path().join("store"), &locks, &StoreOptions::default());
    (dir, Arc::new(store.expect("a store")))
}

/// What opens it.
pub fn credential() -> Credential {
    Credential::KeyFile(Key::from_bytes(KEY_FILE))
}

/// Options that make many small chunks and packs of little data.
pub fn small() -> InitOptions {
    InitOptions {
        params: ChunkerParams {
            min: 1 << 10,
            avg: 4 << 10,
            max: 16 << 10,
        },
        pack_size: 64 << 10,
        ..InitOptions::default()
    }
}

/// Makes a repository.
///
/// # Panics
///
/// When that fails.
pub fn init(storage: Arc<dyn Storage>, options: &InitOptions, cache: &Path) -> Repository {
    Repository::init(
        storage,
        &Lock::KeyFile(&Key::from_bytes(KEY_FILE)),
        "first",
        options,
        jiff::Timestamp::now(),
        &CachePlace::Dir(cache.to_owned()),
    )
    .unwrap_or_else(|e| panic!("init: {e:?}"))
}

/// Opens a repository made by [`init`].
///
/// # Errors
///
/// What the library says.
pub fn open(storage: Arc<dyn Storage>, cache: &Path) -> keepwatch_core::Result<Repository> {
    Repository::open(storage, &credential(), &CachePlace::Dir(cache.to_owned()))
}

/// Options for a backup as the tests make it.
pub fn backup_options() -> BackupOptions {
    BackupOptions {
        host: "testhost".to_owned(),
        user: "tester".to_owned(),
        program: "tests".to_owned(),
        ..BackupOptions::at(jiff::Timestamp::now())
    }
}

/// Backs one directory up.
///
/// # Errors
///
/// What the library says.
pub fn backup(repository: &Repository, dir: &Path) -> keepwatch_core::Result<BackupReport> {
    let sources = vec![Source::Path(dir.to_owned())];
    repository.backup(sources, &backup_options(), &Silent)
}

/// Restores the directory `dir` of a snapshot into `target`.
///
/// # Errors
///
/// What the library says.
pub fn restore(
    repository: &Repository,
    snapshot: &str,
    dir: &Path,
    target: &Path,
) -> keepwatch_core::Result<RestoreReport> {
    restore_with(
        repository,
        snapshot,
        dir,
        target,
        &RestoreOptions::default(),
    )
}

/// Restores with options.
///
/// # Errors
///
/// What the library says.
pub fn restore_with(
    repository: &Repository,
    snapshot: &str,
    dir: &Path,
    target: &Path,
    options: &RestoreOptions,
) -> keepwatch_core::Result<RestoreReport> {
    use std::os::unix::ffi::OsStrExt;
    let (id, snapshot) = repository.find_snapshot(snapshot)?;
    repository.restore(
        &id,
        &snapshot,
        dir.as_os_str().as_bytes(),
        target,
        options,
        &Silent,
    )
}
