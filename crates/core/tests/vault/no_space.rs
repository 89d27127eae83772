//! A disk that is full from any create on.

use std::sync::Arc;

use keepwatch_core::crypto::{Key, Lock};
use keepwatch_core::storage::{MemoryStorage, StorageError};
use keepwatch_core::{Error, Repository, Result, Role};
use keepwatch_testkit::NoSpaceStorage;

use crate::scene::{Scene, forget, prune, tags};

/// Runs the operation with a disk that is full from each of its creates on. It must say so, leave
/// everything whole, and succeed once there is space.
fn full_at_every_create(
    what: &str,
    scene: &Scene,
    base: &MemoryStorage,
    earlier: &[&str],
    operation: &dyn Fn(&Repository) -> Result<()>,
) {
    let mut creates = 0;
    loop {
        let inner = base.fork();
        let storage = Arc::new(NoSpaceStorage::after(Arc::new(inner.clone()), creates));
        let repository = scene.open(storage.clone()).unwrap();
        let context = format!("{what}, full at create {creates}");
        match operation(&repository) {
            Ok(()) => break,
            Err(Error::Storage(StorageError::NoSpace { .. })) => {}
            Err(error) => panic!("{context}: {error:?}"),
        }
        let (found, _) = scene.assert_whole(&inner, &context);
        assert!(found.is_superset(&tags(earlier)), "{context}: {found:?}");
        storage.free();
        drop(repository);
        let repository = scene.open(storage.clone()).unwrap();
        operation(&repository).unwrap_or_else(|e| panic!("{context}, again: {e:?}"));
        drop(repository);
        let repository = scene.open(storage).unwrap();
        prune(&repository).unwrap();
        prune(&repository).unwrap();
        let (found, report) = scene.assert_whole(&inner, &context);
        assert!(found.is_superset(&tags(earlier)), "{context}: {found:?}");
        assert_eq!(report.warnings, [], "{context}");
        creates += 1;
    }
    eprintln!("{what}: the disk full at each of {creates} creates");
    assert!(creates > 0);
}

#[test]
fn a_full_disk_stops_a_backup() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1]);
    scene.set_version(2);
    full_at_every_create("backup", &scene, &base, &["v1"], &|repository| {
        scene.backup(repository, "v2").map(drop)
    });
}

#[test]
fn a_full_disk_stops_forget_and_prune() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1, 2]);
    full_at_every_create("forget", &scene, &base, &["v2"], &|repository| {
        forget(repository, "v1")
    });
    forget(&scene.open(Arc::new(base.clone())).unwrap(), "v1").unwrap();
    full_at_every_create("prune", &scene, &base, &["v2"], &|repository| {
        prune(repository).map(drop)
    });
}

#[test]
fn a_full_disk_stops_a_change_of_keys() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1]);
    let key = Key::from_bytes([7; 32]);
    let repository = scene.open(Arc::new(base.clone())).unwrap();
    let lock = Lock::KeyFile(&key);
    repository
        .add_key(&lock, Role::Writer, "second", jiff::Timestamp::now())
        .unwrap();
    full_at_every_create("key rotate", &scene, &base, &["v1"], &|repository| {
        repository.rotate_key().map(drop)
    });
}
