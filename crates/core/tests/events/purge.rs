//! What goes and what stays.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use keepwatch_core::events::{
    EventFilter, EventKind, EventStore, MediaKind, RetentionPolicy, Store, VerifyOptions,
};
use keepwatch_core::jiff::{SignedDuration, Timestamp};

use crate::common::{at, create, event, media, segment};

fn older_than(seconds: i64) -> RetentionPolicy {
    RetentionPolicy {
        events_max_age: Some(SignedDuration::from_secs(seconds)),
        ..RetentionPolicy::default()
    }
}

fn check(store: &Store) -> u64 {
    let options = VerifyOptions {
        media: true,
        expect: None,
    };
    let report = store.verify(&options).unwrap();
    assert_eq!(report.findings, []);
    report.gaps
}

#[test]
fn old_events_go_with_their_files_and_the_rest_stays_proven() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let mut events = Vec::new();
    for second in 0..200 {
        let mut one = event("door", EventKind::Motion, second);
        one.ended_at = None;
        store.put(std::slice::from_ref(&one)).unwrap();
        if second != 5 {
            one.ended_at = Some(at(second + 1));
        }
        if second % 50 == 0 {
            one.clip = Some(media(&store, MediaKind::Clip, &one, b"clip"));
        }
        store.put(std::slice::from_ref(&one)).unwrap();
        events.push(one);
    }
    let plan = store.plan_purge(&older_than(100), at(201)).unwrap();
    assert_eq!(
        plan.events.len(),
        99,
        "all that ended before second 101 but the open one"
    );
    assert!(!plan.events.contains(&events[5].id));
    let report = store.purge(&plan, "ann", "older than 100 s").unwrap();
    assert_eq!((report.events, report.files), (99, 2));
    let gone = dir.path().join(&events[0].clip.as_ref().unwrap().path);
    assert!(!gone.exists());

    let filter = EventFilter {
        oldest_first: true,
        ..EventFilter::default()
    };
    let left = store.list(&filter).unwrap();
    let expected = [5]
        .into_iter()
        .chain(100..200)
        .map(|index| events[index].clone());
    assert_eq!(left, expected.collect::<Vec<_>>());
    // On both sides of the open event.
    assert_eq!(check(&store), 2);
    let log = store.audit_log(&Default::default()).unwrap();
    assert_eq!(
        (log[0].action.as_str(), log[0].actor.as_str()),
        ("purge", "ann")
    );

    // What is gone once is not there to go again.
    assert_eq!(
        store.purge(&plan, "ann", "again").unwrap(),
        Default::default()
    );
}

#[test]
fn gaps_that_touch_become_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events: Vec<_> = (0..300)
        .map(|second| event("door", EventKind::Motion, second))
        .collect();
    store.put(&events).unwrap();
    let purge = |from: i64, to: i64| {
        let mut policy = older_than(0);
        policy.filter.since = Some(at(from));
        policy.filter.until = Some(at(to));
        let plan = store.plan_purge(&policy, at(1000)).unwrap();
        assert_eq!(plan.events.len(), (to - from) as usize);
        store.purge(&plan, "ann", "a part").unwrap();
        check(&store)
    };
    assert_eq!(purge(50, 100), 1);
    assert_eq!(purge(150, 200), 2);
    // Between them, and then what is before and after.
    assert_eq!(purge(100, 150), 1);
    assert_eq!(purge(0, 50), 1);
    assert_eq!(purge(200, 210), 1);
    assert_eq!(purge(220, 230), 2);
}

#[test]
fn the_oldest_segments_go_until_the_rest_fits() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let mut segments = Vec::new();
    for index in 0..10 {
        let one = segment(&store, "door", index * 10, &[0; 1000]);
        store.put_segment(&one).unwrap();
        segments.push(one);
    }
    let each = segments[0].media.bytes;
    let policy = RetentionPolicy {
        segments_max_bytes: Some(each * 4 + each / 2),
        segments_max_age: Some(SignedDuration::from_secs(75)),
        ..RetentionPolicy::default()
    };
    // Of these 4 fit, and of them one is too old.
    let plan = store.plan_purge(&policy, at(146)).unwrap();
    let old: Vec<_> = segments[..7].iter().map(|segment| segment.id).collect();
    assert_eq!(plan.segments, old);
    assert_eq!(plan.segment_bytes, 7 * each);
    let report = store.purge(&plan, "ann", "room").unwrap();
    assert_eq!((report.segments, report.files), (7, 7));
    let filter = EventFilter {
        oldest_first: true,
        ..EventFilter::default()
    };
    assert_eq!(store.list_segments(&filter).unwrap(), segments[7..]);
    check(&store);
}

#[test]
fn without_limits_nothing_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    store.put(&[event("door", EventKind::Motion, 0)]).unwrap();
    let plan = store
        .plan_purge(&RetentionPolicy::default(), Timestamp::now())
        .unwrap();
    assert_eq!(plan, Default::default());
}

#[test]
fn the_sweep_takes_old_files_without_an_event_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let mut known = event("door", EventKind::Motion, 0);
    let orphan = event("door", EventKind::Motion, 10);
    let young = event("door", EventKind::Motion, 20);
    known.clip = Some(media(&store, MediaKind::Clip, &known, b"known"));
    store.put(std::slice::from_ref(&known)).unwrap();
    let paths: Vec<_> = [&orphan, &young]
        .map(|of| media(&store, MediaKind::Clip, of, b"orphan").path)
        .map(|path| dir.path().join(path))
        .into();
    let known = dir.path().join(known.clip.unwrap().path);
    let part = format!("{}.part", paths[0].display());
    fs::write(&part, b"being written").unwrap();
    let days_ago = SystemTime::now() - Duration::from_secs(3 * 86400);
    for path in [&known, &paths[0], &part.as_str().into()] {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(days_ago).unwrap();
    }
    // An event that began before all of them has not ended.
    let mut open = event("yard", EventKind::Motion, -1000);
    open.ended_at = None;
    store.put(std::slice::from_ref(&open)).unwrap();
    assert_eq!(store.sweep_orphans(Timestamp::now()).unwrap(), 0);
    open.ended_at = Some(at(0));
    store.put(&[open]).unwrap();
    assert_eq!(store.sweep_orphans(Timestamp::now()).unwrap(), 1);
    assert!(known.exists() && paths[1].exists() && fs::exists(part).unwrap());
    assert!(!paths[0].exists());
}
