//! How a remote storage is used, and with which credentials.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::stop::Stop;

/// How a remote storage is used.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who asks.
    pub credentials: Credentials,
    /// How much, how often and for how long.
    pub limits: Limits,
    /// A directory for temporary files; a script without secrets goes there for SFTP by password.
    pub scratch: PathBuf,
    /// Ends waits for a storage that does not answer.
    pub stop: Stop,
}

/// Bounds for what goes to and from a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes a second that are sent, over all connections.
    pub upload: Option<u64>,
    /// Bytes a second that are received, over all connections.
    pub download: Option<u64>,
    /// Operations at the same time, 1 to 64.
    pub connections: usize,
    /// After so long without a byte an operation counts as failed, 1 s to 1 h.
    pub stall: Duration,
    /// For so long a failing operation is tried again, up to a day.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload: None,
            download: None,
            connections: 8,
            stall: Duration::from_secs(30),
            patience: Duration::from_secs(300),
        }
    }
}

impl Limits {
    pub(crate) fn check(&self) -> Result<()> {
        let bad = |what, problem: &str| {
            Err(Error::Option {
                what,
                problem: problem.to_owned(),
            })
        };
        if !(1..=64).contains(&self.connections) {
            return bad("connections", "1 to 64 are possible");
        }
        let hour = Duration::from_secs(3600);
        if !(Duration::from_secs(1)..=hour).contains(&self.stall) {
            return bad("stall", "1 s to 1 h is possible");
        }
        if self.patience > 24 * hour {
            return bad("patience", "a day is the most");
        }
        if self.upload == Some(0) || self.download == Some(0) {
            return bad("bandwidth", "nothing goes over a line of no bytes a second");
        }
        Ok(())
    }
}

/// Who asks. What is not given is not sent, but for what [`Credentials::ambient`] finds.
#[derive(Clone, Default)]
pub struct Credentials {
    /// A user name (WebDAV), an access key id (S3) or an account (Azure).
    pub user: Option<String>,
    /// Its password or secret key; for SFTP the password, or that of the key file; for rclone that of
    /// its configuration.
    pub secret: Option<Zeroizing<String>>,
    /// A session token (S3).
    pub token: Option<Zeroizing<String>>,
    /// A private key (SFTP), the key of a service account in JSON (Google), or a configuration of
    /// rclone.
    pub key_file: Option<PathBuf>,
    /// Known hosts of SSH; otherwise those of SSH's configuration.
    pub known_hosts: Option<PathBuf>,
    /// Look where the provider's own tools look: variables like `AWS_ACCESS_KEY_ID`, profiles in
    /// the home directory, and the metadata service of a machine in the cloud.
    pub ambient: bool,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("key_file", &self.key_file)
            .field("known_hosts", &self.known_hosts)
            .field("ambient", &self.ambient)
            .finish()
    }
}
