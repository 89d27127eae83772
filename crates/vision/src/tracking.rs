//! Things that stay the same from frame to frame.
//!
//! Detections are matched with predicted places by their overlap, the best pairs first. A track
//! counts once it was seen K times in M frames, and is lost when it was not seen for a while. All
//! of it is in time and not in frames, so that it works at any rate.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use keepwatch_core::events::Region;

use crate::geometry::iou;

/// How the tracker decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerSettings {
    /// The least overlap (IoU) of a detection with the predicted place, 0 to 1.
    pub min_iou: f32,
    /// A track counts after so many hits …
    pub hits: u32,
    /// … within so many frames, up to 32.
    pub window: u32,
    /// It is lost when it was not seen for this long.
    pub max_age: Duration,
    /// More tracks than this are not kept.
    pub max_tracks: usize,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self {
            min_iou: 0.2,
            hits: 3,
            window: 5,
            max_age: Duration::from_secs(2),
            max_tracks: 64,
        }
    }
}

/// Something found in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Where.
    pub region: Region,
    /// How sure, 0 to 1.
    pub score: f32,
    /// Of which class: only detections of one class belong to a track.
    pub label: u32,
}

/// How far a track is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackState {
    /// Seen too rarely to count.
    Tentative,
    /// Seen often enough.
    Confirmed,
    /// Not seen for too long; said once.
    Lost,
}

/// What became of a track in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackUpdate {
    /// Its number, never used again.
    pub id: u64,
    /// How far it is.
    pub state: TrackState,
    /// Where it is, or should be.
    pub region: Region,
    /// Which of the detections was it.
    pub detection: Option<usize>,
}

#[derive(Clone, Debug)]
struct Track {
    id: u64,
    label: u32,
    region: Region,
    /// Change of the centre and of the size in a second.
    velocity: [f32; 4],
    seen: Duration,
    /// Bit n: it was seen n frames ago.
    history: u32,
    confirmed: bool,
}

/// Follows detections of one camera from frame to frame.
#[derive(Debug)]
pub struct Tracker {
    settings: TrackerSettings,
    tracks: Vec<Track>,
    next_id: u64,
    updates: Vec<TrackUpdate>,
}

impl Tracker {
    /// A tracker that follows nothing yet.
    pub fn new(settings: TrackerSettings) -> Self {
        Self {
            settings,
            tracks: Vec::new(),
            next_id: 1,
            updates: Vec::new(),
        }
    }

    /// Takes the detections of the frame of `pts`, in any order. Gives each track once, by number.
    pub fn update(&mut self, pts: Duration, detections: &[Detection]) -> &[TrackUpdate] {
        let predicted: Vec<Region> = self.tracks.iter().map(|track| track.predict(pts)).collect();
        let matches = self.assign(&predicted, detections);
        for (track, detection) in self.tracks.iter_mut().zip(&matches.of_track) {
            track.history <<= 1;
            if let Some(detection) = detection {
                track.see(&detections[*detection], pts, &self.settings);
            }
        }
        let mut of_track = matches.of_track;
        for (index, detection) in detections.iter().enumerate() {
            if matches.taken[index] || self.tracks.len() >= self.settings.max_tracks {
                continue;
            }
            self.tracks.push(Track::new(self.next_id, detection, pts));
            self.next_id += 1;
            of_track.push(Some(index));
        }
        self.report(pts, &of_track);
        &self.updates
    }

    /// The best overlaps first; equal ones by place, so that the order of detections is no matter.
    fn assign(&self, predicted: &[Region], detections: &[Detection]) -> Matches {
        let mut pairs = Vec::new();
        for (t, (track, region)) in self.tracks.iter().zip(predicted).enumerate() {
            for (d, detection) in detections.iter().enumerate() {
                let overlap = iou(region, &detection.region);
                if overlap >= self.settings.min_iou && track.label == detection.label {
                    pairs.push((overlap, t, d));
                }
            }
        }
        let place = |d: usize| detections[d].region;
        pairs.sort_by(|a, b| {
            let (pa, pb) = (place(a.2), place(b.2));
            (b.0.total_cmp(&a.0))
                .then(a.1.cmp(&b.1))
                .then(pa.x.total_cmp(&pb.x))
                .then(pa.y.total_cmp(&pb.y))
        });
        let mut matches = Matches {
            of_track: vec![None; self.tracks.len()],
            taken: vec![false; detections.len()],
        };
        for (_, t, d) in pairs {
            if matches.of_track[t].is_none() && !matches.taken[d] {
                matches.of_track[t] = Some(d);
                matches.taken[d] = true;
            }
        }
        matches
    }

