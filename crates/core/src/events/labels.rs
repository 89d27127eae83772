//! What was seen in events, as it is searched for.

use std::collections::BTreeSet;

use super::chain::RecordKind;
use super::database::{Connection, Value};
use super::model::Event;
use super::store::nanoseconds;
use crate::error::Result;

/// What comes after so many characters of a prefix does not count.
pub(super) const MAX_PREFIX: usize = 24;
/// So many events are named in one statement at most.
const IDS: usize = 64;
/// So many events are held at once when labels are filled in.
const PAGE: usize = 256;

/// A label as it is compared: Unicode lower case, without blanks and hyphens.
///
/// `B-AB 1234` and `bab1234` are the same.
pub fn fold_label(label: &str) -> String {
    label
        .chars()
        .filter(|char| !char.is_whitespace() && !is_hyphen(*char))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Those that are written between the parts of a word or number, the soft one among them.
fn is_hyphen(char: char) -> bool {
    matches!(char, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The labels of an event, folded, each once.
pub(super) fn labels_of(event: &Event) -> BTreeSet<String> {
    let labels = event
        .observations
        .iter()
        .map(|seen| fold_label(&seen.label));
    labels.filter(|label| !label.is_empty()).collect()
}

/// What is entered for an event.
pub(super) fn terms_of(db: &Connection, event: &Event) -> BTreeSet<Vec<u8>> {
    let labels = labels_of(event);
    labels.iter().flat_map(|label| db.terms(label)).collect()
}

/// Puts the labels of events in the place of those of their earlier states.
pub(super) fn store(db: &Connection, events: &[&Event]) -> Result<()> {
    for events in events.chunks(IDS) {
        let ids: Vec<Value> = events
            .iter()
            .map(|event| event.id.as_bytes().to_vec().into())
            .collect();
        let places = vec!["?"; ids.len()].join(", ");
        db.execute(&format!("DELETE FROM labels WHERE id IN ({places})"), &ids)?;
    }
    let mut rows = Vec::new();
    for event in events {
        let (id, started) = (event.id.as_bytes(), nanoseconds(event.started_at));
        let row = |term: Vec<u8>| [id.to_vec().into(), term.into(), started.into()];
        rows.extend(terms_of(db, event).into_iter().map(row));
    }
    db.insert("labels (id, label, started)", rows, "")
}

/// Removes the labels of an event.
pub(super) fn remove(db: &Connection, id: &[u8; 16]) -> Result<()> {
    db.execute("DELETE FROM labels WHERE id = ?", &[id.to_vec().into()])
        .map(drop)
}

/// Enters the labels of all events, for a database that has none yet.
pub(super) fn fill(db: &Connection) -> Result<()> {
    let mut last = Vec::new();
    loop {
        let page = db.query(
            &format!(
                "SELECT e.id, r.seq, r.body FROM events e JOIN records r ON r.seq = e.seq
                 WHERE e.id > ? ORDER BY e.id LIMIT {PAGE}"
            ),
            &[last.into()],
        )?;
        let done = page.len() < PAGE;
        last = Vec::new();
        for mut row in page {
            last = row.blob(0)?.to_vec();
            let body = row.take(2);
            let body = db.body(row.number(1)?, RecordKind::Event, body)?;
            // What cannot be read is found by a verification, and does not keep the rest away.
            if let Ok(event) = serde_json::from_slice(&body) {
                store(db, &[&event])?;
            }
        }
        if done {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use jiff::Timestamp;
    use keepwatch_crypto::{Credential, Key, Lock};

    use super::*;
    use crate::events::database::Mode;
    use crate::events::{
        EventFilter, EventId, EventKind, EventStore, Observation, Store, StoreOptions, StoreRole,
        VerifyOptions,
    };

    #[test]
    fn a_store_without_labels_gets_them_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::from_bytes([42; 32]);
        let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
        let store = Store::create(dir.path(), &locks, &StoreOptions::default()).unwrap();
        let at = Timestamp::from_second(1_764_050_000).unwrap();
        let events: Vec<_> = (0..1000)
            .map(|index| Event {
                id: EventId::new(at).unwrap(),
                camera: "door".to_owned(),
                kind: EventKind::PlateRead,
                started_at: at,
                ended_at: None,
                observations: vec![Observation {
                    at,
                    label: format!("B-AB {index}"),
                    score: 0.5,
                    region: None,
                    track: None,
                }],
                snapshot: None,
                clip: None,
                reason: None,
                details: None,
            })
            .collect();
        store.put(&events).unwrap();
        let db = store.database.connect(Mode::Write).unwrap();
        db.file()
            .unwrap()
            .batch("DROP TABLE labels; DROP INDEX events_kind; PRAGMA user_version = 2;")
            .unwrap();
        drop((db, store));
        let store = Store::open(dir.path(), &Credential::KeyFile(key)).unwrap();
        let filter = EventFilter {
            labels: vec!["bab 777".to_owned()],
            ..EventFilter::default()
        };
        assert_eq!(store.list(&filter).unwrap(), events[777..778]);
        let report = store.verify(&VerifyOptions::default()).unwrap();
        assert_eq!(report.findings, []);
    }

    #[test]
    fn blanks_hyphens_and_case_do_not_count() {
        for (label, folded) in [
            ("B-AB 1234", "bab1234"),
            ("Zoë  Müller-Łuka", "zoëmüllerłuka"),
            ("A\u{2011}B\u{2013}C\u{ad}D\u{a0}E", "abcde"),
            ("ΣΑΣ", "σασ"),
            (" - ", ""),
        ] {
            assert_eq!(fold_label(label), folded);
        }
    }
}
