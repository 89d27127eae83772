//! What an analyser finds, as events.

use std::collections::HashMap;
use std::sync::Arc;

use keepwatch_core::events::{Event, EventId, EventKind, Observation, Region};
use keepwatch_core::jiff::Timestamp;

use crate::analysis::Best;
use crate::analyzer::{Analyzer, Found, Seen};
use crate::decoder::Frame;
use crate::error::with_causes;
use crate::ledger::Ledger;
use crate::live::{OverlayTrack, TrackKind};
use crate::status::{LastEvent, Shared};
use crate::tracking::{Detection, TrackState, Tracker};

/// The longest label that is kept, in bytes.
const MAX_LABEL: usize = 256;

/// Something that is followed.
struct Object {
    label: u32,
    first: Timestamp,
    last: Timestamp,
    /// Where it is, or should be.
    region: Region,
    best: Observation,
    picture: Frame,
    /// Its event, once it counts.
    event: Option<EventId>,
}

/// What one analyser finds in the pictures of one camera.
pub(crate) struct Objects {
    analyzer: Arc<dyn Analyzer>,
    camera: String,
    ledger: Ledger,
    status: Shared,
    tracker: Tracker,
    /// By the number of its track.
    followed: HashMap<u64, Object>,
    /// Numbers of labels, for the tracker. Of those that nobody follows any more, none is kept.
    labels: HashMap<String, u32>,
    next_label: u32,
}

impl Objects {
    pub fn new(
        analyzer: Arc<dyn Analyzer>,
        camera: String,
        ledger: Ledger,
        status: Shared,
        tracker: Tracker,
    ) -> Self {
        Self {
            analyzer,
            camera,
            ledger,
            status,
            tracker,
            followed: HashMap::new(),
            labels: HashMap::new(),
            next_label: 0,
        }
    }

    /// Looks at a picture. Gives the pictures of events that ended with it.
    pub fn look(&mut self, seen: &Seen<'_>) -> Vec<Best> {
        let found = match self.analyzer.analyze(seen) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(camera = self.camera, error = %with_causes(&error), "an analyser");
                Vec::new()
            }
        };
        let found: Vec<Found> = found.into_iter().filter_map(sound).collect();
        let detections: Vec<Detection> = found
            .iter()
            .map(|found| Detection {
                region: found.region,
                score: found.score,
                label: self.number(&found.label),
            })
            .collect();
        let mut ended = Vec::new();
        let updates = self.tracker.update(seen.frame.pts, &detections).to_vec();
        for update in updates {
            if update.state == TrackState::Lost {
                let object = self.followed.remove(&update.id);
                ended.extend(object.and_then(|object| self.end(object, None)));
                continue;
            }
            let Some(index) = update.detection else {
                if let Some(object) = self.followed.get_mut(&update.id) {
                    object.region = update.region;
                }
                continue;
            };
            let observation = Observation {
                at: seen.at,
                label: found[index].label.clone(),
                score: found[index].score,
                region: Some(found[index].region),
                track: Some(update.id),
            };
            let object = self.followed.entry(update.id).or_insert_with(|| Object {
                label: detections[index].label,
                first: seen.at,
                last: seen.at,
                region: found[index].region,
                best: observation.clone(),
                picture: seen.frame.clone(),
                event: None,
            });
            object.last = seen.at;
            object.region = found[index].region;
            if observation.score > object.best.score {
                object.best = observation;
                object.picture = seen.frame.clone();
            }
            if update.state == TrackState::Confirmed && object.event.is_none() {
                object.event = begin(&self.camera, object, &self.ledger, &self.status);
            }
        }
        let followed = &self.followed;
        self.labels
            .retain(|_, number| followed.values().any(|object| object.label == *number));
        ended
    }

    /// What is followed.
    pub fn tracks(&self) -> impl Iterator<Item = OverlayTrack> {
        self.followed.iter().map(|(track, object)| OverlayTrack {
            track: *track,
            kind: TrackKind::Object,
            label: Some(object.best.label.clone()),
            score: object.best.score,
            region: object.region,
        })
    }

    /// Ends whatever lasts. Gives the pictures of it.
    pub fn end_all(&mut self, reason: Option<&str>) -> Vec<Best> {
        let objects: Vec<Object> = self.followed.drain().map(|(_, object)| object).collect();
        objects
            .into_iter()
            .filter_map(|object| self.end(object, reason))
            .collect()
    }

    fn end(&self, object: Object, reason: Option<&str>) -> Option<Best> {
        let id = object.event?;
        let picture = Best {
            id,
            frame: object.picture,
            at: object.best.at,
            score: object.best.score,
            blur: Vec::new(),
        };
        let reason = reason.map(str::to_owned);
        self.ledger.end(id, object.last, vec![object.best], reason);
        Some(picture)
    }

    fn number(&mut self, label: &str) -> u32 {
        if let Some(number) = self.labels.get(label) {
            return *number;
        }
        let number = self.next_label;
        self.next_label = self.next_label.wrapping_add(1);
        self.labels.insert(label.to_owned(), number);
        number
    }
}

fn begin(camera: &str, object: &Object, ledger: &Ledger, status: &Shared) -> Option<EventId> {
    let id = match EventId::new(object.first) {
        Ok(id) => id,
        Err(error) => {
            tracing::error!(error = %with_causes(&error), "an event cannot be named");
            return None;
        }
    };
    ledger.event(Event {
        id,
        camera: camera.to_owned(),
        kind: EventKind::Object,
        started_at: object.first,
        ended_at: None,
        observations: vec![object.best.clone()],
        snapshot: None,
        clip: None,
        reason: None,
        details: None,
    });
    status.update(|status| {
        status.last_event = Some(LastEvent {
            id,
            kind: EventKind::Object,
            at: object.first,
        });
    });
    Some(id)
}

/// What is in the picture of it, if anything is; analysers are other people's.
fn sound(found: Found) -> Option<Found> {
    let Found {
        mut label,
        score,
        region,
    } = found;
    let inside = |from: f32, length: f32| {
        let (from, to) = (from.clamp(0.0, 1.0), (from + length).clamp(0.0, 1.0));
        (from, to - from)
    };
    let ((x, w), (y, h)) = (inside(region.x, region.w), inside(region.y, region.h));
    let mut end = label.len().min(MAX_LABEL);
    while !label.is_char_boundary(end) {
        end -= 1;
    }
    label.truncate(end);
    // Neither is true of what is no number.
    (w > 0.0 && h > 0.0 && !score.is_nan()).then_some(Found {
        label,
        score: score.clamp(0.0, 1.0),
        region: Region { x, y, w, h },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(x: f32, w: f32, score: f32) -> Found {
        Found {
            label: "ä".repeat(200),
            score,
            region: Region {
                x,
                y: 0.5,
                w,
                h: 0.25,
            },
        }
    }

    #[test]
    fn what_is_outside_of_the_picture_or_no_number_is_left_out() {
        let kept = sound(found(-0.25, 0.5, 7.0)).expect("half of it is inside");
        assert_eq!((kept.region.x, kept.region.w, kept.score), (0.0, 0.25, 1.0));
        assert_eq!(kept.label.chars().count(), 128);
        for bad in [
            found(1.5, 0.5, 0.5),
            found(0.5, -0.25, 0.5),
            found(0.5, 0.0, 0.5),
            found(f32::NAN, 0.5, 0.5),
            found(0.5, f32::NAN, 0.5),
            found(0.5, 0.25, f32::NAN),
        ] {
            assert_eq!(sound(bad), None);
        }
    }
}
