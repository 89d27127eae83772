//! Objects of one camera: from looks to events.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use keepwatch_core::events::{EventKind, Region};

use super::ObjectSighting;
use super::events::{self, Followed, Looked, Sight, Teller, Told};
use super::settings::RecognitionSettings;
use super::tracks::Tracks;
use crate::analysis::Best;
use crate::live::{OverlayTrack, TrackKind};
use crate::tracking::{Detection, TrackState, Tracker, TrackerSettings};

/// An object in a frame.
pub(super) struct Object {
    pub region: Region,
    pub sighting: ObjectSighting,
}

struct Track {
    followed: Followed,
    label: Arc<str>,
}

impl AsRef<Followed> for Track {
    fn as_ref(&self) -> &Followed {
        &self.followed
    }
}

impl AsMut<Followed> for Track {
    fn as_mut(&mut self) -> &mut Followed {
        &mut self.followed
    }
}

impl Track {
    fn told(&self) -> Told {
        Told {
            label: self.label.to_string(),
            score: self.followed.best.rank,
            details: None,
        }
    }
}

/// Follows the objects of one camera. What is seen often enough counts.
pub(super) struct Objects {
    tracks: Tracks<Track>,
    /// The tracker tells classes apart by number: that of a label is its place here.
    labels: Vec<Arc<str>>,
}

impl Objects {
    pub fn new(settings: &RecognitionSettings, beside: &Tracker) -> Self {
        Self {
            tracks: Tracks::new(tracker(settings), beside),
            labels: Vec::new(),
        }
    }

    /// Where objects are followed.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        self.tracks.regions()
    }

    /// What is followed.
    pub fn tracks(&self) -> impl Iterator<Item = OverlayTrack> {
        self.tracks.known.values().map(|track| {
            let (told, score) = (Some(track.told()), track.followed.best.rank);
            track.followed.overlay(TrackKind::Object, told, score)
        })
    }

    pub fn is_empty(&self) -> bool {
        self.tracks.known.is_empty()
    }

    /// Takes the objects of a frame, in which these faces are. Pictures of events that ended are
    /// added to `ended`.
    pub fn look(
        &mut self,
        looked: Looked<'_>,
        objects: &[Object],
        faces: &events::Faces,
        teller: &Teller,
        is_hidden: &dyn Fn(u64) -> bool,
        ended: &mut Vec<Best>,
    ) {
        if self.tracks.known.is_empty() {
            self.labels.clear();
        }
        let labels = &mut self.labels;
        let found = objects.iter().map(|object| {
            let label = &object.sighting.label;
            let known = labels.iter().position(|known| known == label);
            let number = known.unwrap_or_else(|| {
                labels.push(label.clone());
                labels.len() - 1
            });
            Detection {
                region: object.region,
                score: object.sighting.score,
                label: number as u32,
            }
        });
        for update in self.tracks.update(looked.frame.pts, found) {
            if update.state == TrackState::Lost {
                ended.extend(self.lost(update.id, None, teller, is_hidden));
                continue;
            }
            let Some(index) = update.detection else {
                continue;
            };
            let object = &objects[index];
            let sight = Sight {
                rank: object.sighting.score,
                at: looked.at,
                region: object.region,
                frame: looked.frame.clone(),
                faces: faces.clone(),
            };
            let track = match self.tracks.known.entry(update.id) {
                Entry::Occupied(track) => {
                    let track = track.into_mut();
                    track.followed.see(sight);
                    track
                }
                Entry::Vacant(place) => place.insert(Track {
                    followed: Followed::new(update.id, sight),
                    label: object.sighting.label.clone(),
                }),
            };
            if update.state == TrackState::Confirmed && track.followed.event.is_none() {
                let told = track.told();
                teller.begin(EventKind::Object, &mut track.followed, told);
            }
        }
    }

    fn lost(
        &mut self,
        id: u64,
        reason: Option<&str>,
        teller: &Teller,
        is_hidden: &dyn Fn(u64) -> bool,
    ) -> Option<Best> {
        let mut track = self.tracks.known.remove(&id)?;
        let told = track.told();
        teller.end(&mut track.followed, told, reason, is_hidden)
    }

    /// Nothing that was followed goes on.
    pub fn end_all(
        &mut self,
        reason: Option<&str>,
        teller: &Teller,
        is_hidden: &dyn Fn(u64) -> bool,
        ended: &mut Vec<Best>,
    ) {
        for id in self.tracks.restart() {
            ended.extend(self.lost(id, reason, teller, is_hidden));
        }
    }
}

/// Nobody else confirms objects: the tracker says what counts.
fn tracker(settings: &RecognitionSettings) -> TrackerSettings {
    TrackerSettings {
        hits: settings.frames_required as u32,
        window: settings.frames_window as u32,
        ..settings.tracker()
    }
}
