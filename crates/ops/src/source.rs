//! Databases and commands as sources of a backup.
//!
//! What a database's own program dumps goes straight into the vault, one stream for each database,
//! so that like ones are stored once and each is restored by itself. A stream starts its program
//! when its first byte is read: several do not run at once. Whether it was whole is asked at its
//! end, of the exit status and of what a whole dump ends or begins with; otherwise there is no
//! snapshot.
//!
//! | kind | paths in the snapshot |
//! |---|---|
//! | `mysql`, `mariadb` | `/databases/NAME/DATABASE.sql`, `all.sql` if they are dumped together, `users.sql` |
//! | `postgres` | `/databases/NAME/DATABASE.pgdump`, `globals.sql` |
//! | `sqlite` | `/databases/NAME/FILE` |
//! | `command` | `/databases/NAME/output`, or what it is named |
//!
//! In a name of a database, what would lead elsewhere (`/`, a first `.`) or mean something else
//! (`%`; MySQL's `all` and `users`) is written as in an address: `users` is `%75sers.sql`.
//!
//! Dumps of several databases of one server are each of a moment of its own, one after the other.
//! Where they belong together, `together` dumps MySQL's at one moment.
//!
//! # Passwords
//!
//! They reach a program by its environment (`MYSQL_PWD`, `PGPASSWORD`) or in a file that the user
//! names, never in its arguments. They are in no error, even if the program repeats what it was given:
//! `…` stands in their place.

mod dump;
mod error;
mod feed;
mod mysql;
mod names;
mod postgres;
mod rehearse;
mod rename;
mod settings;
mod sqlite;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keepwatch_core::{Source, Stream};

use crate::hook::Environment;
use crate::process::ask::{Answer, Bounds, Runner};
use crate::secrets::Secrets;

pub use crate::process::WideOutput;
pub use error::SourceError;
pub use rehearse::Rehearsed;
pub use settings::{
    CommandSettings, DatabaseSettings, MysqlSettings, PostgresSettings, SqliteSettings, Tls,
};

/// Where dumps are in a snapshot.
pub const FOLDER: &str = "/databases";
/// What a server is asked takes no longer.
const ASK: Bounds = Bounds {
    time: Duration::from_secs(60),
    output: 4 << 20,
};

/// How a dump is brought back.
#[derive(Clone, Debug, Default)]
pub struct RestoreTarget {
    /// The database that it becomes. Without, the one that it was; for SQLite the file.
    pub into: Option<String>,
    /// Whether what is there may be replaced.
    pub force: bool,
}

impl DatabaseSettings {
    /// What is to be backed up, under the name that this has in the configuration. A server is asked
    /// which databases it has; dumps begin when they are read.
    ///
    /// `scratch` is a directory in which a copy of an SQLite database may be for a while.
    ///
    /// # Errors
    /// When the programs that are needed are not there, or the server does not answer.
    pub fn streams(
        &self,
        name: &str,
        environment: &Environment,
        scratch: &Path,
    ) -> Result<Vec<Source>, SourceError> {
        self.check()?;
        let folder = Path::new(FOLDER).join(name);
        match self {
            Self::Mysql(settings) => mysql::streams(settings, &folder, environment),
            Self::Postgres(settings) => postgres::streams(settings, &folder, environment),
            Self::Sqlite(settings) => Ok(vec![sqlite::stream(settings, &folder, scratch)?]),
            Self::Command(settings) => {
                let name = settings.name.as_deref().unwrap_or("output");
                Ok(vec![dump::stream(
                    folder.join(name),
                    dump::Spec {
                        argv: settings.command.clone(),
                        environment: command_environment(settings, environment),
                        secrets: Secrets::of_variables(&settings.environment),
                    },
                    dump::Whole::ByStatus,
                    settings.stall_timeout,
                )])
            }
        }
    }

    /// Whether it could be dumped now: the programs are there and the server lets them in.
    ///
    /// # Errors
    /// What keeps it from being dumped.
    pub fn probe(&self, environment: &Environment) -> Result<(), SourceError> {
        self.check()?;
        match self {
            Self::Mysql(settings) => mysql::Client::new(settings, environment)?.probe(),
            Self::Postgres(settings) => postgres::Client::new(settings, environment)?.probe(),
            Self::Sqlite(settings) => sqlite::probe(settings),
            Self::Command(settings) => {
                let program = settings.command.first().map_or("", String::as_str);
                match Path::new(program).is_absolute() || find(environment, program).is_some() {
                    true => Ok(()),
                    false => Err(SourceError::NoProgram {
                        programs: program.to_owned(),
                    }),
                }
            }
        }
    }

