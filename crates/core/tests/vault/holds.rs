//! What a storage holds on to for a time is held for as long as it is needed.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keepwatch_core::id::Id;
use keepwatch_core::jiff::{SignedDuration, Timestamp};
use keepwatch_core::storage::{
    MemoryStorage, ObjectKind, ObjectName, RemoteFault, Storage, StorageError,
};
use keepwatch_core::{CachePlace, Error, PruneOptions, Repository};
use keepwatch_testkit::tree::{noise, write};
use keepwatch_testkit::vault;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Writes down what it is asked to hold.
#[derive(Clone, Debug)]
struct HoldingStorage {
    inner: MemoryStorage,
    held: Arc<Mutex<BTreeSet<ObjectName>>>,
    period: Option<Duration>,
    /// An object of this kind cannot be held.
    broken: Option<ObjectKind>,
}

impl HoldingStorage {
    fn new() -> Self {
        Self {
            inner: MemoryStorage::default(),
            held: Arc::default(),
            period: Some(DAY),
            broken: None,
        }
    }

    /// What was held since it was last asked.
    fn held(&self) -> BTreeSet<ObjectName> {
        std::mem::take(&mut self.held.lock().unwrap())
    }

    fn open(&self, cache: &std::path::Path) -> Repository {
        let place = CachePlace::Dir(cache.to_owned());
        Repository::open(Arc::new(self.clone()), &vault::credential(), &place).unwrap()
    }
}

impl Storage for HoldingStorage {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        self.inner.create(name, parts)
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        self.inner.read(name)
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
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

    fn hold(&self, name: &ObjectName) -> Result<(), StorageError> {
        if self.broken == Some(name.kind) {
            return Err(StorageError::Remote {
                operation: "hold",
                object: name.path(),
                location: self.location(),
                fault: RemoteFault::Denied,
                source: "no".into(),
            });
        }
        self.held.lock().unwrap().insert(*name);
        Ok(())
    }

    fn held_for(&self) -> Option<Duration> {
        self.period
    }

    fn parallelism(&self) -> usize {
        4
    }
}

/// All objects of lasting kinds.
fn lasting(storage: &HoldingStorage) -> BTreeSet<ObjectName> {
    let mut found = BTreeSet::new();
    for kind in ObjectKind::ALL {
        if kind.is_lasting() {
            let mut add = |id, _| {
                found.insert(ObjectName::new(kind, id));
            };
            storage.list(kind, &mut add).unwrap();
        }
    }
    found
}

#[test]
fn holds_are_renewed_when_a_quarter_of_their_time_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let (source, cache) = (dir.path().join("source"), dir.path().join("cache"));
    write(&source, "a", noise(100_000, 1));
    let storage = HoldingStorage::new();
    let repository = vault::init(Arc::new(storage.clone()), &vault::small(), &cache);
    vault::backup(&repository, &source).unwrap();
    drop(repository);
    let now = Timestamp::now();
    let renew = |storage: &HoldingStorage, cache: &std::path::Path, hours| {
        let repository = storage.open(cache);
        let at = now + SignedDuration::from_hours(hours);
        let held = repository.renew_holds(at, &AtomicBool::new(false)).unwrap();
        assert_eq!(held.unwrap_or(0), storage.held.lock().unwrap().len() as u64);
        storage.held()
    };
    let all = lasting(&storage);
    let kinds: BTreeSet<_> = all.iter().map(|name| name.kind).collect();
    assert!(kinds.len() >= 5, "{kinds:?}");
    assert_eq!(renew(&storage, &cache, 0), all, "nothing is known of it");
    assert!(renew(&storage, &cache, 5).is_empty(), "5 h of 24");
    assert_eq!(renew(&storage, &cache, 6), all, "a quarter has passed");
    assert!(renew(&storage, &cache, 7).is_empty());
    assert_eq!(renew(&storage, &cache, -1), all, "the clock went back");
    let longer = HoldingStorage {
        period: Some(2 * DAY),
        ..storage.clone()
    };
    assert_eq!(renew(&longer, &cache, 0), all, "it is held for longer now");
    let elsewhere = dir.path().join("elsewhere");
    assert_eq!(renew(&longer, &elsewhere, 0), all, "another machine");
    let free = HoldingStorage {
        period: None,
        ..storage.clone()
    };
    assert!(renew(&free, &cache, 100).is_empty());
}

#[test]
fn what_is_about_to_go_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let (source, cache) = (dir.path().join("source"), dir.path().join("cache"));
    write(&source, "a", noise(100_000, 1));
    let storage = HoldingStorage::new();
    let repository = vault::init(Arc::new(storage.clone()), &vault::small(), &cache);
    vault::backup(&repository, &source).unwrap();
    let stray = ObjectName::new(ObjectKind::Pack, Id::of(b"stray"));
    storage.create(&stray, &[b"no index names it"]).unwrap();
    let report = repository
        .prune(&PruneOptions::default(), Timestamp::now())
        .unwrap();
    assert_eq!(report.packs_waiting, 1);
    repository
        .renew_holds(Timestamp::now(), &AtomicBool::new(false))
        .unwrap();
    let mut rest = lasting(&storage);
    assert!(rest.remove(&stray));
    assert_eq!(storage.held(), rest);
}

#[test]
fn what_cannot_be_held_is_told_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let storage = HoldingStorage::new();
    drop(vault::init(
        Arc::new(storage.clone()),
        &vault::small(),
        &cache,
    ));
    let broken = HoldingStorage {
        broken: Some(ObjectKind::Key),
        ..storage.clone()
    };
    for _ in 0..2 {
        let repository = broken.open(&cache);
        let error = repository.renew_holds(Timestamp::now(), &AtomicBool::new(false));
        assert!(matches!(error, Err(Error::Storage(_))), "{error:?}");
    }
    let repository = storage.open(&cache);
    let held = repository
        .renew_holds(Timestamp::now(), &AtomicBool::new(false))
        .unwrap();
    assert_eq!(held, Some(lasting(&storage).len() as u64));
}
