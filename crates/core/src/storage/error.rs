//! What can go wrong in a storage.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::ObjectName;

/// A storage operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no such object.
    #[error("{object} does not exist")]
    NotFound {
        /// The object asked for.
        object: ObjectName,
    },
    /// An object of that name is there already; it was not touched.
    #[error("{object} exists already")]
    AlreadyExists {
        /// The object that was to be created.
        object: ObjectName,
    },
    /// The device or the quota is full; nothing of the object was left behind.
    #[error("no space left to write {object}")]
    NoSpace {
        /// The object that was to be created.
        object: ObjectName,
        /// What the system said.
        source: io::Error,
    },
    /// The object ends before the bytes asked for do.
    #[error("{object} is too short: {wanted} bytes wanted at {offset}, {got} there")]
    Truncated {
        /// The object.
        object: ObjectName,
        /// Where the bytes start.
        offset: u64,
        /// How many bytes were asked for.
        wanted: u64,
        /// How many there are.
        got: u64,
    },
    /// The object, or the part asked for, is larger than is ever read into memory.
    #[error("{object}: {size} bytes is more than the {limit} that are read at once")]
    TooLarge {
        /// The object.
        object: ObjectName,
        /// The size of the read in bytes.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// The directory holds no repository.
    #[error("{} is not a repository", path.display())]
    NotARepository {
        /// The directory.
        path: PathBuf,
    },
    /// A repository was to be made in a directory that holds something else.
    #[error("{} is not empty and not a repository: it holds {found:?}", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of the names found in it.
        found: String,
    },
    /// A storage on another machine refused an operation, or did not answer.
    #[error("cannot {operation} {object} of {location}: {fault}")]
    Remote {
        /// What was attempted, as a verb phrase that an object can follow.
        operation: &'static str,
        /// The object, or where it was looked for.
        object: String,
        /// The storage.
        location: String,
        /// What kind of trouble it is.
        fault: RemoteFault,
        /// What was said. Holds no secrets.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operation was asked to stop while it waited for a storage that does not answer.
    #[error("interrupted")]
    Interrupted,
    /// The system refused an operation.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was attempted, as a verb phrase that a path can follow.
        operation: &'static str,
        /// What it was attempted on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What kind of trouble a storage on another machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RemoteFault {
    /// It does not know who asks, or does not let them.
    Denied,
    /// It cannot be reached, or did not do what it should, for longer than was waited.
    Unavailable,
    /// It said no, and will say so again.
    Refused,
}

impl fmt::Display for RemoteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RemoteFault::Denied => "it was denied",
            RemoteFault::Unavailable => "it does not answer as it should",
            RemoteFault::Refused => "it was refused",
        })
    }
}

impl StorageError {
    /// What to do about it, when that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StorageError::NotFound { .. } => Some(
                "the repository is incomplete: check that all of it was copied or mounted, then \
                 run a check",
            ),
            StorageError::NoSpace { .. } => Some(
                "free some space where the repository is and run the command again; what was \
                 written so far is kept and reused",
            ),
            StorageError::Truncated { .. } | StorageError::TooLarge { .. } => {
                Some("the object is damaged: run a check to see what it affects")
            }
            StorageError::NotARepository { .. } => {
                Some("check the path and that the file system is mounted")
            }
            StorageError::NotEmpty { .. } => Some("choose an empty or new directory"),
            StorageError::Remote { fault, .. } => match fault {
                RemoteFault::Denied => Some(
                    "check the credentials, when they end, what they are allowed, and this \
                     machine's clock",
                ),
                RemoteFault::Unavailable => Some(
                    "check that the storage can be reached and run the command again; what was \
                     written so far is kept and reused",
                ),
                RemoteFault::Refused => None,
            },
            StorageError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    Some("the repository belongs to the user who created it")
                }
                io::ErrorKind::ReadOnlyFilesystem => Some(
                    "the file system is mounted read-only, which can be how it reports a \
                     failing disk: look at the system log",
                ),
                io::ErrorKind::NotFound => Some(
                    "part of the repository's directory layout is missing: check that all of it \
                     was copied or mounted",
                ),
                _ => None,
            },
            StorageError::AlreadyExists { .. } | StorageError::Interrupted => None,
        }
    }
}
