//! The doubles do what they say: a crash test is worth what its model is.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use keepwatch_core::id::Id;
use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName, Storage, StorageError};
use keepwatch_testkit::{
    CrashDisk, FaultStorage, LogEntry, NoSpaceStorage, OpKind, Persisted, When, corrupt, is_crash,
    is_injected, storage_conformance,
};

fn key(n: u8) -> ObjectName {
    ObjectName::new(ObjectKind::Key, Id::from_bytes([n; 32]))
}

fn pack(directory: u8, n: u8) -> ObjectName {
    let mut id = [n; 32];
    id[0] = directory;
    ObjectName::new(ObjectKind::Pack, Id::from_bytes(id))
}

fn put(storage: &dyn Storage, names: &[ObjectName]) {
    for name in names {
        storage.create(name, &[name.path().as_bytes()]).unwrap();
    }
}

type Names = BTreeSet<ObjectName>;

fn names(storage: &MemoryStorage) -> Names {
    storage.snapshot_objects().into_keys().collect()
}

fn variants(disk: &CrashDisk) -> BTreeSet<Names> {
    let variants = disk.survivors_all_variants(1024);
    assert_eq!(variants.len(), 1 << disk.undecided());
    let all: BTreeSet<Names> = variants.iter().map(names).collect();
    for seed in 0..50 {
        assert!(all.contains(&names(&disk.survivors(seed))));
    }
    all
}

/// The sets of names, each of which is `always` and some of `maybe`.
fn subsets(always: &[ObjectName], maybe: &[ObjectName]) -> BTreeSet<Names> {
    (0..1 << maybe.len())
        .map(|bits: u32| {
            let chosen = maybe.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
            always
                .iter()
                .chain(chosen.map(|(_, n)| n))
                .copied()
                .collect()
        })
        .collect()
}

#[test]
fn doubles_without_faults_conform() {
    let memory = || Arc::new(MemoryStorage::new());
    storage_conformance(&CrashDisk::new());
    storage_conformance(&FaultStorage::new(memory()));
    storage_conformance(&FaultStorage::on_disk(CrashDisk::new()));
    storage_conformance(&NoSpaceStorage::after(memory(), u64::MAX));
}

#[test]
fn creates_survive_and_removes_may_be_undone() {
    let disk = CrashDisk::new();
    put(&disk, &[key(1), key(2), key(3)]);
    assert_eq!(variants(&disk), subsets(&[key(1), key(2), key(3)], &[]));
    disk.remove(&key(1)).unwrap();
    disk.remove(&key(2)).unwrap();
    disk.remove(&key(9)).unwrap();
    assert_eq!(variants(&disk), subsets(&[key(3)], &[key(1), key(2)]));
    assert_eq!(names(&disk.visible()), [key(3)].into());
    let back = disk
        .survivors_all_variants(4)
        .into_iter()
        .find(|s| names(s).contains(&key(1)))
        .unwrap();
    assert_eq!(back.read(&key(1)).unwrap(), key(1).path().as_bytes());
    assert_eq!(disk.log()[3..], [1, 2].map(|n| LogEntry::Removed(key(n))));
}

#[test]
fn a_create_makes_removes_in_its_directory_durable() {
    let disk = CrashDisk::new();
    put(&disk, &[key(1), pack(1, 1), pack(2, 1)]);
    for name in [key(1), pack(1, 1), pack(2, 1)] {
        disk.remove(&name).unwrap();
    }
    put(&disk, &[pack(1, 2)]);
    let expected = subsets(&[pack(1, 2)], &[key(1), pack(2, 1)]);
    assert_eq!(variants(&disk), expected);
    // A create that fails syncs nothing.
    put(&disk, &[key(2)]);
    disk.remove(&key(2)).unwrap();
    put(&disk, &[key(3)]);
    disk.remove(&key(3)).unwrap();
    disk.create(&pack(1, 2), &[b"other"]).unwrap_err();
    let expected = subsets(&[pack(1, 2)], &[key(3), pack(2, 1)]);
    assert_eq!(variants(&disk), expected);
}

#[test]
fn a_crash_stops_everything() {
    let disk = CrashDisk::new();
    let storage = FaultStorage::on_disk(disk).crash_at(1, Persisted::Nothing);
    put(&storage, &[key(1)]);
    assert!(!storage.crashed());
    let error = storage.create(&key(2), &[b"x"]).unwrap_err();
    assert!(is_crash(&error) && is_injected(&error) && storage.crashed());
    let results = [
        storage.read(&key(1)).map(drop),
        storage.read_range(&key(1), 0, 1).map(drop),
        storage.size(&key(1)).map(drop),
        storage.list(ObjectKind::Key, &mut |_, _| ()),
        storage.remove(&key(1)),
        storage.create(&key(3), &[]),
    ];
    for result in results {
        assert!(is_crash(&result.unwrap_err()));
    }
    assert_eq!(storage.mutations(), 2);
}

