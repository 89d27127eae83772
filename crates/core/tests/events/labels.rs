//! Finding events by what was seen.

use std::collections::BTreeMap;

use keepwatch_core::events::{
    Event, EventFilter, EventKind, EventStore, Observation, RetentionPolicy, Store, VerifyOptions,
    fold_label,
};
use keepwatch_core::jiff::SignedDuration;

use crate::common::{at, create, event};

/// Everything that was seen in an event.
fn seen(mut event: Event, labels: &[&str]) -> Event {
    let like = event.observations[0].clone();
    event.observations = labels
        .iter()
        .map(|label| Observation {
            label: (*label).to_owned(),
            ..like.clone()
        })
        .collect();
    event
}

/// 200 events of many labels, several of them at the same time.
fn filled(store: &Store) -> Vec<Event> {
    let labels = [
        "person", "Person-2", "B-AB 1", "B-AC 1", "Zoë", "zo e", "car",
    ];
    let events: Vec<_> = (0..200)
        .map(|index: usize| {
            let camera = ["door", "yard", "shed"][index % 3];
            let kind = EventKind::ALL[index % EventKind::ALL.len()];
            let one = event(camera, kind, index as i64 / 4);
            seen(
                one,
                &[labels[index % 7], labels[index / 7 % 7]][..index % 3],
            )
        })
        .collect();
    store.put(&events).unwrap();
    events
}

/// What the filter says, without the store.
fn expected(events: &[Event], filter: &EventFilter) -> Vec<Event> {
    let labels: Vec<_> = filter
        .labels
        .iter()
        .map(|label| fold_label(label))
        .collect();
    let prefix = fold_label(filter.label_prefix.as_deref().unwrap_or_default());
    let any = |event: &Event, wanted: &dyn Fn(&str) -> bool| {
        let mut folded = event
            .observations
            .iter()
            .map(|seen| fold_label(&seen.label));
        folded.any(|label| wanted(&label))
    };
    let mut found: Vec<_> = events
        .iter()
        .filter(|event| filter.cameras.is_empty() || filter.cameras.contains(&event.camera))
        .filter(|event| filter.kinds.is_empty() || filter.kinds.contains(&event.kind))
        .filter(|event| filter.since.is_none_or(|since| event.started_at >= since))
        .filter(|event| filter.until.is_none_or(|until| event.started_at < until))
        .filter(|event| labels.is_empty() || any(event, &|label| labels.iter().any(|l| l == label)))
        .filter(|event| prefix.is_empty() || any(event, &|label| label.starts_with(&prefix)))
        .cloned()
        .collect();
    found.sort_by_key(|event| (event.started_at, event.id));
    if !filter.oldest_first {
        found.reverse();
    }
    found
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn labels_and_prefixes_find_exactly_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events = filled(&store);
    let labels: [&[&str]; 5] = [
        &[],
        &["PERSON"],
        &["bab1", "zoe", "B AB-1"],
        &["nobody"],
        &["-", "car"],
    ];
    let prefixes = [
        None,
        Some(""),
        Some("b-a"),
        Some("P"),
        Some("person2"),
        Some("x"),
    ];
    let cameras: [&[&str]; 3] = [&[], &["door"], &["door", "yard"]];
    let kinds: [&[EventKind]; 2] = [
        &[],
        &[EventKind::Motion, EventKind::Tamper, EventKind::Motion],
    ];
    let mut tried = 0;
    for (labels, prefix) in labels.iter().flat_map(|l| prefixes.map(|p| (*l, p))) {
        for (cameras, kinds) in cameras.iter().flat_map(|c| kinds.map(|k| (*c, k))) {
            for oldest_first in [false, true] {
                let filter = EventFilter {
                    cameras: texts(cameras),
                    kinds: kinds.to_vec(),
                    labels: texts(labels),
                    label_prefix: prefix.map(str::to_owned),
                    since: Some(at(2)),
                    until: Some(at(47)),
                    oldest_first,
                    ..EventFilter::default()
                };
                let expected = expected(&events, &filter);
                assert_eq!(store.list(&filter).unwrap(), expected, "{filter:?}");
                let mut counts = BTreeMap::new();
                for event in &expected {
                    *counts.entry(event.kind).or_insert(0) += 1;
                }
                assert_eq!(store.count(&filter).unwrap(), counts, "{filter:?}");
                let mut paged = Vec::new();
                let mut page = EventFilter {
                    limit: Some(7),
                    ..filter
                };
                loop {
                    let part = store.list(&page).unwrap();
                    page.after = part.last().map(|event| event.id);
                    if part.is_empty() {
                        break;
                    }
                    assert!(part.len() <= 7);
                    paged.extend(part);
                }
                assert_eq!(paged, expected, "{page:?}");
                tried += expected.len();
            }
        }
    }
    assert!(tried > 3000, "{tried}");
}

