//! Numbers of the moment, for whoever watches the watching.

use std::sync::atomic::{AtomicUsize, Ordering};

use keepwatch_core::jiff::Timestamp;

/// How busy a camera is.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CameraGauges {
    /// Its name.
    pub camera: String,
    /// Packets that wait for the analysis; of 64 the next are dropped.
    pub analysis_queue: usize,
    /// Bytes that wait to be recorded; of 32 MiB the next are dropped. 0 for a file, which waits
    /// itself.
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
