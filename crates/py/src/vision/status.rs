//! How cameras are doing.

use keepwatch_vision::State;

use crate::record::{Time, record};

record! {
    /// How a camera is doing.
    CameraStatus {
        /// Its name.
        camera: String,
        /// Where it is, without credentials.
        url: String,
        /// `connecting`, `live`, `offline` or `ended`.
        state: &'static str,
        /// Why it is offline, or ended other than it should.
        problem: Option<String>,
        /// Since when it is offline.
        offline_since: Option<Time>,
        /// The codec of what it sends.
        codec: Option<String>,
        /// The width of the picture in pixels; 0 until that is known.
        width: u32,
        /// Its height.
        height: u32,
        /// Frames that came.
        frames: u64,
        /// Bytes that came.
        bytes: u64,
        /// Frames that were decoded.
        decoded: u64,
        /// Frames that were dropped because they were not taken in time.
        dropped: u64,
        /// Times that the connection was made anew.
        reconnects: u64,
        /// Frames that were analysed.
        analysed: u64,
        /// Whether something moves.
        moving: bool,
        /// Recordings that are being written.
        recording: usize,
        /// Frames that were looked at for faces and plates.
        looks: u64,
        /// Frames that were to be looked at, and were not, since a newer one was there first.
        looks_skipped: u64,
        /// Frames in which recognition failed.
        looks_failed: u64,
    }
}

impl CameraStatus {
    /// As Python sees it.
    pub fn new(status: keepwatch_vision::CameraStatus) -> Self {
        let (state, problem, offline_since) = match status.state {
            State::Connecting => ("connecting", None, None),
            State::Live => ("live", None, None),
            State::Offline { since, reason } => ("offline", Some(reason), Some(Time(since))),
            State::Ended { problem } => ("ended", problem, None),
            _ => ("unknown", None, None),
        };
        Self {
            camera: status.camera,
            url: status.url,
            state,
            problem,
            offline_since,
            codec: status.codec.map(|codec| codec.to_string()),
            width: status.width,
            height: status.height,
            frames: status.frames,
            bytes: status.bytes,
            decoded: status.decoded,
            dropped: status.dropped,
            reconnects: status.reconnects,
            analysed: status.analysed,
            moving: status.moving,
            recording: status.recording,
            looks: status.looks,
            looks_skipped: status.looks_skipped,
            looks_failed: status.looks_failed,
        }
    }
}
