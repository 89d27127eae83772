//! What looks at the pictures of cameras besides motion detection.

use keepwatch_core::events::Region;
use keepwatch_core::jiff::Timestamp;

use crate::decoder::Frame;
use crate::error::Result;
use crate::motion::MotionFrame;

/// A picture that is analysed.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// The name of the camera.
    pub camera: &'a str,
    /// The picture, in full size; it may be kept. Its time is on the camera's timeline.
    pub frame: &'a Frame,
    /// When it was taken, by the wall clock.
    pub at: Timestamp,
    /// What moves in it.
    pub motion: &'a MotionFrame,
}

/// Something that was found in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What it is.
    pub label: String,
    /// How sure, 0 to 1.
    pub score: f32,
    /// Where.
    pub region: Region,
}

/// Finds things in the pictures of cameras.
///
/// A [`Watch`](crate::Watch) gives it each picture that is analysed for motion: at most
/// [`fps_target`](crate::CameraSettings::fps_target) a second, and only those that
/// [`decode`](crate::CameraSettings::decode) lets be decoded. What it finds is followed from picture
/// to picture by label and place, and what is found often enough becomes an event of the kind
/// [`Object`](keepwatch_core::events::EventKind::Object), from the first time that it was seen to
/// the last.
///
/// It is called by the threads of all cameras, by each in the order of its pictures. While it works,
/// packets of that camera wait, and are dropped when it takes too long: recording goes on.
pub trait Analyzer: Send + Sync {
    /// Finds what it looks for.
    ///
    /// # Errors
    /// When it cannot tell. That is logged, and the next picture is looked at as usual.
    fn analyze(&self, seen: &Seen<'_>) -> Result<Vec<Found>>;
}
