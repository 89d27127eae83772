//! `keepwatch restore-db`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use keepwatch_core::{Error, Repository, SecretText, Snapshot};
use keepwatch_ops::hook::Environment;
use keepwatch_ops::source::{
    DatabaseSettings, FOLDER, MysqlSettings, PostgresSettings, RestoreTarget, SqliteSettings, Tls,
};
use keepwatch_runner::{dumps_of, with_dump};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::credentials::first_line;
use crate::exit::{Code, Failure};
use crate::select::LatestArgs;

/// The environment variable that may hold the password of a server that options name.
const PASSWORD: &str = "KEEPWATCH_DB_PASSWORD";

/// Which dump, and where it goes.
#[derive(Debug, Args)]
pub struct RestoreDbArgs {
    /// The snapshot
    snapshot: String,
    /// The database's name in the configuration that it was backed up by (`ls SNAPSHOT /databases`
    /// lists them), and which of its dumps if there are several, as shop or shop/orders.sql
    #[arg(value_name = "NAME[/DUMP]")]
    dump: String,
    /// Feed it to this one of the configuration instead of the one that it is from
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Into this database instead of the one that it was; for SQLite, this file
    #[arg(long, value_name = "DATABASE")]
    into: Option<String>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// A server that no configuration names.
    #[command(flatten)]
    server: ServerArgs,
    /// What `latest` means.
    #[command(flatten)]
    latest: LatestArgs,
}

/// Where a dump goes when there is no configuration any more.
#[derive(Debug, Args)]
#[command(next_help_heading = "Without a configuration")]
struct ServerArgs {
    /// Read no configuration, and feed it to a database of this kind
    #[arg(long, value_enum, conflicts_with = "to")]
    kind: Option<KindName>,
    /// The server's host; for PostgreSQL also the directory of its socket [default: as the
    /// database's own programs find it]
    #[arg(long, value_name = "HOST", requires = "kind")]
    db_host: Option<String>,
    /// The server's port
    #[arg(long, value_name = "PORT", requires = "kind")]
    db_port: Option<u16>,
    /// The socket of a server of MySQL or MariaDB on this machine
    #[arg(long, value_name = "FILE", requires = "kind", conflicts_with_all = ["db_host", "db_port"])]
    db_socket: Option<PathBuf>,
    /// Who asks
    #[arg(long, value_name = "NAME", requires = "kind")]
    db_user: Option<String>,
    /// Read their password from the first line of a file, and not from KEEPWATCH_DB_PASSWORD
    #[arg(long, value_name = "FILE", requires = "kind")]
    db_password_file: Option<PathBuf>,
    /// How the connection is encrypted [default: as the database's own programs do it]
    #[arg(long, value_name = "HOW", value_enum, requires = "kind")]
    db_tls: Option<TlsName>,
}

/// Kinds of databases, by their names in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindName {
    /// A server of MySQL
    Mysql,
    /// A server of MariaDB, which is the same
    Mariadb,
    /// A server of PostgreSQL
    Postgres,
    /// The file that --into names
    Sqlite,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TlsName {
    /// Not at all
    Off,
    /// Always, with a certificate that is checked
    Verify,
}

#[derive(Serialize)]
struct Restored<'a> {
    dump: &'a str,
    into: Option<&'a str>,
}

/// Feeds a dump of a database back to it.
pub fn run(args: &RestoreDbArgs, context: &mut Context) -> Outcome {
    let settings = match args.server.kind {
        Some(kind) => args.server.settings(kind, args.into.as_deref())?,
        None => configured(args)?,
    };
    let (name, dump) = match args.dump.split_once('/') {
        Some((name, dump)) => (name, Some(dump)),
        None => (args.dump.as_str(), None),
    };
    let opened = context.open()?;
    let (_, snapshot) = args.latest.find(&opened.repository, &args.snapshot)?;
    let dump = find(&opened.repository, &snapshot, name, dump)?;
    let path = format!("{FOLDER}/{name}/{dump}");
    let target = RestoreTarget {
        into: args.into.clone(),
        force: args.force,
    };
    let environment = Environment::new(std::env::vars_os());
    with_dump(&opened.repository, &snapshot, name, &dump, |reader| {
        let restored = settings.restore(&dump, reader, &target, &environment);
        restored.map_err(Failure::from)
    })?;
    if context.out.json {
        context.out.json(&Restored {
            dump: &path,
            into: args.into.as_deref(),
        })?;
    } else {
        context.out.line(format_args!("{path} is restored"))?;
    }
    Ok(Code::Ok)
}

