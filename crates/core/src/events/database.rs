//! Opening the encrypted database, and bringing its schema up to date (FORMAT.md, section 7.3).

use std::path::{Path, PathBuf};
use std::time::Duration;

use keepwatch_crypto::Key;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use zeroize::Zeroizing;

use super::chain::AppendError;
use super::labels;
use crate::error::{Error, Result};
use crate::wal::use_wal;

const DATABASE_CONTEXT: &str = "keepwatch v1 event database";
const APPLICATION_ID: i64 = 0x4b57_4556;
/// How long another writer is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// A step for each version of the schema: the first makes version 1 of an empty database.
const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
];
/// The step that adds labels, which are filled from what is there.
const LABELS: usize = 3;

/// How a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Create,
    Write,
    Read,
}

/// A database file and the key to it.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub path: PathBuf,
    key: Key,
}

impl Database {
    pub fn new(path: PathBuf, store_key: &Key) -> Self {
        Self {
            path,
            key: store_key.derive(DATABASE_CONTEXT),
        }
    }

    /// The same key for another file.
    pub fn at(&self, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            key: self.key.clone(),
        }
    }

    pub fn connect(&self, mode: Mode) -> Result<Connection> {
        let mut db = self.connect_bare(mode)?;
        self.migrate(&mut db, mode)?;
        if mode == Mode::Read {
            db.pragma_update(None, "query_only", true)
                .map_err(self.failed())?;
        }
        Ok(db)
    }

    /// A connection with the key set, whatever the schema is.
    pub fn connect_bare(&self, mode: Mode) -> Result<Connection> {
        // A reader of a log that others write needs to write as well: it marks what it reads.
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if mode == Mode::Create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let db = self.keyed(flags).map_err(self.failed())?;
        let prepare = || -> rusqlite::Result<()> {
            // The key is first used here.
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            if mode != Mode::Read {
                use_wal(&db, BUSY_TIMEOUT)?;
            }
            db.execute_batch("PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")
        };
        prepare().map_err(self.failed())?;
        Ok(db)
    }

    /// A connection to an empty file, for a copy to be written into.
    pub fn connect_empty(&self) -> rusqlite::Result<Connection> {
        self.keyed(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    }

    fn keyed(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(&self.path, flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.set_prepared_statement_cache_capacity(64);
        // Otherwise it writes to standard error by itself.
        db.execute_batch("PRAGMA cipher_log_level = NONE;")?;
        let hex = Zeroizing::new(hex::encode(self.key.expose()));
        let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", *hex));
        db.execute_batch(&pragma)?;
        Ok(db)
    }

    fn migrate(&self, db: &mut Connection, mode: Mode) -> Result<()> {
        let version = self.version(db)?;
        if version > STEPS.len() {
            return Err(Error::Unsupported {
                what: "event database version",
                value: version.to_string(),
            });
        }
        if version == STEPS.len() {
            return Ok(());
        }
        if mode == Mode::Read || (mode == Mode::Write && version == 0) {
            return Err(Error::damaged(
                self.path.display(),
                "its schema is not complete",
            ));
        }
        self.upgrade(db, STEPS.len())
    }

    fn version(&self, db: &Connection) -> Result<usize> {
        let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let version = number("user_version").map_err(self.failed())?;
        let application = number("application_id").map_err(self.failed())?;
        if version != 0 && application != APPLICATION_ID {
            return Err(Error::damaged(
                self.path.display(),
                "it is the database of something else",
            ));
        }
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
    }

    fn upgrade(&self, db: &mut Connection, target: usize) -> Result<()> {
        let step = |db: &mut Connection| -> rusqlite::Result<()> {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have done it in the meantime.
            let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let version = usize::try_from(version).unwrap_or(usize::MAX);
            for (index, step) in STEPS.iter().enumerate().take(target).skip(version) {
                tx.execute_batch(step)?;
                if index + 1 == LABELS {
                    labels::fill(&tx)?;
                }
                tx.pragma_update(None, "user_version", index as i64 + 1)?;
            }
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.commit()
        };
        step(db).map_err(self.failed())
    }

    /// For `map_err` on everything that the database does.
    pub fn failed(&self) -> impl Fn(rusqlite::Error) -> Error + '_ {
        move |error| self.error(error)
    }

    pub fn error(&self, error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Error::damaged(self.path.display(), "the database cannot be read")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Unavailable {
                what: format!("the database {}", self.path.display()),
                source: Some(error.into()),
            },
            Some(ErrorCode::CannotOpen) if !self.path.exists() => Error::Missing {
                object: self.path.display().to_string(),
            },
            _ => Error::Database {
                path: self.path.clone(),
                source: error,
            },
        }
    }

    pub fn append_error(&self, error: AppendError) -> Error {
        match error {
            AppendError::Sql(error) => self.error(error),
            AppendError::Keepwatch(error) => error,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn schema(db: &Connection) -> Vec<(String, String)> {
        let mut rows = db
            .prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")
            .unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap()
    }

    #[test]
    fn an_upgraded_schema_equals_a_fresh_one() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::from_bytes([1; 32]);
        let fresh = Database::new(dir.path().join("fresh"), &key);
        let fresh = schema(&fresh.connect(Mode::Create).unwrap());
        assert!(fresh.iter().any(|(name, _)| name == "segments"));
        for version in 1..STEPS.len() {
            let old = Database::new(dir.path().join(version.to_string()), &key);
            let mut db = old.connect_bare(Mode::Create).unwrap();
            old.upgrade(&mut db, version).unwrap();
            assert_ne!(schema(&db), fresh);
            drop(db);
            assert_eq!(schema(&old.connect(Mode::Write).unwrap()), fresh);
        }
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::new(dir.path().join("db"), &Key::from_bytes([1; 32]));
        let db = database.connect(Mode::Create).unwrap();
        db.pragma_update(None, "user_version", STEPS.len() as i64 + 1)
            .unwrap();
        drop(db);
        let error = database.connect(Mode::Write).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }

    #[test]
    fn another_key_does_not_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let database = Database::new(path.clone(), &Key::from_bytes([1; 32]));
        drop(database.connect(Mode::Create).unwrap());
        let other = Database::new(path.clone(), &Key::from_bytes([2; 32]));
        assert!(matches!(
            other.connect(Mode::Write).unwrap_err(),
            Error::Damaged { .. }
        ));
        let bytes = std::fs::read(path).unwrap();
        assert!(!bytes.starts_with(b"SQLite format"));
        assert!(!bytes.windows(7).any(|window| window == b"records"));
    }
}
