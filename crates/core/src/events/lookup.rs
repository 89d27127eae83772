//! Looking up single things by their ids.

use std::collections::HashMap;

use super::chain::RecordKind;
use super::model::{EventId, Segment};
use super::store::{Store, parse_body};
use crate::error::Result;

/// So many ids are looked up by one statement.
const AT_ONCE: usize = 1000;

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
        let mut first = HashMap::new();
        for ids in ids.chunks(AT_ONCE) {
            let places = vec!["?"; ids.len()].join(", ");
            let text = format!(
                "SELECT subject, min(seq) FROM records WHERE subject IN ({places}) GROUP BY subject"
            );
            let values: Vec<_> = ids.iter().map(|id| id.as_bytes().to_vec().into()).collect();
            for row in db.query(&text, &values)? {
                first.insert(row.id(0)?, row.number(1)?);
            }
        }
        let number = |id| first.get(id).copied().unwrap_or(0);
        Ok(ids.iter().map(number).collect())
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
