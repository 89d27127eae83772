//! The database of an event store: what the chain and the lists need of it, whichever it is.
//!
//! The SQL of the store is written once, in what both databases understand. What differs is here.

mod row;
mod sqlite;

pub(crate) use row::{Row, Value};
pub(crate) use sqlite::SqliteFile;

use keepwatch_crypto::Key;

use super::chain::RecordKind;
use crate::error::{Error, Result};

/// How a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Create,
    Write,
    Read,
}

/// A database, and the keys to it.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// A file beside the media.
    Sqlite(SqliteFile),
}

impl Database {
    pub fn connect(&self, mode: Mode) -> Result<Connection> {
        match self {
            Database::Sqlite(file) => file.connect(mode).map(Connection::Sqlite),
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Result<&SqliteFile> {
        match self {
            Database::Sqlite(file) => Ok(file),
        }
    }
}

/// A connection to a database.
pub(crate) enum Connection {
    Sqlite(sqlite::SqliteConnection),
}

/// What a record keeps to itself.
pub(crate) struct Opened {
    /// What its digest is salted with.
    pub salt: [u8; 32],
    pub body: Vec<u8>,
}

/// How labels with a prefix are found.
#[allow(dead_code, reason = "SQLite has them in order")]
pub(crate) enum Prefix {
    /// They lie together: from the first on, and before the second.
    Range(Value, Value),
    /// They have this one, too.
    Term(Value),
}

impl Connection {
    /// Runs a statement, and gives all rows of its answer.
    ///
    /// Values stand for the question marks of the text.
    pub fn query(&self, text: &str, values: &[Value]) -> Result<Vec<Row>> {
        match self {
            Connection::Sqlite(db) => db.query(text, values),
        }
    }

    /// The first row of the answer.
    pub fn first(&self, text: &str, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.query(text, values)?.into_iter().next())
    }

    /// Runs a statement, and gives how many rows it has changed.
    pub fn execute(&self, text: &str, values: &[Value]) -> Result<u64> {
        match self {
            Connection::Sqlite(db) => db.execute(text, values),
        }
    }

    /// Runs `work` in a transaction of the only writer at this moment.
    pub fn write<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.transaction("BEGIN IMMEDIATE", work)
    }

    /// Runs `work` on one state of the database, whatever is written meanwhile.
    pub fn read<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.transaction("BEGIN", work)
    }

    fn transaction<T>(&self, begin: &str, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.batch(begin)?;
        let open = Open(self);
        let result = work(self)?;
        self.batch("COMMIT")?;
        std::mem::forget(open);
        Ok(result)
    }

    fn batch(&self, text: &str) -> Result<()> {
        match self {
            Connection::Sqlite(db) => db.batch(text),
        }
    }

    /// What the database finds wrong with itself; for SQLite that indexes differ from their tables,
    /// for SQLCipher that pages do not authenticate.
    pub fn problems(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        match self {
            Connection::Sqlite(db) => {
                for pragma in [
                    "PRAGMA cipher_integrity_check",
                    "PRAGMA integrity_check(10)",
                ] {
                    for row in db.query(pragma, &[])? {
                        problems.push(row.text(0)?.to_owned());
                    }
                }
            }
        }
        problems.retain(|problem| problem != "ok");
        Ok(problems)
    }

    /// Whether it can be used again.
    #[allow(dead_code, reason = "files do not go away")]
    pub fn is_alive(&self) -> bool {
        match self {
            Connection::Sqlite(_) => true,
        }
    }

    /// Makes the planner of SQLite take an index that has the rows in order: it does not know that
    /// few of them are wanted.
    pub fn through(&self, index: &str) -> String {
        match self {
            Connection::Sqlite(_) => format!("INDEXED BY {index}"),
        }
    }

    /// What is stored of a record that has a salt and a body, in the columns of these names.
    pub fn seal(
        &self,
        _seq: u64,
        _kind: RecordKind,
        salt: &[u8; 32],
        body: &[u8],
    ) -> Result<(Value, Value)> {
        match self {
            Connection::Sqlite(_) => Ok((salt.to_vec().into(), body.to_vec().into())),
        }
    }

    /// What `seal` has made of a record; none if it is not that.
    pub fn open(&self, _seq: u64, _kind: RecordKind, salt: Value, body: Value) -> Option<Opened> {
        match (self, salt, body) {
            (Connection::Sqlite(_), Value::Blob(salt), Value::Blob(body)) => Some(Opened {
                salt: salt.try_into().ok()?,
                body,
            }),
            _ => None,
        }
    }

    /// The body of a record.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn body(&self, _seq: u64, _kind: RecordKind, body: Value) -> Result<Vec<u8>> {
        match (self, body) {
            (Connection::Sqlite(_), Value::Blob(body)) => Ok(body),
            _ => Err(Error::damaged(
                "a record of the event store",
                "it is not readable",
            )),
        }
    }

    /// What is entered for a folded label.
    pub fn terms(&self, label: &str) -> Vec<Vec<u8>> {
        match self {
            Connection::Sqlite(_) => vec![label.as_bytes().to_vec()],
        }
    }

    /// What is looked for to find a folded label.
    pub fn term(&self, label: &str) -> Value {
        match self {
            Connection::Sqlite(_) => label.as_bytes().to_vec().into(),
        }
    }

    /// What is looked for to find folded labels that begin so.
    pub fn prefix(&self, prefix: &str) -> Prefix {
        match self {
            Connection::Sqlite(_) => {
                let from = prefix.as_bytes().to_vec();
                // This byte is in no UTF-8.
                let to = [prefix.as_bytes(), &[0xff]].concat();
                Prefix::Range(from.into(), to.into())
            }
        }
    }
}

/// A transaction that is rolled back when it is dropped.
struct Open<'a>(&'a Connection);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // When the connection is gone, so is the transaction.
        let _ = self.0.batch("ROLLBACK");
    }
}

/// The database of a directory.
pub(crate) fn in_directory(dir: &std::path::Path, store_key: &Key) -> Database {
    Database::Sqlite(SqliteFile::new(dir.join(super::files::DATABASE), store_key))
}
