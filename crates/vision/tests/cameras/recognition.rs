//! Recognition that is slower than a camera.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use keepwatch_core::events::EventKind;
use keepwatch_testkit::camera::{Behaviour, Film, RtspCamera};
use keepwatch_testkit::vault::event_store;
use keepwatch_vision::recognition::{
    Crop, Recognition, RecognitionSettings, Recognizer, RecognizerFactory, Rules, Sightings,
};
use keepwatch_vision::{Decode, Result, Watch, source};

use crate::scene::{PATIENCE, Watched, settings};

/// Is done with the first look when it is let go, and with the others at once.
struct Stuck(Receiver<()>);

impl Recognizer for Stuck {
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>> {
        let _ = self.0.recv_timeout(PATIENCE);
        crops.iter().map(|_| Ok(Sightings::default())).collect()
    }
}

#[test]
fn a_camera_waits_for_no_recogniser() {
    let (go, gone) = unbounded::<()>();
    let film = Film {
        fps: 12,
        frames: 96,
        passing: Some((48, 84)),
        ..Film::default()
    };
    let camera = RtspCamera::start(Behaviour::showing(&film));
    let (dir, store) = event_store();
    let watch = Watch::new(store.clone(), store.media()).expect("it starts");
    let recognizer: RecognizerFactory =
        Arc::new(move || Ok(Box::new(Stuck(gone.clone())) as Box<dyn Recognizer>));
    let recognition = Recognition {
        settings: RecognitionSettings::default(),
        recognizer,
        rules: Rules::default(),
    };
    watch.set_recognition(recognition).expect("it starts");
    let mut settings = settings(&camera.url());
    settings.decode = Decode::All;
    let source = source::of(&settings);
    let added = watch.add("yard".to_owned(), settings, source);
    added.expect("it is added");
    let watched = Watched::of(watch, store, dir);
    // The first look never ends: newer frames take the place of those that wait.
    let status = watched.until("skipping", |status| status.looks_skipped >= 3);
    assert_eq!((status.looks, status.looks_failed), (0, 0));
    let gauges = watched.watch.recognition_gauges();
    assert_eq!((gauges.waiting, gauges.runs.count()), (1, 0));
    drop(go);
    watched.until("looking", |status| status.looks >= 2);
    assert!(watched.watch.recognition_gauges().runs.count() >= 2);
    let events = watched.stop();
    assert!(events.iter().any(|event| event.kind == EventKind::Motion));
}

/// Says which one it is with each look.
struct Named(&'static str, Sender<(&'static str, String)>);

impl Recognizer for Named {
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>> {
        for crop in crops {
            let _ = self.1.send((self.0, crop.camera.to_owned()));
        }
        crops.iter().map(|_| Ok(Sightings::default())).collect()
    }
}

#[test]
fn cameras_that_are_added_later_take_the_recognition_of_then() {
    let film = Film {
        frames: 24,
        passing: Some((0, 24)),
        ..Film::default()
    };
    let camera = RtspCamera::start(Behaviour::showing(&film));
    let (dir, store) = event_store();
    let watch = Watch::new(store.clone(), store.media()).expect("it starts");
    let (say, told) = unbounded();
    let recognition = |name| {
        let say = say.clone();
        let recognizer: RecognizerFactory =
            Arc::new(move || Ok(Box::new(Named(name, say.clone())) as Box<dyn Recognizer>));
        Recognition {
            settings: RecognitionSettings::default(),
            recognizer,
            rules: Rules::default(),
        }
    };
    let add = |name: &str| {
        let mut settings = settings(&camera.url());
        settings.decode = Decode::All;
        let source = source::of(&settings);
        let added = watch.add(name.to_owned(), settings, source);
        added.expect("it is added");
    };
    let until = |by: &str, of: &str| {
        let deadline = std::time::Instant::now() + PATIENCE;
        let looks = std::iter::from_fn(|| told.recv_deadline(deadline).ok());
        let found = looks
            .into_iter()
            .find(|(name, camera)| (*name, camera.as_str()) == (by, of));
        assert!(found.is_some(), "{by} never looked at {of}");
    };
    watch
        .set_recognition(recognition("old"))
        .expect("it starts");
    add("yard");
    until("old", "yard");
    watch
        .set_recognition(recognition("new"))
        .expect("it starts");
    add("gate");
    until("new", "gate");
    // Who was there keeps what it has, until it is added again.
    until("old", "yard");
    assert!(watch.remove("yard"));
    add("yard");
    until("new", "yard");
    assert!(watch.remove("gate"));
    watch.clear_recognition();
    add("gate");
    let watched = Watched::of(watch, store, dir);
    let watch = &watched.watch;
    watched.until("analysed", |_| {
        watch
            .status_of("gate")
            .is_some_and(|status| status.analysed > 10)
    });
    assert_eq!(watch.status_of("gate").map(|status| status.looks), Some(0));
    watched.stop();
}
