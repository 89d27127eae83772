//! What is followed on one camera, of one kind.

use std::collections::HashMap;
use std::time::Duration;

use keepwatch_core::events::Region;

use super::events::Followed;
use crate::tracking::{Detection, TrackUpdate, Tracker, TrackerSettings};

/// A tracker, and what is known of each of its tracks.
pub(super) struct Tracks<T> {
    tracker: Tracker,
    settings: TrackerSettings,
    /// By the number of the track.
    pub known: HashMap<u64, T>,
    detections: Vec<Detection>,
}

impl<T: AsMut<Followed> + AsRef<Followed>> Tracks<T> {
    /// Nothing yet. No track has the number of one of `beside`.
    pub fn new(settings: TrackerSettings, beside: &Tracker) -> Self {
        Self {
            tracker: beside.beside(settings),
            settings,
            known: HashMap::new(),
            detections: Vec::new(),
        }
    }

    /// Where they are, or should be.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        self.known.values().map(|track| track.as_ref().region)
    }

    /// Takes what was found in a frame. Gives what became of each track; those that were not found
    /// are where they should be by now.
    pub fn update(
        &mut self,
        pts: Duration,
        found: impl Iterator<Item = Detection>,
    ) -> Vec<TrackUpdate> {
        self.detections.clear();
        self.detections.extend(found);
        let updates = self.tracker.update(pts, &self.detections).to_vec();
        for update in updates.iter().filter(|update| update.detection.is_none()) {
            if let Some(track) = self.known.get_mut(&update.id) {
                track.as_mut().region = update.region;
            }
        }
        updates
    }

    /// Follows nothing any more. Gives the numbers of what was followed, in order; it is up to the
    /// caller to take it out of what is known.
    pub fn restart(&mut self) -> Vec<u64> {
        self.tracker = self.tracker.beside(self.settings);
        let mut ids: Vec<u64> = self.known.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}
