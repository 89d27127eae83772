//! Things that stay the same from frame to frame.
//!
//! Detections are matched with predicted places by their overlap, the best pairs first. A track
//! counts once it was seen K times in M frames, and is lost when it was not seen for a while. All
//! of it is in time and not in frames, so that it works at any rate.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as AtomicOrdering};
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
    /// … within so many frames, up to 64.
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
    history: u64,
    confirmed: bool,
}

/// Follows detections of one camera from frame to frame.
#[derive(Debug)]
pub struct Tracker {
    settings: TrackerSettings,
    tracks: Vec<Track>,
    next_id: Arc<AtomicU64>,
    updates: Vec<TrackUpdate>,
    scratch: Scratch,
}

/// What a frame needs, kept so that none allocates.
#[derive(Debug, Default)]
struct Scratch {
    /// Where tracks should be by now.
    predicted: Vec<Region>,
    /// Detections by place: what is decided must not depend on the order they are given in.
    order: Vec<usize>,
    /// Overlap, index of the track, index in `order`.
    pairs: Vec<(f32, usize, usize)>,
    of_track: Vec<Option<usize>>,
    taken: Vec<bool>,
}

impl Tracker {
    /// A tracker that follows nothing yet.
    pub fn new(settings: TrackerSettings) -> Self {
        Self::numbered(settings, Arc::new(AtomicU64::new(1)))
    }

    /// One for other detections of the same camera: no two tracks of both have the same number.
    pub fn beside(&self, settings: TrackerSettings) -> Self {
        Self::numbered(settings, self.next_id.clone())
    }

    fn numbered(settings: TrackerSettings, next_id: Arc<AtomicU64>) -> Self {
        Self {
            settings,
            tracks: Vec::new(),
            next_id,
            updates: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Takes the detections of the frame of `pts`, in any order. Gives each track once, by number.
    pub fn update(&mut self, pts: Duration, detections: &[Detection]) -> &[TrackUpdate] {
        self.assign(pts, detections);
        for (track, detection) in self.tracks.iter_mut().zip(&self.scratch.of_track) {
            track.history <<= 1;
            if let Some(detection) = detection {
                track.see(&detections[*detection], pts, &self.settings);
            }
        }
        for &index in &self.scratch.order {
            if self.scratch.taken[index] || self.tracks.len() >= self.settings.max_tracks {
                continue;
            }
            let detection = &detections[index];
            let id = self.next_id.fetch_add(1, AtomicOrdering::Relaxed);
            self.tracks.push(Track::new(id, detection, pts));
            self.scratch.of_track.push(Some(index));
        }
        self.report(pts);
        &self.updates
    }

    /// The best overlaps first, equal ones by place.
    fn assign(&mut self, pts: Duration, detections: &[Detection]) {
        let Scratch {
            predicted,
            order,
            pairs,
            of_track,
            taken,
        } = &mut self.scratch;
        predicted.clear();
        predicted.extend(self.tracks.iter().map(|track| track.predict(pts)));
        order.clear();
        order.extend(0..detections.len());
        order.sort_unstable_by(|a, b| by_place(&detections[*a], &detections[*b]));
        pairs.clear();
        for (t, (track, region)) in self.tracks.iter().zip(predicted).enumerate() {
            for (rank, &d) in order.iter().enumerate() {
                let overlap = iou(region, &detections[d].region);
                if overlap >= self.settings.min_iou && track.label == detections[d].label {
                    pairs.push((overlap, t, rank));
                }
            }
        }
        pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        of_track.clear();
        of_track.resize(self.tracks.len(), None);
        taken.clear();
        taken.resize(detections.len(), false);
        for &(_, t, rank) in pairs.iter() {
            let d = order[rank];
            if of_track[t].is_none() && !taken[d] {
                of_track[t] = Some(d);
                taken[d] = true;
            }
        }
    }

    fn report(&mut self, pts: Duration) {
        self.updates.clear();
        let max_age = self.settings.max_age;
        for (track, detection) in self.tracks.iter().zip(&self.scratch.of_track) {
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

/// From left to right; what differs in nothing may change places.
fn by_place(a: &Detection, b: &Detection) -> Ordering {
    let key = |d: &Detection| [d.region.x, d.region.y, d.region.w, d.region.h, d.score];
    let (left, right) = (key(a), key(b));
    let pairs = left.iter().zip(&right);
    let by_region = pairs.fold(Ordering::Equal, |so_far, (a, b)| {
        so_far.then(a.total_cmp(b))
    });
    by_region.then(a.label.cmp(&b.label))
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
        let window = u64::MAX >> (64 - settings.window.clamp(1, 64));
        self.confirmed |= (self.history & window).count_ones() >= settings.hits;
    }
}

fn center(region: &Region) -> (f32, f32) {
    (region.x + region.w / 2.0, region.y + region.h / 2.0)
}

/// The most identities that a [`Cooldown`] knows.
const MAX_IDENTITIES: usize = 4096;

/// Lets something happen once in a while for each identity.
///
/// It knows 4096 of them at most, and forgets those of longest ago beyond that.
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
        if self.last.len() >= MAX_IDENTITIES {
            let oldest = self.last.values().min().copied().unwrap_or(now);
            self.last.retain(|_, last| *last > oldest);
        }
        self.last.insert(identity, now);
        true
    }
}

#[cfg(test)]
mod tests;
