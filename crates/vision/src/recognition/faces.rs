//! Faces of one camera: from looks to events.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;

use keepwatch_core::events::{EventKind, Region};
use keepwatch_recognition::confirm::{FaceConfirmer, FaceSeen};
use keepwatch_recognition::face::Quality;
use serde_json::{Value, json};

use super::events::{self, Followed, Looked, Sight, Teller, Told, number};
use super::settings::{RecognitionSettings, UnknownFaces};
use super::tracks::Tracks;
use super::{Box2, FaceSighting};
use crate::analysis::Best;
use crate::error::Result;
use crate::live::{OverlayTrack, TrackKind};
use crate::tracking::{Detection, TrackState, Tracker};

/// What an unknown face is called.
const UNKNOWN: &str = "unknown";

/// So many people are remembered of a track: more are mistakes.
const MAX_PEOPLE: usize = 8;

/// Tracks of known people that are remembered, to know them in pictures.
const MAX_KNOWN: usize = 4096;

/// A face in a frame.
pub(super) struct Face {
    pub region: Region,
    pub sighting: FaceSighting,
}

struct Track {
    followed: Followed,
    /// Of the best look.
    score: f32,
    quality: Option<Quality>,
    /// Whom looks took it for, how often, and the greatest similarity.
    people: Vec<(String, usize, f32)>,
    /// Of whom its event is.
    person: Option<String>,
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
    fn note(&mut self, person: &str, similarity: f32) -> usize {
        if let Some(known) = self.people.iter_mut().find(|(name, ..)| name == person) {
            known.1 += 1;
            known.2 = known.2.max(similarity);
            return known.1;
        }
        if self.people.len() < MAX_PEOPLE {
            self.people.push((person.to_owned(), 1, similarity));
        }
        1
    }

    fn told(&self) -> Told {
        let quality = self.quality.map_or(Value::Null, |quality| {
            json!({
                "score": number(quality.score),
                "size": number(quality.size),
                "sharpness": number(quality.sharpness),
                "turn": number(quality.turn),
            })
        });
        let Some(person) = &self.person else {
            return Told {
                label: UNKNOWN.to_owned(),
                score: self.score,
                details: Some(json!({ "quality": quality })),
            };
        };
        let similarity = self.people.iter().find(|(name, ..)| name == person);
        let similarity = similarity.map_or(0.0, |(_, _, similarity)| *similarity);
        Told {
            label: person.clone(),
            score: similarity,
            details: Some(json!({
                "person": person,
                "similarity": number(similarity),
                "quality": quality,
            })),
        }
    }
}

/// Follows and confirms the faces of one camera.
pub(super) struct Faces {
    tracks: Tracks<Track>,
    confirmer: FaceConfirmer,
    unknown: UnknownFaces,
    frames_required: usize,
    /// Tracks of people who are known.
    known: BTreeSet<u64>,
}

impl Faces {
    pub fn new(settings: &RecognitionSettings, beside: &Tracker) -> Result<Self> {
        Ok(Self {
            tracks: Tracks::new(settings.tracker(), beside),
            confirmer: FaceConfirmer::new(settings.confirm())?,
            unknown: settings.unknown_faces,
            frames_required: settings.frames_required,
            known: BTreeSet::new(),
        })
    }

