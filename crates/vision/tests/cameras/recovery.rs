//! Cameras that go and come back, and what is recorded meanwhile.

use std::time::Duration;

use keepwatch_core::events::EventFilter;
use keepwatch_core::events::EventKind::{CameraOffline, CameraOnline, Motion};
use keepwatch_testkit::camera::{Auth, Behaviour, Film, RtspCamera, Scheme};
use keepwatch_vision::{Decode, Record, State};

use crate::scene::{PATIENCE, Scene, Watched, kinds, settings, told};

#[test]
fn the_right_password_opens_it() {
    for scheme in [Scheme::Basic, Scheme::Digest] {
        // With all that means something in an address.
        let auth = Auth::new(scheme, "admin", "se:cr@et/p?w#1%20");
        let camera = RtspCamera::start(Behaviour::default().for_user(auth));
        let mut settings = settings("rtsp://127.0.0.1:1/");
        let address = camera.url();
        let (_, place) = address.rsplit_once('@').expect("it has credentials");
        let url = format!("rtsp://{place}").parse().expect("an address");
        let url: keepwatch_vision::CameraUrl = url;
        settings.url = url.with_credentials("admin", "se:cr@et/p?w#1%20");
        let watched = Watched::new(settings);
        watched.frames(10);
        assert_eq!(told(&watched.stop()), []);
    }
}

#[test]
fn it_restarts() {
    let mut scene = Scene::of(Behaviour::default());
    scene.watched.frames(20);
    scene.camera.switch_off();
    scene.watched.offline("the camera cannot be reached");
    scene.camera.switch_on();
    scene.watched.live();
    scene.watched.frames(10);
    assert_eq!(kinds(&scene.stop()), [CameraOffline, CameraOnline]);
}

#[test]
fn its_password_changes() {
    let auth = Auth::new(Scheme::Digest, "admin", "the-secret");
    let scene = Scene::of(Behaviour::default().for_user(auth));
    scene.watched.frames(10);
    let other = Auth::new(Scheme::Digest, "admin", "another-secret");
    scene.camera.set(Behaviour::default().for_user(other));
    scene.camera.kill_connections();
    scene.watched.offline("the camera refuses user or password");
    let events = scene.stop();
    assert_eq!(kinds(&events), [CameraOffline]);
    // The event says what is wrong now, not what was wrong first.
    assert_eq!(
        events[0].reason.as_deref(),
        Some("the camera refuses user or password")
    );
}

#[test]
fn many_losses_leave_nothing_behind() {
    let scene = Scene::with(Behaviour::default(), |settings| {
        settings.retry_longest = Duration::from_millis(100);
    });
    scene.watched.frames(5);
    let lose = || {
        scene.camera.kill_connections();
        scene
            .watched
            .until("offline", |status| status.state != State::Live);
        scene.watched.live();
    };
    (0..5).for_each(|_| lose());
    let before = Footprint::now();
    (0..30).for_each(|_| lose());
    let after = Footprint::now();
    assert!(after.threads <= before.threads + 2, "{before:?} {after:?}");
    assert!(after.files <= before.files + 2, "{before:?} {after:?}");
    // A session's pipeline and buffers are some hundred KB.
    assert!(
        after.memory <= before.memory + (4 << 20),
        "{before:?} {after:?}"
    );
    scene.camera.wait_for(PATIENCE, |stats| stats.open == 1);
    assert_eq!(scene.stop().len(), 2 * 35);
}

#[test]
fn motion_is_recorded_before_and_after_a_loss() {
    let film = Film {
        fps: 12,
        frames: 96,
        passing: Some((48, 84)),
        ..Film::default()
    };
    let scene = Scene::with(Behaviour::showing(&film), |settings| {
        settings.decode = Decode::All;
    });
    scene.watched.until("moving", |status| status.moving);
    scene.camera.kill_connections();
    scene
        .watched
        .until("offline", |status| status.state != State::Live);
    scene.watched.live();
    scene.watched.until("moving again", |status| status.moving);
    scene.watched.until("still again", |status| !status.moving);
    let events = scene.stop();
    assert_eq!(
        kinds(&events),
        [Motion, CameraOffline, CameraOnline, Motion]
    );
    for event in events.iter().filter(|event| event.kind == Motion) {
        assert!(
            event.clip.is_some() && event.snapshot.is_some(),
            "{event:?}"
        );
    }
    let times: Vec<_> = events.iter().map(|event| event.started_at).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn continuous_recording_says_where_it_has_a_gap() {
    let scene = Scene::with(Behaviour::default(), |settings| {
        settings.record = Record::Continuous;
    });
    scene.watched.frames(20);
    scene.camera.kill_connections();
    scene
        .watched
        .until("offline", |status| status.state != State::Live);
    scene.watched.live();
    scene.watched.frames(20);
    let store = scene.watched.store.clone();
    let events = scene.stop();
    let filter = EventFilter::default();
    let segments = store.list_segments(&filter).expect("they are listed");
    assert_eq!(segments.len(), 2);
    assert_eq!(events.len(), 3, "{:?}", told(&events));
}

/// What the process holds.
#[derive(Debug)]
struct Footprint {
    threads: usize,
    files: usize,
    /// Resident, in bytes.
    memory: u64,
}

impl Footprint {
    fn now() -> Self {
        let count = |dir| std::fs::read_dir(dir).expect("Linux has it").count();
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.split_whitespace().next());
        let kilobytes: u64 = resident
            .and_then(|text| text.parse().ok())
            .expect("a number");
        Self {
            threads: count("/proc/self/task"),
            files: count("/proc/self/fd"),
            memory: kilobytes << 10,
        }
    }
}
