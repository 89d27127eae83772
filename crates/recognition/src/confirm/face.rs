//! Faces.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::visits::Visits;
use super::{ConfirmSettings, Tracks};
use crate::error::Result;

/// A track tells of so many people at most: more are mistakes of whoever follows it.
const MAX_TOLD: usize = 4;

/// Somebody who is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceSeen {
    /// The track.
    pub track: u64,
    /// Who it is; none for a stranger.
    pub person: Option<String>,
    /// The mean similarity of the looks that agree; 0 for a stranger.
    pub similarity: f32,
    /// How many looks agree.
    pub looks: usize,
    /// When the first of these was.
    pub since: Duration,
    /// Whether this track was told as a stranger's before: that was too early.
    pub was_stranger: bool,
}

/// What one look said.
#[derive(Clone, Debug)]
struct Look {
    person: Option<Arc<str>>,
    similarity: f32,
    at: Duration,
}

#[derive(Debug, Default)]
struct Track {
    looks: VecDeque<Look>,
    /// Who it is, by the latest looks that agreed.
    person: Option<Arc<str>>,
    /// Of whom it has told, or need not.
    told: Vec<Arc<str>>,
    stranger_told: bool,
}

/// What enough looks agree on.
struct Agreed {
    /// None: nobody who is known.
    person: Option<Arc<str>>,
    looks: usize,
    similarity: f32,
    since: Duration,
}

impl Track {
    /// Whom `required` looks agree on, and more than on anybody else.
    fn agreed(&self, required: usize) -> Option<Agreed> {
        let mut best: Option<(&Look, usize)> = None;
        let mut contested = false;
        for (n, look) in self.looks.iter().enumerate() {
            let mut before = self.looks.iter().take(n);
            if before.any(|before| before.person == look.person) {
                continue;
            }
            let count = self.count(look.person.as_deref());
            match best {
                Some((_, most)) if count < most => {}
                Some((_, most)) if count == most => contested = true,
                _ => (best, contested) = (Some((look, count)), false),
            }
        }
        let (first, looks) = best.filter(|(_, count)| *count >= required && !contested)?;
        let theirs = self.looks.iter().filter(|look| look.person == first.person);
        let sum: f32 = theirs.map(|look| look.similarity).sum();
        Some(Agreed {
            person: first.person.clone(),
            looks,
            similarity: sum / looks as f32,
            since: first.at,
        })
    }

    fn count(&self, person: Option<&str>) -> usize {
        let same = |look: &&Look| look.person.as_deref() == person;
        self.looks.iter().filter(same).count()
    }

    /// Tells of a stranger once, when so many looks are at nobody known.
    fn stranger(&mut self, track: u64, required: usize) -> Option<FaceSeen> {
        let looks = self.count(None);
        if self.person.is_some() || self.stranger_told || looks < required {
            return None;
        }
        self.stranger_told = true;
        let first = self.looks.iter().find(|look| look.person.is_none())?;
        Some(FaceSeen {
            track,
            person: None,
            similarity: 0.0,
            looks,
            since: first.at,
            was_stranger: false,
        })
    }
}

/// Confirms who it is, track by track.
///
/// A person counts when `frames_required` of the latest `frames_window` looks say so, and more than
/// say anything else. A stranger counts later, since somebody who is known is often not recognised
/// from afar: when all of the latest `frames_window` looks are at nobody known, or when the track
/// ends and `frames_required` of them are, and more than at anybody; and not in a track in which a
/// person was confirmed. Strangers have no name to know them again by, so each track tells of its
/// own.
#[derive(Debug)]
pub struct FaceConfirmer {
    settings: ConfirmSettings,
    tracks: Tracks<Track>,
    visits: Visits,
}

impl FaceConfirmer {
    /// One that has seen nobody.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for `frames_required` or `frames_window` of 0, too
    /// large, or in the wrong order.
    pub fn new(settings: ConfirmSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            settings,
            tracks: Tracks::new(settings.max_tracks),
            visits: Visits::new(settings.cooldown, settings.max_identities),
        })
    }

    /// Takes one look at a track, `at` the time of its frame: the person and how similar (of those
    /// who pass the threshold and the margin to the next), or none if it is nobody who is known.
    /// Looks that show too little, such as blurred ones, are no looks.
    ///
    /// Gives somebody who is to be told now.
    pub fn see(
        &mut self,
        track: u64,
        at: Duration,
        candidate: Option<(&str, f32)>,
    ) -> Option<FaceSeen> {
        let settings = self.settings;
        let state = self.tracks.look(track, at);
        let person = candidate.map(|(person, _)| {
            let known = state.looks.iter().filter_map(|look| look.person.clone());
            let mut known = known.chain(state.told.iter().cloned());
            known
                .find(|known| **known == *person)
                .unwrap_or_else(|| Arc::from(person))
        });
        if state.looks.len() >= settings.frames_window {
            state.looks.pop_front();
        }
        state.looks.push_back(Look {
            person,
            similarity: candidate.map_or(0.0, |(_, similarity)| similarity),
            at,
        });
        let agreed = state.agreed(settings.frames_required);
        let Some((agreed, person)) =
            agreed.and_then(|agreed| agreed.person.clone().map(|person| (agreed, person)))
        else {
            self.still(track, at);
            let state = self.tracks.look(track, at);
            return state.stranger(track, settings.frames_window);
        };
        state.person = Some(person.clone());
        // Whoever is back before the cooldown is over never left.
        let here = self
            .visits
            .is_here(agreed.since, at, |known| *known == *person);
        self.visits.see(&person, at);
        if state.told.contains(&person) || state.told.len() >= MAX_TOLD {
            return None;
        }
        state.told.push(person.clone());
        (!here).then(|| FaceSeen {
            track,
            person: Some(person.to_string()),
            similarity: agreed.similarity,
            looks: agreed.looks,
            since: agreed.since,
            was_stranger: state.stranger_told,
        })
    }

    /// Notes that a track is still there, without a look at it: who was confirmed stays.
    pub fn still(&mut self, track: u64, at: Duration) {
        if let Some(person) = &self.tracks.look(track, at).person {
            self.visits.see(person, at);
        }
    }

    /// Forgets a track. Gives the stranger that it was, if it was one and none was told.
    pub fn end(&mut self, track: u64) -> Option<FaceSeen> {
        let mut state = self.tracks.end(track)?;
        let agreed = state.agreed(self.settings.frames_required)?;
        match agreed.person {
            Some(_) => None,
            None => state.stranger(track, agreed.looks),
        }
    }
}

#[cfg(test)]
mod tests;