    /// Where faces are followed.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        self.tracks.regions()
    }

    /// The faces of those whom others may know to be there.
    pub fn tracks(&self) -> impl Iterator<Item = OverlayTrack> {
        let told_of =
            |track: &&Track| self.unknown == UnknownFaces::Record || track.person.is_some();
        let known = self.tracks.known.values();
        known.filter(move |track| told_of(track)).map(|track| {
            let told = track.followed.event.is_some().then(|| track.told());
            track.followed.overlay(TrackKind::Face, told, track.score)
        })
    }

    /// Whether a face has to be made unrecognisable in pictures that are kept.
    pub fn is_hidden(&self, track: u64) -> bool {
        self.unknown != UnknownFaces::Record && !self.known.contains(&track)
    }

    /// Takes the faces of a frame. Gives which tracks they are of; pictures of events that ended are
    /// added to `ended`.
    pub fn look(
        &mut self,
        looked: Looked<'_>,
        faces: &[Face],
        teller: &Teller,
        ended: &mut Vec<Best>,
    ) -> events::Faces {
        let found = faces.iter().map(|face| Detection {
            region: face.region,
            score: face.sighting.score,
            label: 0,
        });
        let updates = self.tracks.update(looked.frame.pts, found);
        let here: events::Faces = updates
            .iter()
            .filter_map(|update| Some((update.id, faces[update.detection?].region)))
            .collect();
        for update in updates {
            if update.state == TrackState::Lost {
                ended.extend(self.lost(update.id, None, teller));
                continue;
            }
            if let Some(index) = update.detection {
                let sighting = &faces[index].sighting;
                let sight = Sight {
                    rank: rank(sighting),
                    at: looked.at,
                    region: faces[index].region,
                    frame: looked.frame.clone(),
                    faces: here.clone(),
                };
                ended.extend(self.see(update.id, looked, sighting, sight, teller));
            }
        }
        here
    }

    fn see(
        &mut self,
        id: u64,
        looked: Looked<'_>,
        sighting: &FaceSighting,
        sight: Sight,
        teller: &Teller,
    ) -> Option<Best> {
        let track = match self.tracks.known.entry(id) {
            Entry::Occupied(track) => {
                let track = track.into_mut();
                if track.followed.see(sight) {
                    (track.score, track.quality) = (sighting.score, sighting.quality);
                }
                track
            }
            Entry::Vacant(place) => place.insert(Track {
                followed: Followed::new(id, sight),
                score: sighting.score,
                quality: sighting.quality,
                people: Vec::new(),
                person: None,
            }),
        };
        let pts = looked.frame.pts;
        if !sighting.comparable {
            self.confirmer.still(id, pts);
            return None;
        }
        let similarity = sighting.similarity.unwrap_or(0.0);
        let candidate = sighting.person.as_deref().map(|name| (name, similarity));
        if let Some((name, similarity)) = candidate
            && track.note(name, similarity) >= self.frames_required
        {
            self.known.insert(id);
            if self.known.len() > MAX_KNOWN {
                self.known.pop_first();
            }
        }
        let seen = self.confirmer.see(id, pts, candidate)?;
        self.tell(seen, looked, teller)
    }

    /// Gives the picture of an event that this ends.
    fn tell(&mut self, seen: FaceSeen, looked: Looked<'_>, teller: &Teller) -> Option<Best> {
        let track = self.tracks.known.get_mut(&seen.track)?;
        let Some(person) = seen.person else {
            if self.unknown != UnknownFaces::Ignore {
                let told = track.told();
                teller.begin(EventKind::FaceUnknown, &mut track.followed, told);
            }
            return None;
        };
        self.known.insert(seen.track);
        let before = track.person.take_if(|before| *before != person);
        let was_another = before.is_some();
        track.person = before;
        let (told, reason) = match seen.was_stranger {
            true => (track.told(), "the face was recognised later"),
            false => (track.told(), "another person was recognised"),
        };
        let (unknown, known) = (self.unknown, &self.known);
        let is_hidden = |track: u64| unknown != UnknownFaces::Record && !known.contains(&track);
        let ended = teller.end(&mut track.followed, told, Some(reason), is_hidden);
        if was_another {
            track.followed.first = looked.at;
        }
        track.note(&person, seen.similarity);
        track.person = Some(person);
        let told = track.told();
        teller.begin(EventKind::FaceMatch, &mut track.followed, told);
        ended
    }

    fn lost(&mut self, id: u64, reason: Option<&str>, teller: &Teller) -> Option<Best> {
        let stranger = self.confirmer.end(id);
        let mut track = self.tracks.known.remove(&id)?;
        if stranger.is_some()
            && track.followed.event.is_none()
            && self.unknown != UnknownFaces::Ignore
        {
            let told = track.told();
            teller.begin(EventKind::FaceUnknown, &mut track.followed, told);
        }
        let told = track.told();
        teller.end(&mut track.followed, told, reason, |track| {
            self.is_hidden(track)
        })
    }

    /// Nothing that was followed goes on.
    pub fn end_all(&mut self, reason: Option<&str>, teller: &Teller, ended: &mut Vec<Best>) {
        for id in self.tracks.restart() {
            ended.extend(self.lost(id, reason, teller));
        }
    }

    /// No picture is waited for in which a face could be.
    pub fn forget(&mut self) {
        if self.tracks.known.is_empty() {
            self.known.clear();
        }
    }
}

/// How good a picture of a face is: one that could be compared before any other, then by how sure and
/// how large it is.
fn rank(sighting: &FaceSighting) -> f32 {
    let Box2 { w, h, .. } = sighting.bounds;
    let preferred = if sighting.comparable { 1e6 } else { 0.0 };
    preferred + sighting.score * w.min(h)
}
