//! Why something was not told.

use std::io;
use std::time::Duration;

use jiff::Timestamp;

/// When the other side wants to hear again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So much later.
    Span(Duration),
    /// From this moment on.
    Moment(Timestamp),
}

/// Why something was not told. A host is named, and never the rest of an address: with Telegram and
/// most webhooks that is the secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// A setting that cannot be.
    #[error("{key}: {problem}")]
    Settings {
        /// The key.
        key: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// All addresses of the host are of private use.
    #[error("{host} is in a private network or on this machine")]
    Private {
        /// The host.
        host: String,
    },
    /// No such host.
    #[error("{host} is not found")]
    NotFound {
        /// The host.
        host: String,
    },
    /// The connection failed.
    #[error("{host} is not reached: {problem}")]
    Connection {
        /// The host.
        host: String,
        /// What the system says.
        problem: io::ErrorKind,
    },
    /// It took too long.
    #[error("{host} does not answer in time")]
    Timeout {
        /// The host.
        host: String,
    },
    /// No secure connection.
    #[error("{host} has no certificate to be trusted, or does not speak TLS")]
    Tls {
        /// The host.
        host: String,
    },
    /// An HTTP status that is no success.
    #[error("{host} answered with HTTP status {status}")]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: u16,
        /// When it wants to hear again.
        retry_after: Option<RetryAfter>,
    },
    /// It does not speak the protocol.
    #[error("{host} does not speak {protocol}")]
    Protocol {
        /// The host.
        host: String,
        /// The protocol.
        protocol: &'static str,
    },
    /// A mail server or a broker said no.
    #[error("{host} refused by {protocol} code {code}")]
    Refused {
        /// The host.
        host: String,
        /// The protocol.
        protocol: &'static str,
        /// The code.
        code: u16,
        /// Whether it may say yes later.
        temporary: bool,
    },
    /// A program did not do it.
    #[error("{program} did not show it: {problem}")]
    Program {
        /// The program.
        program: String,
        /// How it ended.
        problem: String,
    },
}

impl NotifyError {
    pub(super) fn io(host: &str, error: &io::Error) -> Self {
        let host = host.to_owned();
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout { host },
            _ if error
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>()) =>
            {
                Self::Tls { host }
            }
            problem => Self::Connection { host, problem },
        }
    }

    /// The system has no random numbers.
    pub(super) fn no_randomness(host: &str) -> Self {
        Self::io(host, &io::ErrorKind::Unsupported.into())
    }

    /// Whether the same may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Settings { .. } => false,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Refused { temporary, .. } => *temporary,
            // The machine may be offline, without a desktop as yet, or behind the portal of a hotel,
            // which gives every name a private address.
            _ => true,
        }
    }

    /// When the other side wants to hear again.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// How to put it right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "see the description of the setting",
            Self::Private { .. } => "set allow_private for this target if that is meant",
            Self::NotFound { .. } => "look at the spelling, and whether this machine is online",
            Self::Connection { .. } | Self::Timeout { .. } => {
                "look whether this machine is online and the other runs; it is tried again"
            }
            Self::Tls { .. } => {
                "look whether the address and the port are those of TLS, and whether the clock is \
                 right; for an authority of your own, add its certificate to the system's"
            }
            Self::Status { status, .. } => match status {
                300..=399 => "redirects are not followed: give the address it leads to",
                401 | 403 | 404 | 410 => "look at the address and the token of this target",
                429 => "it hears too much; it is tried again when it asks for it",
                _ => "look at the settings of this target and at the other side's own log",
            },
            Self::Protocol { .. } => "look at the address and the port",
            Self::Refused { .. } => "look at user, password and receivers",
            Self::Program { .. } => "look whether a desktop session is there (libnotify-bin)",
        }
    }
}
