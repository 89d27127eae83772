//! What is told of whatever was recognised.

use std::sync::Arc;

use keepwatch_core::events::{Event, EventId, EventKind, Observation, Region};
use keepwatch_core::jiff::Timestamp;
use serde_json::Value;

use crate::analysis::Best;
use crate::decoder::Frame;
use crate::error::with_causes;
use crate::ledger::Ledger;
use crate::live::{OverlayTrack, TrackKind};
use crate::status::{LastEvent, Shared};

/// A frame that was looked at.
#[derive(Clone, Copy)]
pub(super) struct Looked<'a> {
    pub frame: &'a Frame,
    pub at: Timestamp,
}

/// The faces of a frame, by the numbers of their tracks.
pub(super) type Faces = Arc<[(u64, Region)]>;

/// The best look at something so far.
pub(super) struct Sight {
    pub rank: f32,
    pub at: Timestamp,
    pub region: Region,
    pub frame: Frame,
    pub faces: Faces,
}

/// What is known of an event besides when it was.
pub(super) struct Told {
    pub label: String,
    pub score: f32,
    pub details: Option<Value>,
}

/// Something that is followed.
pub(super) struct Followed {
    pub track: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// Where it is, or should be.
    pub region: Region,
    pub best: Sight,
    /// Its event, once it is told.
    pub event: Option<Event>,
}

impl Followed {
    pub fn new(track: u64, sight: Sight) -> Self {
        Self {
            track,
            first: sight.at,
            last: sight.at,
            region: sight.region,
            best: sight,
            event: None,
        }
    }

    /// Takes another look at it. Gives whether it is the best one now.
    pub fn see(&mut self, sight: Sight) -> bool {
        self.last = sight.at;
        self.region = sight.region;
        let is_better = sight.rank > self.best.rank;
        if is_better {
            self.best = sight;
        }
        is_better
    }

    /// For those who look on; `score` as long as nothing is told.
    pub fn overlay(&self, kind: TrackKind, told: Option<Told>, score: f32) -> OverlayTrack {
        let (label, score) = match told {
            Some(told) => (Some(told.label), told.score),
            None => (None, score),
        };
        OverlayTrack {
            track: self.track,
            kind,
            label,
            score: score.clamp(0.0, 1.0),
            region: self.region,
        }
    }

    /// With the size of the picture, which turns regions into pixels.
    fn details(&self, told: Told) -> Option<Box<Value>> {
        let mut details = told.details?;
        if let Some(fields) = details.as_object_mut() {
            let size = self.best.frame.size().map(|side| Value::from(side as u64));
            fields.insert("picture".to_owned(), Value::from(size.to_vec()));
        }
        Some(Box::new(details))
    }

    fn observation(&self, told: &Told) -> Observation {
        Observation {
            at: self.best.at,
            label: told.label.clone(),
            score: told.score.clamp(0.0, 1.0),
            region: Some(self.best.region),
            track: Some(self.track),
        }
    }
}

/// Tells of one camera.
pub(super) struct Teller {
    pub camera: String,
    pub ledger: Ledger,
    pub status: Shared,
}

impl Teller {
    /// An event of something begins, at its first sighting.
    pub fn begin(&self, kind: EventKind, followed: &mut Followed, told: Told) {
        let started_at = followed.first;
        let id = match EventId::new(started_at) {
            Ok(id) => id,
            Err(error) => {
                tracing::error!(error = %with_causes(&error), "an event cannot be named");
                return;
            }
        };
        let event = Event {
            id,
            camera: self.camera.clone(),
            kind,
            started_at,
            ended_at: None,
            observations: vec![followed.observation(&told)],
            snapshot: None,
            clip: None,
            reason: None,
            details: followed.details(told),
        };
        self.ledger.event(event.clone());
        self.status.update(|status| {
            status.last_event = Some(LastEvent {
                id,
                kind,
                at: started_at,
            });
        });
        followed.event = Some(event);
    }

    /// More is known of the event of something, if it has one.
    pub fn improve(&self, followed: &mut Followed, told: Told) {
        let observation = followed.observation(&told);
        let details = followed.details(told);
        if let Some(event) = &mut followed.event {
            event.observations = vec![observation];
            event.details = details;
            self.ledger.event(event.clone());
        }
    }

    /// The event of something ends, if it has one, with what is known by now. Gives the picture that
    /// is to be kept of it; faces in it for which `is_unknown` holds are made unrecognisable.
    pub fn end(
        &self,
        followed: &mut Followed,
        told: Told,
        reason: Option<&str>,
        is_unknown: impl Fn(u64) -> bool,
    ) -> Option<Best> {
        let observation = followed.observation(&told);
        let score = told.score;
        let details = followed.details(told);
        let mut event = followed.event.take()?;
        event.observations = vec![observation];
        event.details = details;
        event.ended_at = Some(followed.last.max(event.started_at));
        event.reason = reason.map(str::to_owned);
        let id: EventId = event.id;
        self.ledger.event(event);
        let best = &followed.best;
        let unknown = best.faces.iter().filter(|(track, _)| is_unknown(*track));
        Some(Best {
            id,
            frame: best.frame.clone(),
            at: best.at,
            score,
            blur: unknown.map(|(_, region)| *region).collect(),
        })
    }
}

/// A number for people: what is beyond four digits is noise.
pub(super) fn number(value: f32) -> Value {
    Value::from((f64::from(value) * 1e4).round() / 1e4)
}
