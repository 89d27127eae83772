//! Evidence that stands without the store.

use std::fs;

use keepwatch_core::Error;
use keepwatch_core::crypto::{Credential, SecretKey};
use keepwatch_core::events::{
    Event, EventId, EventKind, EventStore, MediaKind, RetentionPolicy, Store, VerifyOptions,
    extract_bundle, verify_bundle,
};
use keepwatch_core::jiff::SignedDuration;

use crate::common::{at, create, event, media};

/// An event with a clip and a picture, among others.
fn scene(store: &Store, clip: &[u8]) -> Event {
    store.put(&[event("yard", EventKind::Motion, 0)]).unwrap();
    let mut one = event("door", EventKind::PlateRead, 10);
    store.put(std::slice::from_ref(&one)).unwrap();
    one.clip = Some(media(store, MediaKind::Clip, &one, clip));
    one.snapshot = Some(media(store, MediaKind::Snapshot, &one, b"picture"));
    store.put(std::slice::from_ref(&one)).unwrap();
    store.put(&[event("yard", EventKind::Motion, 20)]).unwrap();
    one
}

fn export(store: &Store, id: EventId) -> Vec<u8> {
    let mut bundle = Vec::new();
    store
        .export_bundle(id, &store.clip_credential().unwrap(), &mut bundle)
        .unwrap();
    bundle
}

#[test]
fn a_bundle_verifies_offline_and_gives_back_what_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir.path().join("store"));
    let clip: Vec<u8> = (0..300_000).map(|index| (index % 253) as u8).collect();
    let one = scene(&store, &clip);
    let bundle = export(&store, one.id);
    let signer = *store.signer();
    drop(store);
    fs::remove_dir_all(dir.path().join("store")).unwrap();

    let report = verify_bundle(&bundle[..], Some(signer)).unwrap();
    assert_eq!((&report.event, report.signer), (&one, signer));
    assert_eq!(report.parts.len(), 2);
    let out = dir.path().join("out");
    assert_eq!(
        extract_bundle(&bundle[..], Some(signer), &out).unwrap(),
        report
    );
    assert_eq!(fs::read(out.join("clip.mp4")).unwrap(), clip);
    assert_eq!(fs::read(out.join("snapshot.jpg")).unwrap(), b"picture");
    let json = fs::read(out.join("event.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Event>(&json).unwrap(), one);

    let error = verify_bundle(&bundle[..], Some([1; 32])).unwrap_err();
    assert!(matches!(error, Error::WrongSigner { .. }), "{error}");
    // What is there is not replaced, and nothing temporary stays.
    assert!(extract_bundle(&bundle[..], Some(signer), &out).is_err());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3);
}

#[test]
fn every_flipped_bit_cut_and_extension_of_a_bundle_fails() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let one = scene(&store, b"a short clip");
    let bundle = export(&store, one.id);
    verify_bundle(&bundle[..], None).unwrap();
    for index in 0..bundle.len() {
        let mut changed = bundle.clone();
        changed[index] ^= 1 << (index % 8);
        assert!(verify_bundle(&changed[..], None).is_err(), "byte {index}");
        assert!(
            verify_bundle(&bundle[..index], None).is_err(),
            "cut at {index}"
        );
    }
    let longer = [&bundle[..], b"\0"].concat();
    assert!(verify_bundle(&longer[..], None).is_err());
}

#[test]
fn a_damaged_bundle_leaves_no_file_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir.path().join("store"));
    let one = scene(&store, b"a short clip");
    let mut bundle = export(&store, one.id);
    *bundle.last_mut().unwrap() ^= 1;
    let out = dir.path().join("out");
    assert!(extract_bundle(&bundle[..], None, &out).is_err());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn evidence_of_what_stays_holds_after_its_neighbours_were_purged() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let one = scene(&store, b"clip");
    let more: Vec<_> = (30..200)
        .map(|second| event("yard", EventKind::Motion, second))
        .collect();
    store.put(&more).unwrap();
    let mut policy = RetentionPolicy {
        events_max_age: Some(SignedDuration::from_secs(1)),
        ..RetentionPolicy::default()
    };
    policy.filter.cameras = vec!["yard".to_owned()];
    let plan = store.plan_purge(&policy, at(1000)).unwrap();
    assert_eq!(plan.events.len(), 172);
    store.purge(&plan, "ann", "old").unwrap();
    let bundle = export(&store, one.id);
    let report = verify_bundle(&bundle[..], Some(*store.signer())).unwrap();
    assert_eq!(report.event, one);
    let findings = store.verify(&VerifyOptions::default()).unwrap().findings;
    assert_eq!(findings, []);
}

#[test]
fn what_cannot_be_proven_is_not_exported() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let one = scene(&store, b"clip");
    let credential = store.clip_credential().unwrap();
    let mut out = Vec::new();
    let unknown = EventId::from_bytes([1; 16]);
    let error = store
        .export_bundle(unknown, &credential, &mut out)
        .unwrap_err();
    assert!(matches!(error, Error::NoSuchEvent { .. }), "{error}");
    let other = Credential::from(SecretKey::generate().unwrap());
    let error = store.export_bundle(one.id, &other, &mut out).unwrap_err();
    assert!(matches!(error, Error::WrongKey { .. }), "{error}");
    let path = dir.path().join(one.clip.unwrap().path);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = store
        .export_bundle(one.id, &credential, &mut out)
        .unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(out.is_empty());
}