    fn report(&mut self, pts: Duration, of_track: &[Option<usize>]) {
        self.updates.clear();
        let max_age = self.settings.max_age;
        for (track, detection) in self.tracks.iter().zip(of_track) {
            let lost = pts.saturating_sub(track.seen) > max_age;
            let state = match (lost, track.confirmed) {
                (true, _) => TrackState::Lost,
                (false, true) => TrackState::Confirmed,
                (false, false) => TrackState::Tentative,
            };
            self.updates.push(TrackUpdate {
                id: track.id,
                state,
                region: track.predict(pts),
                detection: *detection,
            });
        }
        self.tracks
            .retain(|track| pts.saturating_sub(track.seen) <= max_age);
    }
}

struct Matches {
    of_track: Vec<Option<usize>>,
    taken: Vec<bool>,
}

impl Track {
    fn new(id: u64, detection: &Detection, pts: Duration) -> Self {
        Self {
            id,
            label: detection.label,
            region: detection.region,
            velocity: [0.0; 4],
            seen: pts,
            history: 1,
            confirmed: false,
        }
    }

    fn predict(&self, pts: Duration) -> Region {
        // Nothing goes on as it did for long.
        let elapsed = pts.saturating_sub(self.seen).as_secs_f32().min(1.0);
        let [vx, vy, vw, vh] = self.velocity.map(|velocity| velocity * elapsed);
        let (w, h) = ((self.region.w + vw).max(0.0), (self.region.h + vh).max(0.0));
        let (cx, cy) = center(&self.region);
        Region {
            x: cx + vx - w / 2.0,
            y: cy + vy - h / 2.0,
            w,
            h,
        }
    }

    fn see(&mut self, detection: &Detection, pts: Duration, settings: &TrackerSettings) {
        let elapsed = pts.saturating_sub(self.seen).as_secs_f32();
        if elapsed > 0.0 {
            let (old, new) = (center(&self.region), center(&detection.region));
            let change = [
                new.0 - old.0,
                new.1 - old.1,
                detection.region.w - self.region.w,
                detection.region.h - self.region.h,
            ];
            // Half of what was seen now, half of what was known: outlines jitter.
            for (velocity, change) in self.velocity.iter_mut().zip(change) {
                *velocity = (*velocity + change / elapsed) / 2.0;
            }
        }
        self.region = detection.region;
        self.seen = pts;
        self.history |= 1;
        let window = u32::MAX >> (32 - settings.window.clamp(1, 32));
        self.confirmed |= (self.history & window).count_ones() >= settings.hits;
    }
}

fn center(region: &Region) -> (f32, f32) {
    (region.x + region.w / 2.0, region.y + region.h / 2.0)
}

/// Lets something happen once in a while for each identity.
#[derive(Debug)]
pub struct Cooldown<K> {
    pause: Duration,
    last: HashMap<K, Duration>,
}

impl<K: Eq + Hash> Cooldown<K> {
    /// At most once in `pause` for each.
    pub fn new(pause: Duration) -> Self {
        Self {
            pause,
            last: HashMap::new(),
        }
    }

    /// Whether it may happen now; if so, not again before the pause is over.
    pub fn pass(&mut self, identity: K, now: Duration) -> bool {
        let pause = self.pause;
        self.last
            .retain(|_, last| now.saturating_sub(*last) < pause);
        if self.last.contains_key(&identity) {
            return false;
        }
        self.last.insert(identity, now);
        true
    }
}

#[cfg(test)]
mod tests;
