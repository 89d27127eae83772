//! From options to an open repository.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keepwatch_core::crypto::Credential;
use keepwatch_core::storage::{LocalStorage, Storage, StorageError};
use keepwatch_core::{CachePlace, Error, Mended, Repository};
use keepwatch_remote::{Credentials, Limits, Location, Options};
use tokio::runtime::{Handle, Runtime};
use uzers::os::unix::UserExt;
use zeroize::Zeroizing;

use crate::args::Global;
use crate::credentials;
use crate::exit::Failure;
use crate::interrupt::waits;

/// An open repository and what it was opened with.
pub struct Opened {
    /// The repository.
    pub repository: Repository,
    /// Where its objects are.
    pub storage: Arc<dyn Storage>,
    /// What opened it.
    pub credential: Credential,
}

/// Opens the repository of the options.
pub fn open(global: &Global) -> Result<Opened, Failure> {
    let (storage, credential) = entrance(global)?;
    let repository = Repository::open(storage.clone(), &credential, &cache_place(global)?)?;
    Ok(Opened {
        repository,
        storage,
        credential,
    })
}

/// As [`open`]; what keeps it from being opened is brought back first, also from copies of it.
pub fn open_mending(
    global: &Global,
    others: &[&dyn Storage],
) -> Result<(Opened, Vec<Mended>), Failure> {
    let (storage, credential) = entrance(global)?;
    let place = cache_place(global)?;
    let (repository, mended) = match Repository::open(storage.clone(), &credential, &place) {
        Ok(repository) => (repository, Vec::new()),
        Err(error) if error.is_damage() || is_no_entrance(&error) => {
            let mended = match Repository::recover_entrance(&*storage, others, &credential) {
                Ok(mended) => mended,
                // What could not be helped is what was wrong in the first place.
                Err(Error::WrongKey { .. } | Error::NoRepository { .. }) => {
                    return Err(error.into());
                }
                Err(error) => return Err(error.into()),
            };
            let repository = Repository::open(storage.clone(), &credential, &place)?;
            (repository, mended)
        }
        Err(error) => return Err(error.into()),
    };
    let opened = Opened {
        repository,
        storage,
        credential,
    };
    Ok((opened, mended))
}

/// What a lost or garbled `config` or key slot looks like.
fn is_no_entrance(error: &Error) -> bool {
    matches!(
        error,
        Error::NoRepository { .. }
            | Error::WrongKey { .. }
            | Error::Unsupported { .. }
            | Error::Invalid { .. }
            | Error::Storage(_)
    )
}

fn entrance(global: &Global) -> Result<(Arc<dyn Storage>, Credential), Failure> {
    let location = location(global)?;
    let storage = existing(&location, global)?;
    let credential = credentials::existing(global, &location.to_string())?;
    Ok((storage, credential))
}

/// The storage of a repository that is there.
pub fn existing(location: &Location, global: &Global) -> Result<Arc<dyn Storage>, Failure> {
    Ok(match location {
        Location::Local(path) => {
            Arc::new(LocalStorage::open(path).map_err(|error| missing(error, path))?)
        }
        Location::Remote(remote) => {
            keepwatch_remote::open(remote, &remote_options(global)?, runtime()?)?
        }
    })
}

/// The storage for a new repository.
pub fn create(global: &Global) -> Result<Arc<dyn Storage>, Failure> {
    Ok(match location(global)? {
        Location::Local(path) => Arc::new(LocalStorage::create_dir(&path).map_err(Error::from)?),
        Location::Remote(remote) => {
            keepwatch_remote::create(&remote, &remote_options(global)?, runtime()?)?
        }
    })
}

/// What is no repository is reported as none, whatever else it is.
fn missing(error: StorageError, path: &Path) -> Failure {
    let location = path.display().to_string();
    match error {
        StorageError::NotARepository { .. } => Error::NoRepository { location }.into(),
        StorageError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Error::NoRepository { location }.into()
        }
        error => Error::from(error).into(),
    }
}

/// Where the repository is.
pub fn location(global: &Global) -> Result<Location, Failure> {
    let text = global.repo.as_deref().ok_or(Failure::Usage {
        message: "no repository is given".to_owned(),
        hint: Some("use --repo DIR or set KEEPWATCH_REPO"),
    })?;
    Ok(Location::parse(text.as_os_str())?)
}

/// How a repository on another machine is reached.
fn remote_options(global: &Global) -> Result<Options, Failure> {
    let args = &global.remote;
    let secret = match &args.remote_password_file {
        Some(path) => Some(credentials::first_line(path)?),
        None => std::env::var("KEEPWATCH_REMOTE_PASSWORD")
            .ok()
            .map(Zeroizing::new),
    };
    let defaults = Limits::default();
    Ok(Options {
        credentials: Credentials {
            user: args.remote_user.clone(),
            secret,
            token: None,
            key_file: args.remote_key_file.clone(),
            known_hosts: args.known_hosts.clone(),
            ambient: true,
        },
        limits: Limits {
            upload: args.limit_upload,
            download: args.limit_download,
            connections: args.connections.unwrap_or(defaults.connections),
            patience: args.patience.map_or(defaults.patience, Duration::from_secs),
            ..defaults
        },
        scratch: std::env::temp_dir(),
        stop: waits(),
    })
}

/// What drives the network. It is there once, when it is needed first, and until the end.
pub fn runtime() -> Result<&'static Handle, Failure> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("network")
        .enable_all()
        .build()
        .map_err(|source| Failure::File {
            operation: "start the threads for",
            path: "the network".to_owned(),
            source,
        })?;
    Ok(RUNTIME.get_or_init(|| runtime).handle())
}

/// Where the cache is, or will be.
pub fn cache_place(global: &Global) -> Result<CachePlace, Failure> {
    if global.no_cache {
        return Ok(CachePlace::Temporary(std::env::temp_dir()));
    }
    if let Some(dir) = &global.cache_dir {
        return Ok(CachePlace::Dir(dir.clone()));
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| home(absolute("HOME")).map(|home| home.join(".cache")))
        .map(|cache| CachePlace::Dir(cache.join("keepwatch")))
        .ok_or(Failure::Usage {
            message: "there is no home directory for the cache".to_owned(),
            hint: Some("use --cache-dir or --no-cache"),
        })
}

/// The home directory of whoever runs this.
#[cfg(feature = "vision")]
pub fn home_directory() -> Option<PathBuf> {
    let variable = std::env::var_os("HOME").map(PathBuf::from);
    home(variable.filter(|path| path.is_absolute()))
}

/// The home directory; services often run without the variable.
fn home(variable: Option<PathBuf>) -> Option<PathBuf> {
    variable.or_else(|| {
        let user = uzers::get_user_by_uid(uzers::get_current_uid())?;
        Some(user.home_dir().to_owned())
    })
}
