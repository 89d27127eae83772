//! A database server that several hosts use (FORMAT.md, section 7.7).
//!
//! Whoever runs it sees what is searched for, cameras, kinds and times, and nothing of what
//! records say.

mod connection;
mod sealing;
mod tls;
mod url;

use std::sync::Arc;

use postgres::error::SqlState;

pub(crate) use connection::PgConnection;
pub(crate) use sealing::Sealing;
pub use url::PostgresUrl;

use super::Mode;
use crate::error::{Error, Result};

/// A step for each version of the schema.
const STEPS: &[&str] = &[include_str!("../schema/postgres/1.sql")];
/// Advisory locks of ours, `KWEV` in the upper half of their keys.
const LOCKS: i64 = 0x4b57_4556;

/// What an advisory lock is for.
#[derive(Clone, Copy)]
enum Lock {
    /// Extending the chain.
    Append = 1,
    /// Having begun events that have not ended.
    Recording = 2,
    /// Changing private files.
    Files = 3,
}

/// A database on a server, and the keys to what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    url: PostgresUrl,
    /// None before the store's key is known.
    sealing: Option<Arc<Sealing>>,
}

impl Server {
    pub fn new(url: &PostgresUrl) -> Self {
        Self {
            url: url.clone(),
            sealing: None,
        }
    }

    pub fn with_keys(mut self, sealing: Sealing) -> Self {
        self.sealing = Some(Arc::new(sealing));
        self
    }

    /// Its name in messages, without secrets.
    pub fn name(&self) -> String {
        self.url.to_string()
    }

    pub fn connect(&self, mode: Mode) -> Result<PgConnection> {
        let db = self.connect_bare(mode)?;
        let version = match db.version() {
            Err(Error::NoStore { .. }) if mode == Mode::Create => 0,
            version => version?,
        };
        if version > STEPS.len() {
            return Err(Error::Unsupported {
                what: "event database version",
                value: version.to_string(),
            });
        }
        if version < STEPS.len() {
            if mode == Mode::Read {
                return Err(Error::damaged(self.name(), "its schema is not complete"));
            }
            return db.upgrade();
        }
        Ok(db)
    }

    /// A connection to whatever is there.
    pub fn connect_bare(&self, mode: Mode) -> Result<PgConnection> {
        let tls = tls::connector(&self.url)?;
        let client = self.url.config().connect(tls);
        let client = client.map_err(|error| self.error(error))?;
        let db = PgConnection::new(client, self.clone());
        // A server that is told to forget what it has promised does not forget it of us.
        db.batch(
            "SET search_path = keepwatch; SET lock_timeout = '30s'; SET synchronous_commit = on;
             SET client_min_messages = warning; SET bytea_output = hex",
        )?;
        if mode == Mode::Read {
            db.batch("SET default_transaction_read_only = on")?;
        }
        Ok(db)
    }

    /// What the server's error means to us.
    pub fn error(&self, error: postgres::Error) -> Error {
        let code = error.code().cloned();
        let class = code.as_ref().map(|code| code.code().get(..2).unwrap_or(""));
        match (&code, class) {
            (Some(code), _)
                if *code == SqlState::UNDEFINED_TABLE
                    || *code == SqlState::INVALID_SCHEMA_NAME
                    || *code == SqlState::UNDEFINED_DATABASE =>
            {
                Error::NoStore {
                    location: self.name(),
                }
            }
            // Connections, transactions that met, resources, locks, an operator; and no answer.
            (_, Some("08" | "40" | "53" | "55" | "57") | None) => Error::Unavailable {
                what: format!("the database {}", self.name()),
                source: Some(error.into()),
            },
            _ => Error::DatabaseServer {
                server: self.name(),
                source: error.into(),
            },
        }
    }
}
