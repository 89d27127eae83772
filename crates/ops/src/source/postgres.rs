//! PostgreSQL, by its own programs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

use keepwatch_core::Source;

use super::dump::{Spec, Whole, stream};
use super::feed::feed;
use super::names::{database_name, file_name};
use super::settings::{PostgresSettings, Tls};
use super::{RestoreTarget, SourceError, ask, chosen, count};
use crate::hook::Environment;
use crate::secrets::Secrets;

/// Where to ask what there is.
const FIRST: &str = "postgres";

/// Dumps of the databases that the settings name, or of all, and of what they share.
pub(super) fn streams(
    settings: &PostgresSettings,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Source>, SourceError> {
    let client = Client::new(settings, environment)?;
    let wanted = chosen(&settings.databases, client.databases()?)?;
    let mut streams = Vec::new();
    if settings.roles.unwrap_or(settings.databases.is_empty()) {
        let spec = client.spec(&["pg_dumpall", "--globals-only", "--no-password"]);
        let end = Whole::Ends("-- PostgreSQL database cluster dump complete");
        let path = folder.join("globals.sql");
        streams.push(stream(path, spec, end, settings.stall_timeout));
    }
    for name in wanted {
        // What is compressed already is not found again in the next dump.
        let mut spec = client.spec(&[
            "pg_dump",
            "--format=custom",
            "--compress=0",
            "--no-password",
        ]);
        spec.argv.push(format!("--dbname={}", database(&name)));
        let path = folder.join(format!("{}.pgdump", file_name(&name, &[])));
        let begin = Whole::Begins(b"PGDMP");
        streams.push(stream(path, spec, begin, settings.stall_timeout));
    }
    Ok(streams)
}

/// A server, and what is needed to talk to it.
pub(super) struct Client<'s> {
    settings: &'s PostgresSettings,
    inherited: &'s Environment,
    own: BTreeMap<OsString, OsString>,
    secrets: Secrets,
}

impl<'s> Client<'s> {
    pub fn new(
        settings: &'s PostgresSettings,
        inherited: &'s Environment,
    ) -> Result<Self, SourceError> {
        let mut own = BTreeMap::new();
        let mut set = |name: &str, value: &str| own.insert(name.into(), value.into());
        if let Some(password) = &settings.password {
            set("PGPASSWORD", password.expose());
        }
        if let Some(file) = &settings.password_file {
            set("PGPASSFILE", &file.display().to_string());
        }
        match settings.tls {
            Tls::Default => {}
            Tls::Off => drop(set("PGSSLMODE", "disable")),
            Tls::Verify => {
                set("PGSSLMODE", "verify-full");
                set("PGSSLROOTCERT", "system");
            }
        }
        set("PGAPPNAME", "keepwatch");
        Ok(Self {
            settings,
            inherited,
            own,
            secrets: Secrets::of_password(settings.password.as_ref()),
        })
    }

    fn spec(&self, argv: &[&str]) -> Spec {
        let settings = self.settings;
        let mut all: Vec<String> = argv.iter().map(|part| (*part).to_owned()).collect();
        if let Some(host) = &settings.host {
            all.push(format!("--host={host}"));
        }
        if let Some(port) = settings.port {
            all.push(format!("--port={port}"));
        }
        if let Some(user) = &settings.user {
            all.push(format!("--username={user}"));
        }
        let mut environment = self.inherited.harmless();
        environment.extend(self.own.clone());
        Spec {
            argv: all,
            environment,
            secrets: self.secrets.clone(),
        }
    }

    fn query(&self, name: &str, sql: &str) -> Result<Vec<String>, SourceError> {
        let mut spec = self.spec(&["psql", "--no-psqlrc", "--no-password", "--tuples-only"]);
        spec.argv.push("--no-align".to_owned());
        spec.argv.push(format!("--dbname={}", database(name)));
        spec.argv.push("--set=ON_ERROR_STOP=1".to_owned());
        spec.argv.push(format!("--command={sql}"));
        ask(self.inherited, &self.own, &self.secrets, &spec.argv)
    }

    pub fn probe(&self) -> Result<(), SourceError> {
        let first = self.settings.databases.first();
        let first = first.map_or(FIRST, String::as_str);
        self.query(first, "SELECT 1").map(drop)
    }

    fn databases(&self) -> Result<Vec<String>, SourceError> {
        let sql =
            "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1";
        match (self.query(FIRST, sql), self.settings.databases.first()) {
            // Who may do little may do it only in his own.
            (Err(error), Some(own)) => self.query(own, sql).map_err(|_| error),
            (asked, _) => asked,
        }
    }

    /// How many tables a database has.
    pub fn tables(&self, name: &str) -> Result<u64, SourceError> {
        let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' \
                   AND n.nspname <> 'information_schema'";
        count("psql", &self.query(name, sql)?)
    }

    /// Removes a database, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), SourceError> {
        let quoted = name.replace('"', "\"\"");
        self.query(FIRST, &format!("DROP DATABASE IF EXISTS \"{quoted}\""))
            .map(drop)
    }

    pub fn restore(
        &self,
        dumped: &str,
        dump: Box<dyn Read + Send>,
        target: &RestoreTarget,
    ) -> Result<(), SourceError> {
        if dumped == "globals.sql" {
            if target.into.is_some() {
                return Err(SourceError::Settings {
                    problem: "into: roles belong to the server",
                });
            }
            // Roles that are there stay, which psql says and goes on.
            let mut spec = self.spec(&["psql", "--no-psqlrc", "--no-password", "--quiet"]);
            spec.argv.push(format!("--dbname={FIRST}"));
            return feed(&spec, dump);
        }
        let name = dumped
            .strip_suffix(".pgdump")
            .and_then(database_name)
            .ok_or_else(|| SourceError::NoDump {
                what: dumped.to_owned(),
            })?;
        let into = target.into.as_deref().unwrap_or(&name);
        let mut replaces = false;
        let mut made = false;
        if self.databases()?.iter().any(|there| there == into) {
            let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                       WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";
            // Functions may be there although no table is.
            replaces = target.force;
            let count = self.query(into, sql)?;
            if !replaces && count.first().is_none_or(|count| count != "0") {
                return Err(SourceError::Taken {
                    what: format!("the database {into}"),
                });
            }
        } else {
            let quoted = into.replace('"', "\"\"");
            self.query(
                FIRST,
                &format!("CREATE DATABASE \"{quoted}\" TEMPLATE template0"),
            )?;
            made = true;
        }
        let mut spec = self.spec(&[
            "pg_restore",
            "--no-password",
            "--exit-on-error",
            "--single-transaction",
        ]);
        spec.argv.push(format!("--dbname={}", database(into)));
        if replaces {
            spec.argv
                .extend(["--clean", "--if-exists"].map(str::to_owned));
        }
        let fed = feed(&spec, dump);
        if let (true, Err(_)) = (made, &fed)
            && let Err(error) = self.remove(into)
        {
            tracing::warn!(%error, database = into, "an empty database is left");
        }
        fed
    }
}

/// A name with `=` in it, or that looks like an address, would be read as a connection string.
fn database(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('\'', "\\'");
    format!("dbname='{escaped}'")
}
