//! Repositories that are put through something, and what must be left of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use keepwatch_core::storage::{MemoryStorage, Storage};
use keepwatch_core::{
    BackupOptions, BackupReport, CachePlace, CheckReport, Error, Id, PruneOptions, PruneReport,
    ReadData, Repository, Result, Silent, Snapshot, Source,
};
use keepwatch_testkit::tree::{Described, describe, noise, write};
use keepwatch_testkit::vault;
use tempfile::TempDir;

type Tree = BTreeMap<PathBuf, Described>;

/// Sources, caches and targets of one test, and what each snapshot must hold.
pub struct Scene {
    dir: TempDir,
    next: AtomicU64,
    /// By the tag of the snapshot.
    trees: Mutex<BTreeMap<String, Tree>>,
}

impl Scene {
    pub fn new() -> Self {
        // Thousands of caches come and go: memory spares the disk, and the test its syncs.
        let memory = Path::new("/dev/shm");
        let dir = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        Self {
            dir: dir.unwrap(),
            next: AtomicU64::new(0),
            trees: Mutex::default(),
        }
    }

    /// A path that nothing has used.
    pub fn fresh(&self, what: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.dir.path().join(format!("{what}-{number}"))
    }

    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    /// A new repository with small packs.
    pub fn init(&self) -> MemoryStorage {
        let storage = MemoryStorage::new();
        vault::init(
            Arc::new(storage.clone()),
            &vault::small(),
            &self.fresh("cache"),
        );
        storage
    }

    /// Opens with a cache that is empty and lasts.
    pub fn open(&self, storage: Arc<dyn Storage>) -> Result<Repository> {
        vault::open(storage, &self.fresh("cache"))
    }

    /// Opens as another machine does.
    pub fn open_as_another(&self, storage: Arc<dyn Storage>) -> Repository {
        self.open(storage).unwrap_or_else(|e| panic!("open: {e:?}"))
    }

    /// Opens with a cache that is empty and goes with the repository.
    pub fn open_briefly(&self, storage: Arc<dyn Storage>) -> Result<Repository> {
        let parent = self.fresh("cache");
        fs::create_dir(&parent).unwrap();
        let place = CachePlace::Temporary(parent);
        Repository::open(storage, &vault::credential(), &place)
    }

    /// Makes the source be as in this version.
    ///
    /// From 1 to 2 a pack dies, another is mostly dead, and some chunks stay.
    pub fn set_version(&self, version: u64) {
        let root = self.source();
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        write(&root, "kept/large", noise(30_000, 2));
        write(&root, "kept/text", b"the same line again\n".repeat(400));
        let seed = if version == 1 { 1 } else { 11 };
        write(&root, "changed/one", noise(20_000, seed));
        match version {
            1 => {
                write(&root, "gone", noise(150_000, 9));
            }
            2 => {
                write(&root, "new", noise(25_000, 12));
            }
            _ => {
                write(&root, "new", noise(25_000, 12));
                write(&root, "newer", noise(15_000, 100 + version));
            }
        }
    }

    /// Backs up another directory, whose content goes with the tag.
    pub fn backup_other(&self, repository: &Repository, tag: &str) -> Result<BackupReport> {
        let root = self.dir.path().join(format!("other-{tag}"));
        if !root.exists() {
            // It shares content with the sources that come and go.
            write(&root, "changed/one", noise(20_000, 1));
            write(&root, "kept/large", noise(30_000, 2));
            write(&root, "own", noise(10_000, tag.len() as u64 + 500));
        }
        self.backup_dir(repository, &root, tag)
    }

    pub fn backup(&self, repository: &Repository, tag: &str) -> Result<BackupReport> {
        self.backup_dir(repository, &self.source(), tag)
    }

    fn backup_dir(&self, repository: &Repository, root: &Path, tag: &str) -> Result<BackupReport> {
        self.trees
            .lock()
            .unwrap()
            .insert(tag.to_owned(), describe(root));
        let options = BackupOptions {
            tags: vec![tag.to_owned()],
            ..vault::backup_options()
        };
        let report = repository.backup(vec![Source::Path(root.to_owned())], &options, &Silent)?;
        assert_eq!(report.errors, []);
        Ok(report)
    }

    /// A repository with these versions backed up.
    pub fn with_versions(&self, versions: &[u64]) -> MemoryStorage {
        let storage = self.init();
        let repository = self.open(Arc::new(storage.clone())).unwrap();
        for version in versions {
            self.set_version(*version);
            self.backup(&repository, &format!("v{version}")).unwrap();
        }
        storage
    }

    /// Restores a snapshot; whether it is what was backed up, or why it could not be restored.
    pub fn restores(&self, repository: &Repository, id: &Id, snapshot: &Snapshot) -> Result<bool> {
        use std::os::unix::ffi::OsStrExt;
        let target = self.fresh("target");
        let report = vault::restore(
            repository,
            &id.to_string(),
            Path::new(std::ffi::OsStr::from_bytes(&snapshot.paths[0].0)),
            &target,
        )?;
        let whole = report.errors.is_empty();
        let same = whole && describe(&target) == self.trees.lock().unwrap()[&snapshot.tags[0]];
        fs::remove_dir_all(&target).unwrap();
        if !whole {
            return Err(Error::Missing {
                object: report.errors[0].error.clone(),
            });
        }
        Ok(same)
    }

    /// Asserts that every published snapshot is whole and that nothing is wrong; gives their tags
    /// and the report.
    pub fn assert_whole(
        &self,
        storage: &MemoryStorage,
        context: &str,
    ) -> (BTreeSet<String>, CheckReport) {
        let repository = self
            .open_briefly(Arc::new(storage.clone()))
            .unwrap_or_else(|e| panic!("{context}: open: {e:?}"));
        let report = repository
            .check(ReadData::All, &Silent)
            .unwrap_or_else(|e| panic!("{context}: check: {e:?}"));
        assert_eq!(report.errors, [], "{context}");
        let (snapshots, problems) = repository.snapshots().unwrap();
        assert!(problems.is_empty(), "{context}: {problems:?}");
        let mut tags = BTreeSet::new();
        for (id, snapshot) in &snapshots {
            match self.restores(&repository, id, snapshot) {
                Ok(true) => {}
                Ok(false) => panic!("{context}: {:?} restores wrong bytes", snapshot.tags),
                Err(error) => panic!("{context}: {:?}: {error:?}", snapshot.tags),
            }
            tags.insert(snapshot.tags[0].clone());
        }
        (tags, report)
    }
}

/// The id of the snapshot with a tag.
pub fn tagged(repository: &Repository, tag: &str) -> Option<Id> {
    let (snapshots, _) = repository.snapshots().unwrap();
    let mut found = snapshots.iter().filter(|(_, s)| s.tags[0] == tag);
    found.next().map(|(id, _)| *id)
}

/// Forgets the snapshot with a tag unless that has happened.
pub fn forget(repository: &Repository, tag: &str) -> Result<()> {
    if let Some(id) = tagged(repository, tag) {
        repository.forget(&[id], jiff::Timestamp::now(), false)?;
    }
    Ok(())
}

pub fn prune(repository: &Repository) -> Result<PruneReport> {
    repository.prune(&PruneOptions::default(), jiff::Timestamp::now())
}

pub fn tags(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
