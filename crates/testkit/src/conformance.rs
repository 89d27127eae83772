//! The contract of a storage as checks.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use keepwatch_core::id::Id;
use keepwatch_core::storage::{MAX_READ, ObjectKind, ObjectName, Storage, StorageError};

/// Checks everything the documentation of [`Storage`] promises that can be seen from outside.
///
/// `storage` must be empty, and holds nothing when this returns.
///
/// # Panics
///
/// When a promise is broken.
pub fn storage_conformance(storage: &dyn Storage) {
    of_concurrent_creates_one_wins(storage);
    storage_conformance_one_by_one(storage);
}

/// The same but for what becomes of an object that several create at the same time: stores that know
/// no conditions, or check them and write in two steps, let more than one of them succeed.
///
/// # Panics
///
/// When a promise is broken.
pub fn storage_conformance_one_by_one(storage: &dyn Storage) {
    // Before there are many packs: where a listing takes a request for each folder, the folders that
    // were once made for packs make each of the hundred listings of this several times as slow.
    concurrent_creates_do_not_disturb_each_other(storage);
    every_kind_works(storage);
    objects_are_never_replaced(storage);
    ranges_are_exact(storage);
    what_is_missing_is_not_found(storage);
    sizes_at_both_ends(storage);
    listings_show_every_object_once(storage);
    a_listing_may_use_the_storage(storage);
    assert!(!storage.location().is_empty());
    for kind in ObjectKind::ALL {
        storage
            .settle(kind)
            .unwrap_or_else(|e| panic!("settling {kind:?}: {}", why(&e)));
        assert_eq!(list(storage, kind), BTreeMap::new(), "{kind:?} left behind");
    }
}

