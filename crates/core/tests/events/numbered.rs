//! Events by number, and what programs say of them.

use keepwatch_core::Error;
use keepwatch_core::events::{EventFilter, EventKind, EventStore, PurgePlan, VerifyOptions};

use crate::common::{create, event, reopen};

#[test]
fn numbers_grow_and_stay_whatever_is_purged() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events: Vec<_> = (0..100)
        .map(|index| event("door", EventKind::FaceMatch, index))
        .collect();
    let numbers: Vec<u64> = store
        .put_new(&events)
        .unwrap()
        .into_iter()
        .map(Option::unwrap)
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let plan = PurgePlan {
        events: events[..50].iter().map(|event| event.id).collect(),
        ..PurgePlan::default()
    };
    store.purge(&plan, "test", "test").unwrap();
    store.close().unwrap();

    let store = reopen(dir.path());
    assert_eq!(store.get_numbered(numbers[0]).unwrap(), None);
    let kept = events[50..].iter().zip(&numbers[50..]);
    for (event, number) in kept.clone() {
        assert_eq!(store.get_numbered(*number).unwrap().as_ref(), Some(event));
    }
    let filter = EventFilter {
        oldest_first: true,
        ..EventFilter::default()
    };
    let expected: Vec<_> = kept
        .map(|(event, number)| (*number, event.clone()))
        .collect();
    assert_eq!(store.list_numbered(&filter).unwrap(), expected);
    // Neither the number of a checkpoint nor one that no record can have.
    assert_eq!(store.get_numbered(1 << 40).unwrap(), None);
    assert_eq!(store.get_numbered(u64::MAX).unwrap(), None);
    let last = store.put_new(&[event("door", EventKind::FaceMatch, 200)]);
    assert!(last.unwrap()[0] > numbers.last().copied());
    let report = store.verify(&VerifyOptions::default()).unwrap();
    assert!(report.findings.is_empty(), "{report:?}");
}

#[test]
fn what_is_there_is_not_put_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let (old, new) = (
        event("door", EventKind::PlateRead, 0),
        event("door", EventKind::PlateRead, 1),
    );
    store.put(std::slice::from_ref(&old)).unwrap();
    let mut changed = old.clone();
    changed.camera = "yard".to_owned();
    let numbers = store.put_new(&[changed, new.clone()]).unwrap();
    assert_eq!(numbers[0], None);
    assert_eq!(store.get(old.id).unwrap(), Some(old));
    assert_eq!(store.get_numbered(numbers[1].unwrap()).unwrap(), Some(new));
    let mut nameless = event("", EventKind::PlateRead, 2);
    assert!(matches!(
        store.put_new(std::slice::from_ref(&nameless)).unwrap_err(),
        Error::Invalid { what: "camera", .. }
    ));
    nameless.camera = "door".to_owned();
    nameless.observations[0].score = f32::NAN;
    assert!(store.put_new(&[nameless]).is_err());
}

#[test]
fn details_come_out_to_the_last_bit() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let mut seen = event("door", EventKind::FaceMatch, 0);
    // Read without care, the first ends with another digit.
    let numbers = [0.123_456_789_012_345_67, 0.1 + 0.2, 1e-300, f64::MAX];
    seen.details = Some(Box::new(
        serde_json::json!({ "numbers": numbers, "text": "Ä" }),
    ));
    store.put(std::slice::from_ref(&seen)).unwrap();
    assert_eq!(store.get(seen.id).unwrap(), Some(seen));
}

#[test]
fn the_first_number_stays_whatever_states_follow() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    // More than are looked up by one statement.
    let events: Vec<_> = (0..1200)
        .map(|index| event("door", EventKind::FaceMatch, index))
        .collect();
    let first = store.put_new(&events).unwrap();
    let first: Vec<u64> = first.into_iter().map(Option::unwrap).collect();
    store.put(&events[..50]).unwrap();
    let missing = event("door", EventKind::FaceMatch, 0).id;
    // In any order, repeated, and with one that is not there.
    let mut ids: Vec<_> = events.iter().rev().map(|event| event.id).collect();
    let mut expected: Vec<u64> = first.iter().rev().copied().collect();
    ids.extend([missing, events[7].id]);
    expected.extend([0, first[7]]);
    assert_eq!(store.first_numbers(&ids).unwrap(), expected);
    assert_ne!(store.number_of(events[7].id).unwrap(), Some(first[7]));
    assert!(store.first_numbers(&[]).unwrap().is_empty());
}
