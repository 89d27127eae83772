use std::io::Write;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use keepwatch_crypto::{Key, Lock};
use rusqlite::{Connection as Sqlite, params};

use super::*;
use crate::events::event_store::EventStore;
use crate::events::model::{EventKind, MediaKind, Observation};
use crate::events::store::StoreOptions;
use crate::events::{RetentionPolicy, StoreRole};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_764_050_000 + seconds).unwrap()
}

/// A store with everything in it: several states, segments, audit entries, checkpoints, two gaps.
fn store(dir: &Path) -> Store {
    let key = Key::from_bytes([42; 32]);
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    let store = Store::create(dir, &locks, &StoreOptions::default()).unwrap();
    for seconds in 0..40 {
        let mut event = Event {
            id: EventId::new(at(seconds)).unwrap(),
            camera: "door".to_owned(),
            kind: EventKind::ALL[seconds as usize % EventKind::ALL.len()],
            started_at: at(seconds),
            ended_at: None,
            observations: vec![Observation {
                at: at(seconds),
                label: ["Person", "B-AB 12"][seconds as usize % 2].to_owned(),
                score: 0.5,
                region: None,
                track: None,
            }],
            snapshot: None,
            clip: None,
            reason: None,
            details: None,
        };
        if seconds % 10 == 0 {
            let media = store.media();
            let kind = MediaKind::Snapshot;
            let mut writer = media.create(kind, "door", at(seconds), event.id).unwrap();
            writer.write_all(b"picture").unwrap();
            event.snapshot = Some(writer.finish(0).unwrap());
            let media = event.snapshot.clone().unwrap();
            let segment = Segment {
                id: EventId::new(at(seconds)).unwrap(),
                camera: "door".to_owned(),
                ended_at: at(seconds + 1),
                media,
            };
            store.put_segment(&segment).unwrap();
            store.audit("ann", "look", seconds.into()).unwrap();
        }
        store.put(std::slice::from_ref(&event)).unwrap();
        if seconds % 7 != 3 {
            event.ended_at = Some(at(seconds + 1));
            store.put(&[event]).unwrap();
        }
    }
    for (from, to) in [(1, 3), (11, 14)] {
        let mut policy = RetentionPolicy {
            events_max_age: Some(SignedDuration::ZERO),
            ..RetentionPolicy::default()
        };
        policy.filter.since = Some(at(from));
        policy.filter.until = Some(at(to));
        let plan = store.plan_purge(&policy, at(1000)).unwrap();
        assert!(!plan.events.is_empty());
        store.purge(&plan, "ann", "a test").unwrap();
    }
    store
}

fn verified(store: &Store, db: &Connection, expect: (u64, Link)) -> VerifyReport {
    let options = VerifyOptions {
        media: false,
        expect: Some(expect),
    };
    store.verify_in(db, &options).unwrap()
}

/// Other values for a column, of all kinds.
fn others(value: &Value) -> Vec<Value> {
    let mut others = vec![Value::Null];
    match value {
        Value::Integer(number) => {
            others.extend([number + 1, number - 1, 0, -1, i64::MAX].map(Value::Integer));
        }
        Value::Text(text) => {
            others.extend([String::new(), format!("{text}x")].map(Value::Text));
        }
        Value::Blob(bytes) => {
            for index in [0, bytes.len() / 2, bytes.len() - 1] {
                let mut changed = bytes.clone();
                changed[index] ^= 1;
                others.push(Value::Blob(changed));
            }
            others.push(Value::Blob(bytes[1..].to_vec()));
            others.push(Value::Blob([&bytes[..], b" "].concat()));
            others.push(Value::Blob(Vec::new()));
        }
        Value::Null => others = vec![Value::Integer(1), Value::Blob(vec![1; 16])],
        Value::Real(_) => unreachable!("no column is of this type"),
    }
    others.retain(|other| other != value);
    others
}

