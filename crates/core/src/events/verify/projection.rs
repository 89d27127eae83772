//! Whether the lists that are searched say what the records say.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, params};

use super::{FindingKind, VerifyReport};
use crate::events::chain::RecordKind;
use crate::events::labels::labels_of;
use crate::events::model::{Event, EventId, Segment};
use crate::events::sqlite::nanoseconds;

/// So many rows are held at once.
const PAGE: usize = 256;
/// No id of a label comes after this: they have 16 bytes.
const LAST_ID: [u8; 17] = [0xff; 17];

/// Whether the lists of events and segments are what their last records say.
pub(super) fn check(db: &Connection, report: &mut VerifyReport) -> rusqlite::Result<()> {
    for (table, kind) in [
        ("events", RecordKind::Event),
        ("segments", RecordKind::Segment),
    ] {
        let number = kind as i64;
        let mut statement = db.prepare(&format!(
            "SELECT r.subject, max(r.seq) FROM records r LEFT JOIN {table} p ON p.id = r.subject
             WHERE r.kind = {number} AND (p.id IS NULL OR p.seq < r.seq) GROUP BY r.subject"
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0).ok().map(EventId::from_bytes);
            let seq = row.get::<_, i64>(1)?.cast_unsigned();
            let detail = format!("the list of {table} lacks its last record");
            report.find(FindingKind::Projection, seq, id, detail);
        }
        let mut statement = db.prepare(&format!(
            "SELECT p.*, r.body AS body FROM {table} p
             LEFT JOIN records r ON r.seq = p.seq AND r.kind = {number}"
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let fits = match kind {
                RecordKind::Event => event_fits(row),
                _ => segment_fits(row),
            };
            if fits != Some(true) {
                let id = row.get("id").ok().map(EventId::from_bytes);
                let seq = row.get::<_, i64>("seq").ok().map(i64::cast_unsigned);
                let detail = format!("the list of {table} differs from its record");
                report.find(FindingKind::Projection, seq, id, detail);
            }
        }
    }
    check_labels(db, report)
}

/// Labels with the times that they are entered with.
type Labels = BTreeMap<Vec<u8>, BTreeSet<(Vec<u8>, i64)>>;

/// Whether the list of labels has those of the last states of events, and no others.
fn check_labels(db: &Connection, report: &mut VerifyReport) -> rusqlite::Result<()> {
    let mut events = db.prepare(&format!(
        "SELECT e.id, r.body FROM events e LEFT JOIN records r ON r.seq = e.seq AND r.kind = 1
         WHERE e.id > ? ORDER BY e.id LIMIT {PAGE}"
    ))?;
    let mut labels =
        db.prepare("SELECT id, label, started FROM labels WHERE id > ? AND id <= ?")?;
    let mut last = Vec::new();
    loop {
        let page: Vec<(Vec<u8>, Option<Vec<u8>>)> = events
            .query_map([&last], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let done = page.len() < PAGE;
        let to = match page.last() {
            Some((id, _)) if !done => id.clone(),
            _ => LAST_ID.to_vec(),
        };
        let mut expected = Labels::new();
        for (id, body) in page {
            // What has no readable record is a finding already.
            let event = body.and_then(|body| serde_json::from_slice::<Event>(&body).ok());
            let Some(event) = event else { continue };
            let started = nanoseconds(event.started_at);
            let labels = labels_of(&event);
            if !labels.is_empty() {
                let labels = labels
                    .into_iter()
                    .map(|label| (label.into_bytes(), started));
                expected.insert(id, labels.collect());
            }
        }
        let mut found = Labels::new();
        let mut rows = labels.query(params![last, to])?;
        while let Some(row) = rows.next()? {
            let entry = (row.get(1)?, row.get(2)?);
            found.entry(row.get(0)?).or_default().insert(entry);
        }
        let ids: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
        for id in ids {
            if expected.get(id) != found.get(id) {
                let id = id[..].try_into().ok().map(EventId::from_bytes);
                let detail = "the list of labels differs from the event";
                report.find(FindingKind::Projection, None, id, detail);
            }
        }
        if done {
            return Ok(());
        }
        last = to;
    }
}

fn event_fits(row: &Row<'_>) -> Option<bool> {
    let body: Vec<u8> = row.get("body").ok()?;
    let event: Event = serde_json::from_slice(&body).ok()?;
    Some(
        row.get::<_, [u8; 16]>("id").ok()? == *event.id.as_bytes()
            && row.get::<_, String>("camera").ok()? == event.camera
            && row.get::<_, String>("kind").ok()? == event.kind.name()
            && row.get::<_, i64>("started").ok()? == nanoseconds(event.started_at)
            && row.get::<_, Option<i64>>("ended").ok()? == event.ended_at.map(nanoseconds),
    )
}

fn segment_fits(row: &Row<'_>) -> Option<bool> {
    let body: Vec<u8> = row.get("body").ok()?;
    let segment: Segment = serde_json::from_slice(&body).ok()?;
    Some(
        row.get::<_, [u8; 16]>("id").ok()? == *segment.id.as_bytes()
            && row.get::<_, String>("camera").ok()? == segment.camera
            && row.get::<_, i64>("started").ok()? == nanoseconds(segment.media.started_at)
            && row.get::<_, i64>("ended").ok()? == nanoseconds(segment.ended_at)
            && row.get::<_, i64>("bytes").ok()? == segment.media.bytes.cast_signed(),
    )
}
