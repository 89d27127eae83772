//! A connection to the server.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres::fallible_iterator::{self, FallibleIterator};
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Statement};

use super::{LOCKS, Lock, STEPS, Sealing, Server};
use crate::error::{Error, Result};
use crate::events::database::{Hold, Row, Value};

/// So many statements are kept prepared; shapes of filters are endless.
const STATEMENTS: usize = 256;
/// Where the head of the chain is told.
const CHANNEL: &str = "keepwatch";

/// A connection that nobody has used for longer than this is asked before it is used.
const RESTED: Duration = Duration::from_secs(1);

/// A session on the server.
pub(crate) struct PgConnection {
    client: RefCell<Client>,
    statements: RefCell<HashMap<String, Statement>>,
    server: Server,
    broken: Cell<bool>,
    /// When the server last answered.
    answered: Cell<Instant>,
    hold: Cell<Hold>,
}

impl PgConnection {
    pub fn new(client: Client, server: Server) -> Self {
        Self {
            client: RefCell::new(client),
            statements: RefCell::new(HashMap::new()),
            server,
            broken: Cell::new(false),
            answered: Cell::new(Instant::now()),
            hold: Cell::new(Hold::Nothing),
        }
    }

    pub fn is_alive(&self) -> bool {
        !self.broken.get()
    }

    /// The same of one that may not have been used for a while: then it is asked, since the server may
    /// have gone away meanwhile, and come back.
    pub fn still_works(&self) -> bool {
        if self.is_alive() && self.answered.get().elapsed() > RESTED {
            // A failure is remembered.
            let _ = self.batch("");
        }
        self.is_alive()
    }

    /// The keys to what is sealed.
    pub fn sealing(&self) -> &Sealing {
        let sealing = self.server.sealing.as_deref();
        sealing.expect("before they are known, small files are read and nothing else")
    }

    fn failed(&self, error: postgres::Error) -> Error {
        let closed = self
            .client
            .try_borrow()
            .is_ok_and(|client| client.is_closed());
        // What the server says of itself leaves the connection as it is, unless it goes away.
        let fatal = error
            .as_db_error()
            .is_none_or(|db| matches!(db.severity(), "FATAL" | "PANIC"));
        if closed || fatal {
            self.broken.set(true);
        }
        self.server.error(error)
    }

    pub fn batch(&self, text: &str) -> Result<()> {
        let done = self.client.borrow_mut().batch_execute(text);
        self.answer(done)
    }

    fn answer<T>(&self, answer: Result<T, postgres::Error>) -> Result<T> {
        let answer = answer.map_err(|error| self.failed(error))?;
        self.answered.set(Instant::now());
        Ok(answer)
    }

    fn prepare(&self, text: &str) -> Result<Statement> {
        let mut statements = self.statements.borrow_mut();
        if let Some(statement) = statements.get(text) {
            return Ok(statement.clone());
        }
        if statements.len() >= STATEMENTS {
            statements.clear();
        }
        let prepared = self.client.borrow_mut().prepare(&with_numbers(text));
        let statement = self.answer(prepared)?;
        statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    pub fn query(&self, text: &str, values: &[Value]) -> Result<Vec<Row>> {
        let statement = self.prepare(text)?;
        let values: Vec<Param<'_>> = values.iter().map(Param).collect();
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let rows = self.client.borrow_mut().query(&statement, &values);
        let rows = self.answer(rows)?;
        rows.iter()
            .map(|row| read(row).map_err(|error| self.failed(error)))
            .collect()
    }

    pub fn execute(&self, text: &str, values: &[Value]) -> Result<u64> {
        let statement = self.prepare(text)?;
        let values: Vec<Param<'_>> = values.iter().map(Param).collect();
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let changed = self.client.borrow_mut().execute(&statement, &values);
        self.answer(changed)
    }

    /// Begins a transaction that nobody else writes beside.
    pub fn begin_writing(&self) -> Result<()> {
        self.begin(Lock::Append)
    }

    /// Begins a transaction that nobody else changes private files beside.
    pub fn begin_changing_files(&self) -> Result<()> {
        self.begin(Lock::Files)
    }

    fn begin(&self, lock: Lock) -> Result<()> {
        let number = lock as i32;
        self.batch(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock({LOCKS}, {number})"
        ))
    }

    /// Whoever listens is told when the transaction is committed.
    pub fn tell(&self, head: u64) -> Result<()> {
        let text = "SELECT pg_notify(?, ?)";
        let values = [CHANNEL.to_owned().into(), head.to_string().into()];
        self.query(text, &values).map(drop)
    }

    pub fn listen(&self) -> Result<()> {
        self.batch(&format!("LISTEN {CHANNEL}"))
    }

