//! What can go wrong with a backup as a whole.

use std::io;
use std::path::{Path, PathBuf};

use keepwatch_core::Error as CoreError;
use keepwatch_crypto::Error as CryptoError;

/// The result of reading backups of BackupHandler.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a backup cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing that BackupHandler has made.
    #[error("no backup of BackupHandler in {}", path.display())]
    NoBackup {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Files are encrypted, and no key was given.
    #[error("{file:?} and {more} more are encrypted, and neither passphrase nor key file is given")]
    NeedsKey {
        /// One of them.
        file: String,
        /// How many there are besides.
        more: usize,
    },
    /// None of the files that were tried opens.
    #[error("the passphrase or key opens none of the files that were tried, {file:?} among them")]
    WrongKey {
        /// One of them.
        file: String,
    },
    /// The files are encrypted with another kind of key.
    #[error("{file:?} cannot be opened")]
    OtherKey {
        /// One of them.
        file: String,
        /// What would open it.
        #[source]
        source: CryptoError,
    },
    /// A zip cannot be read at all.
    #[error("the archive {file:?} is damaged: {problem}")]
    Archive {
        /// Its name.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The vault failed.
    #[error(transparent)]
    Core(#[from] CoreError),
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

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::NoBackup { .. } => {
                Some("name the directory that holds backup_manifest_….json or backup_….zip")
            }
            Error::NeedsKey { .. } => {
                Some("give the passphrase or key file that the backup was made with")
            }
            Error::WrongKey { .. } => Some(
                "check the passphrase or key file; a zip has a password of its own, which was kept in the keyring of the desktop",
            ),
            Error::OtherKey { source, .. } => source.hint(),
            Error::Archive { .. } => Some("fetch it again from a copy"),
            Error::Core(error) => error.hint(),
            Error::Io { .. } => None,
        }
    }

    /// Whether it says that no key or a wrong one was given.
    pub fn is_key(&self) -> bool {
        matches!(
            self,
            Error::NeedsKey { .. } | Error::WrongKey { .. } | Error::OtherKey { .. }
        )
    }

    pub(super) fn io(
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
