//! Databases as they are written down.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::optional as optional_duration;
use keepwatch_core::SecretText;
use serde::Deserialize;

use super::SourceError;

const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A database, or a command whose output is backed up, by `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum DatabaseSettings {
    /// MySQL or MariaDB.
    #[serde(alias = "mariadb")]
    Mysql(MysqlSettings),
    /// PostgreSQL.
    Postgres(PostgresSettings),
    /// SQLite.
    Sqlite(SqliteSettings),
    /// Whatever a command prints.
    Command(CommandSettings),
}

/// How connections to a server are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// As the programs have it.
    #[default]
    Default,
    /// Not at all.
    Off,
    /// Always, with a certificate that is checked.
    Verify,
}

/// A server of MySQL or MariaDB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MysqlSettings {
    /// Which databases; all but those of the server itself, if none is named.
    pub databases: Vec<String>,
    /// The host. Without, this machine.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The socket of a server on this machine.
    pub socket: Option<PathBuf>,
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretText>,
    /// A file of options, as `~/.my.cnf`, with user and password.
    pub option_file: Option<PathBuf>,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// All in one dump, of one moment.
    pub together: bool,
    /// Write the position in the binary log into the dump.
    pub binlog_position: bool,
    /// Dump accounts and their rights as well, which MariaDB's program does.
    pub users: bool,
    /// A dump of which nothing comes for so long is given up. Without, it is waited for.
    #[serde(with = "optional_duration")]
    pub stall_timeout: Option<Duration>,
}

/// A server of PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresSettings {
    /// Which databases; all but templates, if none is named.
    pub databases: Vec<String>,
    /// The host, or the directory of the socket. Without, as libpq finds it.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretText>,
    /// A file of passwords, as `~/.pgpass`.
    pub password_file: Option<PathBuf>,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Whether roles and tablespaces are dumped as well. Without, if all databases are.
    pub roles: Option<bool>,
    /// A dump of which nothing comes for so long is given up. Without, it is waited for.
    #[serde(with = "optional_duration")]
    pub stall_timeout: Option<Duration>,
}

/// A file of SQLite.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqliteSettings {
    /// The file.
    pub path: PathBuf,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// The program and its arguments. No shell reads them.
    pub command: Vec<String>,
    /// The name of its output in the snapshot.
    #[serde(default)]
    pub name: Option<String>,
    /// What takes the output back, on its standard input.
    #[serde(default)]
    pub restore: Option<Vec<String>>,
    /// What its environment has besides.
    #[serde(default)]
    pub environment: BTreeMap<String, SecretText>,
    /// A dump of which nothing comes for so long is given up. Without, it is waited for.
    #[serde(default, with = "optional_duration")]
    pub stall_timeout: Option<Duration>,
}

/// Arguments may hold what nobody is to see.
impl std::fmt::Debug for CommandSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandSettings")
            .field("program", &crate::process::name_of(&self.command))
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl DatabaseSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`SourceError::Settings`] with what is wrong.
    pub fn check(&self) -> Result<(), SourceError> {
        let bad = |problem| Err(SourceError::Settings { problem });
        // Names become arguments and parts of paths.
        let plain = |name: &String| {
            !name.is_empty() && !name.starts_with(['-', '.']) && !name.contains(['/', '\0', '\n'])
        };
        let stall = match self {
            Self::Mysql(settings) => settings.stall_timeout,
            Self::Postgres(settings) => settings.stall_timeout,
            Self::Command(settings) => settings.stall_timeout,
            Self::Sqlite(_) => None,
        };
        if stall.is_some_and(|span| span.is_zero() || span > LONGEST) {
            return bad("stall_timeout: it is more than 0 and up to 24h");
        }
        match self {
            Self::Mysql(settings) => {
                if !settings.databases.iter().all(plain) {
                    return bad("databases: a name has no /, and begins with neither - nor .");
                }
                if settings.socket.is_some() && (settings.host.is_some() || settings.port.is_some())
                {
                    return bad("socket: it goes neither with a host nor with a port");
                }
                if settings.option_file.is_some() && settings.password.is_some() {
                    return bad("option_file: it goes not with a password");
                }
            }
            Self::Postgres(settings) => {
                if !settings.databases.iter().all(plain) {
                    return bad("databases: a name has no /, and begins with neither - nor .");
                }
                if settings.password_file.is_some() && settings.password.is_some() {
                    return bad("password_file: it goes not with a password");
                }
            }
            Self::Sqlite(settings) => {
                if settings.path.file_name().is_none() {
                    return bad("path: it names no file");
                }
            }
            Self::Command(settings) => {
                let empty = |argv: &Vec<String>| argv.first().is_none_or(String::is_empty);
                if empty(&settings.command) || settings.restore.as_ref().is_some_and(empty) {
                    return bad("command: it names no program");
                }
                if settings.name.as_ref().is_some_and(|name| !plain(name)) {
                    return bad("name: it has no /, and begins with neither - nor .");
                }
            }
        }
        Ok(())
    }
}
