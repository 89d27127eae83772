//! Cameras that come and go while others are watched.

use keepwatch_core::events::EventKind::CameraOffline;
use keepwatch_testkit::camera::{Behaviour, RtspCamera};
use keepwatch_vision::{CameraStatus, Error, State, source};

use crate::scene::{PATIENCE, Scene, kinds, settings};

fn add(scene: &Scene, name: &str, url: &str) -> keepwatch_vision::Result<()> {
    let settings = settings(url);
    let source = source::of(&settings);
    scene.watched.watch.add(name.to_owned(), settings, source)
}

fn names(status: &[CameraStatus]) -> Vec<&str> {
    let names = status.iter().map(|status| status.camera.as_str());
    names.collect()
}

#[test]
fn one_is_added_and_removed_while_another_goes_on() {
    let scene = Scene::of(Behaviour::default());
    scene.watched.frames(10);
    let other = RtspCamera::start(Behaviour::default());
    add(&scene, "gate", &other.url()).expect("it is added");
    let watch = &scene.watched.watch;
    assert_eq!(names(&watch.status()), ["yard", "gate"]);
    scene.watched.until("both live", |_| {
        watch
            .status_of("gate")
            .is_some_and(|status| status.state == State::Live)
    });
    assert!(watch.remove("gate"));
    // The camera was left before the call came back.
    other.wait_for(PATIENCE, |stats| stats.open == 0);
    assert!(!watch.remove("gate"));
    assert_eq!(names(&watch.status()), ["yard"]);
    assert_eq!(watch.status_of("gate"), None);
    let status = scene.watched.frames(10);
    assert_eq!((status.state, status.reconnects), (State::Live, 0));
    assert_eq!(kinds(&scene.stop()), []);
}

#[test]
fn a_name_is_that_of_one_camera() {
    let scene = Scene::of(Behaviour::default());
    scene.watched.frames(5);
    let error = add(&scene, "yard", &scene.camera.url()).expect_err("it is refused");
    assert!(matches!(error, Error::SameName { .. }), "{error}");
    let status = scene.watched.frames(5);
    assert_eq!((status.state, status.reconnects), (State::Live, 0));
    scene.stop();
}

#[test]
fn one_is_replaced_by_another_address_and_keeps_its_name() {
    let scene = Scene::of(Behaviour::default());
    scene.watched.frames(5);
    let other = RtspCamera::start(Behaviour::default());
    let watch = &scene.watched.watch;
    let mut changed = settings(&other.url());
    changed.fps_target = 0.0;
    let refused = watch.replace("yard".to_owned(), changed.clone(), source::of(&changed));
    assert!(matches!(refused, Err(Error::Setting { .. })));
    // What cannot work ends nothing.
    assert_eq!(scene.watched.frames(5).reconnects, 0);
    changed.fps_target = 5.0;
    watch
        .replace("yard".to_owned(), changed.clone(), source::of(&changed))
        .expect("it is replaced");
    scene.camera.wait_for(PATIENCE, |stats| stats.open == 0);
    scene.watched.live();
    assert_eq!(names(&watch.status()), ["yard"]);
    assert_eq!(watch.status()[0].url, changed.url.to_string());
    scene.stop();
    other.wait_for(PATIENCE, |stats| stats.open == 0);
}

#[test]
fn what_is_removed_while_it_is_offline_leaves_no_event_open() {
    let scene = Scene::of(Behaviour::default());
    // Nobody listens there.
    add(&scene, "gate", "rtsp://127.0.0.1:9/live").expect("it is added");
    let watch = &scene.watched.watch;
    scene.watched.until("offline", |_| {
        let gate = watch.status_of("gate");
        gate.is_some_and(|status| matches!(status.state, State::Offline { .. }))
    });
    assert!(watch.remove("gate"));
    scene.watched.until("stored", |_| {
        let ledger = watch.ledger_gauges();
        (ledger.waiting, ledger.events) == (0, vec![(CameraOffline, 1)])
    });
    assert_eq!(watch.ledger_gauges().failing_since, None);
    // `stop` looks whether all events have ended.
    assert_eq!(kinds(&scene.stop()), [CameraOffline]);
}

#[test]
fn nothing_is_added_once_all_is_closed() {
    let scene = Scene::of(Behaviour::default());
    scene.watched.frames(5);
    scene.watched.watch.close().expect("all is stored");
    let error = add(&scene, "gate", &scene.camera.url()).expect_err("it is refused");
    assert!(matches!(error, Error::Stopped), "{error}");
    assert_eq!(scene.watched.watch.status(), []);
    scene.stop();
}
