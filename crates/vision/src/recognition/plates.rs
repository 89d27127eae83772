//! Plates of one camera: from looks to events.

use std::collections::hash_map::Entry;

use keepwatch_core::events::{EventKind, Region};
use keepwatch_recognition::confirm::{PlateConfirmer, PlateSeen, Reading};
use keepwatch_recognition::plate::list::ListKind;
use serde_json::{Value, json};

use super::PlateSighting;
use super::events::{self, Followed, Looked, Sight, Teller, Told, number};
use super::rules::Rules;
use super::settings::RecognitionSettings;
use super::tracks::Tracks;
use crate::analysis::Best;
use crate::error::Result;
use crate::live::{OverlayTrack, TrackKind};
use crate::tracking::{Detection, TrackState, Tracker};

/// A plate in a frame.
pub(super) struct Plate {
    pub region: Region,
    pub sighting: PlateSighting,
}

struct Track {
    followed: Followed,
    /// How sure the last look was that it is a plate.
    score: f32,
    /// What the best look read.
    text_raw: String,
    /// What is told of it.
    seen: Option<PlateSeen>,
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
    /// None as long as nothing is to be told.
    fn told(&self) -> Option<Told> {
        let seen = self.seen.as_ref()?;
        let verdict = match seen.listed.as_ref().map(|listed| listed.list) {
            Some(ListKind::Allow) => "allow",
            Some(ListKind::Deny) => "deny",
            None => "unlisted",
        };
        let entry = seen.listed.as_ref().map_or(Value::Null, |listed| {
            json!({
                "plate": listed.plate,
                "description": listed.description,
                "distance": number(listed.distance),
            })
        });
        Some(Told {
            label: seen.text.clean.clone(),
            score: seen.confidence,
            details: Some(json!({
                "text_clean": seen.text.clean,
                "text_raw": self.text_raw,
                "confidence": number(seen.confidence),
                "agreement": number(seen.agreement),
                "readings": seen.readings,
                "fits": seen.text.fits,
                "regular": seen.text.regular,
                "verdict": verdict,
                "entry": entry,
            })),
        })
    }
}

/// Follows and confirms the plates of one camera.
pub(super) struct Plates {
    tracks: Tracks<Track>,
    confirmer: PlateConfirmer,
    rules: Rules,
}

impl Plates {
    pub fn new(settings: &RecognitionSettings, rules: Rules, beside: &Tracker) -> Result<Self> {
        Ok(Self {
            tracks: Tracks::new(settings.tracker(), beside),
            confirmer: PlateConfirmer::new(settings.plate())?,
            rules,
        })
    }

    /// Where plates are followed.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        self.tracks.regions()
    }

    /// What is followed.
    pub fn tracks(&self) -> impl Iterator<Item = OverlayTrack> {
        self.tracks.known.values().map(|track| {
            let told = track.told();
            track.followed.overlay(TrackKind::Plate, told, track.score)
        })
    }

    pub fn is_empty(&self) -> bool {
        self.tracks.known.is_empty()
    }

    /// Takes the plates of a frame, in which these faces are. Pictures of events that ended are added
    /// to `ended`.
    pub fn look(
        &mut self,
        looked: Looked<'_>,
        plates: &[Plate],
        faces: &events::Faces,
        teller: &Teller,
        is_hidden: &dyn Fn(u64) -> bool,
        ended: &mut Vec<Best>,
    ) {
        let found = plates.iter().map(|plate| Detection {
            region: plate.region,
            score: plate.sighting.score,
            label: 0,
        });
        let pts = looked.frame.pts;
        for update in self.tracks.update(pts, found) {
            if update.state == TrackState::Lost {
                ended.extend(self.lost(update.id, None, teller, is_hidden));
                continue;
            }
            let sighting = update.detection.map(|index| &plates[index]);
            if let Some(plate) = sighting {
                let sight = Sight {
                    rank: rank(&plate.sighting),
                    at: looked.at,
                    region: plate.region,
                    frame: looked.frame.clone(),
                    faces: faces.clone(),
                };
                self.follow(update.id, sight, &plate.sighting);
            }
            let rules = self.rules.get();
            let reading = sighting.map(|plate| Reading {
                text: &plate.sighting.text_clean,
                confidences: &plate.sighting.characters,
            });
            let seen = self
                .confirmer
                .see(update.id, pts, reading, &rules.grammar, &rules.lists);
            if let Some(seen) = seen {
                ended.extend(self.tell(seen, looked, teller, is_hidden));
            }
        }
    }

    fn follow(&mut self, id: u64, sight: Sight, sighting: &PlateSighting) {
        let PlateSighting {
            score, text_raw, ..
        } = sighting;
        match self.tracks.known.entry(id) {
            Entry::Occupied(track) => {
                let track = track.into_mut();
                track.score = *score;
                if track.followed.see(sight) {
                    track.text_raw.clone_from(text_raw);
                }
            }
            Entry::Vacant(place) => {
                place.insert(Track {
                    followed: Followed::new(id, sight),
                    score: *score,
                    text_raw: text_raw.clone(),
                    seen: None,
                });
            }
        }
    }

    /// Gives the picture of an event that this ends.
    fn tell(
        &mut self,
        seen: PlateSeen,
        looked: Looked<'_>,
        teller: &Teller,
        is_hidden: &dyn Fn(u64) -> bool,
    ) -> Option<Best> {
        let track = self.tracks.known.get_mut(&seen.track)?;
        if seen.improves {
            track.seen = Some(seen);
            let told = track.told()?;
            teller.improve(&mut track.followed, told);
            return None;
        }
        let ended = track.told().and_then(|told| {
            let reason = Some("another plate was read");
            teller.end(&mut track.followed, told, reason, is_hidden)
        });
        if ended.is_some() {
            track.followed.first = looked.at;
        }
        track.seen = Some(seen);
        let told = track.told()?;
        teller.begin(EventKind::PlateRead, &mut track.followed, told);
        ended
    }

    fn lost(
        &mut self,
        id: u64,
        reason: Option<&str>,
        teller: &Teller,
        is_hidden: &dyn Fn(u64) -> bool,
    ) -> Option<Best> {
        let rules = self.rules.get();
        let better = self.confirmer.end(id, &rules.grammar, &rules.lists);
        let mut track = self.tracks.known.remove(&id)?;
        if better.is_some() {
            track.seen = better;
        }
        let told = track.told()?;
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

/// How good a picture of a plate is: one that was read before any other, then by how sure that is.
fn rank(sighting: &PlateSighting) -> f32 {
    match sighting.text_clean.is_empty() {
        true => sighting.score,
        false => 2.0 + sighting.confidence,
    }
}
