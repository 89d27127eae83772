//! Creating, opening, writing, finding.

use keepwatch_core::Error;
use keepwatch_core::crypto::{Credential, Lock, SecretKey};
use keepwatch_core::events::{
    AuditFilter, EventFilter, EventKind, EventStore, StoreRole, VerifyOptions,
};

use crate::backend;
use crate::common::{at, create, credential, event, reopen, segment};

#[test]
fn what_was_put_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let mut first = event("door", EventKind::Motion, 0);
    first.ended_at = None;
    store.put(std::slice::from_ref(&first)).unwrap();
    let other = event("yard", EventKind::PlateRead, 5);
    first.ended_at = Some(at(9));
    store.put(&[other.clone(), first.clone()]).unwrap();
    store.close().unwrap();

    let store = reopen(dir.path());
    assert_eq!(store.get(first.id).unwrap(), Some(first.clone()));
    assert_eq!(store.get(other.id).unwrap(), Some(other.clone()));
    let all = store.list(&EventFilter::default()).unwrap();
    assert_eq!(all, [other, first]);
}

#[test]
fn filters_and_pages_give_exactly_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events: Vec<_> = (0..100)
        .map(|index| {
            let camera = ["door", "yard", "shed"][index % 3];
            let kind = EventKind::ALL[index % EventKind::ALL.len()];
            // Of several that begin at the same time none is lost between pages.
            event(camera, kind, index as i64 / 4)
        })
        .collect();
    store.put(&events).unwrap();
    for oldest_first in [false, true] {
        let filter = EventFilter {
            cameras: vec!["door".to_owned(), "shed".to_owned()],
            kinds: vec![EventKind::Motion, EventKind::Tamper, EventKind::PlateRead],
            since: Some(at(3)),
            until: Some(at(20)),
            oldest_first,
            ..EventFilter::default()
        };
        let mut expected: Vec<_> = events
            .iter()
            .filter(|event| filter.cameras.contains(&event.camera))
            .filter(|event| filter.kinds.contains(&event.kind))
            .filter(|event| event.started_at >= at(3) && event.started_at < at(20))
            .cloned()
            .collect();
        expected.sort_by_key(|event| (event.started_at, event.id));
        if !oldest_first {
            expected.reverse();
        }
        assert!(expected.len() > 5);
        let mut paged = Vec::new();
        let mut page = EventFilter {
            limit: Some(2),
            ..filter
        };
        loop {
            let part = store.list(&page).unwrap();
            page.after = part.last().map(|event| event.id);
            if part.is_empty() {
                break;
            }
            paged.extend(part);
        }
        assert_eq!(paged, expected);
    }
}

#[test]
fn keys_open_in_their_role_until_they_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let identity = SecretKey::generate().unwrap();
    let public = identity.public();
    store
        .add_key(&Lock::Recipient(&public), StoreRole::Writer, "camera-box")
        .unwrap();
    let again = store.add_key(&Lock::Recipient(&public), StoreRole::Writer, "camera-box");
    assert!(matches!(again.unwrap_err(), Error::Invalid { .. }));
    let escape = store.add_key(&Lock::Recipient(&public), StoreRole::Writer, "../x");
    assert!(matches!(escape.unwrap_err(), Error::Invalid { .. }));

    let writer = backend::open(dir.path(), &Credential::from(identity.clone())).unwrap();
    assert_eq!(writer.role(), StoreRole::Writer);
    assert!(writer.clip_credential().is_none());
    let refused = writer.add_key(&Lock::Recipient(&public), StoreRole::Writer, "more");
    assert!(matches!(refused.unwrap_err(), Error::NeedsFullKey { .. }));
    let one = event("door", EventKind::Motion, 1);
    writer.put(std::slice::from_ref(&one)).unwrap();
    assert_eq!(store.get(one.id).unwrap(), Some(one));

    assert!(store.remove_key("main").is_err(), "the last full key");
    store.remove_key("camera-box").unwrap();
    let gone = backend::open(dir.path(), &Credential::from(identity)).unwrap_err();
    assert!(matches!(gone, Error::WrongKey { .. }), "{gone}");
}

