//! MySQL and MariaDB, by their own programs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

use keepwatch_core::Source;

use super::dump::{Spec, Whole, stream};
use super::feed::feed;
use super::names::{database_name, file_name};
use super::rename::Renamed;
use super::settings::{MysqlSettings, Tls};
use super::{RestoreTarget, SourceError, ask, chosen, count, find};
use crate::hook::Environment;
use crate::secrets::Secrets;

/// Databases of the server itself.
const OWN: [&str; 4] = ["information_schema", "performance_schema", "mysql", "sys"];
/// Names of dumps that are not those of one database.
const SEVERAL: [&str; 2] = ["all", "users"];
/// What both programs write last.
const END: &str = "-- Dump completed";

/// Dumps of the databases that the settings name, or of all.
pub(super) fn streams(
    settings: &MysqlSettings,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Source>, SourceError> {
    let client = Client::new(settings, environment)?;
    let (dumper, is_mariadb) = client.dumper()?;
    let mut wanted = chosen(&settings.databases, client.databases()?)?;
    if settings.databases.is_empty() {
        wanted.retain(|name| !OWN.contains(&name.as_str()));
    }
    let dump = |file: String, what: Vec<String>| {
        let mut argv = vec![dumper.clone()];
        argv.extend(client.connection(is_mariadb));
        argv.extend(OPTIONS.map(str::to_owned));
        if settings.binlog_position {
            argv.push(match is_mariadb {
                true => "--master-data=2".to_owned(),
                false => "--source-data=2".to_owned(),
            });
        }
        argv.extend(what);
        let spec = Spec {
            argv,
            environment: client.environment.clone(),
            secrets: client.secrets.clone(),
        };
        stream(
            folder.join(file),
            spec,
            Whole::Ends(END),
            settings.stall_timeout,
        )
    };
    let named = |names: &[String]| {
        let mut what = vec!["--databases".to_owned(), "--".to_owned()];
        what.extend(names.iter().cloned());
        what
    };
    let mut streams = Vec::new();
    match (settings.together, wanted.as_slice()) {
        (_, []) => {}
        (true, all) => streams.push(dump("all.sql".to_owned(), named(all))),
        (false, each) => {
            for name in each {
                let one = std::slice::from_ref(name);
                let file = format!("{}.sql", file_name(name, &SEVERAL));
                streams.push(dump(file, named(one)));
            }
        }
    }
    if settings.users {
        if !is_mariadb {
            return Err(SourceError::Settings {
                problem: "users: only MariaDB's program dumps accounts; of MySQL, name the database mysql",
            });
        }
        let accounts = vec!["--system=users".to_owned()];
        streams.push(dump("users.sql".to_owned(), accounts));
    }
    if streams.is_empty() {
        return Err(SourceError::Settings {
            problem: "the server has no database but its own",
        });
    }
    Ok(streams)
}

/// One moment of tables that know transactions; all that belongs to a database; bytes as they are.
const OPTIONS: [&str; 7] = [
    "--single-transaction",
    "--quick",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--default-character-set=utf8mb4",
];

/// A server, and what is needed to talk to it.
pub(super) struct Client<'s> {
    settings: &'s MysqlSettings,
    inherited: &'s Environment,
    program: String,
    is_mariadb: bool,
    own: BTreeMap<OsString, OsString>,
    environment: BTreeMap<OsString, OsString>,
    secrets: Secrets,
}

impl<'s> Client<'s> {
    pub fn new(
        settings: &'s MysqlSettings,
        inherited: &'s Environment,
    ) -> Result<Self, SourceError> {
        let program = first_of(inherited, &["mariadb", "mysql"])?;
        let mut own = BTreeMap::new();
        if let Some(password) = &settings.password {
            own.insert("MYSQL_PWD".into(), password.expose().into());
        }
        let mut environment = inherited.harmless();
        environment.extend(own.clone());
        Ok(Self {
            settings,
            inherited,
            is_mariadb: is_mariadb(&program, inherited)?,
            program,
            own,
            environment,
            secrets: Secrets::of_password(settings.password.as_ref()),
        })
    }

    /// The program that dumps, and whether it is MariaDB's.
    fn dumper(&self) -> Result<(String, bool), SourceError> {
        let dumper = first_of(self.inherited, &["mariadb-dump", "mysqldump"])?;
        let is_mariadb = is_mariadb(&dumper, self.inherited)?;
        Ok((dumper, is_mariadb))
    }