#[test]
fn more_labels_than_anybody_asks_for_are_looked_for_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events = filled(&store);
    let mut filter = EventFilter {
        labels: (0..500).map(|index| format!("somebody {index}")).collect(),
        limit: Some(1000),
        ..EventFilter::default()
    };
    assert_eq!(store.list(&filter).unwrap(), []);
    filter.labels.push("Car".to_owned());
    assert_eq!(store.list(&filter).unwrap(), expected(&events, &filter));
    filter.cameras = (0..500).map(|index| format!("camera-{index}")).collect();
    assert_eq!(store.list(&filter).unwrap(), []);
}

#[test]
fn a_prefix_of_very_many_labels_finds_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events: Vec<_> = (0..10_100)
        .map(|index| {
            seen(
                event("door", EventKind::PlateRead, index),
                &[&format!("B {index}")],
            )
        })
        .collect();
    store.put(&events).unwrap();
    let filter = EventFilter {
        label_prefix: Some("b".to_owned()),
        limit: Some(3),
        ..EventFilter::default()
    };
    let newest: Vec<_> = events.iter().rev().take(3).cloned().collect();
    assert_eq!(store.list(&filter).unwrap(), newest);
}

#[test]
fn labels_are_those_of_the_last_state_and_go_with_the_event() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let mut one = seen(event("door", EventKind::Object, 0), &["cat", "dog"]);
    store.put(std::slice::from_ref(&one)).unwrap();
    let other = seen(event("door", EventKind::Object, 5), &["dog"]);
    store.put(std::slice::from_ref(&other)).unwrap();
    let ids = |label: &str| -> Vec<_> {
        let filter = EventFilter {
            labels: vec![label.to_owned()],
            ..EventFilter::default()
        };
        let found = store.list(&filter).unwrap();
        found.iter().map(|event| event.id).collect()
    };
    assert_eq!(ids("dog"), [other.id, one.id]);
    one = seen(one, &["cat", "cow"]);
    store.put(std::slice::from_ref(&one)).unwrap();
    assert_eq!((ids("cow"), ids("dog")), (vec![one.id], vec![other.id]));

    let mut policy = RetentionPolicy {
        events_max_age: Some(SignedDuration::ZERO),
        ..RetentionPolicy::default()
    };
    policy.filter.labels = vec!["COW".to_owned()];
    let plan = store.plan_purge(&policy, at(100)).unwrap();
    assert_eq!(plan.events, [one.id]);
    store.purge(&plan, "ann", "a test").unwrap();
    assert_eq!((ids("cow"), ids("dog")), (vec![], vec![other.id]));
    policy.filter.labels.clear();
    policy.filter.label_prefix = Some("D".to_owned());
    let plan = store.plan_purge(&policy, at(100)).unwrap();
    assert_eq!(plan.events, [other.id]);
    let report = store.verify(&VerifyOptions::default()).unwrap();
    assert_eq!(report.findings, []);
}