/// The database of the configuration.
fn configured(args: &RestoreDbArgs) -> Result<DatabaseSettings, Failure> {
    let config = args.config.load()?.config;
    let (name, _) = args.dump.split_once('/').unwrap_or((&args.dump, ""));
    let to = args.to.as_deref().unwrap_or(name);
    let settings = config.databases.get(to);
    settings.cloned().ok_or_else(|| Failure::Usage {
        message: format!("the configuration has no database {to:?}"),
        hint: Some("without a configuration, say by --kind, --db-host, … where it goes"),
    })
}

impl ServerArgs {
    /// As the configuration would say it.
    fn settings(&self, kind: KindName, into: Option<&str>) -> Result<DatabaseSettings, Failure> {
        let tls = match self.db_tls {
            None => Tls::Default,
            Some(TlsName::Off) => Tls::Off,
            Some(TlsName::Verify) => Tls::Verify,
        };
        let settings = match kind {
            KindName::Mysql | KindName::Mariadb => DatabaseSettings::Mysql(MysqlSettings {
                host: self.db_host.clone(),
                port: self.db_port,
                socket: self.db_socket.clone(),
                user: self.db_user.clone(),
                password: self.password()?,
                tls,
                ..MysqlSettings::default()
            }),
            KindName::Postgres if self.db_socket.is_some() => {
                return Err(Failure::Usage {
                    message: "--db-socket is for MySQL and MariaDB".to_owned(),
                    hint: Some("name the directory of PostgreSQL's socket by --db-host"),
                });
            }
            KindName::Postgres => DatabaseSettings::Postgres(PostgresSettings {
                host: self.db_host.clone(),
                port: self.db_port,
                user: self.db_user.clone(),
                password: self.password()?,
                tls,
                ..PostgresSettings::default()
            }),
            KindName::Sqlite if self.names_a_server() => {
                return Err(Failure::usage(
                    "SQLite has no server: of --db-… it takes nothing",
                ));
            }
            KindName::Sqlite => {
                let path = into.map(PathBuf::from).ok_or(Failure::Usage {
                    message: "no file is named that the database becomes".to_owned(),
                    hint: Some("name it by --into"),
                })?;
                DatabaseSettings::Sqlite(SqliteSettings { path })
            }
        };
        // What can be wrong is in the command line here.
        let checked = settings.check();
        checked.map_err(|error| Failure::usage(error.to_string()))?;
        Ok(settings)
    }

    fn names_a_server(&self) -> bool {
        self.db_host.is_some()
            || self.db_port.is_some()
            || self.db_socket.is_some()
            || self.db_user.is_some()
            || self.db_password_file.is_some()
            || self.db_tls.is_some()
    }

    fn password(&self) -> Result<Option<SecretText>, Failure> {
        let secret = match &self.db_password_file {
            Some(path) => Some(SecretText::new(first_line(path)?.to_string())),
            None => std::env::var(PASSWORD).ok().map(SecretText::new),
        };
        Ok(secret)
    }
}

/// The dump that is meant: the only one, if none is named.
fn find(
    repository: &Repository,
    snapshot: &Snapshot,
    name: &str,
    dump: Option<&str>,
) -> Result<String, Failure> {
    let all = match dumps_of(repository, snapshot, name) {
        Err(Error::NoSuchPath { .. }) => {
            return Err(Failure::Usage {
                message: format!("the snapshot has no dump of a database {name:?}"),
                hint: Some("`keepwatch ls SNAPSHOT /databases` lists what it has"),
            });
        }
        all => all?,
    };
    match (dump, all.as_slice()) {
        (Some(dump), _) if all.iter().any(|known| known == dump) => Ok(dump.to_owned()),
        (None, [only]) => Ok(only.clone()),
        _ => Err(Failure::usage(format!(
            "which dump? There are {}",
            all.join(", ")
        ))),
    }
}
