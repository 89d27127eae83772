//! The database of an event store: what the chain and the lists need of it, whichever it is.
//!
//! The SQL of the store is written once, in what both databases understand. What differs is here.

#[cfg(feature = "postgres")]
mod postgres;
mod row;
mod sqlite;

#[cfg(feature = "postgres")]
pub use postgres::PostgresUrl;
#[cfg(feature = "postgres")]
pub(crate) use postgres::{PgConnection, Sealing, Server};

pub(crate) use row::{Row, Value};
pub(crate) use sqlite::SqliteFile;

use super::chain::RecordKind;
use crate::error::{Error, Result};

/// So many rows are inserted by one statement at most.
const ROWS: usize = 64;

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
    /// On a server.
    #[cfg(feature = "postgres")]
    Postgres(Server),
}

impl Database {
    pub fn connect(&self, mode: Mode) -> Result<Connection> {
        match self {
            Database::Sqlite(file) => file.connect(mode).map(Connection::Sqlite),
            #[cfg(feature = "postgres")]
            Database::Postgres(server) => {
                server.connect(mode).map(Box::new).map(Connection::Postgres)
            }
        }
    }

    /// Its name in messages, without secrets.
    pub fn name(&self) -> String {
        match self {
            Database::Sqlite(file) => file.path.display().to_string(),
            #[cfg(feature = "postgres")]
            Database::Postgres(server) => server.name(),
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Result<&SqliteFile> {
        match self {
            Database::Sqlite(file) => Ok(file),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => Err(Error::Invalid {
                what: "event store",
                problem: "its database is not a file; its server has tools that copy it".to_owned(),
            }),
        }
    }
}

/// A connection to a database.
pub(crate) enum Connection {
    Sqlite(sqlite::SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres(Box<PgConnection>),
}

/// What a session holds of the lock of those who have begun events that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Nothing,
    Shared,
    /// Nobody else has any of it.
    Alone,
}

/// What a record keeps to itself.
pub(crate) struct Opened {
    /// What its digest is salted with.
    pub salt: [u8; 32],
    pub body: Vec<u8>,
}

/// How labels with a prefix are found.
pub(crate) enum Prefix {
    /// They lie together: from the first on, and before the second.
    Range(Value, Value),
    /// They have this one, too.
    #[cfg(feature = "postgres")]
    Term(Value),
}

impl Connection {
    /// The connection to a file, if it is one.
    pub fn file(&self) -> Option<&sqlite::SqliteConnection> {
        match self {
            Connection::Sqlite(db) => Some(db),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => None,
        }
    }

    /// Runs a statement, and gives all rows of its answer.
    ///
    /// Values stand for the question marks of the text.
    pub fn query(&self, text: &str, values: &[Value]) -> Result<Vec<Row>> {
        match self {
            Connection::Sqlite(db) => db.query(text, values),
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.query(text, values),
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
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.execute(text, values),
        }
    }

    /// Inserts rows into a table with its columns, in few statements; `conflict` says what becomes of
    /// those that are there.
    pub fn insert<const N: usize>(
        &self,
        into: &str,
        rows: Vec<[Value; N]>,
        conflict: &str,
    ) -> Result<()> {
        let row = format!("({})", vec!["?"; N].join(", "));
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let count = rows.len().min(ROWS);
            let values: Vec<Value> = rows.by_ref().take(count).flatten().collect();
            let places = vec![&row[..]; count].join(", ");
            self.execute(
                &format!("INSERT INTO {into} VALUES {places}{conflict}"),
                &values,
            )?;
        }
        Ok(())
    }

    /// Runs `work` in a transaction of the only writer at this moment.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction(
            || match self {
                Connection::Sqlite(db) => db.batch("BEGIN IMMEDIATE"),
                #[cfg(feature = "postgres")]
                Connection::Postgres(db) => db.begin_writing(),
            },
            work,
        )
    }

    /// Runs `work` on one state of the database, whatever is written meanwhile.
    pub fn read<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.transaction(
            || match self {
                Connection::Sqlite(db) => db.batch("BEGIN"),
                #[cfg(feature = "postgres")]
                Connection::Postgres(db) => {
                    db.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                }
            },
            work,
        )
    }

    /// Runs `work` in a transaction of the only one who changes private files at this moment.
    #[cfg(feature = "postgres")]
    pub fn change_files<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction(
            || match self {
                Connection::Sqlite(db) => db.batch("BEGIN IMMEDIATE"),
                Connection::Postgres(db) => db.begin_changing_files(),
            },
            work,
        )
    }

    fn transaction<T, E: From<Error>>(
        &self,
        begin: impl FnOnce() -> Result<()>,
        work: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let open = Open(self);
        begin()?;
        let result = work(self)?;
        self.batch("COMMIT")?;
        std::mem::forget(open);
        Ok(result)
    }

    /// Tells whoever follows the store on other hosts, once the transaction is committed.
    pub fn tell(&self, head: u64) -> Result<()> {
        match self {
            // Who follows a file looks at it.
            Connection::Sqlite(_) => {
                let _ = head;
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.tell(head),
        }
    }

    /// Changes what this session holds of the lock of those who record; whether it could.
    pub fn hold(&self, wanted: Hold) -> Result<bool> {
        match self {
            // That is a lock of a file.
            Connection::Sqlite(_) => {
                let _ = wanted;
                Ok(true)
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.hold(wanted),
        }
    }

    fn batch(&self, text: &str) -> Result<()> {
        match self {
            Connection::Sqlite(db) => db.batch(text),
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.batch(text),
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
            // Its pages are the server's.
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => {}
        }
        problems.retain(|problem| problem != "ok");
        Ok(problems)
    }

    /// Whether it can be used again.
    pub fn is_alive(&self) -> bool {
        match self {
            Connection::Sqlite(_) => true,
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.is_alive(),
        }
    }

    /// The same of one that was not used for a while.
    pub fn still_works(&self) -> bool {
        match self {
            Connection::Sqlite(_) => true,
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.still_works(),
        }
    }

    /// Makes the planner of SQLite take an index that has the rows in order: it does not know that
    /// few of them are wanted.
    pub fn through(&self, index: &str) -> String {
        match self {
            Connection::Sqlite(_) => format!("INDEXED BY {index}"),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => String::new(),
        }
    }

    /// What is stored of the salt and the body of a record.
    pub fn seal(
        &self,
        seq: u64,
        kind: RecordKind,
        salt: &[u8; 32],
        body: &[u8],
    ) -> Result<(Value, Value)> {
        let _ = (seq, kind);
        match self {
            Connection::Sqlite(_) => Ok((salt.to_vec().into(), body.to_vec().into())),
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => {
                let sealed = db.sealing().seal(seq, kind, salt, body)?;
                Ok((Value::Null, sealed.into()))
            }
        }
    }

    /// The salt and the body of a record; none if it is not what was stored.
    pub fn open(&self, seq: u64, kind: RecordKind, salt: Value, body: Value) -> Option<Opened> {
        let Value::Blob(body) = body else { return None };
        let _ = (seq, kind);
        match self {
            Connection::Sqlite(_) => match salt {
                Value::Blob(salt) => Some(Opened {
                    salt: salt.try_into().ok()?,
                    body,
                }),
                _ => None,
            },
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.sealing().open(seq, kind, &body),
        }
    }

    /// The body of a record.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn body(&self, seq: u64, kind: RecordKind, body: Value) -> Result<Vec<u8>> {
        let _ = (seq, kind);
        let bad = || Error::damaged("a record of the event store", "it is not readable");
        match (self, body) {
            (Connection::Sqlite(_), Value::Blob(body)) => Ok(body),
            #[cfg(feature = "postgres")]
            (Connection::Postgres(db), Value::Blob(body)) => {
                let opened = db.sealing().open(seq, kind, &body);
                opened.map(|opened| opened.body).ok_or_else(bad)
            }
            _ => Err(bad()),
        }
    }

    /// What is entered for a folded label.
    pub fn terms(&self, label: &str) -> Vec<Vec<u8>> {
        match self {
            Connection::Sqlite(_) => vec![label.as_bytes().to_vec()],
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.sealing().terms(label),
        }
    }

    /// What is looked for to find a folded label.
    pub fn term(&self, label: &str) -> Value {
        match self {
            Connection::Sqlite(_) => label.as_bytes().to_vec().into(),
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => db.sealing().label(label).into(),
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
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => Prefix::Term(db.sealing().prefix(prefix).into()),
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
