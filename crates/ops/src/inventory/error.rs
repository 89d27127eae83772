use std::io;
use std::path::{Path, PathBuf};

/// Why there is no inventory, or nothing can be done with one.
///
/// What is missing from an inventory that there is, is told in it: see
/// [`Problem`](super::Problem).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
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
    /// The file could not be put in its place.
    #[error(transparent)]
    Core(#[from] keepwatch_core::Error),
    /// The file is no inventory.
    #[error("{} is not an inventory", path.display())]
    NotAnInventory {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The inventory was written by a later version.
    #[error("{} is an inventory of version {version}, and versions up to {} can be read", path.display(), super::VERSION)]
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        version: u32,
    },
    /// The file is larger than any inventory.
    #[error("{} has more than {limit} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How large it may be, in bytes.
        limit: u64,
    },
    /// There is no such user.
    #[error("{name:?} is not among the users of the system")]
    NoSuchUser {
        /// Who was asked for.
        name: String,
    },
    /// A section is called otherwise.
    #[error("{name:?} is no section of a rebuild script")]
    NoSuchSection {
        /// What was asked for.
        name: String,
    },
}

/// What a call gives, or why it does not.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err` on file operations.
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::Io {
            operation,
            path,
            source,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::NotAnInventory { .. } => {
                Some("name a file that `keepwatch inventory --output` has written")
            }
            Error::Version { .. } => {
                Some("use the version of Keepwatch that has written it, or a later one")
            }
            Error::NoSuchUser { .. } => Some("users are those of etc/passwd in the system"),
            Error::NoSuchSection { .. } => Some(
                "sections are repositories, packages, dotfiles, services, cron, editors and containers",
            ),
            Error::Core(error) => error.hint(),
            Error::Io { .. } | Error::TooLarge { .. } => None,
        }
    }
}
