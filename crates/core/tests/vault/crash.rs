//! A crash at every single mutation of the storage, with every outcome that a disk may give it.

use std::sync::Arc;

use keepwatch_core::crypto::{Key, Lock};
use keepwatch_core::storage::MemoryStorage;
use keepwatch_core::{CachePlace, Error, Repository, Result, Role, Silent};
use keepwatch_testkit::{CrashDisk, FaultStorage, Persisted, is_crash, vault};

use crate::scene::{Scene, forget, prune, tags};

/// What becomes of the mutation that the crash hits, and how many survivors of it are looked at at
/// most. Those of an undecided one include those of the others.
const OUTCOMES: [(Persisted, usize); 3] = [
    (Persisted::Nothing, 2),
    (Persisted::Everything, 2),
    (Persisted::Undecided, 8),
];
const OTHER_KEY: [u8; 32] = [7; 32];

/// Crashes `operation` at each of its mutations. Whatever is left, `earlier` snapshots must be whole,
/// the operation can be repeated, and two prunes later nothing is left of the crash.
fn crash_everywhere(
    what: &str,
    scene: &Scene,
    base: &MemoryStorage,
    earlier: &[&str],
    operation: &dyn Fn(&Repository) -> Result<()>,
) {
    let run = |storage: Arc<FaultStorage>| {
        let repository = scene.open(storage)?;
        operation(&repository)
    };
    let clean = Arc::new(FaultStorage::on_disk(CrashDisk::with_content(base)));
    run(clean.clone()).unwrap();
    let mutations = clean.mutations();
    let mut survivors = 0;
    for at in 0..mutations {
        for (persisted, limit) in OUTCOMES {
            let disk = CrashDisk::with_content(base);
            let storage = FaultStorage::on_disk(disk.clone()).crash_at(at, persisted);
            match run(Arc::new(storage)) {
                // Packs are written in no fixed order, and now and then there is one less.
                Ok(()) => assert!(at + 2 >= mutations, "{what} {at} went on after a crash"),
                Err(error) => assert!(is_crash(&error), "{what} {at}: {error:?}"),
            }
            for (number, survivor) in disk.survivors_all_variants(limit).iter().enumerate() {
                let context = format!("{what}, crash at {at} ({persisted:?}), survivor {number}");
                survivors += 1;
                recovers(scene, survivor, earlier, &context, operation);
            }
        }
    }
    eprintln!("{what}: {mutations} crash points, {survivors} survivors");
    assert!(mutations > 0);
}

fn recovers(
    scene: &Scene,
    storage: &MemoryStorage,
    earlier: &[&str],
    context: &str,
    operation: &dyn Fn(&Repository) -> Result<()>,
) {
    let (found, _) = scene.assert_whole(storage, context);
    assert!(found.is_superset(&tags(earlier)), "{context}: {found:?}");
    let repository = scene.open(Arc::new(storage.clone())).unwrap();
    operation(&repository).unwrap_or_else(|e| panic!("{context}, again: {e:?}"));
    scene.assert_whole(storage, &format!("{context}, again"));
    // Keys may have been changed.
    let repository = scene.open(Arc::new(storage.clone())).unwrap();
    prune(&repository).unwrap_or_else(|e| panic!("{context}, prune: {e:?}"));
    prune(&repository).unwrap_or_else(|e| panic!("{context}, second prune: {e:?}"));
    let (found, report) = scene.assert_whole(storage, &format!("{context}, second prune"));
    assert_eq!(report.warnings, [], "{context}");
    assert!(found.is_superset(&tags(earlier)), "{context}: {found:?}");
}

#[test]
fn init() {
    let scene = Scene::new();
    let run = |storage: Arc<FaultStorage>| {
        Repository::init(
            storage,
            &Lock::KeyFile(&Key::from_bytes(vault::KEY_FILE)),
            "first",
            &vault::small(),
            jiff::Timestamp::now(),
            &CachePlace::Dir(scene.fresh("cache")),
        )
    };
    scene.set_version(1);
    let clean = Arc::new(FaultStorage::on_disk(CrashDisk::new()));
    run(clean.clone()).unwrap();
    let mut survivors = 0;
    for at in 0..clean.mutations() {
        for (persisted, limit) in OUTCOMES {
            let disk = CrashDisk::new();
            let storage = FaultStorage::on_disk(disk.clone()).crash_at(at, persisted);
            assert!(is_crash(&run(Arc::new(storage)).unwrap_err()));
            for survivor in disk.survivors_all_variants(limit) {
                let context = format!("init, crash at {at} ({persisted:?})");
                survivors += 1;
                let exists = scene.open(Arc::new(survivor.clone()));
                let again = run(Arc::new(FaultStorage::new(Arc::new(survivor.clone()))));
                match exists {
                    Ok(_) => {
                        let error = again.expect_err(&context);
                        assert!(matches!(error, Error::RepositoryExists { .. }), "{context}");
                    }
                    Err(Error::NoRepository { .. }) => drop(again.expect(&context)),
                    Err(error) => panic!("{context}: {error:?}"),
                }
                let repository = scene.open(Arc::new(survivor.clone())).unwrap();
                scene.backup(&repository, "v1").unwrap();
                let (found, report) = scene.assert_whole(&survivor, &context);
                assert_eq!(found, tags(&["v1"]));
                assert_eq!(report.warnings, [], "{context}");
            }
        }
    }
    eprintln!(
        "init: {} crash points, {survivors} survivors",
        clean.mutations()
    );
}

