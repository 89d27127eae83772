//! What a store does, found out by trying, and written down beside the repository.
//!
//! Stores that speak the protocol of S3 differ in what they do with a condition: some refuse it,
//! some ignore it, and then an object would be replaced without a word.

use futures_util::future;
use keepwatch_core::storage::StorageError;
use opendal::{ErrorKind, Operator};
use serde::{Deserialize, Serialize};

use crate::cloud::CloudStorage;

/// Where the record is, beside `config`. It holds nothing that must be believed: who can change it
/// can replace objects as well.
const RECORD: &str = "storage.json";
const VERSION: u32 = 1;
/// So many create one object at the same time, and one of them may succeed.
const TOGETHER: usize = 8;
/// A record is read up to this size, in bytes.
const MAX_RECORD: u64 = 4096;

/// What is wrong with a store whose listings are late.
pub(crate) const LATE: &str = "its listings show late what was written or removed";
/// What is wrong with a store that takes an object lock for nothing.
pub(crate) const FREE: &str =
    "it does not hold on to objects, as object_lock says: the bucket was made without object lock";

/// What a store does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// An object is created only where there is none. Otherwise of two that create the same name at
    /// once both succeed.
    pub conditional_create: bool,
    /// An object that has been there is not replaced, whatever becomes of two at once. Otherwise the
    /// store is asked each time whether there is one.
    #[serde(default)]
    pub refuses_existing: bool,
    /// A listing shows what was written before it began, and not what was removed.
    pub list_after_write: bool,
    /// What is written under an object lock is held; looked at only where a lock is asked for.
    #[serde(default)]
    pub object_lock: bool,
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    /// Where it was found out: a copy of a repository elsewhere asks anew.
    location: String,
    #[serde(flatten)]
    found: Capabilities,
}

impl Capabilities {
    /// What is written down, or else what trying says; that is written down then.
    pub(crate) fn of(storage: &CloudStorage, location: &str) -> Result<Self, StorageError> {
        if let Some(known) = Self::recorded(storage, location)? {
            return Ok(known);
        }
        let found = Self::probe(storage)?;
        let record = Record {
            version: VERSION,
            location: location.to_owned(),
            found: found.clone(),
        };
        let text = serde_json::to_vec_pretty(&record).expect("a record has only text and numbers");
        let written = storage.run("write", RECORD, |_| {
            let writing = storage.operator().write(RECORD, text.clone());
            async move { writing.await.map(drop) }
        });
        // Who may only read asks again the next time.
        if let Err(error) = written {
            tracing::info!(%error, "what the storage does is not written down");
        }
        Ok(found)
    }

    /// What is written down.
    pub(crate) fn recorded(
        storage: &CloudStorage,
        location: &str,
    ) -> Result<Option<Self>, StorageError> {
        let record = storage
            .get(RECORD, MAX_RECORD)?
            .and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        Ok(record
            .filter(|record| record.version == VERSION && record.location == location)
            .map(|record| record.found))
    }

    /// Tries it.
    fn probe(storage: &CloudStorage) -> Result<Self, StorageError> {
        let operator = storage.operator();
        let path = storage.temporary()?;
        let conditional = operator.info().capability().write_with_if_not_exists;
        // At the same time, and not one after the other: some stores look first and write then.
        let created = storage.run("write", &path, |_| async {
            let together = if conditional { TOGETHER } else { 1 };
            let tries = (0..together).map(|_| create(operator, &path, conditional));
            let done = future::try_join_all(tries).await?;
            Ok(done.into_iter().filter(|created| *created).count())
        })?;
        let refused = conditional
            && storage.run("write", &path, |_| async {
                Ok(!create(operator, &path, true).await?)
            })?;
        let shown = storage.run("list", "tmp/", |_| is_listed(operator, &path))?;
        storage.run("remove", &path, |_| operator.delete(&path))?;
        let gone = !storage.run("list", "tmp/", |_| is_listed(operator, &path))?;
        Ok(Self {
            // None: an earlier try of ours was the one.
            conditional_create: refused && created <= 1,
            refuses_existing: refused,
            list_after_write: shown && gone,
            object_lock: storage.holds_objects()?,
        })
    }
}

/// Whether an object was created, under the condition that there was none if that is known.
async fn create(operator: &Operator, path: &str, conditional: bool) -> opendal::Result<bool> {
    if conditional {
        match operator.write_with(path, "probe").if_not_exists(true).await {
            Ok(_) => return Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists => return Ok(false),
                // It knows no conditions.
                ErrorKind::Unsupported | ErrorKind::Unexpected if !error.is_temporary() => {}
                _ => return Err(error),
            },
        }
    }
    operator.write(path, "probe").await?;
    Ok(true)
}

async fn is_listed(operator: &Operator, path: &str) -> opendal::Result<bool> {
    match operator.list("tmp/").await {
        Ok(entries) => Ok(entries.iter().any(|entry| entry.path() == path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
