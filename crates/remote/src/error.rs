//! What keeps a remote storage from being used at all.

use keepwatch_core::storage::StorageError;

use crate::capability::FREE;

/// The result of opening a storage.
pub type Result<T> = std::result::Result<T, Error>;

/// A storage could not be reached, or not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no address of a repository.
    #[error("this is no address of a repository: {problem}")]
    Address {
        /// What is wrong with it.
        problem: String,
    },
    /// Options and address do not fit together, or a value is out of bounds.
    #[error("{what}: {problem}")]
    Option {
        /// The option.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A credential would go over the network for everybody to read.
    #[error("{location} is reached without TLS, and a password would be sent to it")]
    Plaintext {
        /// Where.
        location: String,
    },
    /// A program that is needed cannot be used.
    #[error("cannot {what} {program}")]
    Program {
        /// What was attempted.
        what: &'static str,
        /// The program.
        program: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The storage does not keep what a repository rests on.
    #[error("{location} cannot hold a repository: {problem}")]
    Unfit {
        /// Where.
        location: String,
        /// What it does not do.
        problem: &'static str,
    },
    /// The storage refused, or did not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Error {
    /// What to do about it, when that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Address { problem } if problem.contains("password") => Some(
                "give the password by the configuration, a file or the environment: addresses \
                 are seen in lists of processes and in logs",
            ),
            Error::Address { .. } => {
                Some("an address is like s3://BUCKET/PREFIX or sftp://USER@HOST/PATH")
            }
            Error::Option { .. } => None,
            Error::Plaintext { .. } => Some("use webdavs://"),
            Error::Program { .. } => Some("install it, or check that it is in PATH"),
            Error::Unfit { problem, .. } if *problem == FREE => Some(
                "make the bucket with object lock, and permit s3:PutObjectRetention and \
                 s3:GetObjectRetention; or leave object_lock out of the address",
            ),
            Error::Unfit { .. } => Some(
                "a repository needs a storage that shows at once what was written to it; use \
                 another one",
            ),
            Error::Storage(error) => error.hint(),
        }
    }
}