    /// A file of options has to be named first. MySQL's own programs say TLS otherwise.
    fn connection(&self, is_mariadb: bool) -> Vec<String> {
        let settings = self.settings;
        let mut argv = Vec::new();
        if let Some(file) = &settings.option_file {
            argv.push(format!("--defaults-extra-file={}", file.display()));
        }
        if let Some(socket) = &settings.socket {
            argv.push(format!("--socket={}", socket.display()));
        }
        if let Some(host) = &settings.host {
            argv.push(format!("--host={host}"));
        }
        if let Some(port) = settings.port {
            // With a port and no host the programs would take the socket of this machine.
            argv.push("--protocol=tcp".to_owned());
            argv.push(format!("--port={port}"));
        }
        if let Some(user) = &settings.user {
            argv.push(format!("--user={user}"));
        }
        let tls = match (settings.tls, is_mariadb) {
            (Tls::Default, _) => None,
            (Tls::Off, true) => Some("--skip-ssl"),
            (Tls::Verify, true) => Some("--ssl-verify-server-cert"),
            (Tls::Off, false) => Some("--ssl-mode=DISABLED"),
            (Tls::Verify, false) => Some("--ssl-mode=VERIFY_IDENTITY"),
        };
        argv.extend(tls.map(str::to_owned));
        argv
    }

    fn query(&self, sql: &str) -> Result<Vec<String>, SourceError> {
        let mut argv = vec![self.program.clone()];
        argv.extend(self.connection(self.is_mariadb));
        argv.extend(["--batch", "--skip-column-names", "--execute"].map(str::to_owned));
        argv.push(sql.to_owned());
        ask(self.inherited, &self.own, &self.secrets, &argv)
    }

    pub fn probe(&self) -> Result<(), SourceError> {
        self.dumper()?;
        self.query("SELECT 1").map(drop)
    }

    fn databases(&self) -> Result<Vec<String>, SourceError> {
        self.query("SHOW DATABASES")
    }

    /// How many tables a database has.
    pub fn tables(&self, name: &str) -> Result<u64, SourceError> {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.tables \
             WHERE table_schema = {} AND table_type = 'BASE TABLE'",
            text(name)
        );
        count(&self.program, &self.query(&sql)?)
    }

    /// Removes a database, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), SourceError> {
        let quoted = name.replace('`', "``");
        let sql = format!("DROP DATABASE IF EXISTS `{quoted}`");
        self.query(&sql).map(drop)
    }

    pub fn restore(
        &self,
        dumped: &str,
        dump: Box<dyn Read + Send>,
        target: &RestoreTarget,
    ) -> Result<(), SourceError> {
        let no_dump = || SourceError::NoDump {
            what: dumped.to_owned(),
        };
        let name = dumped.strip_suffix(".sql").ok_or_else(no_dump)?;
        let mut argv = vec![self.program.clone()];
        argv.extend(self.connection(self.is_mariadb));
        argv.push("--default-character-set=utf8mb4".to_owned());
        argv.push("--binary-mode".to_owned());
        let spec = Spec {
            argv,
            environment: self.environment.clone(),
            secrets: self.secrets.clone(),
        };
        if SEVERAL.contains(&name) {
            if target.into.is_some() {
                return Err(SourceError::Settings {
                    problem: "into: this dump is not of one database",
                });
            }
            if !target.force {
                return Err(SourceError::Taken {
                    what: "the server, of whose databases this dump replaces several,".to_owned(),
                });
            }
            return feed(&spec, dump);
        }
        let name = &database_name(name).ok_or_else(no_dump)?;
        let into = target.into.as_deref().unwrap_or(name);
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {into}) \
             + (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = {into}) \
             + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = {into})",
            into = text(into)
        );
        let taken = self.query(&sql)?.first().is_none_or(|count| count != "0");
        if taken && !target.force {
            return Err(SourceError::Taken {
                what: format!("the database {into}"),
            });
        }
        match into == name {
            true => feed(&spec, dump),
            false => feed(&spec, Renamed::new(dump, name, into)),
        }
    }
}

/// Whether a dump is of several databases, or of what all of them share.
pub(super) fn is_several(dumped: &str) -> bool {
    dumped
        .strip_suffix(".sql")
        .is_some_and(|name| SEVERAL.contains(&name))
}

/// Both have programs of the old names.
fn is_mariadb(program: &str, environment: &Environment) -> Result<bool, SourceError> {
    if program.starts_with("mariadb") {
        return Ok(true);
    }
    let argv = [program.to_owned(), "--version".to_owned()];
    let said = ask(environment, &BTreeMap::new(), &Secrets::default(), &argv)?;
    Ok(said.iter().any(|line| line.contains("MariaDB")))
}

fn first_of(environment: &Environment, programs: &[&str]) -> Result<String, SourceError> {
    let found = programs
        .iter()
        .find(|name| find(environment, name).is_some());
    found
        .map(|name| (*name).to_owned())
        .ok_or_else(|| SourceError::NoProgram {
            programs: programs.join(" or "),
        })
}

/// A text in SQL, whatever the server takes a backslash for.
fn text(value: &str) -> String {
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("CONVERT(x'{hex}' USING utf8mb4)")
}
