//! Numbers of the moment, for whoever watches the watching.

use std::sync::atomic::{AtomicUsize, Ordering};

use keepwatch_core::events::EventKind;
use keepwatch_core::jiff::Timestamp;

/// How busy a camera is.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CameraGauges {
    /// Its name.
    pub camera: String,
    /// Packets that wait for the analysis: where it is too slow, the next are dropped.
    pub analysis_queue: usize,
    /// Bytes that wait to be recorded: where the disk is too slow, the recording ends. 0 for a file,
    /// which waits itself.
    pub recorder_queue_bytes: usize,
    /// When the last frame was shown.
    pub last_frame: Option<Timestamp>,
    /// Who looks at the encoded video.
    pub live_subscribers: usize,
    /// Frames that were left out for those of them who were too slow, so far.
    pub live_dropped: u64,
    /// The packets that the next of them would begin with, in bytes. Recordings hold most of them as
    /// well.
    pub live_group_bytes: usize,
    /// Who looks at pictures.
    pub picture_subscribers: usize,
    /// Who looks at overlays.
    pub overlay_subscribers: usize,
}

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Up to how many seconds something counts for each bucket; what took longer counts for one more.
    pub bounds: &'static [f64],
    /// How often, for each bucket by itself and for the one more.
    pub counts: Vec<u64>,
    /// How long all of it took, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// How often in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// How busy recognition is, over all that a watch was given. Numbers but `waiting` only grow.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RecognitionGauges {
    /// Pictures that wait, at most one of each camera.
    pub waiting: usize,
    /// Parts of pictures that were looked at.
    pub pictures: u64,
    /// How often a recogniser was at work, and for how long: each time with all that could be done
    /// at once.
    pub runs: Histogram,
}

/// How the event store keeps up, since watching began. Numbers but `waiting` only grow.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LedgerGauges {
    /// What waits to be stored: states of events, and segments.
    pub waiting: usize,
    /// How many events were stored, by kind; a later state of one does not count again.
    pub events: Vec<(EventKind, u64)>,
    /// How many segments of continuous recording were.
    pub segments: u64,
    /// How often the store refused. What it refuses is tried again.
    pub failures: u64,
    /// Since when it refuses; none if it took what it was given last.
    pub failing_since: Option<Timestamp>,
    /// States of events and segments that were given up.
    pub lost: u64,
}

/// What waits in a camera's queues, as of its last look up.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    analysis: AtomicUsize,
    recorder_bytes: AtomicUsize,
}

impl Queues {
    /// So it is now.
    pub fn note(&self, analysis: usize, recorder_bytes: usize) {
        self.analysis.store(analysis, Ordering::Relaxed);
        self.recorder_bytes.store(recorder_bytes, Ordering::Relaxed);
    }

    /// Packets that wait for the analysis, and bytes that wait to be recorded.
    pub fn get(&self) -> (usize, usize) {
        let analysis = self.analysis.load(Ordering::Relaxed);
        (analysis, self.recorder_bytes.load(Ordering::Relaxed))
    }
}
