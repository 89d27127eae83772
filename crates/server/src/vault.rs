//! The repositories of the configuration, opened when they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keepwatch_config::{RemoteConfig, RepositoryConfig};
use keepwatch_core::crypto::zeroize::Zeroizing;
use keepwatch_core::crypto::{Credential, Key, Passphrase, SecretKey};
use keepwatch_core::fs::read_secret;
use keepwatch_core::storage::{LocalStorage, ObjectKind, Storage};
use keepwatch_core::{CachePlace, Error, Id, Repository, Snapshot};
use keepwatch_remote::{Credentials, Limits, Location, Options};
use tokio::runtime::Handle;

/// Snapshots with their ids.
pub(crate) type Snapshots = Vec<(Id, Snapshot)>;

/// Repositories by name.
pub(crate) struct Repositories {
    cache: CachePlace,
    /// What drives the network for those on other machines.
    runtime: Handle,
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
    pub fn new(cache: CachePlace, runtime: Handle) -> Self {
        Self {
            cache,
            runtime,
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
    ) -> Result<(Repository, Arc<dyn Storage>), Error> {
        let storage = self.storage(config)?;
        let credential = credential(config)?;
        let repository = Repository::open(storage.clone(), &credential, &self.cache)?;
        Ok((repository, storage))
    }

    fn storage(&self, config: &RepositoryConfig) -> Result<Arc<dyn Storage>, Error> {
        let none = |_| Error::NoRepository {
            location: "the path in the configuration".to_owned(),
        };
        let bad = |error: keepwatch_remote::Error| match error {
            keepwatch_remote::Error::Storage(error) => error.into(),
            error => Error::Invalid {
                what: "address of a repository",
                problem: error.to_string(),
            },
        };
        match Location::parse(config.path.as_os_str()).map_err(bad)? {
            Location::Local(path) => Ok(Arc::new(LocalStorage::open(path).map_err(none)?)),
            Location::Remote(remote) => {
                let options = remote_options(&config.remote, &self.cache);
                keepwatch_remote::open(&remote, &options, &self.runtime).map_err(bad)
            }
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

/// How a repository on another machine is reached.
fn remote_options(config: &RemoteConfig, cache: &CachePlace) -> Options {
    let (CachePlace::Dir(scratch) | CachePlace::Temporary(scratch)) = cache;
    let defaults = Limits::default();
    let secret = config.password.as_ref();
    Options {
        credentials: Credentials {
            user: config.user.clone(),
            secret: secret.map(|secret| Zeroizing::new(secret.expose().to_owned())),
            token: None,
            key_file: config.key_file.clone(),
            known_hosts: config.known_hosts.clone(),
            ambient: true,
        },
        limits: Limits {
            upload: config.upload_limit,
            download: config.download_limit,
            connections: config
                .connections
                .map_or(defaults.connections, |count| count as usize),
            patience: config.patience.map_or(defaults.patience, |seconds| {
                Duration::from_secs(seconds.into())
            }),
            ..defaults
        },
        scratch: scratch.clone(),
    }
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
