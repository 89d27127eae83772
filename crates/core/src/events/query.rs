//! Finding events.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::database::Database;
use super::model::{Event, EventFilter, Segment};
use super::sqlite::{Store, nanoseconds, parse_body};
use crate::error::{Error, Result};

/// The conditions of a filter, joined by AND, and their values.
pub(super) struct Conditions {
    text: Vec<String>,
    pub values: Vec<Value>,
}

impl Conditions {
    /// Those of cameras, kinds and times.
    pub fn of(filter: &EventFilter) -> Self {
        let mut this = Self {
            text: Vec::new(),
            values: Vec::new(),
        };
        let cameras = filter.cameras.iter().map(|name| name.clone().into());
        this.one_of("camera", cameras);
        let kinds = filter
            .kinds
            .iter()
            .map(|kind| kind.name().to_owned().into());
        this.one_of("kind", kinds);
        if let Some(since) = filter.since {
            this.add("started >= ?", [nanoseconds(since).into()]);
        }
        if let Some(until) = filter.until {
            this.add("started < ?", [nanoseconds(until).into()]);
        }
        this
    }

    pub fn add(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push(text.to_owned());
        self.values.extend(values);
    }

    fn one_of(&mut self, column: &str, values: impl ExactSizeIterator<Item = Value>) {
        if values.len() > 0 {
            let places = vec!["?"; values.len()].join(", ");
            self.add(&format!("{column} IN ({places})"), values);
        }
    }

    pub fn where_clause(&self) -> String {
        if self.text.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", self.text.join(" AND "))
    }
}

pub(super) fn list(
    db: &Connection,
    filter: &EventFilter,
    database: &Database,
) -> Result<Vec<Event>> {
    let numbered = list_numbered(db, filter, database)?;
    Ok(numbered.into_iter().map(|(_, event)| event).collect())
}

/// With the numbers of the records.
pub(super) fn list_numbered(
    db: &Connection,
    filter: &EventFilter,
    database: &Database,
) -> Result<Vec<(u64, Event)>> {
    let mut conditions = Conditions::of(filter);
    let (order, beyond) = match filter.oldest_first {
        true => ("", ">"),
        false => (" DESC", "<"),
    };
    if let Some(after) = filter.after {
        let started: Option<i64> = db
            .prepare_cached("SELECT started FROM events WHERE id = ?")
            .and_then(|mut statement| {
                statement
                    .query_row([after.as_bytes()], |row| row.get(0))
                    .optional()
            })
            .map_err(database.failed())?;
        let started = started.ok_or(Error::NoSuchEvent { id: after })?;
        let id = after.as_bytes().to_vec();
        conditions.add(
            &format!("(started, id) {beyond} (?, ?)"),
            [started.into(), id.into()],
        );
    }
    let clause = conditions.where_clause();
    let limit = filter
        .limit
        .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    conditions.values.push(limit.into());
    let text = format!(
        "SELECT r.seq, r.body FROM (SELECT seq, started, id FROM events{clause}
         ORDER BY started{order}, id{order} LIMIT ?) e
         JOIN records r ON r.seq = e.seq ORDER BY e.started{order}, e.id{order}"
    );
    let records = || -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let mut statement = db.prepare_cached(&text)?;
        statement
            .query_map(params_from_iter(&conditions.values), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect()
    };
    let records = records().map_err(database.failed())?;
    records
        .iter()
        .map(|(seq, body)| Ok((seq.cast_unsigned(), parse_body(body)?)))
        .collect()
}

impl Store {
    /// Stretches of continuous recording; the kinds of the filter do not count.
    pub fn list_segments(&self, filter: &EventFilter) -> Result<Vec<Segment>> {
        let filter = EventFilter {
            kinds: Vec::new(),
            ..filter.clone()
        };
        let mut conditions = Conditions::of(&filter);
        let (order, beyond) = match filter.oldest_first {
            true => ("", ">"),
            false => (" DESC", "<"),
        };
        if let Some(after) = filter.after {
            let id = || Value::from(after.as_bytes().to_vec());
            conditions.add(
                &format!("(started, id) {beyond} (SELECT started, id FROM segments WHERE id = ?)"),
                [id()],
            );
        }
        let clause = conditions.where_clause();
        let limit = filter
            .limit
            .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        conditions.values.push(limit.into());
        let text = format!(
            "SELECT r.body FROM (SELECT seq, started, id FROM segments{clause}
             ORDER BY started{order}, id{order} LIMIT ?) e
             JOIN records r ON r.seq = e.seq ORDER BY e.started{order}, e.id{order}"
        );
        let db = self.reader()?;
        let bodies = || -> rusqlite::Result<Vec<Vec<u8>>> {
            let mut statement = db.prepare_cached(&text)?;
            statement
                .query_map(params_from_iter(&conditions.values), |row| row.get(0))?
                .collect()
        };
        let bodies = bodies().map_err(self.database.failed())?;
        bodies.iter().map(|body| parse_body(body)).collect()
    }
}
