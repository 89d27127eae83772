//! Whether the lists that are searched say what the records say.

use std::collections::{BTreeMap, BTreeSet};

use super::pages::{PAGE, Pages};
use super::{FindingKind, VerifyReport};
use crate::error::Result;
use crate::events::chain::RecordKind;
use crate::events::database::{Connection, Row, Value};
use crate::events::labels::terms_of;
use crate::events::model::{Event, EventId, Segment};
use crate::events::store::nanoseconds;

/// No id of a label comes after this: they have 16 bytes.
const LAST_ID: [u8; 17] = [0xff; 17];

/// Whether the lists of events and segments are what their last records say.
pub(super) fn check(db: &Connection, report: &mut VerifyReport) -> Result<()> {
    check_last(db, "events", RecordKind::Event, report)?;
    check_last(db, "segments", RecordKind::Segment, report)?;
    check_events(db, report)?;
    check_segments(db, report)
}

/// Whether the list has the last record of each.
fn check_last(
    db: &Connection,
    table: &str,
    kind: RecordKind,
    report: &mut VerifyReport,
) -> Result<()> {
    let number = kind as i64;
    let text = format!(
        "SELECT r.subject, max(r.seq) FROM records r LEFT JOIN {table} p ON p.id = r.subject
         WHERE r.kind = {number} AND (p.id IS NULL OR p.seq < r.seq)
         AND (r.subject {{after}} ? OR r.subject IS NULL)
         GROUP BY r.subject ORDER BY r.subject LIMIT {PAGE}"
    );
    let mut pages = Pages::new(Value::Blob(Vec::new()));
    while let Some(page) = pages.next(db, &text)? {
        for row in page {
            let detail = format!("the list of {table} lacks its last record");
            report.find(
                FindingKind::Projection,
                row.number(1)?,
                row.id(0).ok(),
                detail,
            );
        }
    }
    Ok(())
}

fn differs(row: &Row, seq: usize, table: &str, report: &mut VerifyReport) {
    let detail = format!("the list of {table} differs from its record");
    let seq = row.number(seq).ok();
    report.find(FindingKind::Projection, seq, row.id(0).ok(), detail);
}

/// What the record of a row says; none if it is not readable.
fn body_of<T: serde::de::DeserializeOwned>(
    db: &Connection,
    kind: RecordKind,
    row: &mut Row,
    (seq, body): (usize, usize),
) -> Option<T> {
    let body = row.take(body);
    let body = db.body(row.number(seq).ok()?, kind, body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn check_segments(db: &Connection, report: &mut VerifyReport) -> Result<()> {
    let text = format!(
        "SELECT p.id, p.camera, p.started, p.ended, p.bytes, p.seq, r.body FROM segments p
         LEFT JOIN records r ON r.seq = p.seq AND r.kind = 2
         WHERE p.id {{after}} ? ORDER BY p.id LIMIT {PAGE}"
    );
    let mut pages = Pages::new(Value::Blob(Vec::new()));
    while let Some(page) = pages.next(db, &text)? {
        for mut row in page {
            let segment = body_of(db, RecordKind::Segment, &mut row, (5, 6));
            let fits = segment.and_then(|segment| segment_fits(&row, &segment));
            if fits != Some(true) {
                differs(&row, 5, "segments", report);
            }
        }
    }
    Ok(())
}

/// Labels with the times that they are entered with.
type Labels = BTreeMap<Vec<u8>, BTreeSet<(Vec<u8>, i64)>>;

/// Whether the list of events has their last states, and that of labels what was seen in them, and
/// nothing else.
fn check_events(db: &Connection, report: &mut VerifyReport) -> Result<()> {
    let text = format!(
        "SELECT p.id, p.camera, p.kind, p.started, p.ended, p.seq, r.body FROM events p
         LEFT JOIN records r ON r.seq = p.seq AND r.kind = 1
         WHERE p.id {{after}} ? ORDER BY p.id LIMIT {PAGE}"
    );
    let mut pages = Pages::new(Value::Blob(Vec::new()));
    loop {
        let from = pages.last.clone();
        let Some(page) = pages.next(db, &text)? else {
            return Ok(());
        };
        let to = match pages.done {
            true => LAST_ID.to_vec().into(),
            false => pages.last.clone(),
        };
        let mut labels = Labels::new();
        for mut row in page {
            let event: Option<Event> = body_of(db, RecordKind::Event, &mut row, (5, 6));
            let fits = event.as_ref().and_then(|event| event_fits(&row, event));
            if fits != Some(true) {
                differs(&row, 5, "events", report);
            }
            if let Some(event) = event
                && let Ok(id) = row.blob(0)
            {
                let started = nanoseconds(event.started_at);
                let terms = terms_of(db, &event);
                if !terms.is_empty() {
                    let terms = terms.into_iter().map(|term| (term, started));
                    labels.insert(id.to_vec(), terms.collect());
                }
            }
        }
        check_labels(db, from, to, &labels, report)?;
    }
}

fn check_labels(
    db: &Connection,
    from: Value,
    to: Value,
    expected: &Labels,
    report: &mut VerifyReport,
) -> Result<()> {
    let text = "SELECT id, label, started FROM labels WHERE id > ? AND id <= ?";
    let mut found = Labels::new();
    for row in db.query(text, &[from, to])? {
        let entry = (row.blob(1)?.to_vec(), row.integer(2)?);
        found
            .entry(row.blob(0)?.to_vec())
            .or_default()
            .insert(entry);
    }
    let ids: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for id in ids {
        if expected.get(id) != found.get(id) {
            let id = id[..].try_into().ok().map(EventId::from_bytes);
            let detail = "the list of labels differs from the event";
            report.find(FindingKind::Projection, None, id, detail);
        }
    }
    Ok(())
}

fn event_fits(row: &Row, event: &Event) -> Option<bool> {
    Some(
        row.id(0).ok()? == event.id
            && row.text(1).ok()? == event.camera
            && row.text(2).ok()? == event.kind.name()
            && row.integer(3).ok()? == nanoseconds(event.started_at)
            && row.optional_integer(4).ok()? == event.ended_at.map(nanoseconds),
    )
}

fn segment_fits(row: &Row, segment: &Segment) -> Option<bool> {
    Some(
        row.id(0).ok()? == segment.id
            && row.text(1).ok()? == segment.camera
            && row.integer(2).ok()? == nanoseconds(segment.media.started_at)
            && row.integer(3).ok()? == nanoseconds(segment.ended_at)
            && row.integer(4).ok()? == segment.media.bytes.cast_signed(),
    )
}
