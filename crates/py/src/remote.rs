//! Repositories on other machines.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keepwatch_core::storage::{LocalStorage, Storage};
use keepwatch_crypto::zeroize::Zeroizing;
use keepwatch_remote::{Credentials, Error, Limits, Location, Options, Stop};
use pyo3::prelude::*;
use tokio::runtime::Runtime;

use crate::errors::{Raise, Result, wrong_type};
use crate::record::{FilePath, Whole};

/// A password. It is never part of an error: PyO3 would show the value.
pub struct Password(Zeroizing<String>);

impl<'py> FromPyObject<'_, 'py> for Password {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<String>() {
            Ok(text) => Ok(Self(text.into())),
            Err(_) => Err(wrong_type("a string is needed")),
        }
    }
}

/// How a repository on another machine is reached.
///
/// What is not given is looked for where the provider's own tools look for it: in variables as
/// `AWS_ACCESS_KEY_ID`, in profiles, in SSH's configuration. Limits are bytes a second; what does not
/// work is tried again for `patience` seconds.
#[pyclass(frozen, module = "keepwatch")]
pub struct Remote(Options);

#[pymethods]
impl Remote {
    #[new]
    #[pyo3(signature = (
        *, user=None, password=None, key_file=None, known_hosts=None, upload_limit=None,
        download_limit=None, connections=None, patience=None
    ))]
    fn new(
        user: Option<String>,
        password: Option<Password>,
        key_file: Option<FilePath>,
        known_hosts: Option<FilePath>,
        upload_limit: Option<Whole<u64>>,
        download_limit: Option<Whole<u64>>,
        connections: Option<Whole<u32>>,
        patience: Option<Whole<u32>>,
    ) -> Result<Self> {
        let limit = |name, limit: Option<Whole<u64>>| match limit {
            Some(Whole(0)) => Err(Raise::value(name, "a limit of 0 lets nothing through")),
            limit => Ok(limit.map(|limit| limit.0)),
        };
        if connections.is_some_and(|count| !(1..=64).contains(&count.0)) {
            return Err(Raise::value("connections", "1 to 64"));
        }
        let defaults = Limits::default();
        Ok(Self(Options {
            credentials: Credentials {
                user,
                secret: password.map(|password| password.0),
                token: None,
                key_file: key_file.map(|path| path.0),
                known_hosts: known_hosts.map(|path| path.0),
                ambient: true,
            },
            limits: Limits {
                upload: limit("upload_limit", upload_limit)?,
                download: limit("download_limit", download_limit)?,
                connections: connections.map_or(defaults.connections, |count| count.0 as usize),
                patience: patience.map_or(defaults.patience, |seconds| {
                    Duration::from_secs(seconds.0.into())
                }),
                ..defaults
            },
            scratch: std::env::temp_dir(),
            stop: Stop::default(),
        }))
    }
}

/// Where a repository is.
pub enum Place {
    /// In a directory of this machine.
    Local(PathBuf),
    /// Elsewhere.
    Remote(Box<(keepwatch_remote::Remote, Options)>),
}

impl Place {
    /// Reads a path or an address.
    pub fn find(path: &Path, remote: Option<&Remote>) -> Result<Self> {
        match (Location::parse(path.as_os_str()).map_err(raise)?, remote) {
            (Location::Local(path), None) => Ok(Self::Local(path)),
            (Location::Local(_), Some(_)) => Err(Raise::value(
                "remote",
                "the path is a directory of this machine",
            )),
            (Location::Remote(at), remote) => {
                let options = remote.map_or_else(Options::default, |remote| remote.0.clone());
                Ok(Self::Remote(Box::new((at, options))))
            }
        }
    }

    /// What is there.
    pub fn open(self) -> Result<Arc<dyn Storage>> {
        match self {
            Self::Local(path) => Ok(Arc::new(LocalStorage::open(path)?)),
            Self::Remote(place) => {
                let (at, options) = *place;
                keepwatch_remote::open(&at, &options, runtime()?.handle()).map_err(raise)
            }
        }
    }

    /// A new one.
    pub fn create(self) -> Result<Arc<dyn Storage>> {
        match self {
            Self::Local(path) => Ok(Arc::new(LocalStorage::create_dir(path)?)),
            Self::Remote(place) => {
                let (at, options) = *place;
                keepwatch_remote::create(&at, &options, runtime()?.handle()).map_err(raise)
            }
        }
    }
}

/// What drives the network. It is there from when it is needed first until the process ends, for
/// iterators outlive what they are of; a process that was forked has one of its own, since threads
/// are not forked.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);
    let mut known = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((_, runtime)) = known.filter(|(owner, _)| *owner == process) {
        return Ok(runtime);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("network")
        .enable_all()
        .build()
        .map_err(|error| {
            Raise::File("start the threads for", PathBuf::from("the network"), error)
        })?;
    let runtime: &'static Runtime = Box::leak(Box::new(runtime));
    *known = Some((process, runtime));
    Ok(runtime)
}

fn raise(error: Error) -> Raise {
    match error {
        Error::Storage(error) => error.into(),
        error => Raise::value("path", error.to_string()),
    }
}
