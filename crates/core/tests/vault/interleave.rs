//! Two operations at once: one runs whole at every storage operation of the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keepwatch_core::storage::MemoryStorage;
use keepwatch_core::{Error, Repository, Result};
use keepwatch_testkit::{FaultStorage, Op, When};

use crate::scene::{Scene, forget, prune, tags};

type Operation = dyn Fn(&Scene, &Repository) -> Result<()> + Send + Sync;

/// Runs `main` as often as it has storage operations that `counts` accepts, each time with `other`
/// at one of them. Gives what is left each time to `check`; returns how often it ran.
fn at_every(
    scene: &Arc<Scene>,
    base: &MemoryStorage,
    counts: fn(&Op) -> bool,
    main: &Operation,
    other: &Arc<Operation>,
    check: &dyn Fn(&MemoryStorage, &str),
) -> u64 {
    let mut at = 0;
    loop {
        let inner = base.fork();
        let storage = Arc::new(FaultStorage::new(Arc::new(inner.clone())));
        let repository = scene.open(storage.clone()).unwrap();
        let seen = AtomicU64::new(0);
        let happened = Arc::new(AtomicU64::new(0));
        let hook = {
            let (scene, other, inner) = (scene.clone(), other.clone(), inner.clone());
            let happened = happened.clone();
            move |op: &Op| {
                if !counts(op) || seen.fetch_add(1, Ordering::SeqCst) != at {
                    return;
                }
                let repository = scene.open_as_another(Arc::new(inner.clone()));
                let context = format!("operation {at}, {op:?}");
                other(&scene, &repository).unwrap_or_else(|e| panic!("{context}: {e:?}"));
                happened.fetch_add(1, Ordering::SeqCst);
            }
        };
        storage.on_op(Box::new(hook));
        let context = format!("operation {at}");
        match main(scene, &repository) {
            Ok(()) => {}
            Err(error) => panic!("{context}: {error:?}"),
        }
        drop(repository);
        if happened.load(Ordering::SeqCst) == 0 {
            return at;
        }
        check(&inner, &context);
        at += 1;
    }
}

fn every_start(op: &Op) -> bool {
    op.when == When::Before
}

fn every_mutation_and_after(op: &Op) -> bool {
    op.mutation.is_some()
}

#[test]
fn a_prune_at_every_operation_of_a_backup() {
    let scene = Arc::new(Scene::new());
    let base = scene.with_versions(&[1, 2]);
    forget(&scene.open(Arc::new(base.clone())).unwrap(), "v1").unwrap();
    scene.set_version(3);
    let backup: &Operation = &|scene, repository| scene.backup(repository, "v3").map(drop);
    let other: Arc<Operation> = Arc::new(|_, repository| prune(repository).map(drop));
    let count = at_every(
        &scene,
        &base,
        every_start,
        backup,
        &other,
        &|storage, context| {
            let (found, _) = scene.assert_whole(storage, context);
            assert_eq!(found, tags(&["v2", "v3"]), "{context}");
        },
    );
    eprintln!("a prune at each of {count} operations of a backup");
    assert!(count >= 20);
}

#[test]
fn a_forget_and_two_prunes_at_every_operation_of_a_backup_that_rests_on_what_goes() {
    let scene = Arc::new(Scene::new());
    let base = scene.with_versions(&[1, 2]);
    // Version 1 again: everything it needs is there, and goes while it is being backed up.
    scene.set_version(1);
    let backup: &Operation = &|scene, repository| scene.backup(repository, "v1 again").map(drop);
    let other: Arc<Operation> = Arc::new(|_, repository| {
        forget(repository, "v1")?;
        prune(repository)?;
        prune(repository).map(drop)
    });
    let count = at_every(
        &scene,
        &base,
        every_start,
        backup,
        &other,
        &|storage, context| {
            let (found, _) = scene.assert_whole(storage, context);
            assert_eq!(found, tags(&["v2", "v1 again"]), "{context}");
        },
    );
    eprintln!("a forget and two prunes at each of {count} operations of a backup");
    assert!(count > 15);
}

