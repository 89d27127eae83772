//! The encrypted database in a file, and bringing its schema up to date (FORMAT.md, section 7.3).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keepwatch_crypto::Key;
use rusqlite::config::DbConfig;
use rusqlite::{Connection as Sqlite, ErrorCode, OpenFlags, params_from_iter};
use zeroize::Zeroizing;

use super::{Connection, Mode, Row, Value};
use crate::error::{Error, Result};
use crate::events::labels;
use crate::wal::use_wal;

const DATABASE_CONTEXT: &str = "keepwatch v1 event database";
const APPLICATION_ID: i64 = 0x4b57_4556;
/// How long another writer is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// A step for each version of the schema: the first makes version 1 of an empty database.
const STEPS: &[&str] = &[
    include_str!("../schema/1.sql"),
    include_str!("../schema/2.sql"),
    include_str!("../schema/3.sql"),
];
/// The step that adds labels, which are filled from what is there.
const LABELS: usize = 3;

/// A database file and the key to it.
#[derive(Clone, Debug)]
pub(crate) struct SqliteFile {
    pub path: PathBuf,
    key: Key,
}

impl SqliteFile {
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

    pub fn connect(&self, mode: Mode) -> Result<SqliteConnection> {
        let db = self.migrate(self.connect_bare(mode)?, mode)?;
        if mode == Mode::Read {
            db.batch("PRAGMA query_only = 1")?;
        }
        Ok(db)
    }

    /// A connection with the key set, whatever the schema is.
    fn connect_bare(&self, mode: Mode) -> Result<SqliteConnection> {
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
        Ok(SqliteConnection {
            db,
            file: self.clone(),
        })
    }

    /// A connection to an empty file, for a copy to be written into.
    pub fn connect_empty(&self) -> rusqlite::Result<Sqlite> {
        self.keyed(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    }

    fn keyed(&self, flags: OpenFlags) -> rusqlite::Result<Sqlite> {
        let db = Sqlite::open_with_flags(&self.path, flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.set_prepared_statement_cache_capacity(64);
        // Or a statement that is kept is planned anew whenever a value in it is another.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Otherwise it writes to standard error by itself.
        db.execute_batch("PRAGMA cipher_log_level = NONE;")?;
        let hex = Zeroizing::new(hex::encode(self.key.expose()));
        let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", *hex));
        db.execute_batch(&pragma)?;
        Ok(db)
    }

    fn migrate(&self, db: SqliteConnection, mode: Mode) -> Result<SqliteConnection> {
        let version = self.version(&db)?;
        if version > STEPS.len() {
            return Err(Error::Unsupported {
                what: "event database version",
                value: version.to_string(),
            });
        }
        if version == STEPS.len() {
            return Ok(db);
        }
        if mode == Mode::Read || (mode == Mode::Write && version == 0) {
            return Err(Error::damaged(
                self.path.display(),
                "its schema is not complete",
            ));
        }
        db.upgrade(STEPS.len())
    }

    fn version(&self, db: &SqliteConnection) -> Result<usize> {
        let version = db.pragma("user_version")?;
        if version != 0 && db.pragma("application_id")? != APPLICATION_ID {
            return Err(Error::damaged(
                self.path.display(),
                "it is the database of something else",
            ));
        }
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
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
            // Locked, or no room left: neither lasts for ever.
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Unavailable {
                what: format!("the database {}", self.path.display()),
                source: Some(error.into()),
            },
            // Said as everything else does that writes files.
            Some(ErrorCode::DiskFull) => Error::Unavailable {
                what: format!("the database {}", self.path.display()),
                source: Some(io::Error::new(io::ErrorKind::StorageFull, error).into()),
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
}

/// A connection to it.
pub(crate) struct SqliteConnection {
    pub db: Sqlite,
    file: SqliteFile,
}

impl SqliteConnection {
    pub fn query(&self, text: &str, values: &[Value]) -> Result<Vec<Row>> {
        let rows = || -> rusqlite::Result<Vec<Row>> {
            let mut statement = self.db.prepare_cached(text)?;
            let columns = statement.column_count();
            statement
                .query_map(params_from_iter(values), |row| {
                    (0..columns)
                        .map(|index| row.get(index))
                        .collect::<rusqlite::Result<_>>()
                        .map(Row)
                })?
                .collect()
        };
        rows().map_err(self.file.failed())
    }

    pub fn execute(&self, text: &str, values: &[Value]) -> Result<u64> {
        let changed = self
            .db
            .prepare_cached(text)
            .and_then(|mut statement| statement.execute(params_from_iter(values)));
        changed.map(|rows| rows as u64).map_err(self.file.failed())
    }

    pub fn batch(&self, text: &str) -> Result<()> {
        self.db.execute_batch(text).map_err(self.file.failed())
    }

    fn pragma(&self, name: &str) -> Result<i64> {
        let value = self.db.pragma_query_value(None, name, |row| row.get(0));
        value.map_err(self.file.failed())
    }

    /// Brings the schema to a version.
    fn upgrade(self, target: usize) -> Result<Self> {
        let this = Connection::Sqlite(self);
        this.write(|this| -> Result<()> {
            let db = this.file().expect("it is made of one");
            // Another process may have done it in the meantime.
            let version = usize::try_from(db.pragma("user_version")?).unwrap_or(usize::MAX);
            for (index, step) in STEPS.iter().enumerate().take(target).skip(version) {
                db.batch(step)?;
                if index + 1 == LABELS {
                    labels::fill(this)?;
                }
                db.batch(&format!("PRAGMA user_version = {}", index + 1))?;
            }
            db.batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))
        })?;
        match this {
            Connection::Sqlite(this) => Ok(this),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => unreachable!("it is made of a file"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn schema(db: &SqliteConnection) -> Vec<(String, String)> {
        let mut rows = db
            .db
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
        let fresh = SqliteFile::new(dir.path().join("fresh"), &key);
        let fresh = schema(&fresh.connect(Mode::Create).unwrap());
        assert!(fresh.iter().any(|(name, _)| name == "segments"));
        for version in 1..STEPS.len() {
            let old = SqliteFile::new(dir.path().join(version.to_string()), &key);
            let db = old.connect_bare(Mode::Create).unwrap();
            let db = db.upgrade(version).unwrap();
            assert_ne!(schema(&db), fresh);
            drop(db);
            assert_eq!(schema(&old.connect(Mode::Write).unwrap()), fresh);
        }
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let database = SqliteFile::new(dir.path().join("db"), &Key::from_bytes([1; 32]));
        let db = database.connect(Mode::Create).unwrap();
        db.batch(&format!("PRAGMA user_version = {}", STEPS.len() + 1))
            .unwrap();
        drop(db);
        let error = database.connect(Mode::Write).err().unwrap();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }

    #[test]
    fn another_key_does_not_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let database = SqliteFile::new(path.clone(), &Key::from_bytes([1; 32]));
        drop(database.connect(Mode::Create).unwrap());
        let other = SqliteFile::new(path.clone(), &Key::from_bytes([2; 32]));
        assert!(matches!(
            other.connect(Mode::Write).err().unwrap(),
            Error::Damaged { .. }
        ));
        let bytes = std::fs::read(path).unwrap();
        assert!(!bytes.starts_with(b"SQLite format"));
        assert!(!bytes.windows(7).any(|window| window == b"records"));
    }
}
