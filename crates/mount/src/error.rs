//! What can go wrong.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why snapshots cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The vault failed.
    #[error(transparent)]
    Core(#[from] keepwatch_core::Error),
    /// Nothing can be mounted there.
    #[error("{} cannot be a mount point: {problem}", path.display())]
    MountPoint {
        /// The place.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
    /// This machine has no FUSE.
    #[error("there is no FUSE here: {missing} is missing")]
    NoFuse {
        /// What it lacks.
        missing: &'static str,
    },
    /// The kernel or `fusermount3` refused.
    #[error("cannot mount at {}", path.display())]
    Mount {
        /// The place.
        path: PathBuf,
        /// What they said.
        #[source]
        source: io::Error,
    },
    /// The mount ended by an error.
    #[error("the mount at {} ended", path.display())]
    Session {
        /// The place.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Threads could not be started.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// Other machines would reach it.
    #[error("{0} is not an address of this machine alone")]
    NotLoopback(SocketAddr),
    /// Nobody can connect there.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Core(error) => error.hint(),
            Error::MountPoint { hint, .. } => Some(hint),
            Error::NoFuse { .. } => Some(
                "install `fuse3` and load the module `fuse`; `keepwatch webdav` shows the same without it",
            ),
            Error::Mount { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("`--allow-other` takes `user_allow_other` in /etc/fuse.conf, or root")
            }
            Error::NotLoopback(_) => Some(
                "it has neither users nor encryption: listen at 127.0.0.1, and reach it from elsewhere by `ssh -L`",
            ),
            _ => None,
        }
    }
}
