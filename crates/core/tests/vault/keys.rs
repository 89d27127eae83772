//! What each key may do, and what a rotation takes from those who are gone.

use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_core::crypto::{Credential, Kdf, Key, Lock, Passphrase};
use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName, Storage};
use keepwatch_core::{CachePlace, Error, PruneOptions, ReadData, Repository, Result, Role, Silent};
use keepwatch_testkit::{FaultStorage, OpKind, When};

use crate::scene::{Scene, forget, prune, tagged, tags};

const OTHER: [u8; 32] = [7; 32];

fn add(repository: &Repository, role: Role) {
    let key = Key::from_bytes(OTHER);
    repository
        .add_key(&Lock::KeyFile(&key), role, "other", Timestamp::now())
        .unwrap();
}

fn open_other(scene: &Scene, storage: &MemoryStorage) -> Result<Repository> {
    Repository::open(
        Arc::new(storage.clone()),
        &Credential::KeyFile(Key::from_bytes(OTHER)),
        &CachePlace::Dir(scene.fresh("cache")),
    )
}

fn open(scene: &Scene, storage: &MemoryStorage) -> Repository {
    scene.open(Arc::new(storage.clone())).unwrap()
}

/// Packs with the key epoch that their headers name.
fn epochs(storage: &MemoryStorage) -> Vec<u32> {
    let objects = storage.snapshot_objects();
    let packs = objects
        .iter()
        .filter(|(name, _)| name.kind == ObjectKind::Pack);
    packs
        .map(|(_, bytes)| u32::from_le_bytes(bytes[8..12].try_into().unwrap()))
        .collect()
}

#[test]
fn a_writer_adds_and_reads_nothing() {
    let scene = Scene::new();
    let storage = scene.with_versions(&[1]);
    add(&open(&scene, &storage), Role::Writer);
    let writer = open_other(&scene, &storage).unwrap();
    assert_eq!(writer.role(), Role::Writer);
    scene.set_version(2);
    let report = scene.backup(&writer, "by writer").unwrap();
    // What version 1 has stored is not stored again.
    assert!(report.bytes.new < 60_000, "{:?}", report.bytes);
    assert!(report.bytes.new > 40_000, "{:?}", report.bytes);

    let refused = |what: &str, result: Result<()>| match result {
        Err(Error::NeedsFullKey { .. }) => {}
        other => panic!("{what}: {other:?}"),
    };
    let full = open(&scene, &storage);
    let id = tagged(&full, "v1").unwrap();
    refused("snapshots", writer.snapshots().map(drop));
    refused("latest", writer.find_snapshot("latest").map(drop));
    refused("by id", writer.find_snapshot(&id.to_string()).map(drop));
    let target = scene.fresh("target");
    let restored = {
        use std::os::unix::ffi::OsStrExt;
        let (_, snapshot) = full.find_snapshot(&id.to_string()).unwrap();
        let source = scene.source();
        writer.restore(
            &id,
            &snapshot,
            source.as_os_str().as_bytes(),
            &target,
            &keepwatch_core::RestoreOptions::default(),
            &Silent,
        )
    };
    match restored {
        Err(Error::NeedsFullKey { .. }) => {}
        other => panic!("restore: {other:?}"),
    }
    assert!(!target.exists() || std::fs::read_dir(&target).unwrap().count() == 0);
    refused(
        "forget",
        writer.forget(&[id], Timestamp::now(), false).map(drop),
    );
    refused("prune", prune(&writer).map(drop));
    refused("trash", writer.unforget("0000").map(drop));
    refused("rotate", writer.rotate_key().map(drop));
    refused("remove", writer.remove_key("other").map(drop));
    refused("check", writer.check(ReadData::All, &Silent).map(drop));
    assert!(writer.check(ReadData::No, &Silent).unwrap().ok);
    let (found, _) = scene.assert_whole(&storage, "with the full key");
    assert_eq!(found, tags(&["v1", "by writer"]));
}

#[test]
fn a_removed_key_reads_nothing_new() {
    let scene = Scene::new();
    let storage = scene.with_versions(&[1]);
    add(&open(&scene, &storage), Role::Full);
    // A copy made before, as a thief has it.
    let stolen: Vec<_> = storage
        .snapshot_objects()
        .into_iter()
        .filter(|(name, _)| name.kind == ObjectKind::Key)
        .collect();
    let removed = open(&scene, &storage).remove_key("other").unwrap();
    assert!(matches!(
        open_other(&scene, &storage),
        Err(Error::WrongKey { .. })
    ));
    assert_eq!(epochs(&storage).iter().max(), Some(&1));

    scene.set_version(2);
    let repository = open(&scene, &storage);
    let report = scene.backup(&repository, "v2").unwrap();
    assert!(
        report.bytes.new < 60_000,
        "a rotation costs no dedup: {:?}",
        report.bytes
    );
    assert_eq!(epochs(&storage).iter().max(), Some(&2));

    // With the stolen slot put back, the old snapshot can be read and the new one cannot.
    let attacked = storage.fork();
    for (name, bytes) in stolen {
        if name.id == removed.id {
            attacked.replace_object(&name, bytes);
        }
    }
    let thief = open_other(&scene, &attacked).unwrap();
    let (snapshots, problems) = thief.snapshots().unwrap();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(snapshots[0].1.tags, ["v1"]);
    assert_eq!(problems.len(), 1);
    assert!(
        scene
            .restores(&thief, &snapshots[0].0, &snapshots[0].1)
            .unwrap()
    );
    // And whoever holds the other key is told of it.
    let report = open(&scene, &attacked)
        .check(ReadData::No, &Silent)
        .unwrap();
    assert_eq!(report.warnings.len(), 1, "{report:?}");

    // What is copied is under the newest keys.
    forget(&repository, "v1").unwrap();
    let options = PruneOptions {
        max_unused_percent: 0.0,
        ..PruneOptions::default()
    };
    let report = repository.prune(&options, Timestamp::now()).unwrap();
    assert!(report.packs_rewritten > 0, "{report:?}");
    let after = epochs(&storage);
    assert!(
        after.iter().filter(|epoch| **epoch == 2).count() > 1,
        "{after:?}"
    );
    scene.assert_whole(&storage, "after prune");
}

