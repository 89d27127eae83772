//! Why something is no source.

use std::io;
use std::path::PathBuf;

/// Why a database cannot be dumped or brought back. No password is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Settings that cannot work.
    #[error("{problem}")]
    Settings {
        /// What is wrong.
        problem: &'static str,
    },
    /// A program is missing.
    #[error("there is no program {programs}")]
    NoProgram {
        /// Its name, or names of which one would do.
        programs: String,
    },
    /// A program failed.
    #[error("{program}: {problem}")]
    Failed {
        /// The program.
        program: String,
        /// What it said, or how it ended.
        problem: String,
    },
    /// There are no such databases.
    #[error("the server has no database {name:?}")]
    NoDatabase {
        /// The name.
        name: String,
    },
    /// What is there may not be replaced.
    #[error("{what} has something in it")]
    Taken {
        /// The database or file.
        what: String,
    },
    /// What is fed back is something else.
    #[error("{what} is no dump of this kind of database")]
    NoDump {
        /// Its name in the snapshot.
        what: String,
    },
    /// SQLite failed.
    #[error("cannot {operation} {}", path.display())]
    Sqlite {
        /// What was tried.
        operation: &'static str,
        /// The database.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The vault failed.
    #[error(transparent)]
    Core(#[from] keepwatch_core::Error),
}

impl SourceError {
    /// What to do about it, where it is known.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoProgram { programs } if programs.contains("dump") => {
                "install the client programs of the database (Debian: mariadb-client, postgresql-client)"
            }
            Self::Taken { .. } => "name another with --into, or replace it with --force",
            _ => return None,
        })
    }

    pub(super) fn sqlite(
        operation: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Sqlite {
            operation,
            path,
            source,
        }
    }

    pub(super) fn file(
        operation: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File {
            operation,
            path,
            source,
        }
    }
}
