//! How a camera is doing.

use std::sync::{Arc, Mutex, PoisonError};

use keepwatch_core::events::{EventId, EventKind};
use keepwatch_core::jiff::Timestamp;
use serde::Serialize;

use crate::packet::Codec;

/// What a camera is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum State {
    /// Being reached, or reached and without a picture yet.
    #[default]
    Connecting,
    /// Sending.
    Live,
    /// Not sending anything that can be used.
    Offline {
        /// Since when.
        since: Timestamp,
        /// Why, in words that hold no secret.
        reason: String,
    },
    /// Not watched any more.
    Ended {
        /// Why not; none if it came to its end or was told to stop.
        problem: Option<String>,
    },
}

/// The last event of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LastEvent {
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// When it began.
    pub at: Timestamp,
}

/// How a camera is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CameraStatus {
    /// Its name.
    pub camera: String,
    /// Where it is, without credentials.
    pub url: String,
    /// What it is doing.
    #[serde(flatten)]
    pub state: State,
    /// The codec of what it sends.
    pub codec: Option<Codec>,
    /// The width of the picture in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Frames that came, in the last full second.
    pub fps_in: f32,
    /// Frames that came.
    pub frames: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Frames that were decoded.
    pub decoded: u64,
    /// Frames that were analysed.
    pub analysed: u64,
    /// Frames that were dropped because they could not be taken in time.
    pub dropped: u64,
    /// Times that the connection was made anew.
    pub reconnects: u64,
    /// Times that the camera's clock was set anew.
    pub clock_jumps: u64,
    /// Whether something moves.
    pub moving: bool,
    /// Recordings that are being written.
    pub recording: usize,
    /// What is kept in memory for the next clip, in bytes.
    pub pre_roll_bytes: usize,
    /// Frames that were looked at for faces and plates.
    pub looks: u64,
    /// Frames that were to be looked at, and were not, since a newer one was there first.
    pub looks_skipped: u64,
    /// Frames in which recognition failed; the log says why.
    pub looks_failed: u64,
    /// The last event.
    pub last_event: Option<LastEvent>,
}

/// A status that several threads write to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<CameraStatus>>);

impl Shared {
    pub fn new(camera: &str, url: String) -> Self {
        Self(Arc::new(Mutex::new(CameraStatus {
            camera: camera.to_owned(),
            url,
            ..CameraStatus::default()
        })))
    }

    pub fn update<T>(&self, f: impl FnOnce(&mut CameraStatus) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn get(&self) -> CameraStatus {
        self.update(|status| status.clone())
    }
}