#[test]
fn rotations_in_turn_and_at_once() {
    let scene = Arc::new(Scene::new());
    let storage = scene.with_versions(&[1]);
    add(&open(&scene, &storage), Role::Writer);
    let stale = open(&scene, &storage);
    assert_eq!(open(&scene, &storage).rotate_key().unwrap(), 2);
    // A handle from before goes on working, and does not rotate.
    assert!(matches!(stale.rotate_key(), Err(Error::Busy { .. })));
    scene.set_version(2);
    scene.backup(&stale, "v2").unwrap();
    let writer = open_other(&scene, &storage).unwrap();
    scene.backup_other(&writer, "beside").unwrap();
    let keys = open(&scene, &storage).keys().unwrap();
    assert_eq!(keys.iter().map(|key| key.epoch).collect::<Vec<_>>(), [2, 2]);

    // Another rotation at every operation of one: of both, one at most takes place at a time.
    let mut at = 0;
    let mut both = 0;
    loop {
        let inner = storage.fork();
        let outer = Arc::new(FaultStorage::new(Arc::new(inner.clone())));
        let repository = scene.open(outer.clone()).unwrap();
        let state = Arc::new(std::sync::Mutex::new((0, None)));
        let (hook_state, scene_too, inner_too) = (state.clone(), scene.clone(), inner.clone());
        outer.on_op(Box::new(move |op| {
            let number = {
                let mut state = hook_state.lock().unwrap();
                if op.when == When::Before && op.kind != OpKind::Settle {
                    state.0 += 1;
                }
                state.0
            };
            if number == at + 1 && hook_state.lock().unwrap().1.is_none() {
                let other = open(&scene_too, &inner_too).rotate_key().is_ok();
                hook_state.lock().unwrap().1 = Some(other);
            }
        }));
        let first = repository.rotate_key().is_ok();
        let Some(other) = state.lock().unwrap().1 else {
            break;
        };
        let context = format!("operation {at}: {first}, {other}");
        both += u32::from(first && other);
        scene.assert_whole(&inner, &context);
        let after = open(&scene, &inner);
        let keys = after.keys().unwrap();
        let least = 2 + u32::from(first) + u32::from(other);
        assert!(first || other, "{context}");
        assert!(keys[0].epoch >= least, "{context}: {keys:?}");
        assert_eq!(keys[0].epoch, keys[1].epoch, "{context}");
        after.rotate_key().unwrap();
        let count = inner.snapshot_objects();
        let slots = count
            .keys()
            .filter(|name| name.kind == ObjectKind::Key)
            .count();
        assert_eq!(slots, 2, "{context}");
        at += 1;
    }
    eprintln!("a rotation at each of {at} operations of a rotation, {both} times both took place");
    assert!(at > 6);
}

#[test]
fn of_two_versions_of_a_slot_the_newer_one_counts() {
    let scene = Scene::new();
    let storage = scene.with_versions(&[1]);
    let old: Vec<_> = storage
        .snapshot_objects()
        .into_iter()
        .filter(|(name, _)| name.kind == ObjectKind::Key)
        .collect();
    open(&scene, &storage).rotate_key().unwrap();
    // As after a crash that undoes the removal.
    for (name, bytes) in &old {
        storage.replace_object(name, bytes.clone());
    }
    let repository = open(&scene, &storage);
    assert_eq!(repository.keys().unwrap().len(), 1);
    scene.set_version(2);
    scene.backup(&repository, "v2").unwrap();
    assert_eq!(epochs(&storage).iter().max(), Some(&2));
    repository.rotate_key().unwrap();
    for (name, _) in &old {
        assert!(storage.size(&ObjectName::new(name.kind, name.id)).is_err());
    }
}

#[test]
fn slots_stay_within_what_opening_may_cost() {
    let scene = Scene::new();
    let storage = scene.with_versions(&[1]);
    let repository = open(&scene, &storage);
    let passphrase = Passphrase::from("dear");
    let add = |kdf| {
        let lock = Lock::Passphrase(&passphrase, kdf);
        repository.add_key(&lock, Role::Full, "", Timestamp::now())
    };
    // All that one slot may cost is all that all of them may.
    add(Kdf::pbkdf2(10_000_000)).unwrap();
    match add(Kdf::argon2id(64, 1, 1)) {
        Err(Error::Invalid { problem, .. }) => assert!(problem.contains("too much"), "{problem}"),
        other => panic!("{other:?}"),
    }
    // What is no passphrase costs nothing and goes on; and what is there opens.
    let key = Key::from_bytes(OTHER);
    repository
        .add_key(&Lock::KeyFile(&key), Role::Full, "", Timestamp::now())
        .unwrap();
    open_other(&scene, &storage).unwrap();
    Repository::open(
        Arc::new(storage.clone()),
        &Credential::Passphrase(passphrase),
        &CachePlace::Dir(scene.fresh("cache")),
    )
    .unwrap();
}