    /// Feeds a dump back, whose name in the snapshot (its last part) says what it is.
    ///
    /// # Errors
    /// When it is no dump of this kind, when there is something that may not be replaced, and when
    /// the database's program fails: then some of it may be there, unless the database undoes it
    /// (PostgreSQL and SQLite do).
    pub fn restore(
        &self,
        dumped: &str,
        dump: Box<dyn Read + Send>,
        target: &RestoreTarget,
        environment: &Environment,
    ) -> Result<(), SourceError> {
        self.check()?;
        match self {
            Self::Mysql(settings) => {
                mysql::Client::new(settings, environment)?.restore(dumped, dump, target)
            }
            Self::Postgres(settings) => {
                postgres::Client::new(settings, environment)?.restore(dumped, dump, target)
            }
            Self::Sqlite(settings) => sqlite::restore(settings, dump, target),
            Self::Command(settings) => {
                let argv = settings.restore.clone().ok_or(SourceError::Settings {
                    problem: "restore: it names no command that takes the output back",
                })?;
                let spec = dump::Spec {
                    argv,
                    environment: command_environment(settings, environment),
                    secrets: Secrets::of_variables(&settings.environment),
                };
                feed::feed(&spec, dump)
            }
        }
    }
}

/// What a command gets, whether it prints a dump or takes it back.
fn command_environment(
    settings: &CommandSettings,
    environment: &Environment,
) -> BTreeMap<OsString, OsString> {
    let mut inherited = environment.harmless();
    for (name, value) in &settings.environment {
        inherited.insert(name.into(), value.expose().into());
    }
    inherited
}

/// The databases that are named, if the server has them all; or all that it has.
fn chosen(named: &[String], there: Vec<String>) -> Result<Vec<String>, SourceError> {
    if named.is_empty() {
        return Ok(there);
    }
    match named.iter().find(|name| !there.contains(name)) {
        Some(name) => Err(SourceError::NoDatabase { name: name.clone() }),
        None => Ok(named.to_vec()),
    }
}

/// How a stream ended, once it has.
type Ended = Arc<Mutex<Option<Result<(), String>>>>;

/// A source that says by `ended` whether it was whole.
fn told_by(path: PathBuf, reader: impl Read + Send + 'static, ended: Ended) -> Source {
    Source::stream(Stream {
        path,
        reader: Box::new(reader),
        finish: Box::new(move || {
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended
                .take()
                .unwrap_or_else(|| Err("it was not read to its end".to_owned()))
        }),
    })
}

/// Where a program is, by the `PATH` of what programs inherit.
fn find(environment: &Environment, program: &str) -> Option<PathBuf> {
    search(environment)
        .into_iter()
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

fn search(environment: &Environment) -> Vec<PathBuf> {
    let inherited = environment.harmless();
    let path = inherited.get(&OsString::from("PATH"));
    let mut search: Vec<PathBuf> = path
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    search.retain(|dir| dir.is_absolute());
    search
}

/// The number that a server has said.
fn count(program: &str, said: &[String]) -> Result<u64, SourceError> {
    let number = said.first().and_then(|line| line.trim().parse().ok());
    number.ok_or_else(|| SourceError::Failed {
        program: program.to_owned(),
        problem: "it says no number".to_owned(),
    })
}

/// Asks a program something, and gives the lines that it says.
fn ask(
    environment: &Environment,
    own: &BTreeMap<OsString, OsString>,
    secrets: &Secrets,
    argv: &[String],
) -> Result<Vec<String>, SourceError> {
    let mut inherited = environment.harmless();
    inherited.extend(own.clone());
    let runner = Runner {
        search: search(environment),
        environment: inherited,
    };
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let program = || argv.first().cloned().unwrap_or_default();
    match runner.run(&words, ASK) {
        Answer::Said(said) => {
            let text = String::from_utf8(said).map_err(|_| SourceError::Failed {
                program: program(),
                problem: "it says something that is no UTF-8".to_owned(),
            })?;
            Ok(text.lines().map(str::to_owned).collect())
        }
        Answer::Missing | Answer::NotRun => Err(SourceError::NoProgram {
            programs: program(),
        }),
        Answer::Failed { complaint, code } => Err(SourceError::Failed {
            program: program(),
            problem: match (secrets.hide(&complaint).trim(), code) {
                ("", Some(code)) => format!("it ended with status {code}"),
                ("", None) => "a signal ended it".to_owned(),
                (complaint, _) => complaint.to_owned(),
            },
        }),
        Answer::TooSlow | Answer::TooMuch => Err(SourceError::Failed {
            program: program(),
            problem: "it does not come to an end".to_owned(),
        }),
    }
}
