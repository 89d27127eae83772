//! Trees of a storage that is far away are fetched pack by pack, and kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keepwatch_core::id::Id;
use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName, Storage, StorageError};
use keepwatch_core::{CachePlace, ReadData, Repository, Silent};
use keepwatch_testkit::tree::{describe, noise, write};
use keepwatch_testkit::vault;
use tempfile::TempDir;

/// Counts what is read of packs.
#[derive(Clone, Debug, Default)]
struct FarStorage {
    inner: MemoryStorage,
    reads: Arc<AtomicUsize>,
}

impl FarStorage {
    fn count(&self, name: &ObjectName) {
        let is_pack = name.kind == ObjectKind::Pack;
        self.reads
            .fetch_add(usize::from(is_pack), Ordering::Relaxed);
    }

    /// Reads of packs since it was last asked.
    fn reads(&self) -> usize {
        self.reads.swap(0, Ordering::Relaxed)
    }
}

impl Storage for FarStorage {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        self.inner.create(name, parts)
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        self.count(name);
        self.inner.read(name)
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        self.count(name);
        self.inner.read_range(name, offset, len)
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        self.inner.size(name)
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        self.inner.list(kind, each)
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn settle(&self, kind: ObjectKind) -> Result<(), StorageError> {
        self.inner.settle(kind)
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn is_far(&self) -> bool {
        true
    }
}

struct World {
    dir: TempDir,
    storage: FarStorage,
}

impl World {
    /// A hundred directories, the trees of which are in one pack.
    fn new() -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            storage: FarStorage::default(),
        };
        for nth in 0..100 {
            let name = format!("{nth}/file");
            write(&world.path("source"), &name, noise(100, nth));
        }
        let storage = Arc::new(world.storage.clone());
        let repository = vault::init(storage, &vault::small(), &world.path("writer"));
        vault::backup(&repository, &world.path("source")).unwrap();
        world.storage.reads();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> Repository {
        let place = CachePlace::Dir(self.path("reader"));
        let storage = Arc::new(self.storage.clone());
        Repository::open(storage, &vault::credential(), &place).unwrap()
    }

    fn check(&self) -> bool {
        let report = self.open().check(ReadData::No, &Silent).unwrap();
        report.ok
    }

    /// The files that are kept.
    fn kept(&self) -> Vec<PathBuf> {
        let caches = std::fs::read_dir(self.path("reader")).unwrap();
        let trees = caches.map(|cache| cache.unwrap().path().join("trees"));
        trees
            .filter_map(|dir| std::fs::read_dir(dir).ok())
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    fn restore(&self) {
        let (source, target) = (self.path("source"), self.path("target"));
        vault::restore(&self.open(), "latest", &source, &target).unwrap();
        assert!(describe(&target) == describe(&source));
        std::fs::remove_dir_all(target).unwrap();
    }
}

#[test]
fn a_pack_of_trees_is_fetched_once() {
    let world = World::new();
    assert!(world.check());
    assert_eq!(world.storage.reads(), 1, "a hundred trees are in one pack");
    assert_eq!(world.kept().len(), 1);
    // Another process, which has the same cache.
    let first = world.open();
    let (_, snapshot) = first.find_snapshot("latest").unwrap();
    let first = Arc::new(first);
    let mut reader = first.open_directory(&snapshot.root).unwrap();
    assert!(reader.next_chunk().unwrap().is_some());
    assert_eq!(world.storage.reads(), 0, "it is on this machine");
}

#[test]
fn what_is_kept_hides_no_damage_from_a_check() {
    let world = World::new();
    assert!(world.check());
    let kept: Id = world.kept()[0]
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let pack = ObjectName::new(ObjectKind::Pack, kept);
    let mut bytes = world.storage.inner.snapshot_objects()[&pack].to_vec();
    for byte in bytes.iter_mut().skip(100).step_by(50) {
        *byte ^= 1;
    }
    world.storage.inner.replace_object(&pack, bytes);
    assert!(!world.check());
}

#[test]
fn a_damaged_copy_is_fetched_again() {
    let world = World::new();
    assert!(world.check());
    let path = world.kept().remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(100).step_by(50) {
        *byte ^= 1;
    }
    std::fs::write(&path, &bytes).unwrap();
    world.restore();
    assert_ne!(std::fs::read(&path).unwrap(), bytes, "it was not replaced");
    // One that breaks off is no obstacle either.
    std::fs::write(&path, b"short").unwrap();
    world.restore();
}

#[test]
fn copies_that_nothing_needs_go() {
    let world = World::new();
    assert!(world.check());
    let unneeded = world.kept()[0].with_file_name(Id::of(b"unneeded").to_string());
    std::fs::write(&unneeded, b"x").unwrap();
    world.restore();
    assert!(!unneeded.exists());
    assert_eq!(world.kept().len(), 1);
}

#[test]
fn without_room_for_copies_all_is_read_from_afar() {
    let world = World::new();
    drop(world.open());
    let caches = std::fs::read_dir(world.path("reader")).unwrap();
    for cache in caches {
        // A file where the folder would be.
        std::fs::write(cache.unwrap().path().join("trees"), b"").unwrap();
    }
    world.restore();
}
