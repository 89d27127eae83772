//! Looking up single things by their ids.

use super::chain::RecordKind;
use super::model::{EventId, Segment};
use super::store::{Store, parse_body};
use crate::error::Result;

impl Store {
    /// The number of an event: that of its last state. None if there is no such event.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn number_of(&self, id: EventId) -> Result<Option<u64>> {
        let text = "SELECT seq FROM events WHERE id = ?";
        let row = self
            .reader()?
            .first(text, &[id.as_bytes().to_vec().into()])?;
        row.map(|row| row.number(0)).transpose()
    }

    /// The numbers that events had when they were stored first, in their order; 0 for those that are
    /// not there. It never changes, whatever becomes of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn first_numbers(&self, ids: &[EventId]) -> Result<Vec<u64>> {
        let db = self.reader()?;
        let text = "SELECT seq FROM records WHERE subject = ? ORDER BY seq LIMIT 1";
        let first = |id: &EventId| {
            let row = db.first(text, &[id.as_bytes().to_vec().into()])?;
            Ok(row.map(|row| row.number(0)).transpose()?.unwrap_or(0))
        };
        ids.iter().map(first).collect()
    }

    /// A stretch of continuous recording, if there is one of this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get_segment(&self, id: EventId) -> Result<Option<Segment>> {
        let db = self.reader()?;
        let row = db.first(
            "SELECT r.seq, r.body FROM segments s JOIN records r ON r.seq = s.seq WHERE s.id = ?",
            &[id.as_bytes().to_vec().into()],
        )?;
        let Some(mut row) = row else {
            return Ok(None);
        };
        let body = db.body(row.number(0)?, RecordKind::Segment, row.take(1))?;
        parse_body(&body).map(Some)
    }
}
