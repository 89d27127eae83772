//! Plates.

use std::time::Duration;

use super::visits::Visits;
use super::{ConfirmSettings, Tracks};
use crate::error::{Error, Result};
use crate::plate::grammar::{Grammar, PlateText};
use crate::plate::list::{ListKind, PlateLists};
use crate::plate::lookalike::{Meter, SAME_PLATE, hundredths};
use crate::plate::vote::{Fused, Votes};

/// How much surer a text must be, to be told in place of another one before the track ends.
const MUCH_SURER: f32 = 0.1;

/// How sure each character must be, with the share of the readings that have it, of a text that is
/// no plate's for the grammar but may be one that its owner chose.
const SURE: f32 = 0.85;

/// What confirms a plate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateSettings {
    /// How often, and how rarely.
    pub confirm: ConfirmSettings,
    /// How far the readings of a track must agree, 0 to 1, as [`Fused::agreement`] measures it.
    pub ocr_agreement_threshold: f32,
    /// Two texts that are no farther apart, as
    /// [`distance`](crate::plate::lookalike::distance) measures it, are one plate's, so that a plate
    /// that reads now with O and now with 0 is one visit.
    pub same_plate: f32,
}

impl Default for PlateSettings {
    fn default() -> Self {
        Self {
            confirm: ConfirmSettings::default(),
            ocr_agreement_threshold: 0.6,
            same_plate: SAME_PLATE,
        }
    }
}

/// What one look at a plate read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Cleaned.
    pub text: &'a str,
    /// How sure each character is, 0 to 1, as [`Votes::add`] takes it.
    pub confidences: &'a [f32],
}

/// The plate of a list that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// On which list.
    pub list: ListKind,
    /// As it stands there.
    pub plate: String,
    /// What the list says of it; may be empty.
    pub description: String,
    /// How far what was read is from it.
    pub distance: f32,
}

/// A plate that is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct PlateSeen {
    /// The track.
    pub track: u64,
    /// What the readings agree on, corrected by the grammar.
    pub text: PlateText,
    /// How sure that is, 0 to 1: [`Fused::confidence`].
    pub confidence: f32,
    /// How far the readings agree: [`Fused::agreement`].
    pub agreement: f32,
    /// How many readings there are.
    pub readings: usize,
    /// When the track was first read.
    pub since: Duration,
    /// Where it is listed; none if it is on neither list.
    pub listed: Option<Listed>,
    /// Whether it is a better text of what this track told before, and no other plate: it takes its
    /// place.
    pub improves: bool,
}

#[derive(Debug, Default)]
struct Track {
    votes: Votes,
    /// Bit n: the look n looks ago read something.
    looks: u64,
    since: Duration,
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    text: String,
    regular: bool,
    confidence: f32,
    /// Nobody was told, because the plate is here since before.
    silent: bool,
}

/// What the readings of a track say now.
struct Agreed {
    text: PlateText,
    confidence: f32,
}

/// Confirms what is read, track by track.
///
/// A plate counts when `frames_required` of the latest `frames_window` looks read something, and the
/// latest readings of the track, fused by [`Votes`], agree by `ocr_agreement_threshold` on a text
/// that fits the grammar; or that is on a list, since somebody says that it is a plate; or that may
/// be a chosen one ([`Grammar::may_be_chosen`]), if each of its characters is sure and next to all
/// readings have it. It is told with the list it is on. A better text of the same track takes its
/// place, while the track lasts if it is much better, or else at its end.
#[derive(Debug)]
pub struct PlateConfirmer {
    settings: PlateSettings,
    tracks: Tracks<Track>,
    visits: Visits,
    fused: Fused,
    meter: Meter,
}

impl PlateConfirmer {
    /// One that has seen nothing.
    ///
    /// # Errors
    /// [`Error::Setting`] for `frames_required` or `frames_window` of 0, too large, or in the wrong
    /// order, and for shares that are none.
    pub fn new(settings: PlateSettings) -> Result<Self> {
        settings.confirm.check()?;
        if !(0.0..=1.0).contains(&settings.ocr_agreement_threshold) {
            return Err(Error::Setting {
                name: "ocr_agreement_threshold",
                problem: format!("{} is not from 0 to 1", settings.ocr_agreement_threshold),
            });
        }
        if !(0.0..=f32::MAX).contains(&settings.same_plate) {
            return Err(Error::Setting {
                name: "same_plate",
                problem: format!("{} is no distance", settings.same_plate),
            });
        }
        let ConfirmSettings {
            cooldown,
            max_tracks,
            max_identities,
            ..
        } = settings.confirm;
        Ok(Self {
            settings,
            tracks: Tracks::new(max_tracks),
            visits: Visits::new(cooldown, max_identities),
            fused: Fused::default(),
            meter: Meter::default(),
        })
    }

