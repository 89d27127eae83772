//! What was seen in events, as it is searched for.

use std::collections::BTreeSet;

use rusqlite::{Connection, params, params_from_iter, types::Value};

use super::model::Event;
use super::sqlite::nanoseconds;

/// So many rows are added by one statement at most.
const ROWS: usize = 16;

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

/// No UTF-8 text with the prefix comes after this.
pub(super) fn after_prefix(folded: &str) -> Vec<u8> {
    [folded.as_bytes(), &[0xff]].concat()
}

/// Puts the labels of an event in the place of those of its earlier state.
pub(super) fn store(tx: &Connection, event: &Event) -> rusqlite::Result<()> {
    let id = event.id.as_bytes();
    remove(tx, id)?;
    let started = nanoseconds(event.started_at);
    let labels: Vec<String> = labels_of(event).into_iter().collect();
    for labels in labels.chunks(ROWS) {
        let rows = vec!["(?, ?, ?)"; labels.len()].join(", ");
        let values = labels.iter().flat_map(|label| {
            let label = label.clone().into_bytes();
            [
                Value::from(id.to_vec()),
                Value::from(label),
                Value::from(started),
            ]
        });
        tx.prepare_cached(&format!("INSERT INTO labels VALUES {rows}"))?
            .execute(params_from_iter(values))?;
    }
    Ok(())
}

/// Removes the labels of an event.
pub(super) fn remove(tx: &Connection, id: &[u8; 16]) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM labels WHERE id = ?")?
        .execute(params![id])?;
    Ok(())
}

/// Enters the labels of all events, for a database that has none yet.
pub(super) fn fill(tx: &Connection) -> rusqlite::Result<()> {
    let mut statement =
        tx.prepare("SELECT r.body FROM events e JOIN records r ON r.seq = e.seq ORDER BY e.id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(0)?;
        // What cannot be read is found by a verification, and does not keep the rest away.
        if let Ok(event) = serde_json::from_slice(&body) {
            store(tx, &event)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use jiff::Timestamp;
    use keepwatch_crypto::{Credential, Key, Lock};
    use proptest::prelude::*;

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
        db.execute_batch("DROP TABLE labels; DROP INDEX events_kind; PRAGMA user_version = 2;")
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

    proptest! {
        #[test]
        fn what_begins_alike_lies_together(label in ".{0,12}", cut in 0_usize..12, other in ".{0,12}") {
            let prefix: String = label.chars().take(cut).collect();
            let prefix = fold_label(&prefix);
            let inside = |text: &str| {
                let bytes = text.as_bytes();
                bytes >= prefix.as_bytes() && bytes < &after_prefix(&prefix)[..]
            };
            prop_assert!(inside(&fold_label(&label)));
            let other = fold_label(&other);
            prop_assert_eq!(inside(&other), other.starts_with(&prefix));
        }
    }
}
