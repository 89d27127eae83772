//! Events by number, for programs that name them by whole numbers and not by ids.
//!
//! The number of an event is that of the record with its last state. No other record of the store
//! ever has it, whatever is purged; it grows with time, with holes; an event that is stored again
//! gets a new one.

use rusqlite::OptionalExtension;

use super::media::check_camera_name;
use super::model::Event;
use super::sqlite::{Store, check_numbers, parse_body};
use crate::error::Result;

impl Store {
    /// Adds the events that are not there yet, by their ids, and gives their numbers; none for those
    /// that are there.
    ///
    /// All or none; durable when it returns.
    ///
    /// # Errors
    /// As [`EventStore::put`](super::store::EventStore::put).
    pub fn put_new(&self, events: &[Event]) -> Result<Vec<Option<u64>>> {
        for event in events {
            check_camera_name(&event.camera)?;
            check_numbers(event)?;
        }
        if events.is_empty() {
            return Ok(Vec::new());
        }
        self.note_open(events)?;
        self.append(|chain, tx| {
            let mut there = tx.prepare_cached("SELECT 1 FROM events WHERE id = ?")?;
            events
                .iter()
                .map(|event| match there.exists([event.id.as_bytes()])? {
                    true => Ok(None),
                    false => Self::store_event(chain, tx, event).map(Some),
                })
                .collect()
        })
    }

    pub(super) fn numbered(&self, number: u64) -> Result<Option<Event>> {
        let Ok(seq) = i64::try_from(number) else {
            return Ok(None);
        };
        let db = self.reader()?;
        let body: Option<Vec<u8>> = db
            .prepare_cached(
                "SELECT r.body FROM records r JOIN events e ON e.id = r.subject AND e.seq = r.seq
                 WHERE r.seq = ?",
            )
            .and_then(|mut statement| statement.query_row([seq], |row| row.get(0)).optional())
            .map_err(self.database.failed())?;
        body.map(|body| parse_body(&body)).transpose()
    }
}
