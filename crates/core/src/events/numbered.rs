//! Events by number, for programs that name them by whole numbers and not by ids.
//!
//! The number of an event is that of the record with its last state. No other record of the store
//! ever has it, whatever is purged; it grows with time, with holes; an event that is stored again
//! gets a new one.

use std::slice;

use super::media::check_camera_name;
use super::model::Event;
use super::query::numbered;
use super::store::{Store, check_numbers};
use crate::error::Result;

impl Store {
    /// Adds the events that are not there yet, by their ids, and gives their numbers; none for those
    /// that are there.
    ///
    /// All or none; durable when it returns.
    ///
    /// # Errors
    /// As [`EventStore::put`](super::event_store::EventStore::put).
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
            events
                .iter()
                .map(|event| {
                    let id = event.id.as_bytes().to_vec().into();
                    match tx.first("SELECT 1 FROM events WHERE id = ?", &[id])? {
                        Some(_) => Ok(None),
                        None => {
                            let seqs = Self::store_events(chain, tx, slice::from_ref(event))?;
                            Ok(seqs.first().copied())
                        }
                    }
                })
                .collect()
        })
    }

    pub(super) fn numbered(&self, number: u64) -> Result<Option<Event>> {
        let Ok(seq) = i64::try_from(number) else {
            return Ok(None);
        };
        let db = self.reader()?;
        let row = db.first(
            "SELECT r.seq, r.body FROM records r JOIN events e ON e.id = r.subject AND e.seq = r.seq
             WHERE r.seq = ?",
            &[seq.into()],
        )?;
        row.map(|row| Ok(numbered(&db, row)?.1)).transpose()
    }
}
