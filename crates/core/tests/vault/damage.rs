//! Everything that can be wrong with a small repository is found, and nothing of it gives wrong bytes.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use keepwatch_core::crypto::{Key, Lock};
use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName, Storage};
use keepwatch_core::{PruneOptions, ReadData, Role, Silent};
use keepwatch_testkit::tree::{noise, write};
use keepwatch_testkit::{FaultStorage, OpKind, Persisted, When, corrupt, is_crash};

use crate::scene::{Scene, forget, prune, tagged, tags};

/// Two snapshots, one in the trash, one gone for good, an interrupted backup, an interrupted prune,
/// and two keys.
struct Patient {
    scene: Scene,
    storage: MemoryStorage,
    /// Objects whose loss takes nothing from anybody: what they hold belongs to the snapshot that is
    /// gone for good or to the interrupted backup, or they only say what was going on.
    idle: BTreeSet<ObjectName>,
}

impl Patient {
    fn new() -> Self {
        let scene = Scene::new();
        let storage = scene.init();
        let names = || -> BTreeSet<ObjectName> {
            let objects = storage.snapshot_objects();
            objects.into_keys().collect()
        };
        let repository = scene.open(Arc::new(storage.clone())).unwrap();
        let lock = Key::from_bytes([7; 32]);
        let second = repository
            .add_key(
                &Lock::KeyFile(&lock),
                Role::Writer,
                "writer",
                Timestamp::now(),
            )
            .unwrap();
        // Nobody knows which slots there should be: who holds the key finds out that it is gone.
        let mut idle = BTreeSet::from([ObjectName::new(ObjectKind::Key, second.id)]);
        let version = |seed: u64| {
            let root = scene.source();
            write(&root, "file", noise(2500, seed));
            write(&root, "dir/text", format!("version {seed} ").repeat(40));
        };
        for (seed, tag) in [(0, "gone"), (1, "first"), (2, "trashed"), (3, "second")] {
            version(seed);
            scene.backup(&repository, tag).unwrap();
        }
        forget(&repository, "gone").unwrap();
        prune(&repository).unwrap();
        version(5);
        let before = names();
        scene.backup(&repository, "purged").unwrap();
        idle.extend(names().difference(&before));
        forget(&repository, "purged").unwrap();

        let options = PruneOptions {
            max_unused_percent: 100.0,
            ..PruneOptions::default()
        };
        let after_intent = last_create(&storage, ObjectKind::Gc, &|storage| {
            let repository = scene.open(storage).unwrap();
            repository.prune(&options, Timestamp::now()).unwrap();
        }) + 1;
        let crashing = FaultStorage::new(Arc::new(storage.clone()));
        let crashing = crashing.crash_at(after_intent, Persisted::Nothing);
        let crash = scene.open(Arc::new(crashing)).unwrap();
        assert!(is_crash(
            &crash.prune(&options, Timestamp::now()).unwrap_err()
        ));

        forget(&repository, "trashed").unwrap();
        version(4);
        let before = names();
        let snapshot = last_create(&storage, ObjectKind::Snapshot, &|storage| {
            let repository = scene.open(storage).unwrap();
            scene.backup(&repository, "interrupted").unwrap();
        });
        let crashing = FaultStorage::new(Arc::new(storage.clone()));
        let repository = scene
            .open(Arc::new(crashing.crash_at(snapshot, Persisted::Nothing)))
            .unwrap();
        assert!(is_crash(
            &scene.backup(&repository, "interrupted").unwrap_err()
        ));
        idle.extend(names().difference(&before));
        idle.extend(
            names()
                .into_iter()
                .filter(|name| name.kind == ObjectKind::Gc),
        );

        let count = |kind| names().iter().filter(|name| name.kind == kind).count();
        assert_eq!(count(ObjectKind::Key), 2);
        assert_eq!(count(ObjectKind::Snapshot), 2);
        assert_eq!(count(ObjectKind::Trash), 1);
        assert_eq!(count(ObjectKind::Pending), 1);
        assert_eq!(count(ObjectKind::Gc), 2);
        let patient = Self {
            scene,
            storage,
            idle,
        };
        let (found, report) = patient.scene.assert_whole(&patient.storage, "undamaged");
        assert_eq!(found, tags(&["first", "second"]));
        assert_eq!(report.warnings, []);
        patient
    }