/// What the store has, for tests to change it.
fn raw(db: &Connection) -> &Sqlite {
    &db.file().unwrap().db
}

fn rows(db: &Sqlite, table: &str) -> (Vec<String>, Vec<Vec<Value>>) {
    let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let names: Vec<String> = statement
        .column_names()
        .map(|name| name.to_string())
        .collect();
    let rows = statement
        .query_map([], |row| {
            (0..names.len()).map(|index| row.get(index)).collect()
        })
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    (names, rows)
}

#[test]
fn every_change_of_every_column_of_every_table_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let good = store.verify(&VerifyOptions::default()).unwrap();
    assert_eq!(good.findings, []);
    assert!(
        good.gaps >= 2 && good.checkpoints >= 2 && good.purged > 4,
        "{good:?}"
    );
    let expect = (good.head_seq, good.head_link);

    let db = store.database.connect(Mode::Write).unwrap();
    let mut tried = 0;
    for table in ["records", "gaps", "events", "segments", "labels"] {
        let (names, rows) = rows(raw(&db), table);
        assert!(!rows.is_empty());
        // Of the many alike, the first and last and some between.
        let step = rows.len() / 6 + 1;
        let picked = rows.iter().step_by(step).chain(rows.last());
        for row in picked {
            let key = &names[0];
            for (column, value) in names.iter().zip(row) {
                for other in others(value) {
                    let tx = raw(&db).unchecked_transaction().unwrap();
                    // Of the tests' events each has one label.
                    let sql = format!("UPDATE {table} SET {column} = ? WHERE {key} = ?");
                    // What the schema refuses needs not be found.
                    if let Ok(changed) = tx.execute(&sql, params![other, row[0]]) {
                        assert_eq!(changed, 1);
                        tried += 1;
                        let report = verified(&store, &db, expect);
                        assert!(!report.is_ok(), "{table}.{column} of {row:?} = {other:?}");
                    }
                    tx.rollback().unwrap();
                }
            }
            let tx = raw(&db).unchecked_transaction().unwrap();
            let sql = format!("DELETE FROM {table} WHERE {key} = ?");
            assert_eq!(tx.execute(&sql, [&row[0]]).unwrap(), 1);
            assert!(
                !verified(&store, &db, expect).is_ok(),
                "{table}: {row:?} removed"
            );
            tx.rollback().unwrap();
        }
        // A row that was not there, like one that is.
        let tx = raw(&db).unchecked_transaction().unwrap();
        let mut more = rows.last().unwrap().clone();
        more[0] = match &more[0] {
            Value::Integer(number) => Value::Integer(number + 1),
            _ => Value::Blob(vec![9; 16]),
        };
        let places = vec!["?"; more.len()].join(", ");
        let sql = format!("INSERT INTO {table} VALUES ({places})");
        tx.execute(&sql, rusqlite::params_from_iter(more)).unwrap();
        assert!(
            !verified(&store, &db, expect).is_ok(),
            "{table}: a row more"
        );
        tx.rollback().unwrap();
    }
    assert!(tried > 200, "{tried}");
    assert!(verified(&store, &db, expect).is_ok());
}

#[test]
fn records_that_changed_places_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let good = store.verify(&VerifyOptions::default()).unwrap();
    let expect = (good.head_seq, good.head_link);
    let db = store.database.connect(Mode::Write).unwrap();
    let last = good.head_seq.cast_signed();
    for (one, other) in [(last, last - 1), (last - 1, last - 2), (last, last - 5)] {
        for columns in [
            "kind, subject, salt, digest, link, body",
            "kind, subject, salt, digest, body",
            "salt, body",
            "link",
        ] {
            let tx = raw(&db).unchecked_transaction().unwrap();
            tx.execute_batch(
                &format!(
                    "CREATE TEMP TABLE old AS SELECT * FROM records;
                 UPDATE records SET ({columns}) = (SELECT {columns} FROM old WHERE seq = {other})
                 WHERE seq = {one};
                 UPDATE records SET ({columns}) = (SELECT {columns} FROM old WHERE seq = {one})
                 WHERE seq = {other};"
                )
                .replace("SET (link) = (", "SET link = ("),
            )
            .unwrap();
            assert!(!verified(&store, &db, expect).is_ok(), "{columns}");
            tx.rollback().unwrap();
        }
    }
}