    /// The last head that was told, waiting for it; none if none was.
    pub fn told(&self, time: Duration) -> Result<Option<u64>> {
        let mut client = self.client.borrow_mut();
        let told = (|| {
            let mut notifications = client.notifications();
            let first = notifications.timeout_iter(time).next()?;
            let others = notifications.iter();
            let all = fallible_iterator::convert(first.into_iter().map(Ok)).chain(others);
            all.filter_map(|told| Ok(told.payload().parse::<u64>().ok()))
                .max()
        })();
        let closed = client.is_closed();
        drop(client);
        match told {
            Ok(head) if !closed => Ok(head),
            Ok(_) => {
                self.broken.set(true);
                Err(Error::Unavailable {
                    what: format!("the database {}", self.server.name()),
                    source: None,
                })
            }
            Err(error) => {
                self.broken.set(true);
                Err(self.server.error(error))
            }
        }
    }

    /// Holds the lock of those who record as it is asked for; whether that could be had.
    pub fn hold(&self, wanted: Hold) -> Result<bool> {
        let (locks, recording) = (LOCKS, Lock::Recording as i32);
        let call = |function: &str| {
            let row = self.query(&format!("SELECT {function}({locks}, {recording})"), &[])?;
            Ok::<_, Error>(
                row.first()
                    .is_some_and(|row| matches!(row.integer(0), Ok(1))),
            )
        };
        match wanted {
            wanted if self.hold.get() == wanted => {}
            Hold::Nothing => self.batch("SELECT pg_advisory_unlock_all()")?,
            Hold::Shared => {
                call("pg_advisory_lock_shared")?;
                if self.hold.get() == Hold::Alone {
                    call("pg_advisory_unlock")?;
                }
            }
            Hold::Alone => {
                if !call("pg_try_advisory_lock")? {
                    return Ok(false);
                }
            }
        }
        self.hold.set(wanted);
        Ok(true)
    }

    pub fn version(&self) -> Result<usize> {
        let rows = self.query("SELECT version FROM keepwatch.schema", &[])?;
        let missing = || Error::damaged(self.server.name(), "its schema has no version");
        let version = rows.first().ok_or_else(missing)?.integer(0)?;
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
    }

    /// Brings the schema up to date.
    pub fn upgrade(self) -> Result<Self> {
        self.begin_writing()?;
        let version = match self.query("SELECT to_regclass('keepwatch.schema')::text", &[])? {
            rows if rows.first().is_some_and(|row| row.text(0).is_ok()) => self.version()?,
            _ => 0,
        };
        for step in STEPS.iter().skip(version) {
            self.batch(step)?;
        }
        self.batch(&format!(
            "UPDATE keepwatch.schema SET version = {}",
            STEPS.len()
        ))?;
        self.batch("COMMIT")?;
        Ok(self)
    }
}

/// Question marks become the numbers that PostgreSQL has for them. There are none in our texts
/// beside those.
fn with_numbers(text: &str) -> String {
    let mut numbered = String::with_capacity(text.len() + 16);
    for (index, part) in text.split('?').enumerate() {
        if index > 0 {
            numbered.push_str(&format!("${index}"));
        }
        numbered.push_str(part);
    }
    numbered
}

/// A value on its way to the server.
#[derive(Debug)]
struct Param<'a>(&'a Value);

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) if *kind == Type::INT4 => {
                i32::try_from(*number)?.to_sql(kind, out)
            }
            Value::Integer(number) => number.to_sql(kind, out),
            Value::Real(number) => number.to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
            Value::Blob(bytes) => bytes.to_sql(kind, out),
        }
    }

    // The types of our columns are those of our values.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The values of a row.
fn read(row: &postgres::Row) -> std::result::Result<Row, postgres::Error> {
    let value = |index: usize| {
        let null = Value::Null;
        Ok(match *row.columns()[index].type_() {
            Type::INT8 => row
                .try_get::<_, Option<i64>>(index)?
                .map_or(null, Value::from),
            Type::INT4 => row
                .try_get::<_, Option<i32>>(index)?
                .map_or(null, Value::from),
            Type::BOOL => row
                .try_get::<_, Option<bool>>(index)?
                .map_or(null, Value::from),
            Type::BYTEA => row
                .try_get::<_, Option<Vec<u8>>>(index)?
                .map_or(null, Value::from),
            Type::VOID => null,
            _ => row
                .try_get::<_, Option<String>>(index)?
                .map_or(null, Value::from),
        })
    };
    (0..row.len())
        .map(value)
        .collect::<std::result::Result<_, _>>()
        .map(Row)
}
