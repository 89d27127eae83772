//! The repositories of the configuration, opened when they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use keepwatch_config::RepositoryConfig;
use keepwatch_core::crypto::zeroize::Zeroizing;
use keepwatch_core::crypto::{Credential, Key, Passphrase, SecretKey};
use keepwatch_core::fs::read_secret;
use keepwatch_core::storage::{LocalStorage, ObjectKind, Storage as _};
use keepwatch_core::{CachePlace, Error, Id, Repository, Snapshot};

/// Snapshots with their ids.
pub(crate) type Snapshots = Vec<(Id, Snapshot)>;

/// Repositories by name.
pub(crate) struct Repositories {
    cache: CachePlace,
    open: Mutex<BTreeMap<String, Open>>,
}

/// An open repository, and the snapshots that it had then: for others its index may lack something.
#[derive(Clone)]
struct Open {
    config: RepositoryConfig,
    repository: Arc<Repository>,
    storage: Arc<LocalStorage>,
    snapshots: Arc<BTreeSet<Id>>,
}

impl Repositories {
    pub fn new(cache: CachePlace) -> Self {
        Self {
            cache,
            open: Mutex::default(),
        }
    }

    /// Opens one anew.
    ///
    /// # Errors
    /// Whatever keeps it from being opened.
    pub fn open_new(
        &self,
        config: &RepositoryConfig,
    ) -> Result<(Repository, Arc<LocalStorage>), Error> {
        let storage = LocalStorage::open(&config.path).map_err(|_| Error::NoRepository {
            location: "the path in the configuration".to_owned(),
        })?;
        let storage = Arc::new(storage);
        let credential = credential(config)?;
        let repository = Repository::open(storage.clone(), &credential, &self.cache)?;
        Ok((repository, storage))
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
        let (repository, storage) = self.open_new(config)?;
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

/// What opens it.
fn credential(config: &RepositoryConfig) -> Result<Credential, Error> {
    if let Some(password) = &config.password {
        return Ok(Passphrase::from(Zeroizing::new(password.expose().to_owned())).into());
    }
    let malformed = |problem: &str| Error::Invalid {
        what: "key of a repository",
        problem: problem.to_owned(),
    };
    if let Some(path) = &config.key_file {
        let bytes = read_secret(path)?;
        let key: [u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| malformed("a key file has 32 bytes"))?;
        return Ok(Credential::KeyFile(Key::from_bytes(key)));
    }
    let path = config.identity.as_deref().unwrap_or(Path::new(""));
    identities(path).map(Credential::Identities)
}

/// The age identities in a file.
pub(crate) fn identities(path: &Path) -> Result<Vec<SecretKey>, Error> {
    let bytes = read_secret(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::Invalid {
        what: "identity",
        problem: "the file is no text".to_owned(),
    })?;
    Ok(SecretKey::parse_file(text)?)
}
