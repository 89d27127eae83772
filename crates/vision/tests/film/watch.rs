//! Whole cameras: from a source to events and clips in a store.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use keepwatch_core::events::{
    Event, EventFilter, EventKind, EventStore, MediaRef, Store, VerifyOptions,
};
use keepwatch_testkit::vault::event_store;
use keepwatch_vision::{CameraSettings, CameraStatus, Decode, Record, State, Watch};

use crate::footage;

/// A store in a directory that goes away with it.
pub struct Place {
    dir: tempfile::TempDir,
    pub store: Arc<Store>,
}

impl Place {
    pub fn new() -> Self {
        let (dir, store) = event_store();
        Self { dir, store }
    }

    /// Watches until all cameras have ended.
    fn watch(&self, cameras: Vec<(&str, CameraSettings)>) -> (Vec<Event>, Vec<CameraStatus>) {
        let cameras: BTreeMap<_, _> = cameras
            .into_iter()
            .map(|(name, settings)| (name.to_owned(), settings))
            .collect();
        let watch =
            Watch::start(cameras, self.store.clone(), self.store.media()).expect("it starts");
        while !watch.is_over() {
            let _ = watch.events().recv_timeout(Duration::from_millis(50));
        }
        let status = watch.status();
        watch.stop().expect("all is stored");
        (self.events(), status)
    }

    pub fn events(&self) -> Vec<Event> {
        let filter = EventFilter {
            oldest_first: true,
            ..EventFilter::default()
        };
        self.store.list(&filter).expect("they are listed")
    }

    pub fn open(&self, media: &MediaRef) -> Vec<u8> {
        let credential = self.store.clip_credential().expect("the key is a full one");
        let reader = self.store.media().open(media, &credential);
        let mut plain = Vec::new();
        let read = reader.expect("it opens").read_to_end(&mut plain);
        read.expect("it is read");
        plain
    }

    /// How many frames of a recording are shown.
    fn play(&self, media: &MediaRef) -> usize {
        let path = self.dir.path().join("recording.mp4");
        std::fs::write(&path, self.open(media)).expect("it is written");
        footage::play(&path)
    }

    pub fn verify(&self) {
        let options = VerifyOptions {
            media: true,
            ..VerifyOptions::default()
        };
        let report = self.store.verify(&options).expect("it is verified");
        assert!(report.is_ok(), "{:?}", report.findings);
    }
}

pub fn film(name: &str) -> CameraSettings {
    let path = keepwatch_testkit::testdata().join(format!("video/{name}.mp4"));
    CameraSettings::new(path.display().to_string().parse().expect("a path"))
}

/// Seconds from the beginning of the first recording of a film, which begins with it.
pub fn seconds(event: &Event) -> f64 {
    let ended = event.ended_at.expect("it ended");
    ended.duration_since(event.started_at).as_secs_f64()
}

#[test]
fn a_film_of_passing_cars_becomes_events_with_clips_that_play() {
    let place = Place::new();
    let (events, status) = place.watch(vec![("drive", film("car-detection"))]);
    assert_eq!(events.len(), 3, "{events:?}");
    for (event, lasts) in events.iter().zip([4.2, 4.6, 2.5]) {
        assert_eq!(
            (event.kind, event.camera.as_str()),
            (EventKind::Motion, "drive")
        );
        assert!((seconds(event) - lasts).abs() < 1.0, "{event:?}");
        assert!(!event.observations.is_empty());
        let clip = event.clip.as_ref().expect("it has a clip");
        // The pre-roll, from the key frame before it on; key frames are 4.8 s apart.
        let before = event
            .started_at
            .duration_since(clip.started_at)
            .as_secs_f64();
        assert!((4.3..=9.9).contains(&before), "{before}");
        let frames = place.play(clip);
        assert_eq!(frames as u64, (clip.duration_ms * 125 + 5000) / 10_000);
        let picture = place.open(event.snapshot.as_ref().expect("it has a picture"));
        assert!(picture.starts_with(&[0xff, 0xd8]));
    }
    assert_eq!((status[0].frames, status[0].dropped), (377, 0));
    assert_eq!(status[0].state, State::Ended { problem: None });
    place.verify();
}

#[test]
fn key_frames_alone_find_who_stays_for_a_second() {
    let place = Place::new();
    let mut settings = film("one-by-one-person-detection");
    settings.decode = Decode::Keyframes;
    let (events, status) = place.watch(vec![("table", settings)]);
    assert!((6..=14).contains(&events.len()), "{}", events.len());
    assert_eq!(status[0].decoded, 140);
}

#[test]
fn continuous_recording_keeps_every_frame() {
    let place = Place::new();
    let mut settings = film("one-by-one-person-detection");
    settings.record = Record::Continuous;
    place.watch(vec![("table", settings)]);
    let filter = EventFilter {
        oldest_first: true,
        ..EventFilter::default()
    };
    let segments = place.store.list_segments(&filter).expect("they are listed");
    // 139 seconds: two segments of a minute, and what is left.
    assert_eq!(segments.len(), 3);
    let frames: Vec<usize> = segments
        .iter()
        .map(|segment| place.play(&segment.media))
        .collect();
    assert_eq!(frames, [600, 600, 194]);
    place.verify();
}

#[test]
fn a_camera_that_fails_does_not_disturb_another() {
    let place = Place::new();
    let nowhere = "rtsp://u:secret-password@127.0.0.1:9/none"
        .parse()
        .expect("an address");
    let missing = CameraSettings::new("/no/such/film.mp4".parse().expect("a path"));
    let cameras = BTreeMap::from([
        ("drive".to_owned(), film("car-detection")),
        ("gone".to_owned(), CameraSettings::new(nowhere)),
        ("missing".to_owned(), missing),
    ]);
    let watch = Watch::start(cameras, place.store.clone(), place.store.media()).expect("it starts");
    let ended = |status: &CameraStatus| matches!(status.state, State::Ended { .. });
    let offline = |status: &CameraStatus| matches!(status.state, State::Offline { .. });
    let status = loop {
        let status = watch.status();
        if ended(&status[0]) && offline(&status[1]) && ended(&status[2]) {
            break status;
        }
        let _ = watch.events().recv_timeout(Duration::from_millis(50));
    };
    watch.stop().expect("all is stored");
    assert_eq!(status[0].state, State::Ended { problem: None });
    assert!(
        matches!(&status[2].state, State::Ended { problem: Some(problem) } if problem.contains("film.mp4"))
    );
    let events = place.events();
    let of = |camera: &str| events.iter().filter(|event| event.camera == camera).count();
    assert_eq!((of("drive"), of("gone"), of("missing")), (3, 1, 0));
    let gone = events
        .iter()
        .find(|event| event.camera == "gone")
        .expect("it is there");
    assert_eq!(gone.kind, EventKind::CameraOffline);
    assert_eq!(gone.reason.as_deref(), Some("the camera cannot be reached"));
    assert!(!format!("{events:?} {status:?}").contains("secret-password"));
}
