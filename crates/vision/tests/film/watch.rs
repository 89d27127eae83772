//! Whole cameras: from a source to events and clips in a store.

use crate::footage;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{
    Event, EventFilter, EventKind, EventStore, Store, StoreOptions, StoreRole, VerifyOptions,
};
use keepwatch_vision::{CameraSettings, Watch};

struct Place {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    key: Key,
}

fn place() -> Place {
    let dir = tempfile::tempdir().expect("a directory");
    let key = Key::generate().expect("randomness");
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    let store = Store::create(&dir.path().join("store"), &locks, &StoreOptions::default());
    Place {
        store: Arc::new(store.expect("a store")),
        dir,
        key,
    }
}

fn watch_to_the_end(place: &Place, cameras: &[(&str, CameraSettings)]) -> Vec<Event> {
    let cameras: BTreeMap<_, _> = cameras
        .iter()
        .map(|(name, settings)| ((*name).to_owned(), settings.clone()))
        .collect();
    let watch = Watch::start(cameras, place.store.clone(), place.store.media()).expect("it starts");
    while !watch.is_over() {
        let _ = watch
            .events()
            .recv_timeout(std::time::Duration::from_millis(50));
    }
    for status in watch.status() {
        println!("{status:?}");
    }
    watch.stop();
    place
        .store
        .list(&EventFilter {
            oldest_first: true,
            ..EventFilter::default()
        })
        .expect("they are listed")
}

#[test]
fn a_film_of_passing_cars_becomes_events_with_clips_that_play() {
    let place = place();
    let path = keepwatch_testkit::testdata().join("video/car-detection.mp4");
    let url = path.display().to_string().parse().expect("a path");
    let settings = CameraSettings::new(url);
    let events = watch_to_the_end(&place, &[("drive", settings)]);
    for event in &events {
        println!(
            "{} {:?} {:?} {}",
            event.started_at,
            event.ended_at,
            event
                .clip
                .as_ref()
                .map(|clip| (clip.started_at, clip.duration_ms)),
            event.observations.len()
        );
    }
    assert_eq!(events.len(), 3);
    let credential = place
        .store
        .clip_credential()
        .expect("the key is a full one");
    for event in &events {
        assert_eq!(event.kind, EventKind::Motion);
        assert!(event.ended_at.is_some() && !event.observations.is_empty());
        let clip = event.clip.as_ref().expect("it has a clip");
        let mut plain = Vec::new();
        let mut reader = place
            .store
            .media()
            .open(clip, &credential)
            .expect("it opens");
        reader.read_to_end(&mut plain).expect("it is read");
        let path = place.dir.path().join("clip.mp4");
        std::fs::write(&path, &plain).expect("it is written");
        let (frames, seconds) = footage::play(&path);
        println!("{frames} frames, {seconds} s");
        assert!(frames > 60);
        let snapshot = event.snapshot.as_ref().expect("it has a picture");
        let mut jpeg = Vec::new();
        let mut reader = place
            .store
            .media()
            .open(snapshot, &credential)
            .expect("it opens");
        reader.read_to_end(&mut jpeg).expect("it is read");
        assert!(jpeg.starts_with(&[0xff, 0xd8]));
    }
    let report = place
        .store
        .verify(&VerifyOptions {
            media: true,
            ..VerifyOptions::default()
        })
        .expect("it is verified");
    println!("{report:?}");
    assert!(report.is_ok());
    let again = Store::open(place.store.dir(), &Credential::KeyFile(place.key.clone()));
    assert_eq!(
        again
            .expect("it opens")
            .list(&EventFilter::default())
            .expect("a list")
            .len(),
        3
    );
}
