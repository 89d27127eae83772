//! Parity: what is damaged or lost comes back whole, and what was removed stays away.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName, Storage};
use keepwatch_core::{
    CachePlace, Error, InitOptions, MendReport, ParityOptions, ParityReport, PruneOptions,
    ReadData, Remedy, Repository, Role, Silent,
};
use keepwatch_testkit::tree::{describe, noise, write};
use keepwatch_testkit::{FaultStorage, Persisted, corrupt, is_crash, vault};
use tempfile::TempDir;

const SECTOR: usize = 4096;

/// A repository with parity, and what it holds.
struct World {
    dir: TempDir,
    storage: MemoryStorage,
}

/// Packs of 256 KiB.
fn options() -> InitOptions {
    InitOptions {
        pack_size: 256 << 10,
        ..vault::small()
    }
}

impl World {
    fn new(bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = MemoryStorage::new();
        let world = Self { dir, storage };
        write(&world.source(), "large", noise(bytes, 1));
        for nth in 0..20 {
            write(&world.source(), &format!("dir/{nth}"), noise(700, nth));
        }
        vault::init(
            Arc::new(world.storage.clone()),
            &options(),
            &world.path("cache"),
        );
        vault::backup(&world.open(), &world.source()).unwrap();
        world
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn source(&self) -> std::path::PathBuf {
        self.path("source")
    }

    /// With a cache that knows nothing: what it remembers would hide damage.
    fn open(&self) -> Repository {
        open(&self.storage).unwrap()
    }

    fn add(&self) -> ParityReport {
        let report = self
            .open()
            .parity_add(&ParityOptions::default(), &Silent)
            .unwrap();
        assert_eq!(report.errors, []);
        report
    }

    fn names(&self, kind: ObjectKind) -> Vec<ObjectName> {
        let objects = self.storage.snapshot_objects();
        objects
            .into_keys()
            .filter(|name| name.kind == kind)
            .collect()
    }

    fn packs(&self) -> Vec<ObjectName> {
        self.names(ObjectKind::Pack)
    }

    /// Opens it, whatever it costs, and repairs it.
    fn repair(&self) -> MendReport {
        if open(&self.storage).is_err() {
            Repository::recover_entrance(&self.storage, &[], &vault::credential()).unwrap();
        }
        self.open().repair(&[], &Silent).unwrap()
    }

    /// All is well, and what is restored is what was backed up.
    fn assert_whole(&self) {
        let repository = self.open();
        let check = repository.check(ReadData::All, &Silent).unwrap();
        assert!(check.ok, "{:?}", check.errors);
        let target = self.path("target");
        vault::restore(&repository, "latest", &self.source(), &target).unwrap();
        assert!(describe(&target) == describe(&self.source()));
        std::fs::remove_dir_all(target).unwrap();
    }

    /// Overwrites a share of all sectors of all objects, in runs.
    fn destroy(&self, share: f64, run: usize, seed: u64) {
        let objects = self.storage.snapshot_objects();
        let mut sectors: Vec<(ObjectName, usize)> = Vec::new();
        for (name, bytes) in &objects {
            sectors.extend((0..bytes.len().div_ceil(SECTOR)).map(|at| (*name, at)));
        }
        let wanted = (sectors.len() as f64 * share) as usize;
        let mut random = blake3_numbers(seed);
        let mut hit = std::collections::BTreeSet::new();
        while hit.len() < wanted {
            let from = random() as usize % sectors.len();
            hit.extend((from..(from + run).min(sectors.len())).take(wanted - hit.len()));
        }
        let mut damaged: BTreeMap<ObjectName, Vec<u8>> = BTreeMap::new();
        for at in hit {
            let (name, sector) = sectors[at];
            let bytes = damaged
                .entry(name)
                .or_insert_with(|| objects[&name].to_vec());
            let end = bytes.len().min((sector + 1) * SECTOR);
            bytes[sector * SECTOR..end].fill_with(|| random() as u8);
        }
        for (name, bytes) in damaged {
            self.storage.replace_object(&name, bytes);
        }
    }
}

fn open(storage: &MemoryStorage) -> keepwatch_core::Result<Repository> {
    let place = CachePlace::Temporary(std::env::temp_dir());
    Repository::open(Arc::new(storage.clone()), &vault::credential(), &place)
}

/// Numbers that look random.
fn blake3_numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn remove(storage: &MemoryStorage, name: &ObjectName) {
    storage.size(name).unwrap();
    storage.remove(name).unwrap();
}

#[test]
fn a_twentieth_of_all_sectors_and_one_pack_come_back() {
    let world = World::new(8_000_000);
    world.add();
    let sound = world.storage.snapshot_objects();
    for seed in 0..6 {
        world.destroy(0.05, 1, seed);
        let packs = world.packs();
        remove(&world.storage, &packs[seed as usize % packs.len()]);
        let report = world.repair();
        assert_eq!(report.errors, [], "seed {seed}");
        assert!(!report.mended.is_empty());
        world.assert_whole();
        // Byte for byte, parity too: nothing was made up, and nothing left behind.
        assert!(world.storage.snapshot_objects() == sound, "seed {seed}");
    }
}

#[test]
fn bursts_and_cut_objects_come_back() {
    let world = World::new(8_000_000);
    world.add();
    let sound = world.storage.snapshot_objects();
    for seed in 0..4 {
        world.destroy(0.04, 8, seed);
        let packs = world.packs();
        let cut = packs[seed as usize];
        let bytes = world.storage.read(&cut).unwrap();
        corrupt::truncate(&world.storage, &cut, bytes.len() / 3);
        assert_eq!(world.repair().errors, [], "seed {seed}");
        world.assert_whole();
        assert!(world.storage.snapshot_objects() == sound, "seed {seed}");
    }
}

#[test]
fn any_one_object_may_go() {
    let world = World::new(600_000);
    world.add();
    let sound = world.storage.snapshot_objects();
    for name in sound.keys() {
        for cut in [false, true] {
            match cut {
                true => corrupt::truncate(&world.storage, name, 10),
                false => remove(&world.storage, name),
            }
            let report = world.repair();
            assert_eq!(report.errors, [], "{name}");
            // Lost parity is made anew by the next `parity add`: nobody knows what there was.
            world.add();
            assert!(world.storage.snapshot_objects() == sound, "{name}");
        }
    }
    world.assert_whole();
}

#[test]
fn all_small_objects_may_go_at_once() {
    let world = World::new(300_000);
    world.add();
    let sound = world.storage.snapshot_objects();
    for name in sound.keys() {
        if !matches!(name.kind, ObjectKind::Pack | ObjectKind::Parity) {
            corrupt::truncate(&world.storage, name, 1);
        }
    }
    assert_eq!(world.repair().errors, []);
    assert!(world.storage.snapshot_objects() == sound);
}

#[test]
fn two_lost_packs_of_a_group_are_reported_and_nothing_is_made_up() {
    let world = World::new(1_500_000);
    world.add();
    // Of a pack of a few sectors its own parity is enough, so the largest.
    let mut packs = world.packs();
    packs.sort_by_key(|pack| std::cmp::Reverse(world.storage.size(pack).unwrap()));
    packs.truncate(2);
    packs.sort();
    for pack in &packs {
        remove(&world.storage, pack);
    }
    let before = world.storage.snapshot_objects();
    let check = world.open().check(ReadData::No, &Silent).unwrap();
    assert!(!check.ok);
    assert_eq!(check.parity.mendable, Vec::<String>::new());
    let report = world.repair();
    let told: Vec<_> = report.errors.iter().map(|e| e.object.as_str()).collect();
    assert_eq!(told, [packs[0].to_string(), packs[1].to_string()]);
    assert!(world.storage.snapshot_objects() == before);
}

#[test]
fn a_check_says_what_parity_mends() {
    let world = World::new(1_500_000);
    let check = world.open().check(ReadData::All, &Silent).unwrap();
    assert_eq!(check.parity.objects, 0);
    world.add();
    let pack = world.packs()[0];
    corrupt::flip_bit(&world.storage, &pack, 10_000);
    let check = world.open().check(ReadData::All, &Silent).unwrap();
    assert!(!check.ok);
    assert!(check.parity.objects > 0);
    assert_eq!(check.parity.packs_unprotected, 0);
    // A snapshot whose tree is in the pack counts as well.
    assert!(check.parity.mendable.contains(&pack.to_string()));
    let parity = world.names(ObjectKind::Parity)[0];
    corrupt::flip_bit(&world.storage, &parity, 80);
    let check = world.open().check(ReadData::All, &Silent).unwrap();
    assert!(check.errors.iter().any(|e| e.object == parity.to_string()));
    assert_eq!(world.repair().errors, []);
    world.assert_whole();
}

#[test]
fn only_what_is_unprotected_is_read() {
    let world = World::new(1_000_000);
    let first = world.add();
    assert_eq!(first.packs_read, world.packs().len() as u64);
    let status = world.open().parity_status().unwrap();
    assert!(status.is_complete(), "{status:?}");
    assert_eq!(status.groups, 1);
    assert_eq!(world.add().packs_read, 0);
    let old = world.packs().len();

    write(&world.source(), "more", noise(700_000, 77));
    vault::backup(&world.open(), &world.source()).unwrap();
    let status = world.open().parity_status().unwrap();
    assert!(!status.is_complete());
    assert_eq!(status.packs_against_loss, old as u64);
    let second = world.add();
    assert_eq!(second.packs_read, (world.packs().len() - old) as u64);
    let status = world.open().parity_status().unwrap();
    assert!(status.is_complete(), "{status:?}");
    // The sum of the first group took the new packs in.
    assert_eq!(status.groups, 1);
    let sound = world.storage.snapshot_objects();
    remove(&world.storage, &world.packs()[0]);
    assert_eq!(world.repair().errors, []);
    assert!(world.storage.snapshot_objects() == sound);
}

#[test]
fn parity_of_pruned_packs_goes_and_the_rest_stays_protected() {
    let world = World::new(1_000_000);
    write(&world.source(), "more", noise(900_000, 77));
    vault::backup(&world.open(), &world.source()).unwrap();
    world.add();
    let repository = world.open();
    std::fs::remove_file(world.source().join("large")).unwrap();
    vault::backup(&repository, &world.source()).unwrap();
    let (snapshots, _) = repository.snapshots().unwrap();
    for (id, _) in &snapshots[..2] {
        repository.forget(&[*id], Timestamp::now(), false).unwrap();
    }
    repository
        .prune(&PruneOptions::default(), Timestamp::now())
        .unwrap();
    let status = world.open().parity_status().unwrap();
    assert!(status.packs_against_damage > 0);
    assert_eq!(status.packs_against_loss, 0, "{status:?}");
    // The group that has lost members for good, and nothing else.
    assert_eq!(status.useless, 1, "{status:?}");
    let kept = world.packs();
    let protected = kept
        .iter()
        .find(|pack| {
            corrupt::flip_bit(&world.storage, pack, 10_000);
            let check = world.open().check(ReadData::All, &Silent).unwrap();
            corrupt::flip_bit(&world.storage, pack, 10_000);
            check.parity.mendable == [pack.to_string()]
        })
        .copied();
    assert!(protected.is_some());
    world.add();
    assert!(world.open().parity_status().unwrap().is_complete());
    // What was removed on purpose does not come back.
    let before = world.storage.snapshot_objects();
    assert_eq!(world.repair().errors, []);
    assert!(world.storage.snapshot_objects() == before);
    remove(&world.storage, &world.packs()[0]);
    assert_eq!(world.repair().errors, []);
    world.assert_whole();
}

#[test]
fn what_was_forgotten_since_stays_forgotten() {
    let world = World::new(300_000);
    write(&world.source(), "more", noise(100_000, 77));
    vault::backup(&world.open(), &world.source()).unwrap();
    world.add();
    let repository = world.open();
    let (snapshots, _) = repository.snapshots().unwrap();
    repository
        .forget(&[snapshots[0].0], Timestamp::now(), false)
        .unwrap();
    let trash = world.names(ObjectKind::Trash);
    world.repair();
    assert_eq!(world.names(ObjectKind::Trash), trash);
    assert_eq!(world.names(ObjectKind::Snapshot).len(), 1);
    world
        .open()
        .prune(&PruneOptions::default(), Timestamp::now())
        .unwrap();
    world.repair();
    assert_eq!(world.names(ObjectKind::Snapshot).len(), 1);
    assert_eq!(world.names(ObjectKind::Trash), []);
    world.assert_whole();
}

#[test]
fn a_removed_key_does_not_come_back() {
    let world = World::new(100_000);
    let key = Key::from_bytes([9; 32]);
    let second = || {
        let place = CachePlace::Temporary(std::env::temp_dir());
        let credential = Credential::KeyFile(key.clone());
        Repository::open(Arc::new(world.storage.clone()), &credential, &place)
    };
    world
        .open()
        .add_key(&Lock::KeyFile(&key), Role::Full, "second", Timestamp::now())
        .unwrap();
    let old: Vec<Arc<[u8]>> = world
        .names(ObjectKind::Key)
        .iter()
        .map(|name| world.storage.snapshot_objects()[name].clone())
        .collect();
    world.add();
    second().unwrap();
    world.open().remove_key("second").unwrap();
    // Nothing of the slot is left.
    let kept = own_slot(&world)[24..40].to_vec();
    let removed = old.iter().map(|slot| &slot[24..40]).find(|id| *id != kept);
    let removed = removed.unwrap();
    for (name, object) in world.storage.snapshot_objects() {
        assert!(
            !object.windows(16).any(|window| window == removed),
            "{name}"
        );
    }
    let credential = Credential::KeyFile(key.clone());
    let entrance = Repository::recover_entrance(&world.storage, &[], &credential);
    assert!(matches!(entrance, Err(Error::WrongKey { .. })));
    world.repair();
    assert!(matches!(second(), Err(Error::WrongKey { .. })));
    // The slot that is left is protected as before.
    let slot = world.names(ObjectKind::Key)[0];
    remove(&world.storage, &slot);
    assert_eq!(world.repair().errors, []);
    world.assert_whole();
}

fn own_slot(world: &World) -> Arc<[u8]> {
    let names = world.names(ObjectKind::Key);
    assert_eq!(names.len(), 1);
    world.storage.snapshot_objects()[&names[0]].clone()
}

#[test]
fn a_copy_of_the_repository_mends_it_too() {
    let world = World::new(600_000);
    let copy = world.storage.fork();
    let sound = world.storage.snapshot_objects();
    for name in sound.keys() {
        corrupt::flip_bit(&world.storage, name, 100);
    }
    let lost = world.packs()[0];
    remove(&world.storage, &lost);
    // That pack of the copy is damaged in its turn.
    corrupt::flip_bit(&copy, &lost, 5000);
    let others: [&dyn Storage; 1] = [&copy];
    let credential = vault::credential();
    Repository::recover_entrance(&world.storage, &others, &credential).unwrap();
    let report = world.open().repair(&others, &Silent).unwrap();
    assert_eq!(report.errors.len(), 1);
    assert_eq!(report.errors[0].object, lost.to_string());
    assert!(
        report
            .mended
            .iter()
            .all(|mended| mended.from == Remedy::OtherRepository)
    );
    let sound_copy = MemoryStorage::from_objects(sound.clone());
    for name in world.names(ObjectKind::Index) {
        remove(&world.storage, &name);
    }
    let report = world.open().repair(&[&sound_copy], &Silent).unwrap();
    assert_eq!(report.errors, []);
    assert!(world.storage.snapshot_objects() == sound);
}

#[test]
fn a_repair_that_crashes_anywhere_loses_nothing() {
    let world = World::new(300_000);
    world.add();
    let sound = world.storage.snapshot_objects();
    let pack = world.packs()[0];
    corrupt::flip_bit(&world.storage, &pack, 10_000);
    let index = world.names(ObjectKind::Index)[0];
    corrupt::flip_bit(&world.storage, &index, 900);
    let parity = world.names(ObjectKind::Parity)[1];
    corrupt::flip_bit(&world.storage, &parity, 900);
    let damaged = world.storage.fork();
    let place = || CachePlace::Temporary(std::env::temp_dir());
    let mut crashes = 0;
    for at in 0.. {
        let storage = damaged.fork();
        let crashing = FaultStorage::new(Arc::new(storage.clone()));
        let crashing = crashing.crash_at(at, Persisted::Nothing);
        let done = Repository::open(Arc::new(crashing), &vault::credential(), &place())
            .and_then(|repository| repository.repair(&[], &Silent));
        match done {
            Ok(_) => break,
            Err(error) => assert!(is_crash(&error), "{error:?}"),
        }
        crashes += 1;
        let again = World {
            dir: tempfile::tempdir().unwrap(),
            storage,
        };
        assert_eq!(again.repair().errors, [], "after {at}");
        again.add();
        assert!(again.storage.snapshot_objects() == sound, "after {at}");
    }
    assert!(crashes >= 8, "{crashes}");
}

#[test]
fn hostile_parity_changes_no_sound_object() {
    let world = World::new(300_000);
    world.add();
    // Parity of another repository under the same names, and rubbish.
    let other = World::new(400_000);
    other.add();
    let mut strangers: Vec<Arc<[u8]>> = other
        .names(ObjectKind::Parity)
        .iter()
        .map(|name| other.storage.snapshot_objects()[name].clone())
        .collect();
    strangers.push(noise(50_000, 3).into());
    for name in world.names(ObjectKind::Parity) {
        let stranger = strangers.pop().unwrap();
        world.storage.replace_object(&name, stranger);
    }
    let pack = world.packs()[0];
    corrupt::flip_bit(&world.storage, &pack, 10_000);
    let before = world.storage.snapshot_objects();
    let report = world.repair();
    assert!(!report.errors.is_empty());
    let after = world.storage.snapshot_objects();
    for (name, bytes) in &before {
        assert!(after.get(name) == Some(bytes), "{name}");
    }
}

#[test]
fn parity_can_be_removed_and_its_size_is_told() {
    let world = World::new(1_000_000);
    let before = world.storage.snapshot_objects();
    world.add();
    let status = world.open().parity_status().unwrap();
    let bytes: usize = world
        .names(ObjectKind::Parity)
        .iter()
        .map(|name| world.storage.snapshot_objects()[name].len())
        .sum();
    assert_eq!(status.bytes, bytes as u64);
    // Few packs: a sum alone is as large as the largest of them.
    assert!(status.overhead_percent > 20.0, "{status:?}");
    let removed = world.open().parity_remove().unwrap();
    assert_eq!(removed.bytes, status.bytes);
    assert!(world.storage.snapshot_objects() == before);
    for percent in [0, 51] {
        let options = ParityOptions {
            percent: Some(percent),
        };
        let refused = world.open().parity_add(&options, &Silent);
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    }
    let more = ParityOptions { percent: Some(30) };
    world.open().parity_add(&more, &Silent).unwrap();
    assert_eq!(world.open().parity_status().unwrap().percent, Some(30));
    world.destroy(0.12, 1, 5);
    assert_eq!(world.repair().errors, []);
    world.assert_whole();
}

#[test]
fn a_writer_makes_parity() {
    let world = World::new(200_000);
    let key = Key::from_bytes([9; 32]);
    let lock = Lock::KeyFile(&key);
    world
        .open()
        .add_key(&lock, Role::Writer, "writer", Timestamp::now())
        .unwrap();
    let place = CachePlace::Temporary(std::env::temp_dir());
    let credential = Credential::KeyFile(key.clone());
    let writer = Repository::open(Arc::new(world.storage.clone()), &credential, &place).unwrap();
    writer
        .parity_add(&ParityOptions::default(), &Silent)
        .unwrap();
    assert!(writer.parity_status().unwrap().is_complete());
    corrupt::flip_bit(&world.storage, &world.packs()[0], 10_000);
    assert_eq!(writer.repair(&[], &Silent).unwrap().errors, []);
    world.assert_whole();
}
