//! The repositories of the configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keepwatch_config::{RemoteConfig, RepositoryConfig};
use keepwatch_core::crypto::zeroize::Zeroizing;
use keepwatch_core::crypto::{Credential, Key, Passphrase, SecretKey};
use keepwatch_core::fs::read_secret;
use keepwatch_core::storage::{LocalStorage, Storage};
use keepwatch_core::{CachePlace, Error, Repository};
use keepwatch_remote::{Credentials, Limits, Location, Options, Stop};
use tokio::runtime::Handle;

/// Opens repositories.
#[derive(Clone, Debug)]
pub struct Repositories {
    cache: CachePlace,
    /// What drives the network for those on other machines.
    runtime: Handle,
    /// Ends waits for them.
    stop: Stop,
}

/// An open one.
pub struct Opened {
    /// It.
    pub repository: Repository,
    /// Where its objects are.
    pub storage: Arc<dyn Storage>,
}

impl Repositories {
    /// With what is kept on this machine, and what drives the network.
    pub fn new(cache: CachePlace, runtime: Handle) -> Self {
        Self {
            cache,
            runtime,
            stop: Stop::default(),
        }
    }

    /// Waits for storages on other machines end with this.
    #[must_use]
    pub fn stopped_by(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// What is kept on this machine.
    pub fn cache(&self) -> &CachePlace {
        &self.cache
    }

    /// Opens one.
    ///
    /// # Errors
    /// Whatever keeps it from being opened.
    pub fn open(&self, config: &RepositoryConfig) -> Result<Opened, Error> {
        let storage = self.storage(config)?;
        let credential = credential(config)?;
        let repository = Repository::open(storage.clone(), &credential, &self.cache)?;
        Ok(Opened {
            repository,
            storage,
        })
    }

    fn storage(&self, config: &RepositoryConfig) -> Result<Arc<dyn Storage>, Error> {
        let none = |_| Error::NoRepository {
            location: config.path.display().to_string(),
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
                let options = self.remote_options(&config.remote);
                keepwatch_remote::open(&remote, &options, &self.runtime).map_err(bad)
            }
        }
    }

    /// How a repository on another machine is reached.
    fn remote_options(&self, config: &RemoteConfig) -> Options {
        let (CachePlace::Dir(scratch) | CachePlace::Temporary(scratch)) = &self.cache;
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
            stop: self.stop.clone(),
        }
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
///
/// # Errors
/// When it cannot be read or holds none.
pub fn identities(path: &Path) -> Result<Vec<SecretKey>, Error> {
    let bytes = read_secret(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::Invalid {
        what: "identity",
        problem: "the file is no text".to_owned(),
    })?;
    Ok(SecretKey::parse_file(text)?)
}
