//! What can go wrong.
//!
//! Rules: a wrong key and changed data are one variant, [`Error::Open`], without any detail. What
//! is told about a file is only what anyone can read in it without a key. No secret is ever part
//! of an error.

use std::io;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key does not open the data, or the data is not what was sealed.
    #[error("the key is wrong or the data was changed")]
    Open,

    /// Nothing in the file is meant for this kind of credential.
    #[error("it opens with {needs}, not with {given}")]
    OtherCredential {
        /// What would open it.
        needs: String,
        /// What was tried.
        given: &'static str,
    },

    /// A version, suite or kind that this release does not know.
    #[error("unsupported {what}: {value}")]
    Unsupported {
        /// What kind of thing it is.
        what: &'static str,
        /// The unknown value.
        value: String,
    },

    /// The bytes do not follow the format.
    #[error("{what} cannot be read: {problem}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A parameter given by the caller is out of its range.
    #[error("{what} cannot be used: {problem}")]
    Invalid {
        /// The parameter.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// The plaintext is longer than the format or the suite allows.
    #[error("the data is longer than {limit} bytes, which is the most that {what} holds")]
    TooLong {
        /// What it was to be sealed as.
        what: &'static str,
        /// The largest length, in bytes.
        limit: u64,
    },

    /// The memory that a passphrase's key derivation asks for is not there.
    #[error("there is no memory for a key derivation of {mib} MiB")]
    Memory {
        /// What was asked for, in MiB.
        mib: u32,
    },

    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random(#[source] getrandom::Error),

    /// Reading or writing failed.
    #[error("{action} failed")]
    Io {
        /// What was being done: "reading" or "writing".
        action: &'static str,
        /// What the reader or writer said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// How to mend it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Open => Some(
                "check the passphrase or key; if it is right, the data is damaged: fetch it again from a copy",
            ),
            Error::OtherCredential { .. } => Some("use the kind of key that it was sealed with"),
            Error::Unsupported { .. } => Some("it may have been written by a newer release"),
            Error::Malformed { .. } => Some("it may be damaged or be another kind of file"),
            Error::Memory { .. } => Some("free memory, or open it on a larger machine"),
            Error::Invalid { .. } | Error::TooLong { .. } | Error::Random(_) | Error::Io { .. } => {
                None
            }
        }
    }

    pub(crate) fn malformed(what: &'static str, problem: &'static str) -> Self {
        Error::Malformed { what, problem }
    }

    /// An error from the input; one of our own that passed through [`io::Read`] comes back as it was.
    pub(crate) fn reading(source: io::Error) -> Self {
        Self::unwrap_io("reading", source)
    }

    /// An error from the output; see [`Error::reading`].
    pub(crate) fn writing(source: io::Error) -> Self {
        Self::unwrap_io("writing", source)
    }

    fn unwrap_io(action: &'static str, source: io::Error) -> Self {
        match source.downcast::<Error>() {
            Ok(error) => error,
            Err(source) => Error::Io { action, source },
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { source, .. } => source,
            error => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}