    fn objects(&self, wanted: impl Fn(ObjectKind) -> bool) -> Vec<(ObjectName, usize)> {
        let objects = self.storage.snapshot_objects();
        let wanted = objects.iter().filter(|(name, _)| wanted(name.kind));
        wanted.map(|(name, bytes)| (*name, bytes.len())).collect()
    }

    /// Whether a fresh client notices, by failing to open or by a check.
    fn is_noticed(&self, storage: &MemoryStorage, read: ReadData, context: &str) -> bool {
        let look = || match self.scene.open_briefly(Arc::new(storage.clone())) {
            Err(_) => true,
            Ok(repository) => match repository.check(read, &Silent) {
                Ok(report) => !report.ok,
                Err(error) => {
                    assert!(error.is_damage(), "{context}: {error:?}");
                    true
                }
            },
        };
        catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| panic!("{context}: it panics"))
    }

    /// Restores whatever can be; gives how many snapshots came out right.
    fn assert_right_or_error(&self, storage: &MemoryStorage, context: &str) -> u64 {
        let restore = || {
            let Ok(repository) = self.scene.open_briefly(Arc::new(storage.clone())) else {
                return 0;
            };
            let Ok((snapshots, _)) = repository.snapshots() else {
                return 0;
            };
            let mut right = 0;
            for (id, snapshot) in &snapshots {
                match self.scene.restores(&repository, id, snapshot) {
                    Ok(same) => assert!(same, "{context}: wrong bytes"),
                    Err(_) => continue,
                }
                right += 1;
            }
            right
        };
        catch_unwind(AssertUnwindSafe(restore)).unwrap_or_else(|_| panic!("{context}: it panics"))
    }

    /// Flips every bit that `bits` gives for an object, and asserts that a check notices.
    fn flip(
        &self,
        what: &str,
        objects: &[(ObjectName, usize)],
        read: ReadData,
        bits: &dyn Fn(&ObjectName, usize) -> Vec<usize>,
    ) {
        let (mut flipped, mut restored, mut right) = (0u64, 0u64, 0);
        for (name, len) in objects {
            for bit in bits(name, *len) {
                let damaged = self.storage.fork();
                corrupt::flip_bit(&damaged, name, bit);
                let context = format!("{name}, bit {bit}");
                assert!(self.is_noticed(&damaged, read, &context), "{context}");
                flipped += 1;
                // Restoring takes ten times as long: once for every few bytes.
                if bit % 64 == bit / 64 % 8 {
                    right += self.assert_right_or_error(&damaged, &context);
                    restored += 2;
                }
            }
        }
        eprintln!(
            "{what}: {flipped} flipped bits of {} objects all found; of {restored} restores {right} right, none wrong",
            objects.len()
        );
        assert!(flipped > 0);
    }
}

/// The number of the last mutation that creates an object of a kind.
fn last_create(storage: &MemoryStorage, kind: ObjectKind, run: &dyn Fn(Arc<FaultStorage>)) -> u64 {
    let clean = Arc::new(FaultStorage::new(Arc::new(storage.fork())));
    let last = Arc::new(Mutex::new(None));
    let seen = last.clone();
    clean.on_op(Box::new(move |op| {
        if op.when == When::Before && op.kind == OpKind::Create && op.object.kind == kind {
            *seen.lock().unwrap() = op.mutation;
        }
    }));
    run(clean);
    let last = last.lock().unwrap();
    last.expect("one is created")
}

fn every_bit(_: &ObjectName, len: usize) -> Vec<usize> {
    (0..len * 8).collect()
}

#[test]
fn every_bit_of_config_and_keys() {
    let patient = Patient::new();
    let objects = patient.objects(|kind| matches!(kind, ObjectKind::Config | ObjectKind::Key));
    assert_eq!(objects.len(), 3);
    patient.flip("config and keys", &objects, ReadData::No, &every_bit);
}

#[test]
fn every_bit_of_index_objects() {
    let patient = Patient::new();
    let objects = patient.objects(|kind| kind == ObjectKind::Index);
    patient.flip("index", &objects, ReadData::No, &every_bit);
}

#[test]
fn every_bit_of_snapshots_and_records() {
    let patient = Patient::new();
    let objects = patient.objects(|kind| {
        matches!(
            kind,
            ObjectKind::Snapshot | ObjectKind::Trash | ObjectKind::Pending | ObjectKind::Gc
        )
    });
    assert_eq!(objects.len(), 6);
    patient.flip("snapshots and records", &objects, ReadData::No, &every_bit);
}

