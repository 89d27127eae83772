//! The event store of a pipeline.

use std::path::PathBuf;
use std::sync::Arc;

use keepwatch_config::StoreConfig;
use keepwatch_core::events::{Store, StoreOptions};
use keepwatch_crypto::{Kdf, PublicKey};
use pyo3::prelude::*;

use crate::credential::{
    IdentitySource, KeySource, Secret, credential, new_locks, parse_recipient,
};
use crate::errors::{Raise, Result, wrong_type};
use crate::events::{EventStore, make_store, refuse_database};
use crate::record::Strings;
use crate::work::{self, Stop};

/// A store that is open, or where one is.
pub enum StoreSource {
    /// Open.
    Open(Py<EventStore>),
    /// Its directory.
    Path(PathBuf),
}

impl<'py> FromPyObject<'_, 'py> for StoreSource {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(store) = object.cast::<EventStore>() {
            return Ok(Self::Open(store.to_owned().unbind()));
        }
        match object.extract::<PathBuf>() {
            Ok(path) => Ok(Self::Path(path)),
            Err(_) => Err(wrong_type("an EventStore or a path is needed")),
        }
    }
}

/// What opens it, and who can open what it records.
pub struct Keys {
    pub passphrase: Option<Secret>,
    pub key_file: Option<KeySource>,
    pub identity: Option<IdentitySource>,
    pub recipients: Option<Strings>,
}

/// Opens the store that the arguments or the configuration name, or makes it.
pub fn open(
    py: Python<'_>,
    source: Option<StoreSource>,
    config: StoreConfig,
    keys: Keys,
) -> Result<Arc<Store>> {
    let given = keys.recipients.unwrap_or_default().0;
    let recipients: Vec<PublicKey> = given
        .iter()
        .chain(&config.recipients)
        .map(|text| parse_recipient(text))
        .collect::<Result<_>>()?;
    let path = match (source, config.path) {
        (Some(StoreSource::Open(store)), _) => {
            let store = store.get().open_store(py)?;
            if !store.is_writable() {
                return Err(Raise::value(
                    "store",
                    "it was not opened with writable=True",
                ));
            }
            check(&store, &recipients)?;
            return Ok(store);
        }
        (Some(StoreSource::Path(path)), _) | (None, Some(path)) => path,
        (None, None) => {
            return Err(Raise::value(
                "store",
                "neither it nor the configuration names an event store",
            ));
        }
    };
    refuse_database("store", &path)?;
    if Store::exists(&path) {
        let credential = credential(keys.passphrase, keys.key_file, keys.identity)?;
        let store = work::run(py, &Stop::default(), || Store::open(&path, &credential))??;
        check(&store, &recipients)?;
        return Ok(Arc::new(store));
    }
    if keys.identity.is_some() {
        return Err(Raise::value(
            "identity",
            "it opens a store, and there is none yet; make one with a passphrase or a key_file",
        ));
    }
    let locks = new_locks(keys.passphrase, keys.key_file, None)?;
    let options = StoreOptions {
        own_identity: recipients.is_empty(),
        recipients,
        ..StoreOptions::default()
    };
    let store = make_store(py, &path, &locks, Kdf::default(), &options)?;
    Ok(Arc::new(store))
}

/// Who can open recordings is chosen when a store is made.
fn check(store: &Store, wanted: &[PublicKey]) -> Result<()> {
    let there = store.recipients();
    match wanted.iter().all(|recipient| there.contains(recipient)) {
        true => Ok(()),
        false => Err(Raise::value(
            "recipients",
            "the event store seals recordings to others; use a new one",
        )),
    }
}
