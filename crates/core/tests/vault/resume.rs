//! A backup that was interrupted costs only what it had not stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keepwatch_core::storage::{MemoryStorage, ObjectKind};
use keepwatch_core::{
    BackupOptions, BackupReport, Error, PruneOptions, Repository, Silent, Source,
};
use keepwatch_testkit::tree::{noise, write};
use keepwatch_testkit::{FaultStorage, OpKind, Persisted, When, is_crash, vault};

use crate::scene::{Scene, tags};

const FILES: usize = 40;
const FILE: usize = 50_000;
const ALL: u64 = (FILES * FILE) as u64;

/// What a full pack holds of the files at least.
///
/// A pack is full at 64 KiB of header and sealed chunks. Chunks have 1 KiB or more, but for the
/// ends of two files that may meet in it, and each is sealed with 28 bytes around it.
const FULL_PACK: u64 = (64 << 10) - 140 - (64 + 2) * 28;

/// Enough for several checkpoints.
fn many_packs(scene: &Scene) {
    for number in 0..FILES {
        let content = noise(FILE, number as u64);
        write(&scene.source(), &format!("dir/{number:02}"), content);
    }
}

fn count(storage: &MemoryStorage, kind: ObjectKind) -> usize {
    let objects = storage.snapshot_objects();
    objects.keys().filter(|name| name.kind == kind).count()
}

/// Backs up until `packs` packs are written, and then stops.
fn stopped_after(scene: &Scene, storage: &MemoryStorage, packs: u64) -> Repository {
    let outer = Arc::new(FaultStorage::new(Arc::new(storage.clone())));
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, written) = (stop.clone(), AtomicU64::new(0));
    outer.on_op(Box::new(move |op| {
        if op.when == When::After
            && op.kind == OpKind::Create
            && op.object.kind == ObjectKind::Pack
            && written.fetch_add(1, Ordering::SeqCst) + 1 >= packs
        {
            flag.store(true, Ordering::SeqCst);
        }
    }));
    let repository = scene.open(outer).unwrap();
    let options = BackupOptions {
        stop: Some(stop),
        ..vault::backup_options()
    };
    let sources = vec![Source::Path(scene.source())];
    let error = repository.backup(sources, &options, &Silent).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error:?}");
    repository
}

fn assert_resumed(scene: &Scene, storage: &MemoryStorage, report: &BackupReport, packs: u64) {
    let stored = ALL - report.bytes.new.min(ALL);
    eprintln!("resumed: {stored} of {ALL} bytes were there already");
    assert!(stored >= packs * FULL_PACK, "{:?}", report.bytes);
    assert_eq!(count(storage, ObjectKind::Pending), 0);
    let (found, check) = scene.assert_whole(storage, "resumed");
    assert_eq!(found, tags(&["again"]));
    assert_eq!(check.warnings, []);
}

#[test]
fn a_stopped_backup_goes_on_where_it_stopped() {
    let scene = Scene::new();
    let storage = scene.init();
    many_packs(&scene);
    let repository = stopped_after(&scene, &storage, 20);
    assert_eq!(count(&storage, ObjectKind::Pending), 1);
    assert_eq!(count(&storage, ObjectKind::Snapshot), 0);
    // A prune in between takes nothing of it.
    let options = PruneOptions::default();
    let report = repository.prune(&options, jiff::Timestamp::now()).unwrap();
    assert_eq!(report.packs_removed, 0);
    let report = scene.backup(&repository, "again").unwrap();
    assert_resumed(&scene, &storage, &report, 20);
}

#[test]
fn a_backup_given_up_is_removed() {
    let scene = Scene::new();
    let storage = scene.init();
    many_packs(&scene);
    let repository = stopped_after(&scene, &storage, 20);
    let options = PruneOptions {
        drop_pending: true,
        ..PruneOptions::default()
    };
    let report = repository.prune(&options, jiff::Timestamp::now()).unwrap();
    assert!(report.packs_removed >= 20, "{report:?}");
    assert_eq!(count(&storage, ObjectKind::Pack), 0);
    assert_eq!(count(&storage, ObjectKind::Pending), 0);
    let report = scene.backup(&repository, "again").unwrap();
    assert_resumed(&scene, &storage, &report, 0);
}

#[test]
fn a_crash_costs_what_came_after_the_last_checkpoint() {
    let scene = Scene::new();
    let storage = scene.init();
    many_packs(&scene);
    // 16 packs, their index, the pending object, and then some.
    let crashing = FaultStorage::new(Arc::new(storage.clone())).crash_at(24, Persisted::Nothing);
    let repository = scene.open(Arc::new(crashing)).unwrap();
    assert!(is_crash(&scene.backup(&repository, "again").unwrap_err()));
    // The same client, which the cache makes of it.
    assert_eq!(count(&storage, ObjectKind::Pending), 1);
    let cache = repository_cache(&scene);
    drop(repository);
    let repository = vault::open(Arc::new(storage.clone()), &cache).unwrap();
    let report = scene.backup(&repository, "again").unwrap();
    let prune = || repository.prune(&PruneOptions::default(), jiff::Timestamp::now());
    prune().unwrap();
    prune().unwrap();
    assert_resumed(&scene, &storage, &report, 16);
}

/// The cache that was opened last.
fn repository_cache(scene: &Scene) -> std::path::PathBuf {
    let root = scene.source();
    let parent = root.parent().unwrap();
    let mut caches: Vec<_> = std::fs::read_dir(parent)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("cache-")
        })
        .collect();
    caches.sort_by_key(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name["cache-".len()..].parse::<u64>().unwrap()
    });
    caches.pop().unwrap()
}

#[test]
fn a_backup_given_up_while_it_ends_takes_its_snapshot_back() {
    let scene = Arc::new(Scene::new());
    let base = scene.with_versions(&[1]);
    scene.set_version(2);
    // Somebody gives all backups up, and prunes, at each operation of one that is running.
    let mut at = 0;
    loop {
        let inner = base.fork();
        let outer = Arc::new(FaultStorage::new(Arc::new(inner.clone())));
        let repository = scene.open(outer.clone()).unwrap();
        let (seen, done) = (AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
        let (scene_too, inner_too, done_too) = (scene.clone(), inner.clone(), done.clone());
        outer.on_op(Box::new(move |op| {
            if op.when == When::Before && seen.fetch_add(1, Ordering::SeqCst) == at {
                let options = PruneOptions {
                    drop_pending: true,
                    ..PruneOptions::default()
                };
                let other = scene_too.open(Arc::new(inner_too.clone())).unwrap();
                other.prune(&options, jiff::Timestamp::now()).unwrap();
                done_too.store(true, Ordering::SeqCst);
            }
        }));
        scene.backup(&repository, "v2").unwrap();
        if !done.load(Ordering::SeqCst) {
            break;
        }
        let context = format!("given up at operation {at}");
        let (found, _) = scene.assert_whole(&inner, &context);
        assert_eq!(found, tags(&["v1", "v2"]), "{context}");
        at += 1;
    }
    eprintln!("given up at each of {at} operations of a backup");
    assert!(at > 15);
}