/// An error with all that caused it.
fn why(error: &StorageError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn name(kind: ObjectKind, text: &str) -> ObjectName {
    ObjectName::new(kind, Id::of(text.as_bytes())).canonical()
}

fn create(storage: &dyn Storage, name: &ObjectName, bytes: &[u8]) {
    storage
        .create(name, &[bytes])
        .unwrap_or_else(|e| panic!("creating {name}: {}", why(&e)));
}

fn remove(storage: &dyn Storage, name: &ObjectName) {
    storage
        .remove(name)
        .unwrap_or_else(|e| panic!("removing {name}: {}", why(&e)));
}

fn read(storage: &dyn Storage, name: &ObjectName) -> Vec<u8> {
    storage
        .read(name)
        .unwrap_or_else(|e| panic!("reading {name}: {e}"))
}

fn list(storage: &dyn Storage, kind: ObjectKind) -> BTreeMap<Id, u64> {
    let mut found = BTreeMap::new();
    storage
        .list(kind, &mut |id, size| {
            assert_eq!(found.insert(id, size), None, "{id} listed twice");
        })
        .unwrap_or_else(|e| panic!("listing {kind:?}: {}", why(&e)));
    found
}

fn every_kind_works(storage: &dyn Storage) {
    for kind in ObjectKind::ALL {
        let name = name(kind, "one");
        let parts: [&[u8]; 4] = [b"one", b"", b" and ", b"two"];
        storage
            .create(&name, &parts)
            .unwrap_or_else(|e| panic!("creating {name}: {}", why(&e)));
        assert_eq!(read(storage, &name), b"one and two");
        assert_eq!(storage.size(&name).expect("it has a size"), 11);
        for other in ObjectKind::ALL {
            let expected = (other == kind).then_some((name.id, 11));
            assert_eq!(list(storage, other), expected.into_iter().collect());
        }
        remove(storage, &name);
        remove(storage, &name);
    }
    // The configuration is one object whatever the id.
    create(storage, &name(ObjectKind::Config, ""), b"config");
    let odd = ObjectName::new(ObjectKind::Config, Id::of(b"odd"));
    assert_eq!(read(storage, &odd), b"config");
    remove(storage, &odd);
}

fn objects_are_never_replaced(storage: &dyn Storage) {
    for kind in ObjectKind::ALL {
        let name = name(kind, "kept");
        create(storage, &name, b"first");
        for other in [&b"second"[..], b"", b"first"] {
            match storage.create(&name, &[other]) {
                Err(StorageError::AlreadyExists { object }) => assert_eq!(object, name),
                other => panic!("creating {name} again gave {other:?}"),
            }
        }
        assert_eq!(read(storage, &name), b"first");
        remove(storage, &name);
        create(storage, &name, b"second");
        assert_eq!(read(storage, &name), b"second");
        remove(storage, &name);
    }
}

fn ranges_are_exact(storage: &dyn Storage) {
    let name = name(ObjectKind::Pack, "ranges");
    create(storage, &name, b"0123456789");
    let range = |offset, len| storage.read_range(&name, offset, len);
    assert_eq!(range(0, 10).expect("all of it"), b"0123456789");
    assert_eq!(range(3, 4).expect("the middle"), b"3456");
    assert_eq!(range(9, 1).expect("the end"), b"9");
    assert_eq!(range(10, 0).expect("nothing at the end"), b"");
    assert_eq!(range(u64::MAX, 0).expect("nothing past the end"), b"");
    for (start, len, there) in [
        (0, 11, 10),
        (9, 2, 1),
        (10, 1, 0),
        (11, 1, 0),
        (u64::MAX, 1, 0),
        (u64::MAX, 100_000_000, 0),
    ] {
        match range(start, len) {
            Err(StorageError::Truncated {
                object,
                offset,
                wanted,
                got,
            }) => {
                assert_eq!((object, offset, got), (name, start, there));
                assert_eq!(wanted, len as u64);
            }
            other => panic!("reading {len} at {start} gave {other:?}"),
        }
    }
    let huge = usize::try_from(MAX_READ + 1).expect("usize is large enough");
    let result = range(0, huge);
    assert!(
        matches!(result, Err(StorageError::TooLarge { size, limit, .. })
            if size == MAX_READ + 1 && limit == MAX_READ),
        "{result:?}"
    );
    remove(storage, &name);
}

fn what_is_missing_is_not_found(storage: &dyn Storage) {
    for kind in ObjectKind::ALL {
        let name = name(kind, "missing");
        let results = [
            storage.read(&name).map(drop),
            storage.read_range(&name, 0, 1).map(drop),
            storage.read_range(&name, 0, 0).map(drop),
            storage.size(&name).map(drop),
        ];
        for result in results {
            match result {
                Err(StorageError::NotFound { object }) => assert_eq!(object, name),
                other => panic!("{name} does not exist, yet: {other:?}"),
            }
        }
        remove(storage, &name);
    }
}

fn sizes_at_both_ends(storage: &dyn Storage) {
    let empty = name(ObjectKind::Pack, "empty");
    create(storage, &empty, b"");
    assert_eq!(read(storage, &empty), b"");
    assert_eq!(storage.size(&empty).expect("it has a size"), 0);
    assert_eq!(list(storage, ObjectKind::Pack), [(empty.id, 0)].into());
    remove(storage, &empty);
    storage.create(&empty, &[]).expect("no parts are allowed");
    assert_eq!(read(storage, &empty), b"");
    remove(storage, &empty);

    let large = name(ObjectKind::Pack, "large");
    let bytes: Vec<u8> = (0u32..5 << 20).flat_map(u32::to_le_bytes).collect();
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    storage
        .create(&large, &[head, tail])
        .unwrap_or_else(|e| panic!("creating 20 MiB: {}", why(&e)));
    assert!(read(storage, &large) == bytes, "20 MiB came back changed");
    let end = storage.read_range(&large, (20 << 20) - 4, 4);
    assert_eq!(end.expect("the end"), ((5u32 << 20) - 1).to_le_bytes());
    remove(storage, &large);
}

fn listings_show_every_object_once(storage: &dyn Storage) {
    for kind in [ObjectKind::Pack, ObjectKind::Snapshot] {
        let mut expected = BTreeMap::new();
        for i in 0..300u64 {
            let name = name(kind, &i.to_string());
            create(
                storage,
                &name,
                &vec![1; usize::try_from(i % 7).expect("small")],
            );
            expected.insert(name.id, i % 7);
        }
        assert_eq!(list(storage, kind), expected);
        for i in (0..300).step_by(2) {
            let name = name(kind, &i.to_string());
            remove(storage, &name);
            expected.remove(&name.id);
        }
        assert_eq!(list(storage, kind), expected);
        for id in expected.keys() {
            remove(storage, &ObjectName::new(kind, *id));
        }
        assert_eq!(list(storage, kind), BTreeMap::new());
    }
}

fn a_listing_may_use_the_storage(storage: &dyn Storage) {
    for i in 0..20 {
        create(storage, &name(ObjectKind::Gc, &i.to_string()), b"x");
    }
    let mut count = 0;
    storage
        .list(ObjectKind::Gc, &mut |id, _| {
            count += 1;
            let name = ObjectName::new(ObjectKind::Gc, id);
            assert_eq!(read(storage, &name), b"x");
            remove(storage, &name);
        })
        .expect("it lists");
    assert_eq!(count, 20);
}

fn of_concurrent_creates_one_wins(storage: &dyn Storage) {
    const THREADS: usize = 8;
    for round in 0..20 {
        let name = name(ObjectKind::Pack, &format!("contended {round}"));
        let start = Barrier::new(THREADS);
        let winners: Vec<usize> = thread::scope(|scope| {
            let handles: Vec<_> = (0..THREADS)
                .map(|i| {
                    let start = &start;
                    scope.spawn(move || {
                        let bytes = vec![u8::try_from(i).expect("few threads"); 10_000];
                        start.wait();
                        match storage.create(&name, &[&bytes]) {
                            Ok(()) => Some(i),
                            Err(StorageError::AlreadyExists { .. }) => None,
                            Err(e) => panic!("creating {name}: {e}"),
                        }
                    })
                })
                .collect();
            handles
                .into_iter()
                .filter_map(|h| h.join().expect("no thread panics"))
                .collect()
        });
        let [winner] = winners[..] else {
            panic!("{winners:?} all created {name}");
        };
        let bytes = read(storage, &name);
        assert_eq!(bytes.len(), 10_000);
        assert!(bytes.iter().all(|b| usize::from(*b) == winner));
        remove(storage, &name);
    }
}

fn concurrent_creates_do_not_disturb_each_other(storage: &dyn Storage) {
    thread::scope(|scope| {
        for worker in 0..4 {
            scope.spawn(move || {
                for i in 0..25 {
                    let name = name(ObjectKind::Pack, &format!("{worker} {i}"));
                    let text = format!("content of {worker} {i}");
                    create(storage, &name, text.as_bytes());
                    assert!(list(storage, ObjectKind::Pack).contains_key(&name.id));
                    assert_eq!(read(storage, &name), text.as_bytes());
                    remove(storage, &name);
                }
            });
        }
    });
}
