//! Following what is added.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepwatch_core::events::{EventKind, EventStore, PurgePlan, Store};

use crate::backend;
use crate::common::{create, credential, event};

/// Longer than any of it takes.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn changes_are_all_states_in_order_without_what_was_purged() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn EventStore> = Arc::new(create(dir.path()));
    assert_eq!(store.head().unwrap(), 0);
    assert_eq!(store.changes(0, 10).unwrap(), []);
    let mut states = Vec::new();
    for second in 0..100 {
        let mut one = event("door", EventKind::Motion, second);
        one.ended_at = None;
        store.put(std::slice::from_ref(&one)).unwrap();
        states.push(one.clone());
        one.ended_at = Some(one.started_at);
        store.put(std::slice::from_ref(&one)).unwrap();
        states.push(one);
    }
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let part = store.changes(after, 7).unwrap();
        assert!(part.is_sorted_by(|one, next| one.0 < next.0));
        let Some((last, _)) = part.last() else { break };
        after = *last;
        seen.extend(part.into_iter().map(|(_, event)| event));
    }
    assert_eq!(seen, states);
    assert!(store.head().unwrap() >= after);
    assert_eq!(store.changes(u64::MAX, 10).unwrap(), []);
    assert_eq!(store.changes(0, 0).unwrap(), []);
    // The number of a state that is not the last one is that of no event.
    let numbers: Vec<_> = store
        .changes(0, 2)
        .unwrap()
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    assert_eq!(store.get_numbered(numbers[0]).unwrap(), None);
    assert_eq!(
        store.get_numbered(numbers[1]).unwrap().as_ref(),
        Some(&states[1])
    );
}

#[test]
fn what_was_purged_is_no_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events: Vec<_> = (0..10)
        .map(|second| event("door", EventKind::Motion, second))
        .collect();
    store.put(&events).unwrap();
    let plan = PurgePlan {
        events: events[..5].iter().map(|event| event.id).collect(),
        ..PurgePlan::default()
    };
    store.purge(&plan, "ann", "a test").unwrap();
    let left: Vec<_> = store
        .changes(0, 100)
        .unwrap()
        .into_iter()
        .map(|(_, event)| event)
        .collect();
    assert_eq!(left, events[5..]);
}

/// One thread waits again and again, and the store is written to: nothing may be missed.
fn follow(reader: &Store, writer: &Store) {
    let (start, done) = (reader.head().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let (mut seen, mut found) = (start, Vec::new());
            while found.len() < 50 && !done.load(Ordering::SeqCst) {
                let head = reader.wait(seen, LONG).unwrap();
                assert!(head > seen, "it waited for a minute");
                let changes = reader.changes(seen, usize::MAX).unwrap();
                seen = changes.last().map_or(head, |(last, _)| head.max(*last));
                found.extend(changes.into_iter().map(|(_, event)| event));
            }
            found
        });
        let events: Vec<_> = (0..50)
            .map(|second| event("door", EventKind::Motion, second))
            .collect();
        for one in &events {
            writer.put(std::slice::from_ref(one)).unwrap();
        }
        let found = follower.join().unwrap();
        assert_eq!(found, events);
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn who_waits_sees_what_the_same_store_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    follow(&store, &store);
}

#[test]
fn who_waits_sees_what_another_one_writes() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    let reader = backend::open_read_only(dir.path(), &credential()).unwrap();
    follow(&reader, &writer);
}

#[test]
fn a_wait_for_nothing_ends_when_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    store.put(&[event("door", EventKind::Motion, 0)]).unwrap();
    let head = store.head().unwrap();
    assert_eq!(store.wait(head, Duration::ZERO).unwrap(), head);
    let (start, time) = (Instant::now(), Duration::from_millis(120));
    assert_eq!(store.wait(head, time).unwrap(), head);
    assert!(start.elapsed() >= time);
    assert_eq!(store.wait(0, LONG).unwrap(), head);
}