    /// Takes one look at a track, `at` the time of its frame: what was read, or none if nothing was.
    ///
    /// Gives a plate that is to be told now.
    pub fn see(
        &mut self,
        track: u64,
        at: Duration,
        reading: Option<Reading<'_>>,
        grammar: &Grammar,
        lists: &PlateLists,
    ) -> Option<PlateSeen> {
        self.still(track, at);
        let ConfirmSettings {
            frames_required,
            frames_window,
            ..
        } = self.settings.confirm;
        let state = self.tracks.look(track, at);
        let reading = reading.filter(|reading| !reading.text.is_empty());
        state.looks = state.looks << 1 | u64::from(reading.is_some());
        let reading = reading?;
        if state.votes.is_empty() {
            state.since = at;
        }
        state.votes.add(reading.text, reading.confidences);
        let window = u64::MAX >> (64 - frames_window);
        if ((state.looks & window).count_ones() as usize) < frames_required {
            return None;
        }
        let threshold = self.settings.ocr_agreement_threshold;
        let agreed = agreed(&mut state.votes, &mut self.fused, threshold, grammar, lists)?;
        let is_better = match &state.told {
            None => false,
            Some(told) if told.text == agreed.text.clean => return None,
            Some(told) if told.silent => false,
            Some(told) => {
                let far = self.meter.within(&told.text, &agreed.text.clean, u32::MAX);
                if is_another(far, &agreed.text.clean) {
                    false
                } else if agreed.confidence >= told.confidence + MUCH_SURER
                    || (agreed.text.regular && !told.regular)
                {
                    true
                } else {
                    return None;
                }
            }
        };
        let same = hundredths(self.settings.same_plate);
        let (meter, clean) = (&mut self.meter, &agreed.text.clean);
        // A car that is read before the cooldown is over never left, however long reading takes;
        // but what a track read long ago may have been another one.
        let since = match state.told {
            None => state
                .since
                .max(at.saturating_sub(self.settings.confirm.cooldown)),
            Some(_) => at,
        };
        let silent = !is_better
            && self.visits.is_here(since, at, |known| {
                meter.within(known, clean, same).is_some()
            });
        self.visits.see(&agreed.text.clean, at);
        state.told = Some(Told::of(&agreed, silent));
        let since = state.since;
        (!silent).then(|| self.seen(track, agreed, since, is_better, lists))
    }

    /// Notes that a track is still there, without a look at it: its plate stays.
    pub fn still(&mut self, track: u64, at: Duration) {
        if let Some(told) = &self.tracks.look(track, at).told {
            self.visits.see(&told.text, at);
        }
    }

    /// Forgets a track. Gives a better text of what it told, if there is one.
    pub fn end(&mut self, track: u64, grammar: &Grammar, lists: &PlateLists) -> Option<PlateSeen> {
        let mut state = self.tracks.end(track)?;
        let told = state.told.filter(|told| !told.silent)?;
        let threshold = self.settings.ocr_agreement_threshold;
        let agreed = agreed(&mut state.votes, &mut self.fused, threshold, grammar, lists)?;
        let far = self.meter.within(&told.text, &agreed.text.clean, u32::MAX);
        let is_better = agreed.text.clean != told.text
            && !is_another(far, &agreed.text.clean)
            && (agreed.text.regular, agreed.confidence) > (told.regular, told.confidence);
        is_better.then(|| self.seen(track, agreed, state.since, true, lists))
    }

    fn seen(
        &self,
        track: u64,
        agreed: Agreed,
        since: Duration,
        improves: bool,
        lists: &PlateLists,
    ) -> PlateSeen {
        let listed = lists.find(&agreed.text.clean).map(|found| Listed {
            list: found.list,
            plate: found.entry.written.clone(),
            description: found.entry.description.clone(),
            distance: found.distance,
        });
        PlateSeen {
            track,
            text: agreed.text,
            confidence: agreed.confidence,
            agreement: self.fused.agreement,
            readings: self.fused.readings,
            since,
            listed,
            improves,
        }
    }
}

impl Told {
    fn of(agreed: &Agreed, silent: bool) -> Self {
        Self {
            text: agreed.text.clean.clone(),
            regular: agreed.text.regular,
            confidence: agreed.confidence,
            silent,
        }
    }
}

fn agreed(
    votes: &mut Votes,
    fused: &mut Fused,
    threshold: f32,
    grammar: &Grammar,
    lists: &PlateLists,
) -> Option<Agreed> {
    votes.fuse_into(fused);
    // Sums of shares are not exact: three of five are 0.6.
    if fused.agreement + 1e-4 < threshold {
        return None;
    }
    let text = grammar.read(&fused.text);
    let kept = &fused.characters[text.kept.clone()];
    let confidence = kept.iter().sum::<f32>() / kept.len().max(1) as f32;
    let is_sure = || kept.iter().all(|confidence| *confidence >= SURE);
    let chosen = || grammar.may_be_chosen(&text.clean) && is_sure();
    let counts = text.fits || chosen() || lists.find(&text.clean).is_some();
    counts.then_some(Agreed { text, confidence })
}

/// Whether a text is no other reading of the plate that was told but another plate, since whoever
/// follows the track took one car for another: more than half of it differs.
fn is_another(far: Option<u32>, text: &str) -> bool {
    far.is_none_or(|far| far > text.chars().count() as u32 * 50)
}

#[cfg(test)]
mod tests;
