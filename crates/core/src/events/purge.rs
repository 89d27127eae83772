//! Deleting what is old, so that the chain still proves the rest.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params, params_from_iter};
use serde::Serialize;

use super::chain::{Gap, START};
use super::model::{Event, EventId, EventKind, MediaRef, Segment};
use super::sqlite::{AuditEntry, Store, Writer, from_json};
use crate::error::{Error, Result};

/// What is kept. Nothing is deleted for a limit that is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events that ended longer ago go, with their clips and pictures.
    pub events: Option<SignedDuration>,
    /// Segments of continuous recording that ended longer ago go.
    pub segments: Option<SignedDuration>,
    /// The oldest segments go until they take no more bytes.
    pub segment_bytes: Option<u64>,
    /// Only events of these cameras; of all if empty.
    pub cameras: Vec<String>,
    /// Only events of these kinds; of all if empty.
    pub kinds: Vec<EventKind>,
}

/// What would be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgePlan {
    /// Events.
    pub events: Vec<EventId>,
    /// Segments.
    pub segments: Vec<EventId>,
    /// Their files.
    pub media: Vec<MediaRef>,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// Events.
    pub events: usize,
    /// Segments.
    pub segments: usize,
    /// Clips and pictures.
    pub media: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// What a policy would delete now. Events that last are never among it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn plan_purge(&self, retention: &Retention, now: Timestamp) -> Result<PurgePlan> {
        let mut plan = PurgePlan::default();
        let before = |age: SignedDuration| now.checked_sub(age).map_err(|_| out_of_range());
        if let Some(age) = retention.events {
            self.plan_events(retention, before(age)?, &mut plan)?;
        }
        let before = retention.segments.map(before).transpose()?;
        self.plan_segments(before, retention, &mut plan)?;
        Ok(plan)
    }

    fn plan_events(
        &self,
        retention: &Retention,
        before: Timestamp,
        plan: &mut PurgePlan,
    ) -> Result<()> {
        let mut sql = "SELECT body FROM record JOIN event USING (seq) WHERE ended < ?".to_owned();
        let mut values = vec![Value::Integer(before.as_microsecond())];
        let kinds: Vec<String> = retention.kinds.iter().map(EventKind::to_string).collect();
        for (column, names) in [("camera", &retention.cameras), ("kind", &kinds)] {
            if !names.is_empty() {
                let marks = vec!["?"; names.len()].join(", ");
                sql.push_str(&format!(" AND event.{column} IN ({marks})"));
                values.extend(names.iter().cloned().map(Value::Text));
            }
        }
        for body in self.bodies(&sql, values)? {
            let event: Event = from_json(&body)?;
            plan.events.push(event.id);
            plan.media
                .extend(event.snapshot.into_iter().chain(event.clip));
        }
        Ok(())
    }

    fn plan_segments(
        &self,
        before: Option<Timestamp>,
        retention: &Retention,
        plan: &mut PurgePlan,
    ) -> Result<()> {
        if before.is_none() && retention.segment_bytes.is_none() {
            return Ok(());
        }
        let sql = "SELECT body FROM record JOIN segment USING (seq) ORDER BY started DESC, id DESC";
        let mut kept = 0;
        for body in self.bodies(sql, Vec::new())? {
            let segment: Segment = from_json(&body)?;
            let of_camera =
                retention.cameras.is_empty() || retention.cameras.contains(&segment.camera);
            if !of_camera {
                continue;
            }
            kept += segment.media.bytes;
            let old = before.is_some_and(|before| segment.ended_at < before);
            let too_much = retention.segment_bytes.is_some_and(|limit| kept > limit);
            if old || too_much {
                plan.segments.push(segment.id);
                plan.media.push(segment.media);
            }
        }
        Ok(())
    }

    fn bodies(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Vec<u8>>> {
        let connection = self.lock();
        let query = || -> rusqlite::Result<Vec<Vec<u8>>> {
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
            rows.collect()
        };
        query().map_err(self.sql())
    }

    /// Deletes what was planned: records first, and with them all that is known of it, then files.
    ///
    /// `actor` is named in the audit log.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is deleted then. A file that cannot be removed
    /// is an error too, after everything else is gone.
    pub fn purge(&self, plan: &PurgePlan, actor: &str) -> Result<PurgeReport> {
        let ids: BTreeSet<EventId> = plan.events.iter().chain(&plan.segments).copied().collect();
        let mut report = PurgeReport {
            events: plan.events.len(),
            segments: plan.segments.len(),
            ..PurgeReport::default()
        };
        if ids.is_empty() {
            return Ok(report);
        }
        self.write(|writer| {
            let mut gone = BTreeSet::new();
            for id in &ids {
                gone.extend(writer.records_of(*id)?);
            }
            for seq in &gone {
                writer.remove_record(*seq)?;
            }
            for id in &ids {
                for table in ["event", "segment"] {
                    let sql = format!("DELETE FROM {table} WHERE id = ?1");
                    writer.execute(&sql, [id.as_bytes()])?;
                }
            }
            writer.audit(&AuditEntry {
                at: Timestamp::now(),
                actor: actor.to_owned(),
                action: "purge".to_owned(),
                detail: serde_json::json!({
                    "events": report.events,
                    "segments": report.segments,
                    "records": gone.len(),
                }),
            })
        })?;
        let media = self.media();
        let mut failed = None;
        for file in &plan.media {
            match media.remove(file) {
                Ok(()) => {
                    report.media += 1;
                    report.bytes += file.bytes;
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }
}

impl Writer<'_> {
    fn records_of(&self, id: EventId) -> Result<Vec<u64>> {
        let query = || -> rusqlite::Result<Vec<u64>> {
            let sql = "SELECT seq FROM record WHERE object = ?1";
            let mut statement = self.transaction.prepare_cached(sql)?;
            let rows = statement.query_map([id.as_bytes()], |row| row.get::<_, i64>(0))?;
            rows.map(|seq| seq.map(|seq| seq as u64)).collect()
        };
        query().map_err(self.store_sql())
    }

    /// Removes a record, and signs for the gap, which joins those beside it.
    fn remove_record(&mut self, seq: u64) -> Result<()> {
        let query = || -> rusqlite::Result<_> {
            let link = "SELECT link FROM record WHERE seq = ?1";
            let link: [u8; 32] = self
                .transaction
                .query_row(link, [seq as i64], |row| row.get(0))?;
            let before = self.gap("last", seq as i64 - 1)?;
            let after = self.gap("first", seq as i64 + 1)?;
            let previous = "SELECT link FROM record WHERE seq = ?1";
            let previous: Option<[u8; 32]> = self
                .transaction
                .query_row(previous, [seq as i64 - 1], |row| row.get(0))
                .optional()?;
            Ok((link, before, after, previous))
        };
        let (link, before, after, previous) = query().map_err(self.store_sql())?;
        let gap = Gap {
            first: before.as_ref().map_or(seq, |gap| gap.first),
            last: after.as_ref().map_or(seq, |gap| gap.last),
            link_before: match &before {
                Some(gap) => gap.link_before,
                None => previous.unwrap_or(START),
            },
            link_after: after.as_ref().map_or(link, |gap| gap.link_after),
        };
        self.execute("DELETE FROM record WHERE seq = ?1", [seq as i64])?;
        for gap in before.iter().chain(&after) {
            self.execute("DELETE FROM gap WHERE first = ?1", [gap.first as i64])?;
        }
        // Within a gap, a checkpoint has nothing left that it could be compared with.
        self.execute("DELETE FROM checkpoint WHERE seq = ?1", [seq as i64])?;
        let signature = self.sign_gap(&gap);
        self.execute(
            "INSERT INTO gap (first, last, link_before, link_after, signature)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                gap.first as i64,
                gap.last as i64,
                gap.link_before,
                gap.link_after,
                signature
            ],
        )
    }

    fn gap(&self, column: &str, seq: i64) -> rusqlite::Result<Option<Gap>> {
        let sql =
            format!("SELECT first, last, link_before, link_after FROM gap WHERE {column} = ?1");
        self.transaction
            .prepare_cached(&sql)?
            .query_row([seq], |row| {
                Ok(Gap {
                    first: row.get::<_, i64>(0)? as u64,
                    last: row.get::<_, i64>(1)? as u64,
                    link_before: row.get(2)?,
                    link_after: row.get(3)?,
                })
            })
            .optional()
    }
}

fn out_of_range() -> Error {
    Error::Invalid {
        what: "age",
        problem: "it is longer than time is".to_owned(),
    }
}