#[test]
fn another_backup_at_every_operation_of_a_backup() {
    let scene = Arc::new(Scene::new());
    let base = scene.with_versions(&[1]);
    scene.set_version(2);
    let backup: &Operation = &|scene, repository| scene.backup(repository, "v2").map(drop);
    let other: Arc<Operation> =
        Arc::new(|scene, repository| scene.backup_other(repository, "beside").map(drop));
    let count = at_every(
        &scene,
        &base,
        every_start,
        backup,
        &other,
        &|storage, context| {
            let (found, _) = scene.assert_whole(storage, context);
            assert_eq!(found, tags(&["v1", "v2", "beside"]), "{context}");
        },
    );
    eprintln!("another backup at each of {count} operations of a backup");
    assert!(count > 15);
}

#[test]
fn a_backup_at_every_operation_of_a_prune() {
    let scene = Arc::new(Scene::new());
    let base = scene.with_versions(&[1, 2]);
    forget(&scene.open(Arc::new(base.clone())).unwrap(), "v1").unwrap();
    let main: &Operation = &|_, repository| prune(repository).map(drop);
    let other: Arc<Operation> =
        Arc::new(|scene, repository| scene.backup_other(repository, "beside").map(drop));
    let count = at_every(
        &scene,
        &base,
        |_| true,
        main,
        &other,
        &|storage, context| {
            let (found, _) = scene.assert_whole(storage, context);
            assert_eq!(found, tags(&["v2", "beside"]), "{context}");
        },
    );
    eprintln!("a backup at each of {count} moments of a prune");
    assert!(count > 40);
}

#[test]
fn a_prune_at_every_operation_of_a_prune() {
    let scene = Arc::new(Scene::new());
    let base = scene.with_versions(&[1, 2]);
    forget(&scene.open(Arc::new(base.clone())).unwrap(), "v1").unwrap();
    let main: &Operation = &|_, repository| prune(repository).map(drop);
    let other: Arc<Operation> = Arc::new(|_, repository| prune(repository).map(drop));
    let count = at_every(
        &scene,
        &base,
        every_start,
        main,
        &other,
        &|storage, context| {
            let (found, _) = scene.assert_whole(storage, context);
            assert_eq!(found, tags(&["v2"]), "{context}");
        },
    );
    eprintln!("a prune at each of {count} operations of a prune");
    assert!(count > 20);
}

#[test]
fn a_forget_at_every_operation_of_a_prune_and_a_prune_at_every_mutation_of_a_forget() {
    let scene = Arc::new(Scene::new());
    let base = scene.with_versions(&[1, 2, 3]);
    forget(&scene.open(Arc::new(base.clone())).unwrap(), "v1").unwrap();
    let pruning: Arc<Operation> = Arc::new(|_, repository| prune(repository).map(drop));
    let forgetting: Arc<Operation> = Arc::new(|_, repository| forget(repository, "v2"));
    let check = |storage: &MemoryStorage, context: &str| {
        let (found, _) = scene.assert_whole(storage, context);
        assert_eq!(found, tags(&["v3"]), "{context}");
        // Whatever came first, a prune afterwards leaves nothing to complain of.
        let repository = scene.open_briefly(Arc::new(storage.clone())).unwrap();
        prune(&repository).unwrap();
        scene.assert_whole(storage, context);
    };
    let first = at_every(&scene, &base, every_start, &*pruning, &forgetting, &check);
    let second = at_every(
        &scene,
        &base,
        every_mutation_and_after,
        &*forgetting,
        &pruning,
        &check,
    );
    eprintln!("a forget at {first} operations of a prune, a prune at {second} of a forget");
    assert!(first > 20 && second >= 4);
}

#[test]
fn a_check_beside_a_prune_finds_nothing_wrong() {
    let scene = Arc::new(Scene::new());
    let base = scene.with_versions(&[1, 2]);
    forget(&scene.open(Arc::new(base.clone())).unwrap(), "v1").unwrap();
    let checking: &Operation = &|_, repository| {
        let report = repository.check(keepwatch_core::ReadData::All, &keepwatch_core::Silent)?;
        match report.errors.first() {
            None => Ok(()),
            Some(found) => Err(Error::Missing {
                object: format!("{found:?}"),
            }),
        }
    };
    let other: Arc<Operation> = Arc::new(|scene, repository| {
        scene.backup_other(repository, "beside")?;
        prune(repository).map(drop)
    });
    let count = at_every(
        &scene,
        &base,
        every_start,
        checking,
        &other,
        &|storage, context| {
            scene.assert_whole(storage, context);
        },
    );
    eprintln!("a backup and a prune at each of {count} operations of a check");
    assert!(count > 15);
}
