//! Which packs were verified when, so that checks of a part read the oldest first.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, Result};
use crate::id::Id;

/// The log of one repository, in its cache.
pub(crate) struct ScrubLog {
    path: PathBuf,
    connection: Connection,
}

impl ScrubLog {
    pub fn open(path: &Path) -> Result<Self> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            connection.execute_batch(
                "PRAGMA busy_timeout = 10000;
                 CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY);
                 CREATE TABLE IF NOT EXISTS packs (id BLOB PRIMARY KEY, run INTEGER NOT NULL) WITHOUT ROWID;",
            )?;
            Ok(connection)
        };
        Ok(Self {
            connection: open().map_err(|source| cache_error(path, source))?,
            path: path.to_owned(),
        })
    }

    /// The run in which a pack was last verified, or 0. Runs are counted, so no clock is trusted.
    pub fn last(&self, pack: &Id) -> Result<i64> {
        self.connection
            .prepare_cached("SELECT run FROM packs WHERE id = ?")
            .and_then(|mut statement| {
                statement
                    .query_row([pack.as_bytes().as_slice()], |row| row.get(0))
                    .optional()
            })
            .map(|run| run.unwrap_or(0))
            .map_err(|source| cache_error(&self.path, source))
    }

    /// Remembers that these packs were verified just now.
    pub fn record(&mut self, packs: &[Id]) -> Result<()> {
        let record = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            transaction.execute("INSERT INTO runs DEFAULT VALUES", [])?;
            let run = transaction.last_insert_rowid();
            {
                let mut insert = transaction
                    .prepare("INSERT INTO packs (id, run) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET run = excluded.run")?;
                for pack in packs {
                    insert.execute(params![pack.as_bytes().as_slice(), run])?;
                }
            }
            transaction.commit()
        };
        record(&mut self.connection).map_err(|source| cache_error(&self.path, source))
    }
}

pub(crate) fn cache_error(path: &Path, source: rusqlite::Error) -> Error {
    Error::Cache {
        path: path.to_owned(),
        source,
    }
}