#[test]
fn a_reader_sees_what_a_writer_adds_and_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(dir.path());
    let reader = backend::open_read_only(dir.path(), &credential()).unwrap();
    let one = event("door", EventKind::Motion, 1);
    writer.put(std::slice::from_ref(&one)).unwrap();
    assert_eq!(reader.get(one.id).unwrap(), Some(one.clone()));
    assert!(reader.put(&[one]).is_err());
    assert!(reader.audit("me", "look", serde_json::Value::Null).is_err());
}

#[test]
fn two_writers_extend_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [create(dir.path()), reopen(dir.path())];
    std::thread::scope(|scope| {
        for (index, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for second in 0..40 {
                    let camera = format!("camera-{index}");
                    let one = event(&camera, EventKind::Motion, second);
                    store.put(&[one]).unwrap();
                }
            });
        }
    });
    let all = stores[0].list(&EventFilter::default()).unwrap();
    assert_eq!(all.len(), 80);
}

#[test]
fn names_that_leave_the_store_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    for camera in [
        "",
        ".",
        "..",
        "../door",
        "a/b",
        "a b",
        ".hidden",
        "ü",
        &"x".repeat(65),
    ] {
        let error = store
            .put(&[event(camera, EventKind::Motion, 0)])
            .unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{camera:?}");
    }
}

#[test]
fn the_audit_log_is_found_by_actor_action_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    for (actor, action) in [("ann", "login"), ("bob", "login"), ("ann", "export")] {
        let detail = serde_json::json!({"from": "192.0.2.1"});
        store.audit(actor, action, detail).unwrap();
    }
    let all = store.audit_log(&AuditFilter::default()).unwrap();
    let actions: Vec<_> = all
        .iter()
        .map(|entry| (entry.actor.as_str(), entry.action.as_str()))
        .collect();
    assert_eq!(
        actions,
        [("ann", "export"), ("bob", "login"), ("ann", "login")]
    );
    let some = AuditFilter {
        actor: Some("ann".to_owned()),
        action: Some("login".to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(store.audit_log(&some).unwrap(), [all[2].clone()]);
    let none = AuditFilter {
        until: Some(all[2].at),
        ..AuditFilter::default()
    };
    assert!(store.audit_log(&none).unwrap().is_empty());
}

#[test]
fn segments_are_listed_by_camera_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let segments = [
        segment(&store, "door", 0, b"one"),
        segment(&store, "door", 10, b"two"),
        segment(&store, "yard", 10, b"three"),
    ];
    for segment in &segments {
        store.put_segment(segment).unwrap();
    }
    let filter = EventFilter {
        cameras: vec!["door".to_owned()],
        oldest_first: true,
        ..EventFilter::default()
    };
    assert_eq!(store.list_segments(&filter).unwrap(), segments[..2]);
}

#[test]
fn a_batch_with_a_number_that_json_lacks_is_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let good = event("door", EventKind::Motion, 0);
    for number in [f32::NAN, f32::INFINITY] {
        let mut scored = event("door", EventKind::Motion, 1);
        scored.observations[0].score = number;
        let mut placed = event("door", EventKind::Motion, 1);
        placed.observations[0].region.as_mut().unwrap().h = number;
        for wrong in [scored, placed] {
            let error = store.put(&[good.clone(), wrong]).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
    }
    assert_eq!(store.get(good.id).unwrap(), None);
}

#[test]
fn of_several_states_in_one_batch_the_last_stands() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    // More than are written at once, and states of one event among them.
    let mut events = Vec::new();
    for second in 0..200 {
        let mut one = event("door", EventKind::Motion, second);
        one.ended_at = None;
        events.push(one.clone());
        one.camera = "yard".to_owned();
        one.observations[0].label = format!("B-AB {second}");
        events.push(one.clone());
        if second % 3 == 2 {
            let mut earlier = events[second as usize].clone();
            earlier.ended_at = Some(at(second));
            events.push(earlier);
        }
    }
    events.sort_by_key(|event| (event.ended_at.is_some(), event.camera == "yard"));
    store.put(&events).unwrap();
    let changes = store.changes(0, usize::MAX).unwrap();
    let changes: Vec<_> = changes.into_iter().map(|(_, event)| event).collect();
    assert_eq!(changes, events);
    let listed = store.list(&EventFilter::default()).unwrap();
    assert_eq!(listed.len(), 200);
    for one in listed {
        let last = events.iter().rfind(|event| event.id == one.id);
        assert_eq!(Some(&one), last);
    }
    let report = store.verify(&VerifyOptions::default()).unwrap();
    assert_eq!(report.findings, []);
}
