//! What can go wrong in the vault, told so that a person can act on it.

use std::io;
use std::path::{Path, PathBuf};

use crate::index::IndexError;
use crate::storage::StorageError;
use crate::tree::TreeError;

/// The result of vault operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the vault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing that looks like a repository is there.
    #[error("no repository at {location}")]
    NoRepository {
        /// Where it was looked for.
        location: String,
    },
    /// `init` found a repository.
    #[error("there is a repository at {location} already")]
    RepositoryExists {
        /// Where it is.
        location: String,
    },
    /// No key slot answers to the credential.
    #[error("no key slot of {location} opens with this passphrase or key")]
    WrongKey {
        /// The repository.
        location: String,
    },
    /// An object is not what it was when it was written.
    #[error("{object} is damaged: {detail}")]
    Damaged {
        /// The object, as its path in the repository, or a chunk.
        object: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Something that another object refers to is not there.
    #[error("{object} is missing")]
    Missing {
        /// The object, as its path in the repository, or a chunk.
        object: String,
    },
    /// The operation needs a key that a writer does not hold.
    #[error("{operation} needs a full key, and this key may only write")]
    NeedsFullKey {
        /// What was asked for.
        operation: &'static str,
    },
    /// No snapshot answers to a name.
    #[error("no snapshot matches {name:?}")]
    NoSuchSnapshot {
        /// The name given.
        name: String,
    },
    /// Several snapshots answer to a name.
    #[error("{count} snapshots match {name:?}")]
    AmbiguousSnapshot {
        /// The name given.
        name: String,
        /// How many answer.
        count: usize,
    },
    /// A path is not in the snapshot.
    #[error("{path:?} is not in the snapshot")]
    NoSuchPath {
        /// The path.
        path: String,
    },
    /// Another process does the same at this moment.
    #[error("{what} is already running")]
    Busy {
        /// What is running.
        what: String,
    },
    /// An argument has a value that cannot be used.
    #[error("{what}: {problem}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Something written by a later version, or not supported here.
    #[error("{what} {value} is not supported by this version")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// The value found.
        value: String,
    },
    /// A command or stream that was being backed up failed.
    #[error("the source {name:?} failed: {problem}")]
    SourceFailed {
        /// Its name in the snapshot.
        name: String,
        /// What happened.
        problem: String,
    },
    /// The operation was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The storage failed.
    #[error(transparent)]
    Storage(StorageError),
    /// The local copy of the index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A directory stream breaks the format.
    #[error("a directory in the repository breaks the format")]
    Tree(#[from] TreeError),
    /// A cryptographic operation failed.
    #[error(transparent)]
    Crypto(#[from] keepwatch_crypto::Error),
    /// The local cache failed.
    #[error("cannot use the cache {}", path.display())]
    Cache {
        /// The database file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// Nothing that looks like an event store is there.
    #[error("no event store at {location}")]
    NoStore {
        /// Where it was looked for.
        location: String,
    },
    /// An event store was to be made where something is.
    #[error("{location} is in use already")]
    StoreExists {
        /// Where it is.
        location: String,
    },
    /// No event has an id.
    #[error("there is no event {id}")]
    NoSuchEvent {
        /// The id.
        id: crate::events::EventId,
    },
    /// Evidence is signed by somebody else than was expected.
    #[error("it is signed by {found}, not by {expected}")]
    WrongSigner {
        /// The expected ed25519 public key, in hexadecimal digits.
        expected: String,
        /// The one found.
        found: String,
    },
    /// The database of events is locked, or its server does not answer: later it may work.
    #[error("{what} cannot be used at the moment")]
    Unavailable {
        /// What is not available.
        what: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The database of events failed.
    #[error("cannot use the database {}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The server of the database of events refuses something.
    #[error("the database {server} refuses")]
    DatabaseServer {
        /// Its address, without secrets.
        server: String,
        /// What it says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file was to be made where one is.
    #[error("{} exists already", path.display())]
    FileExists {
        /// Where it is.
        path: PathBuf,
    },
    /// A file was to be replaced, and what is there is none.
    #[error("{} is no ordinary file", path.display())]
    NotAFile {
        /// Where it is.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A wait that was to end is an operation that was.
impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Interrupted => Error::Interrupted,
            error => Error::Storage(error),
        }
    }
}

impl Error {
    /// What to do about it, where the vault knows.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::NoRepository { .. } => Some("check the path, or make a repository with `init`"),
            Error::NoStore { .. } => Some("check the path, or make an event store first"),
            Error::StoreExists { .. } => Some("choose an empty place for a new event store"),
            Error::RepositoryExists { .. } => Some("choose an empty place for a new repository"),
            Error::WrongKey { .. } => Some("check the passphrase, key file or identity"),
            Error::Damaged { .. } | Error::Missing { .. } => Some(
                "`check --read-data`, for an event store `events verify --media`, tells all that is damaged",
            ),
            Error::NeedsFullKey { .. } => {
                Some("use a full key; a writer key adds backups and reads nothing")
            }
            Error::NoSuchSnapshot { .. } => Some("`snapshots` lists what is there"),
            Error::AmbiguousSnapshot { .. } => Some("give more digits of the snapshot id"),
            Error::Busy { .. } => Some("wait for it to end"),
            Error::Unavailable { .. } => Some("try again later"),
            Error::Unsupported { .. } => Some("use a later version of keepwatch"),
            Error::Cache { .. } => Some("the cache may be deleted, this costs time only"),
            Error::FileExists { .. } => Some("choose another name, or have it replaced"),
            Error::Storage(error) => error.hint(),
            Error::Crypto(error) => error.hint(),
            _ => None,
        }
    }

    /// Whether the error says that stored data is damaged or lost.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Error::Damaged { .. }
                | Error::Missing { .. }
                | Error::Tree(_)
                | Error::Storage(
                    StorageError::NotFound { .. }
                        | StorageError::Truncated { .. }
                        | StorageError::TooLarge { .. }
                )
        )
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers read better")]
    pub(crate) fn damaged(object: impl ToString, detail: impl ToString) -> Self {
        Error::Damaged {
            object: object.to_string(),
            detail: detail.to_string(),
        }
    }

    pub(crate) fn io(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Error::Io {
            operation,
            path,
            source,
        }
    }
}

/// An error with its causes, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
