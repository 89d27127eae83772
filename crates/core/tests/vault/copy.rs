//! Copying snapshots from one repository into another.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::storage::{MemoryStorage, ObjectKind, Storage};
use keepwatch_core::{
    CopyOptions, CopyReport, Error, Progress, ReadData, Repository, Role, Silent,
};
use keepwatch_testkit::{FaultStorage, OpKind, When, corrupt, tree, vault};

/// Two repositories with nothing in common, and something to back up.
struct Two {
    dir: tempfile::TempDir,
    storage: Arc<MemoryStorage>,
    from: Repository,
    to: Repository,
}

impl Two {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(MemoryStorage::new());
        let from = vault::init(storage.clone(), &vault::small(), &dir.path().join("a"));
        let target = Arc::new(MemoryStorage::new());
        let to = vault::init(target, &vault::small(), &dir.path().join("b"));
        tree::write(&dir.path().join("src"), "big", tree::noise(400_000, 1));
        for nth in 0..30 {
            let name = format!("folder.{}/{nth}", nth % 3);
            tree::write(&dir.path().join("src"), &name, tree::noise(3_000, 2 + nth));
        }
        tree::write(&dir.path().join("src"), "folder/empty", b"");
        std::os::unix::fs::symlink("nowhere", dir.path().join("src/link")).unwrap();
        Self {
            dir,
            storage,
            from,
            to,
        }
    }

    fn source(&self) -> std::path::PathBuf {
        self.dir.path().join("src")
    }

    fn copy(&self) -> keepwatch_core::Result<CopyReport> {
        copy(&self.from, &self.to)
    }
}

fn copy(from: &Repository, to: &Repository) -> keepwatch_core::Result<CopyReport> {
    let (snapshots, problems) = from.snapshots().unwrap();
    assert!(problems.is_empty());
    to.copy_from(from, snapshots, &CopyOptions::default(), &Silent)
}

fn is_whole(repository: &Repository) {
    let report = repository.check(ReadData::All, &Silent).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
}

fn restores(repository: &Repository, snapshot: &str, source: &Path, like: &Path) {
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("out");
    vault::restore(repository, snapshot, source, &target).unwrap();
    tree::assert_same_tree(like, &target);
}

#[test]
fn copies_restore_as_what_they_are_copies_of() {
    let two = Two::new();
    vault::backup(&two.from, &two.source()).unwrap();
    let before = two.dir.path().join("before");
    vault::restore(&two.from, "latest", &two.source(), &before).unwrap();
    tree::write(&two.source(), "folder.1/4", b"changed");
    std::fs::remove_file(two.source().join("folder.2/5")).unwrap();
    vault::backup(&two.from, &two.source()).unwrap();

    let report = two.copy().unwrap();
    assert_eq!((report.copied.len(), report.present.len()), (2, 0));
    is_whole(&two.to);
    let (originals, _) = two.from.snapshots().unwrap();
    let (copies, _) = two.to.snapshots().unwrap();
    assert_eq!(copies.len(), 2);
    for ((_, original), (_, copy)) in originals.iter().zip(&copies) {
        assert_eq!(original.time, copy.time);
        assert_eq!((&original.host, &original.paths), (&copy.host, &copy.paths));
        assert_eq!((original.files, original.dirs), (copy.files, copy.dirs));
        assert_ne!(original.root, copy.root, "the two share no keys");
    }
    restores(&two.to, "latest", &two.source(), &two.source());
    restores(&two.to, &copies[0].0.to_string(), &two.source(), &before);
    // The second copy took from the first what had not changed.
    assert!(report.bytes_new < 600_000, "{}", report.bytes_new);
}