#[test]
fn every_bit_of_a_pack_and_a_bit_of_every_byte_of_all() {
    let patient = Patient::new();
    let objects = patient.objects(|kind| kind == ObjectKind::Pack);
    let smallest = objects.iter().min_by_key(|(_, len)| *len).unwrap();
    patient.flip("one pack", &[*smallest], ReadData::All, &every_bit);
    // Header and trailer, and every third byte of what lies between.
    let anywhere = |name: &ObjectName, len: usize| {
        let seed = u64::from(name.id.as_bytes()[0]);
        let random = noise(len, seed);
        let bit = |at: usize| at * 8 + usize::from(random[at] % 8);
        let is_wanted = |at: &usize| *at < 140 || *at + 160 > len || at.is_multiple_of(3);
        (0..len).filter(is_wanted).map(bit).collect()
    };
    patient.flip("bytes of packs", &objects, ReadData::All, &anywhere);
}

#[test]
fn whole_objects() {
    let patient = Patient::new();
    let objects = patient.objects(|_| true);
    let all = ReadData::All;

    let mut truncated = 0;
    for (name, len) in &objects {
        for keep in [0, 1, len / 2, len - 1] {
            let damaged = patient.storage.fork();
            corrupt::truncate(&damaged, name, keep);
            let context = format!("{name} cut to {keep}");
            assert!(patient.is_noticed(&damaged, all, &context), "{context}");
            patient.assert_right_or_error(&damaged, &context);
            truncated += 1;
        }
    }

    let (mut removed, mut idle) = (0, 0);
    for (name, _) in &objects {
        let damaged = patient.storage.fork();
        damaged.remove(name).unwrap();
        let context = format!("{name} removed");
        let noticed = patient.is_noticed(&damaged, all, &context);
        let right = patient.assert_right_or_error(&damaged, &context);
        removed += 1;
        if !noticed {
            assert!(patient.idle.contains(name), "{context}: nobody notices");
            assert_eq!(right, 2, "{context}");
            idle += 1;
        }
    }

    let mut swapped = 0;
    for (at, (a, _)) in objects.iter().enumerate() {
        for (b, _) in objects[at + 1..].iter().filter(|(b, _)| b.kind == a.kind) {
            let damaged = patient.storage.fork();
            corrupt::swap(&damaged, a, b);
            let context = format!("{a} and {b} swapped");
            assert!(patient.is_noticed(&damaged, all, &context), "{context}");
            patient.assert_right_or_error(&damaged, &context);
            swapped += 1;
        }
    }

    let mut doubled = 0;
    for (name, _) in objects.iter().filter(|(n, _)| n.kind != ObjectKind::Config) {
        for first in [0x00, 0xff] {
            let mut id = *name.id.as_bytes();
            // Neither its own name nor one that sorts where it did.
            id[0] = first;
            id[31] ^= 1;
            let damaged = patient.storage.fork();
            let copy = ObjectName::new(name.kind, keepwatch_core::Id::from_bytes(id));
            damaged.replace_object(&copy, damaged.read(name).unwrap());
            let context = format!("{name} again as {copy}");
            assert!(patient.is_noticed(&damaged, all, &context), "{context}");
            patient.assert_right_or_error(&damaged, &context);
            doubled += 1;
        }
    }
    eprintln!(
        "{truncated} truncations, {removed} removals ({idle} of what nobody misses), {swapped} swaps and {doubled} copies, all found"
    );
}

#[test]
fn damaged_records_stop_backups_and_prunes_until_they_are_repaired() {
    let patient = Patient::new();
    for kind in [ObjectKind::Gc, ObjectKind::Pending] {
        let damaged = patient.storage.fork();
        let (name, _) = patient.objects(|k| k == kind)[0];
        corrupt::flip_bit(&damaged, &name, 800);
        let repository = patient.scene.open(Arc::new(damaged.clone())).unwrap();
        let options = PruneOptions::default();
        assert!(
            repository
                .prune(&options, Timestamp::now())
                .unwrap_err()
                .is_damage()
        );
        let report = repository.repair_index(&Silent).unwrap();
        assert_eq!(report.records_removed, 1);
        repository
            .prune(
                &PruneOptions {
                    drop_pending: true,
                    keep_trash: SignedDuration::from_hours(1),
                    ..options
                },
                Timestamp::now(),
            )
            .unwrap();
        assert!(tagged(&repository, "first").is_some());
    }
}