#[test]
fn crashes_in_flight() {
    let crash = |persisted, remove: bool| {
        let disk = CrashDisk::new();
        put(&disk, &[key(1), key(2)]);
        let storage = FaultStorage::on_disk(disk.clone()).crash_at(1, persisted);
        storage.remove(&key(1)).unwrap();
        let result = if remove {
            storage.remove(&key(2))
        } else {
            storage.create(&key(3), &[b"x"])
        };
        assert!(is_crash(&result.unwrap_err()));
        variants(&disk)
    };
    // The create in flight has not synced the directory: key 1 may be back next to it.
    let [k1, k2, k3] = [key(1), key(2), key(3)];
    assert_eq!(crash(Persisted::Nothing, false), subsets(&[k2], &[k1]));
    assert_eq!(
        crash(Persisted::Everything, false),
        subsets(&[k2, k3], &[k1])
    );
    assert_eq!(
        crash(Persisted::Undecided, false),
        subsets(&[k2], &[k1, k3])
    );
    assert_eq!(crash(Persisted::Nothing, true), subsets(&[k2], &[k1]));
    assert_eq!(crash(Persisted::Everything, true), subsets(&[], &[k1]));
    assert_eq!(crash(Persisted::Undecided, true), subsets(&[], &[k1, k2]));
}

#[test]
fn a_name_removed_and_created_anew_has_old_new_or_no_content() {
    let disk = CrashDisk::new();
    disk.create(&key(1), &[b"old"]).unwrap();
    let storage = FaultStorage::on_disk(disk.clone()).crash_at(1, Persisted::Undecided);
    storage.remove(&key(1)).unwrap();
    storage.create(&key(1), &[b"new"]).unwrap_err();
    let contents: BTreeSet<_> = disk
        .survivors_all_variants(4)
        .iter()
        .map(|s| s.read(&key(1)).ok())
        .collect();
    let expected = [None, Some(b"new".to_vec()), Some(b"old".to_vec())];
    assert_eq!(contents, expected.into());
}

#[test]
fn too_many_variants_are_sampled() {
    let disk = CrashDisk::new();
    let all: Vec<_> = (0..100).map(key).collect();
    put(&disk, &all);
    for name in &all {
        disk.remove(name).unwrap();
    }
    let variants = disk.survivors_all_variants(250);
    assert_eq!(variants.len(), 250);
    let sizes: Vec<_> = variants.iter().map(|v| names(v).len()).collect();
    assert_eq!(sizes[..2], [0, 100]);
    assert!(sizes[2..102].iter().all(|n| *n == 1));
    assert!(sizes[102..202].iter().all(|n| *n == 99));
    assert_eq!(names(&disk.survivors(7)), names(&disk.survivors(7)));
    assert_ne!(names(&disk.survivors(7)), names(&disk.survivors(8)));
}

#[test]
fn errors_pass_and_may_have_worked() {
    let memory = MemoryStorage::new();
    let storage = FaultStorage::new(Arc::new(memory.clone()))
        .fail_at(0, Persisted::Nothing)
        .fail_at(1, Persisted::Everything)
        .fail_at(3, Persisted::Everything);
    for n in [1, 2] {
        let error = storage.create(&key(n), &[b"x"]).unwrap_err();
        assert!(is_injected(&error) && !is_crash(&error));
    }
    put(&storage, &[key(3)]);
    assert_eq!(names(&memory), [key(2), key(3)].into());
    storage.remove(&key(3)).unwrap_err();
    assert_eq!(names(&memory), [key(2)].into());
    assert_eq!(storage.mutations(), 4);
}

#[test]
fn hooks_interleave_another_actor() {
    let memory = MemoryStorage::new();
    let storage = FaultStorage::new(Arc::new(memory.clone()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, other) = (seen.clone(), memory.clone());
    storage.on_op(Box::new(move |op| {
        log.lock().unwrap().push((op.when, op.kind, op.mutation));
        if op.kind == OpKind::Create && op.when == When::Before {
            other.create(&op.object, &[b"first"]).unwrap();
        }
    }));
    let raced = storage.create(&key(1), &[b"second"]);
    assert!(matches!(raced, Err(StorageError::AlreadyExists { .. })));
    assert_eq!(storage.read(&key(1)).unwrap(), b"first");
    let expected = [
        (When::Before, OpKind::Create, Some(0)),
        (When::After, OpKind::Create, Some(0)),
        (When::Before, OpKind::Read, None),
        (When::After, OpKind::Read, None),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn a_full_disk_stays_full_until_freed() {
    let storage = NoSpaceStorage::after(Arc::new(MemoryStorage::new()), 2);
    put(&storage, &[key(1), key(2)]);
    for _ in 0..3 {
        let full = storage.create(&key(3), &[b"x"]);
        assert!(matches!(full, Err(StorageError::NoSpace { .. })));
    }
    storage.remove(&key(1)).unwrap();
    assert_eq!(storage.read(&key(2)).unwrap(), key(2).path().as_bytes());
    storage.free();
    put(&storage, &[key(3)]);
}

#[test]
fn corruption() {
    let storage = MemoryStorage::new();
    storage.create(&key(1), &[b"abc"]).unwrap();
    storage.create(&key(2), &[b"xyz"]).unwrap();
    corrupt::flip_bit(&storage, &key(1), 8);
    assert_eq!(storage.read(&key(1)).unwrap(), b"acc");
    corrupt::swap(&storage, &key(1), &key(2));
    assert_eq!(storage.read(&key(2)).unwrap(), b"acc");
    corrupt::truncate(&storage, &key(1), 1);
    assert_eq!(storage.read(&key(1)).unwrap(), b"x");
}
