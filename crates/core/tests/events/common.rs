//! What the tests share: stores that open with a key file, events of all kinds.

use std::io::Write;
use std::path::Path;

use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{
    Event, EventId, EventKind, MediaKind, MediaRef, Observation, Region, Segment, Store,
    StoreOptions, StoreRole,
};
use keepwatch_core::jiff::{SignedDuration, Timestamp};

use crate::backend;

/// The key of the tests' stores.
pub fn key() -> Key {
    Key::from_bytes([42; 32])
}

pub fn credential() -> Credential {
    Credential::KeyFile(key())
}

pub fn create(dir: &Path) -> Store {
    let key = key();
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    backend::create(dir, &locks, &StoreOptions::default()).unwrap()
}

/// Opens a store that [`create`] has made.
pub fn reopen(dir: &Path) -> Store {
    backend::open(dir, &credential()).unwrap()
}

pub fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2025-11-25T06:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

/// An event that lasts for a second.
pub fn event(camera: &str, kind: EventKind, seconds: i64) -> Event {
    Event {
        id: EventId::new(at(seconds)).unwrap(),
        camera: camera.to_owned(),
        kind,
        started_at: at(seconds),
        ended_at: Some(at(seconds + 1)),
        observations: vec![Observation {
            at: at(seconds),
            label: "person".to_owned(),
            score: 0.75,
            region: Some(Region {
                x: 0.25,
                y: 0.5,
                w: 0.125,
                h: 0.25,
            }),
            track: Some(7),
        }],
        snapshot: None,
        clip: None,
        reason: None,
        details: None,
    }
}

/// Writes a media file.
pub fn media(store: &Store, kind: MediaKind, event: &Event, content: &[u8]) -> MediaRef {
    let media = store.media();
    let mut writer = media
        .create(kind, &event.camera, event.started_at, event.id)
        .unwrap();
    writer.write_all(content).unwrap();
    writer.finish(1000).unwrap()
}

/// A segment of ten seconds.
pub fn segment(store: &Store, camera: &str, seconds: i64, content: &[u8]) -> Segment {
    let like = event(camera, EventKind::Motion, seconds);
    Segment {
        id: like.id,
        camera: camera.to_owned(),
        ended_at: at(seconds + 10),
        media: media(store, MediaKind::Segment, &like, content),
    }
}
