//! Lost chunks come back from their sources, from other repositories, and from what is sound of
//! damaged packs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName, Storage};
use keepwatch_core::{
    BackupOptions, CachePlace, CopyOptions, Id, InitOptions, ReadData, Remains, Repository, Silent,
    Source,
};
use keepwatch_testkit::tree::{describe, noise, write};
use keepwatch_testkit::vault;
use tempfile::TempDir;

/// A repository without parity, and what it holds.
struct World {
    dir: TempDir,
    storage: MemoryStorage,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = MemoryStorage::new();
        let world = Self { dir, storage };
        write(&world.source(), "large", noise(2_000_000, 1));
        for nth in 0..20 {
            write(&world.source(), &format!("dir/{nth}"), noise(700, nth));
        }
        let repository = init(&world.storage, &world.path("cache"));
        vault::backup(&repository, &world.source()).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn source(&self) -> PathBuf {
        self.path("source")
    }

    fn open(&self) -> Repository {
        let place = CachePlace::Temporary(std::env::temp_dir());
        Repository::open(Arc::new(self.storage.clone()), &vault::credential(), &place).unwrap()
    }

    fn packs(&self) -> Vec<ObjectName> {
        let objects = self.storage.snapshot_objects();
        objects
            .into_keys()
            .filter(|name| name.kind == ObjectKind::Pack)
            .collect()
    }

    /// Another repository, with keys of its own, to which all snapshots are copied.
    fn copy(&self) -> Repository {
        let other = init(&MemoryStorage::new(), &self.path("other"));
        let here = self.open();
        let snapshots = here.snapshots().unwrap().0;
        let copied = other
            .copy_from(&here, snapshots, &CopyOptions::default(), &Silent)
            .unwrap();
        assert!(!copied.copied.is_empty());
        other
    }

    fn lost(&self) -> Vec<Id> {
        self.open().repair(&[], &Silent).unwrap().lost_packs
    }

    fn assert_whole(&self) {
        let repository = self.open();
        let check = repository.check(ReadData::All, &Silent).unwrap();
        assert!(check.ok, "{:?}", check.errors);
        let target = self.path("target");
        vault::restore(&repository, "latest", &self.source(), &target).unwrap();
        assert!(describe(&target) == describe(&self.source()));
    }
}

fn init(storage: &MemoryStorage, cache: &Path) -> Repository {
    let options = InitOptions {
        pack_size: 256 << 10,
        ..vault::small()
    };
    vault::init(Arc::new(storage.clone()), &options, cache)
}

fn options() -> BackupOptions {
    BackupOptions::at(Timestamp::UNIX_EPOCH)
}

fn sources(path: &Path) -> Vec<Source> {
    vec![Source::at(path).unwrap()]
}

#[test]
fn packs_come_back_from_the_source() {
    let world = World::new();
    let snapshots = world.open().snapshot_ids().unwrap();
    let objects = world.storage.snapshot_objects();
    let mut packs = world.packs();
    // The smallest is that of trees. What is in it of the directories above has changed since.
    packs.sort_by_key(|name| objects[name].len());
    for pack in &packs[1..] {
        world.storage.remove(pack).unwrap();
    }
    let lost = world.lost();
    assert!(lost.len() > 3, "{lost:?}");
    let options = options();
    let remains = vec![Remains::Sources(sources(&world.source()), &options)];
    let report = world.open().refill(&lost, remains, &Silent).unwrap();
    assert_eq!(report.lost, []);
    assert_eq!(report.packs, lost);
    world.assert_whole();
    assert_eq!(
        world.open().snapshot_ids().unwrap(),
        snapshots,
        "no snapshot is made"
    );
}

#[test]
fn all_packs_come_back_from_a_repository_with_other_keys() {
    let world = World::new();
    let other = world.copy();
    for pack in world.packs() {
        world.storage.remove(&pack).unwrap();
    }
    let lost = world.lost();
    // Those that are missing need not be named: a chunk may be in several of them.
    let report = world
        .open()
        .refill(&lost[..1], vec![Remains::Repository(&other)], &Silent)
        .unwrap();
    assert_eq!(report.lost, []);
    assert_eq!(report.packs, lost);
    world.assert_whole();
}

#[test]
fn what_is_sound_of_a_damaged_pack_is_kept() {
    let world = World::new();
    let packs = world.packs();
    let objects = world.storage.snapshot_objects();
    for pack in &packs {
        let mut bytes = objects[pack].to_vec();
        // Behind the header, before the trailer: one chunk is hit.
        bytes[300] ^= 1;
        world.storage.replace_object(pack, bytes);
    }
    let lost = world.lost();
    assert_eq!(lost.len(), packs.len());
    let report = world.open().refill(&lost, Vec::new(), &Silent).unwrap();
    assert_eq!(report.lost.len(), packs.len(), "a chunk of each is gone");
    assert!(report.chunks > 3, "{report:?}");
    // What was saved need not be found elsewhere: the packs may go now.
    for pack in &packs {
        world.storage.remove(pack).unwrap();
    }
    let options = options();
    let remains = vec![Remains::Sources(sources(&world.source()), &options)];
    let again = world.open().refill(&lost, remains, &Silent).unwrap();
    assert_eq!(again.lost, []);
    assert!(again.chunks <= packs.len() as u64, "{again:?}");
    world.assert_whole();
}

#[test]
fn what_is_nowhere_stays_missing_and_is_told() {
    let world = World::new();
    let first = world.packs()[0];
    world.storage.remove(&first).unwrap();
    let lost = world.lost();
    assert_eq!(lost, [first.id]);
    let elsewhere = world.path("elsewhere");
    write(&elsewhere, "other", noise(100_000, 99));
    let before = world.packs();
    let options = options();
    let remains = vec![Remains::Sources(sources(&elsewhere), &options)];
    let report = world.open().refill(&lost, remains, &Silent).unwrap();
    assert_eq!(report.packs, []);
    assert_eq!(report.chunks, 0);
    assert!(report.lost[0].error.contains("still missing"), "{report:?}");
    assert_eq!(world.packs(), before, "what nobody lost was stored");
    let check = world.open().check(ReadData::No, &Silent).unwrap();
    assert!(!check.ok);
}