#[test]
fn first_backup() {
    let scene = Scene::new();
    let base = scene.init();
    scene.set_version(1);
    // Before it there is nothing to check, and that is an error of its own.
    scene
        .backup_other(&scene.open(Arc::new(base.clone())).unwrap(), "beside")
        .unwrap();
    crash_everywhere("first backup", &scene, &base, &["beside"], &|repository| {
        scene.backup(repository, "v1").map(drop)
    });
}

#[test]
fn second_backup() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1]);
    scene.set_version(2);
    crash_everywhere("second backup", &scene, &base, &["v1"], &|repository| {
        scene.backup(repository, "v2").map(drop)
    });
}

#[test]
fn forgetting() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1, 2]);
    crash_everywhere("forget", &scene, &base, &["v2"], &|repository| {
        forget(repository, "v1")
    });
}

#[test]
fn pruning_after_forgetting() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1, 2]);
    crash_everywhere("forget and prune", &scene, &base, &["v2"], &|repository| {
        forget(repository, "v1")?;
        prune(repository).map(drop)
    });
}

#[test]
fn taking_back_what_was_forgotten() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1, 2]);
    let repository = scene.open(Arc::new(base.clone())).unwrap();
    forget(&repository, "v1").unwrap();
    crash_everywhere("unforget", &scene, &base, &["v2"], &|repository| {
        let trash = repository.trash()?;
        match trash.first() {
            Some((_, trashed)) => repository.unforget(&trashed.snapshot.to_string()).map(drop),
            None => Ok(()),
        }
    });
}

#[test]
fn pruning_and_backing_up_again() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1, 2]);
    forget(&scene.open(Arc::new(base.clone())).unwrap(), "v1").unwrap();
    scene.set_version(3);
    crash_everywhere("prune and backup", &scene, &base, &["v2"], &|repository| {
        prune(repository)?;
        scene.backup(repository, "v3").map(drop)
    });
}

#[test]
fn changing_keys() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1]);
    let key = Key::from_bytes(OTHER_KEY);
    let add = |repository: &Repository| {
        let lock = Lock::KeyFile(&key);
        repository
            .add_key(&lock, Role::Writer, "second", jiff::Timestamp::now())
            .map(drop)
    };
    crash_everywhere("key add", &scene, &base, &["v1"], &add);
    add(&scene.open(Arc::new(base.clone())).unwrap()).unwrap();
    crash_everywhere("key rotate", &scene, &base, &["v1"], &|repository| {
        repository.rotate_key().map(drop)
    });
    crash_everywhere("key remove", &scene, &base, &["v1"], &|repository| {
        let there = repository.keys()?.iter().any(|key| key.label == "second");
        match there {
            true => repository.remove_key("second").map(drop),
            // As a check would say if the old version of a slot were back.
            false => repository.rotate_key().map(drop),
        }
    });
}

#[test]
fn repairing_the_index() {
    let scene = Scene::new();
    let base = scene.with_versions(&[1, 2]);
    let repository = scene.open(Arc::new(base.clone())).unwrap();
    let repair = |repository: &Repository| repository.repair_index(&Silent).map(drop);
    // An index object is lost, another is damaged.
    let objects = base.snapshot_objects();
    let names: Vec<_> = objects
        .keys()
        .filter(|name| name.kind == keepwatch_core::storage::ObjectKind::Index)
        .collect();
    assert!(names.len() >= 3);
    keepwatch_core::storage::Storage::remove(&base, names[0]).unwrap();
    keepwatch_testkit::corrupt::flip_bit(&base, names[1], 500);
    drop(repository);
    let clean = Arc::new(FaultStorage::on_disk(CrashDisk::with_content(&base)));
    repair(&scene.open(clean.clone()).unwrap()).unwrap();
    let mut survivors = 0;
    for at in 0..clean.mutations() {
        for (persisted, limit) in OUTCOMES {
            let disk = CrashDisk::with_content(&base);
            let storage = FaultStorage::on_disk(disk.clone()).crash_at(at, persisted);
            let error = repair(&scene.open(Arc::new(storage)).unwrap()).unwrap_err();
            assert!(is_crash(&error), "{error:?}");
            for survivor in disk.survivors_all_variants(limit) {
                survivors += 1;
                let context = format!("repair-index, crash at {at} ({persisted:?})");
                repair(&scene.open(Arc::new(survivor.clone())).unwrap()).unwrap();
                let (found, report) = scene.assert_whole(&survivor, &context);
                assert_eq!(found, tags(&["v1", "v2"]), "{context}");
                assert_eq!(report.warnings, [], "{context}");
            }
        }
    }
    eprintln!(
        "repair-index: {} crash points, {survivors} survivors",
        clean.mutations()
    );
}
