//! Faces and plates that are sure enough to be told, and told once.
//!
//! A single look at a face or plate is often wrong. What is followed through frames, a track, is
//! therefore looked at several times, and an identity counts when enough of the latest looks agree:
//! `frames_required` of `frames_window`. It is told once for each visit: not again in the same
//! track, and in another one only when it has not been seen for `cooldown_seconds` at this camera.
//!
//! Whoever follows the tracks (by `iou_threshold` and `max_age_frames`) gives their numbers, and
//! says when one ends. Time is that of the camera's pictures, a [`Duration`] since any beginning,
//! and never the time of day, which people set. One confirmer is for one camera.

use std::collections::HashMap;
use std::time::Duration;

use crate::error::{Error, Result};

mod face;
mod plate;
mod visits;

pub use face::{FaceConfirmer, FaceSeen};
pub use plate::{Listed, PlateConfirmer, PlateSeen, PlateSettings, Reading};

/// The longest `frames_window`.
pub const MAX_WINDOW: usize = 64;

/// How often, and how rarely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmSettings {
    /// So many looks at a track must agree …
    pub frames_required: usize,
    /// … of the latest so many.
    pub frames_window: usize,
    /// The same identity is a new visit when it was not seen for this long.
    pub cooldown: Duration,
    /// More tracks than this are not remembered: then that which was not looked at for longest is
    /// forgotten.
    pub max_tracks: usize,
    /// More identities than this are not remembered, likewise.
    pub max_identities: usize,
}

impl Default for ConfirmSettings {
    fn default() -> Self {
        Self {
            frames_required: 3,
            frames_window: 5,
            cooldown: Duration::from_secs(30),
            max_tracks: 256,
            max_identities: 1024,
        }
    }
}

impl ConfirmSettings {
    /// Checks them.
    ///
    /// # Errors
    /// [`Error::Setting`] when nothing could ever be confirmed or remembered.
    fn check(&self) -> Result<()> {
        let bad = |name, problem| Err(Error::Setting { name, problem });
        if !(1..=MAX_WINDOW).contains(&self.frames_window) {
            let problem = format!("{} is not from 1 to {MAX_WINDOW}", self.frames_window);
            return bad("frames_window", problem);
        }
        if !(1..=self.frames_window).contains(&self.frames_required) {
            let problem = format!(
                "{} is not from 1 to frames_window, which is {}",
                self.frames_required, self.frames_window
            );
            return bad("frames_required", problem);
        }
        for (name, value) in [
            ("max_tracks", self.max_tracks),
            ("max_identities", self.max_identities),
        ] {
            if value == 0 {
                return bad(name, "it must be at least 1".to_owned());
            }
        }
        Ok(())
    }
}

/// Tracks by number, with a bound.
#[derive(Debug)]
struct Tracks<T> {
    max: usize,
    tracks: HashMap<u64, (Duration, T)>,
}

impl<T: Default> Tracks<T> {
    fn new(max: usize) -> Self {
        Self {
            max,
            tracks: HashMap::new(),
        }
    }

    /// The track, new if need be.
    fn look(&mut self, track: u64, at: Duration) -> &mut T {
        if !self.tracks.contains_key(&track) && self.tracks.len() >= self.max {
            let oldest = self.tracks.iter().map(|(id, (seen, _))| (*seen, *id)).min();
            if let Some((_, id)) = oldest {
                self.tracks.remove(&id);
            }
        }
        let (seen, state) = self.tracks.entry(track).or_default();
        *seen = at;
        state
    }

    fn end(&mut self, track: u64) -> Option<T> {
        self.tracks.remove(&track).map(|(_, state)| state)
    }
}
