//! Plates of one camera: from looks to events.

use std::collections::HashMap;

use keepwatch_core::events::{EventKind, Region};
use keepwatch_recognition::confirm::{PlateConfirmer, PlateSeen, Reading};
use keepwatch_recognition::plate::list::ListKind;
use serde_json::{Value, json};

use super::PlateSighting;
use super::events::{self, Followed, Looked, Sight, Teller, Told, number};
use super::rules::Rules;
use super::settings::RecognitionSettings;
use crate::analysis::Best;
use crate::error::Result;
use crate::tracking::{Detection, TrackState, Tracker};

/// A plate in a frame.
pub(super) struct Plate {
    pub region: Region,
    pub sighting: PlateSighting,
}

struct Track {
    followed: Followed,
    /// What the best look read.
    text_raw: String,
    /// What is told of it.
    seen: Option<PlateSeen>,
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
    tracker: Tracker,
    confirmer: PlateConfirmer,
    rules: Rules,
    tracks: HashMap<u64, Track>,
    detections: Vec<Detection>,
}

impl Plates {
    pub fn new(settings: &RecognitionSettings, rules: Rules, beside: &Tracker) -> Result<Self> {
        Ok(Self {
            tracker: beside.beside(settings.tracker()),
            confirmer: PlateConfirmer::new(settings.plate())?,
            rules,
            tracks: HashMap::new(),
            detections: Vec::new(),
        })
    }

    /// Where plates are followed.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        self.tracks.values().map(|track| track.followed.region)
    }

    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
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
        self.detections.clear();
        self.detections.extend(plates.iter().map(|plate| Detection {
            region: plate.region,
            score: plate.sighting.score,
            label: 0,
        }));
        let pts = looked.frame.pts;
        for update in self.tracker.update(pts, &self.detections).to_vec() {
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
                self.follow(update.id, sight, &plate.sighting.text_raw);
            } else if let Some(track) = self.tracks.get_mut(&update.id) {
                track.followed.region = update.region;
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

    fn follow(&mut self, id: u64, sight: Sight, text_raw: &str) {
        match self.tracks.get_mut(&id) {
            Some(track) => {
                if track.followed.see(sight) {
                    text_raw.clone_into(&mut track.text_raw);
                }
            }
            None => {
                let track = Track {
                    followed: Followed::new(id, sight),
                    text_raw: text_raw.to_owned(),
                    seen: None,
                };
                self.tracks.insert(id, track);
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
        let track = self.tracks.get_mut(&seen.track)?;
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
        let mut track = self.tracks.remove(&id)?;
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
        settings: &RecognitionSettings,
        teller: &Teller,
        is_hidden: &dyn Fn(u64) -> bool,
        ended: &mut Vec<Best>,
    ) {
        let mut ids: Vec<u64> = self.tracks.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            ended.extend(self.lost(id, reason, teller, is_hidden));
        }
        self.tracker = self.tracker.beside(settings.tracker());
    }
}

/// How good a picture of a plate is: one that was read before any other, then by how sure that is.
fn rank(sighting: &PlateSighting) -> f32 {
    match sighting.text_clean.is_empty() {
        true => sighting.score,
        false => 2.0 + sighting.confidence,
    }
}
