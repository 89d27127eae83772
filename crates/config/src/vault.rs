//! Repositories.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keepwatch_core::SecretText;
use serde::Deserialize;

use crate::error::{Error, Result};

/// A repository that jobs use and the server shows. One of `password`, `key_file` and `identity`
/// opens it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryConfig {
    /// Where it is: a directory, or an address like `s3://bucket/prefix`.
    pub path: PathBuf,
    /// How it is reached when it is on another machine.
    #[serde(default)]
    pub remote: RemoteConfig,
    /// The passphrase.
    #[serde(default)]
    pub password: Option<SecretText>,
    /// A key file of 32 bytes.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// A file of age identities.
    #[serde(default)]
    pub identity: Option<PathBuf>,
}

/// How a repository on another machine is reached.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteConfig {
    /// Who asks: a user, or the id of an access key.
    pub user: Option<String>,
    /// Their password or secret key.
    pub password: Option<SecretText>,
    /// The private key of SSH, or the key of a Google service account.
    pub key_file: Option<PathBuf>,
    /// The known hosts of SSH, in place of its own.
    pub known_hosts: Option<PathBuf>,
    /// Bytes a second that are sent.
    pub upload_limit: Option<u64>,
    /// Bytes a second that are received.
    pub download_limit: Option<u64>,
    /// So much at the same time.
    pub connections: Option<u32>,
    /// For so many seconds is tried again what does not work.
    pub patience: Option<u32>,
}

impl RepositoryConfig {
    /// Whether it is on another machine.
    pub fn is_remote(&self) -> bool {
        self.path.to_str().is_some_and(|path| path.contains("://"))
    }
}

/// Refuses what cannot work.
pub(crate) fn check(repositories: &BTreeMap<String, RepositoryConfig>) -> Result<()> {
    let bad = |problem: String| {
        Err(Error::Value {
            problem,
            similar: None,
        })
    };
    for (name, repository) in repositories {
        check_name("repositories", name)?;
        let ways = [
            repository.password.is_some(),
            repository.key_file.is_some(),
            repository.identity.is_some(),
        ];
        if ways.iter().filter(|given| **given).count() != 1 {
            return bad(format!(
                "repositories.{name}: it needs one of password, key_file and identity"
            ));
        }
        let remote = &repository.remote;
        if !repository.is_remote() && *remote != RemoteConfig::default() {
            return bad(format!(
                "repositories.{name}.remote: {} is a directory of this machine",
                repository.path.display()
            ));
        }
        if !remote
            .connections
            .is_none_or(|count| (1..=64).contains(&count))
        {
            return bad(format!("repositories.{name}.remote.connections: 1 to 64"));
        }
        if remote.patience.is_some_and(|seconds| seconds > 86_400) {
            return bad(format!(
                "repositories.{name}.remote.patience: a day is the most"
            ));
        }
        if remote.upload_limit == Some(0) || remote.download_limit == Some(0) {
            return bad(format!(
                "repositories.{name}.remote: a limit of 0 lets nothing through"
            ));
        }
        if repository
            .password
            .as_ref()
            .is_some_and(|password| password.expose().is_empty())
        {
            return bad(format!("repositories.{name}: the password is empty"));
        }
    }
    Ok(())
}

/// Names stand in addresses.
pub(crate) fn check_name(table: &str, name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain);
    match good {
        true => Ok(()),
        false => Err(Error::Value {
            problem: format!("{table}: a name is 1 to 64 of A-Z a-z 0-9 . _ -"),
            similar: None,
        }),
    }
}
