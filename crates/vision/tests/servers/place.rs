//! A camera being watched, and how long a test is ready to wait for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keepwatch_testkit::vault::event_store;
use keepwatch_vision::{CameraSettings, CameraStatus, Decode, Probe, Record, State, Watch, probe};

const DEADLINE: Duration = Duration::from_secs(30);

pub const REFUSED: &str = "the camera refuses user or password";
pub const UNTRUSTED: &str = "the camera's certificate is not trusted";

/// A camera that is watched, in a store that goes away with it.
pub struct Watched {
    watch: Watch,
    _dir: tempfile::TempDir,
}

impl Watched {
    pub fn new(settings: CameraSettings) -> Self {
        let (dir, store) = event_store();
        let cameras = BTreeMap::from([("cam".to_owned(), settings)]);
        let watch = Watch::start(cameras, store.clone(), store.media()).expect("it starts");
        Self { watch, _dir: dir }
    }

    /// Waits until the camera sends, and what it sends is seen.
    pub fn pictures(&self) -> CameraStatus {
        let before = self.status().analysed;
        let live = |now: &CameraStatus| now.state == State::Live && now.analysed > before;
        self.wait("pictures", live)
    }

    /// Waits until it does not; gives why not.
    pub fn offline(&self) -> String {
        let offline = |now: &CameraStatus| matches!(now.state, State::Offline { .. });
        match self.wait("an end", offline).state {
            State::Offline { reason, .. } => reason,
            _ => unreachable!("it has just been"),
        }
    }

    /// Waits until it does not, for this reason.
    pub fn offline_because(&self, expected: &str) {
        let because = |now: &CameraStatus| match &now.state {
            State::Offline { reason, .. } => reason == expected,
            _ => false,
        };
        self.wait(expected, because);
    }

    fn wait(&self, what: &str, done: impl Fn(&CameraStatus) -> bool) -> CameraStatus {
        let began = Instant::now();
        loop {
            let status = self.status();
            if done(&status) {
                return status;
            }
            assert!(began.elapsed() < DEADLINE, "no {what}: {status:?}");
            let _ = self.watch.events().recv_timeout(Duration::from_millis(50));
        }
    }

    fn status(&self) -> CameraStatus {
        self.watch.status().remove(0)
    }
}

/// A camera there, of which nothing is recorded.
pub fn camera(url: &str) -> CameraSettings {
    let mut settings = CameraSettings::new(url.parse().expect("an address"));
    settings.record = Record::Off;
    settings.decode = Decode::All;
    settings
}

/// What a camera sends within a second.
pub fn look(settings: &CameraSettings) -> Probe {
    probe(settings, Duration::from_secs(1)).expect("it can be tried")
}
