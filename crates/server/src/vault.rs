//! The repositories of the configuration, opened when they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use keepwatch_config::RepositoryConfig;
use keepwatch_core::storage::{ObjectKind, Storage};
use keepwatch_core::{Error, Id, Repository, Snapshot};
use keepwatch_runner::{Opened, Repositories as Opener};

/// Snapshots with their ids.
pub(crate) type Snapshots = Vec<(Id, Snapshot)>;

/// Repositories by name.
pub(crate) struct Repositories {
    opener: Opener,
    open: Mutex<BTreeMap<String, Open>>,
}

/// An open repository, and the snapshots that it had then: for others its index may lack something.
#[derive(Clone)]
struct Open {
    config: RepositoryConfig,
    repository: Arc<Repository>,
    storage: Arc<dyn Storage>,
    snapshots: Arc<BTreeSet<Id>>,
}

impl Repositories {
    pub fn new(opener: Opener) -> Self {
        Self {
            opener,
            open: Mutex::default(),
        }
    }

    /// One with its snapshots, newest first. It stays open for the next request.
    ///
    /// # Errors
    /// Whatever keeps it from being opened, or its snapshots from being read.
    pub fn snapshots(
        &self,
        name: &str,
        config: &RepositoryConfig,
    ) -> Result<(Arc<Repository>, Snapshots), Error> {
        let known = self
            .lock()
            .get(name)
            .filter(|open| open.config == *config)
            .cloned();
        if let Some(open) = known {
            let (snapshots, _) = open.repository.snapshots()?;
            let ids: BTreeSet<Id> = snapshots.iter().map(|(id, _)| *id).collect();
            if ids.is_subset(&open.snapshots) {
                return Ok((open.repository, newest_first(snapshots)));
            }
        }
        let Opened {
            repository,
            storage,
        } = self.opener.open(config)?;
        let repository = Arc::new(repository);
        let (snapshots, _) = repository.snapshots()?;
        let open = Open {
            config: config.clone(),
            repository: repository.clone(),
            storage,
            snapshots: Arc::new(snapshots.iter().map(|(id, _)| *id).collect()),
        };
        self.lock().insert(name.to_owned(), open);
        Ok((repository, newest_first(snapshots)))
    }

    /// What the objects of one that is open take, in bytes.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn bytes(&self, name: &str) -> Result<u64, Error> {
        let Some(open) = self.lock().get(name).cloned() else {
            return Ok(0);
        };
        let mut bytes = 0;
        for kind in ObjectKind::ALL {
            open.storage.list(kind, &mut |_, size| bytes += size)?;
        }
        Ok(bytes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newest_first(mut snapshots: Snapshots) -> Snapshots {
    snapshots.sort_by_key(|(_, snapshot)| std::cmp::Reverse(snapshot.time));
    snapshots
}