#[test]
fn what_was_copied_is_neither_copied_nor_read_again() {
    let two = Two::new();
    vault::backup(&two.from, &two.source()).unwrap();
    assert_eq!(two.copy().unwrap().copied.len(), 1);
    let again = two.copy().unwrap();
    assert_eq!((again.copied.len(), again.present.len()), (0, 1));

    tree::write(&two.source(), "folder.0/new", tree::noise(5_000, 99));
    vault::backup(&two.from, &two.source()).unwrap();
    let counting = Arc::new(FaultStorage::new(two.storage.clone()));
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = bytes.clone();
    counting.on_op(Box::new(move |op| {
        if op.kind == OpKind::ReadRange && op.when == When::After {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let from = vault::open(counting, &two.dir.path().join("a")).unwrap();
    let report = copy(&from, &two.to).unwrap();
    assert_eq!((report.copied.len(), report.present.len()), (1, 1));
    // Trees and one new file, but not the hundred chunks of the big one.
    let reads = bytes.load(Ordering::Relaxed);
    assert!(reads < 60, "{reads}");
    is_whole(&two.to);
    restores(&two.to, "latest", &two.source(), &two.source());
}

#[test]
fn a_host_that_can_only_write_receives_copies() {
    let two = Two::new();
    vault::backup(&two.from, &two.source()).unwrap();
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let owner = vault::init(storage.clone(), &vault::small(), &two.dir.path().join("c"));
    let key = Key::from_bytes([7; 32]);
    let now = jiff::Timestamp::now();
    owner
        .add_key(&Lock::KeyFile(&key), Role::Writer, "writer", now)
        .unwrap();
    let cache = keepwatch_core::CachePlace::Dir(two.dir.path().join("d"));
    let writer = Repository::open(storage, &Credential::KeyFile(key), &cache).unwrap();
    assert_eq!(copy(&two.from, &writer).unwrap().copied.len(), 1);
    is_whole(&owner);
    restores(&owner, "latest", &two.source(), &two.source());

    let options = CopyOptions::default();
    let error = two.to.copy_from(&writer, Vec::new(), &options, &Silent);
    let error = error.unwrap_err();
    assert!(matches!(error, Error::NeedsFullKey { .. }), "{error:?}");
}

#[test]
fn what_is_damaged_there_is_not_copied_as_if_it_were_whole() {
    let two = Two::new();
    vault::backup(&two.from, &two.source()).unwrap();
    let mut packs = Vec::new();
    two.storage
        .list(ObjectKind::Pack, &mut |id, _| packs.push(id))
        .unwrap();
    for id in packs {
        let name = keepwatch_core::storage::ObjectName::new(ObjectKind::Pack, id);
        corrupt::flip_bit(&two.storage, &name, 8 * 2_000);
    }
    let from = vault::open(two.storage.clone(), &two.dir.path().join("e")).unwrap();
    let (snapshots, _) = from.snapshots().unwrap();
    let options = CopyOptions::default();
    let error = two.to.copy_from(&from, snapshots, &options, &Silent);
    assert!(error.unwrap_err().is_damage());
    assert!(two.to.snapshots().unwrap().0.is_empty());
}

#[test]
fn a_dry_run_writes_nothing() {
    let two = Two::new();
    vault::backup(&two.from, &two.source()).unwrap();
    let (snapshots, _) = two.from.snapshots().unwrap();
    let options = CopyOptions {
        dry_run: true,
        ..CopyOptions::default()
    };
    let report = two.to.copy_from(&two.from, snapshots, &options, &Silent);
    let report = report.unwrap();
    assert!(report.bytes_new > 400_000, "{}", report.bytes_new);
    assert_eq!(report.copied[0].to, None);
    assert!(two.to.snapshots().unwrap().0.is_empty());
}

/// Ends when so many bytes were copied.
struct Until(AtomicU64);

impl Progress for Until {
    fn advance(&self, _files: u64, bytes: u64) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

#[test]
fn one_that_was_stopped_goes_on_where_it_was() {
    let two = Two::new();
    vault::backup(&two.from, &two.source()).unwrap();
    let (snapshots, _) = two.from.snapshots().unwrap();
    let options = CopyOptions::default();
    let until = Until(AtomicU64::new(250_000));
    let stopped = two
        .to
        .copy_from(&two.from, snapshots.clone(), &options, &until);
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert!(two.to.snapshots().unwrap().0.is_empty());
    let report = two.to.copy_from(&two.from, snapshots, &options, &Silent);
    let report = report.unwrap();
    assert!(report.bytes_new < 350_000, "{}", report.bytes_new);
    is_whole(&two.to);
    restores(&two.to, "latest", &two.source(), &two.source());
}
