//! The tables of the database, and how older ones become the newest.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, Result};

/// Marks the database as ours.
const APPLICATION: i32 = 0x4b57_4556;

/// One step each, from the version before. Never changed once released.
const STEPS: [&str; 1] = [include_str!("schema/1.sql")];

/// Brings the tables up to date.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrateError> {
    let version = version(connection)?;
    if version > STEPS.len() {
        return Err(MigrateError::TooNew(version));
    }
    if version == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it in the meantime.
    let from = self::version(&transaction)?;
    for step in STEPS.iter().skip(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // What is below zero is none of ours, and above all that is.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Why tables cannot be brought up to date.
pub(super) enum MigrateError {
    TooNew(usize),
    Sql(rusqlite::Error),
}

impl MigrateError {
    pub fn or_sql(self, sql: impl FnOnce(rusqlite::Error) -> Error) -> Error {
        match self {
            MigrateError::TooNew(version) => Error::Unsupported {
                what: "event database version",
                value: version.to_string(),
            },
            MigrateError::Sql(error) => sql(error),
        }
    }
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        MigrateError::Sql(error)
    }
}
