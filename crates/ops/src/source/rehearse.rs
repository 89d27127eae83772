//! Dumps that are restored for a moment, to see that they can be.

use std::io::Read;

use super::{DatabaseSettings, RestoreTarget, SourceError, mysql, postgres, sqlite};
use crate::hook::Environment;

/// What databases of rehearsals are called, before what tells them apart.
const PREFIX: &str = "keepwatch_drill_";

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// Tables, views not counted.
    pub tables: u64,
}

impl DatabaseSettings {
    /// Restores a dump into a database of its own on this server, counts its tables, and removes it
    /// again, whatever happens. For SQLite the database is a file beneath `scratch`, and is checked.
    ///
    /// Gives nothing for a dump that is of several databases or of what all of them share: it would
    /// replace what the server has.
    ///
    /// # Errors
    /// What keeps the dump from being restored, or what was made from being removed.
    pub fn rehearse(
        &self,
        dumped: &str,
        dump: Box<dyn Read + Send>,
        scratch: &std::path::Path,
        environment: &Environment,
    ) -> Result<Option<Rehearsed>, SourceError> {
        self.check()?;
        let several = match self {
            Self::Mysql(_) => mysql::is_several(dumped),
            Self::Postgres(_) => dumped == "globals.sql",
            _ => false,
        };
        if several {
            return Ok(None);
        }
        let into = own_name()?;
        let target = RestoreTarget {
            into: Some(into.clone()),
            force: false,
        };
        let tables = match self {
            Self::Mysql(settings) => {
                let client = mysql::Client::new(settings, environment)?;
                let tables = client
                    .restore(dumped, dump, &target)
                    .and_then(|()| client.tables(&into));
                first_fault(tables, client.remove(&into))?
            }
            Self::Postgres(settings) => {
                let client = postgres::Client::new(settings, environment)?;
                let tables = client
                    .restore(dumped, dump, &target)
                    .and_then(|()| client.tables(&into));
                first_fault(tables, client.remove(&into))?
            }
            Self::Sqlite(_) => sqlite::rehearse(dump, scratch)?,
            Self::Command(_) => {
                return Err(SourceError::Settings {
                    problem: "a command has no databases in which a dump could be tried",
                });
            }
        };
        Ok(Some(Rehearsed { tables }))
    }
}

fn own_name() -> Result<String, SourceError> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).map_err(|error| SourceError::Failed {
        program: "the system".to_owned(),
        problem: error.to_string(),
    })?;
    Ok(format!("{PREFIX}{}", hex::encode(number)))
}

/// Why it failed is told before that it left something.
fn first_fault<T>(
    done: Result<T, SourceError>,
    removed: Result<(), SourceError>,
) -> Result<T, SourceError> {
    let done = done?;
    removed.map(|()| done)
}
