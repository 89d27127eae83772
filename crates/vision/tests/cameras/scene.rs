//! A scripted camera, watched into a store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keepwatch_core::events::{Event, EventFilter, EventKind, EventStore, Store, VerifyOptions};
use keepwatch_testkit::camera::{Behaviour, RtspCamera};
use keepwatch_testkit::vault::event_store;
use keepwatch_vision::{CameraSettings, CameraStatus, State, Watch};

/// How long anything may take before the test has failed. Nothing waits so long that works.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a camera may be silent in these tests: the shortest that can be set.
pub const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// A camera at that address, of which little is expected.
pub fn settings(url: &str) -> CameraSettings {
    let mut settings = CameraSettings::new(url.parse().expect("an address"));
    settings.read_timeout = READ_TIMEOUT;
    settings.retry_first = Duration::from_millis(100);
    settings.retry_longest = Duration::from_millis(200);
    settings.pre_roll = Duration::from_secs(1);
    settings.post_roll = Duration::from_secs(1);
    settings
}

/// One camera that is watched, and the store that its events go to.
pub struct Watched {
    pub watch: Watch,
    pub store: Arc<Store>,
    _dir: tempfile::TempDir,
}

impl Watched {
    pub fn new(settings: CameraSettings) -> Self {
        let (dir, store) = event_store();
        let cameras = BTreeMap::from([("yard".to_owned(), settings)]);
        let watch = Watch::start(cameras, store.clone(), store.media()).expect("it starts");
        Self::of(watch, store, dir)
    }

    pub fn of(watch: Watch, store: Arc<Store>, dir: tempfile::TempDir) -> Self {
        Self {
            watch,
            store,
            _dir: dir,
        }
    }

    /// Waits until the camera's status is so.
    pub fn until(&self, what: &str, is_so: impl Fn(&CameraStatus) -> bool) -> CameraStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.watch.status().remove(0);
            if is_so(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "not {what}: {status:?}");
            // Whatever else changes, it is looked at again soon.
            let _ = self.watch.events().recv_timeout(Duration::from_millis(20));
        }
    }

    /// Waits until pictures come.
    pub fn live(&self) -> CameraStatus {
        self.until("live", |status| status.state == State::Live)
    }

    /// Waits until that many more pictures came.
    pub fn frames(&self, more: u64) -> CameraStatus {
        let before = self.watch.status()[0].frames;
        self.until("sending", |status| status.frames >= before + more)
    }

    /// Waits until it is offline for that reason.
    pub fn offline(&self, why: &str) -> CameraStatus {
        self.until(
            &format!("offline as {why:?}"),
            |status| matches!(&status.state, State::Offline { reason, .. } if reason == why),
        )
    }

    /// Stops, and gives the events in their order. Whatever happened, the store is whole.
    pub fn stop(self) -> Vec<Event> {
        let status = self.watch.status();
        self.watch.stop().expect("all is stored");
        let filter = EventFilter {
            oldest_first: true,
            ..EventFilter::default()
        };
        let events = self.store.list(&filter).expect("they are listed");
        let options = VerifyOptions {
            media: true,
            ..VerifyOptions::default()
        };
        let report = self.store.verify(&options).expect("it is verified");
        assert!(report.is_ok(), "{:?}", report.findings);
        assert!(events.iter().all(|event| event.ended_at.is_some()));
        let shown = format!("{events:?} {status:?}");
        assert!(!shown.contains("secret"), "{shown}");
        events
    }
}

/// A scripted camera that is watched.
pub struct Scene {
    pub camera: RtspCamera,
    pub watched: Watched,
}

impl Scene {
    pub fn of(behaviour: Behaviour) -> Self {
        Self::with(behaviour, |_| {})
    }

    pub fn with(behaviour: Behaviour, change: impl FnOnce(&mut CameraSettings)) -> Self {
        let camera = RtspCamera::start(behaviour);
        let mut settings = settings(&camera.url());
        change(&mut settings);
        let watched = Watched::new(settings);
        Self { camera, watched }
    }

    /// Stops, and gives the events. The camera is left by whoever watched it.
    pub fn stop(self) -> Vec<Event> {
        let events = self.watched.stop();
        self.camera.wait_for(PATIENCE, |stats| stats.open == 0);
        events
    }
}

/// What happened, and why.
pub fn told(events: &[Event]) -> Vec<(EventKind, &str)> {
    let told = events.iter();
    let told = told.map(|event| (event.kind, event.reason.as_deref().unwrap_or_default()));
    told.collect()
}

/// The kinds of what happened.
pub fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}