#[test]
fn a_chain_written_anew_without_the_key_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let db = store.database.connect(Mode::Write).unwrap();
    let tx = raw(&db).unchecked_transaction().unwrap();
    // Everything from one audit entry on is linked anew, as anybody could do who has the database.
    let seq: i64 = tx
        .query_row("SELECT min(seq) FROM records WHERE kind = 3", [], |row| {
            row.get(0)
        })
        .unwrap();
    let mut before: Link = tx
        .query_row("SELECT link FROM records WHERE seq = ? - 1", [seq], |row| {
            row.get(0)
        })
        .unwrap();
    let (_, rows) = rows(&tx, "records");
    for row in rows {
        let [
            Value::Integer(number),
            Value::Integer(kind),
            _,
            Value::Blob(salt),
            _,
            _,
            Value::Blob(body),
        ] = &row[..]
        else {
            unreachable!()
        };
        if *number < seq {
            continue;
        }
        let body = match *number == seq {
            true => {
                br#"{"at":"2025-11-25T06:00:00Z","actor":"nobody","action":"nothing"}"#.to_vec()
            }
            false => body.clone(),
        };
        let kind = RecordKind::from_number(*kind).unwrap();
        let digest = store
            .chain
            .digest(salt[..].try_into().unwrap(), kind, &body);
        before = store.chain.link(&before, number.cast_unsigned(), &digest);
        tx.execute(
            "UPDATE records SET body = ?, digest = ?, link = ? WHERE seq = ?",
            params![body, digest, before, number],
        )
        .unwrap();
    }
    let report = store.verify_in(&db, &VerifyOptions::default()).unwrap();
    let signature = |finding: &&Finding| finding.kind == FindingKind::Signature;
    assert!(report.findings.iter().any(|finding| signature(&finding)));
}

#[test]
fn a_cut_end_is_found_by_the_expected_head() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    store.audit("ann", "look", serde_json::Value::Null).unwrap();
    let good = store.verify(&VerifyOptions::default()).unwrap();
    let db = store.database.connect(Mode::Write).unwrap();
    let tx = raw(&db).unchecked_transaction().unwrap();
    let head = good.head_seq.cast_signed();
    tx.execute("DELETE FROM records WHERE seq = ?", [head])
        .unwrap();
    let report = verified(&store, &db, (good.head_seq, good.head_link));
    let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::Truncated]);
    assert_eq!(report.head_seq, good.head_seq - 1);
}

#[test]
fn missing_changed_and_incomplete_media_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let events = store.list(&Default::default()).unwrap();
    let paths: Vec<_> = events
        .iter()
        .filter_map(|event| event.snapshot.clone())
        .map(|media| dir.path().join(media.path))
        .collect();
    let verify = |media| {
        let options = VerifyOptions {
            media,
            expect: None,
        };
        let report = store.verify(&options).unwrap();
        let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
        kinds
    };
    assert_eq!(verify(true), []);
    let good = std::fs::read(&paths[0]).unwrap();
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&paths[0], changed).unwrap();
    assert_eq!(verify(false), []);
    assert_eq!(verify(true), [FindingKind::MediaChanged; 2]);
    std::fs::write(&paths[0], &good[1..]).unwrap();
    assert_eq!(verify(false), [FindingKind::MediaChanged; 2]);
    std::fs::remove_file(&paths[0]).unwrap();
    assert_eq!(verify(false), [FindingKind::MediaMissing; 2]);
}
