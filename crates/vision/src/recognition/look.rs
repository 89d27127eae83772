//! The looks of one camera, on the thread that analyses its pictures.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use keepwatch_core::events::Region;

use super::events::{Looked, Teller};
use super::faces::{Face, Faces};
use super::objects::{Object, Objects};
use super::plates::{Plate, Plates};
use super::pool::{Answer, Hatch, Look, Outcome, Pool};
use super::regions::{Part, parts};
use super::rules::Rules;
use super::settings::Wanted;
use super::{Box2, RecognitionSettings, Sightings};
use crate::analysis::Best;
use crate::analyzer::Seen;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::live::OverlayTrack;
use crate::settings::CameraSettings;
use crate::status::Shared;
use crate::tracking::Tracker;

/// By how much of its longer side the place of something that is followed is grown: it may have
/// moved since.
const FOLLOWED_MARGIN: f32 = 1.0;

/// Where nothing moves, so many looks are had while something could be forgotten.
const STILL_LOOKS: u32 = 4;

/// What all cameras of a watch recognise with.
#[derive(Clone)]
pub(crate) struct Running {
    pub pool: Arc<Pool>,
    pub settings: RecognitionSettings,
    pub rules: Rules,
}

/// Recognises what one camera sees.
pub(crate) struct Recognizing {
    settings: RecognitionSettings,
    wanted: Wanted,
    hatch: Hatch,
    answers: Receiver<Answer>,
    /// Each look is waited for.
    patient: bool,
    /// Answers of earlier rounds are of no interest any more.
    round: u64,
    next_due: Duration,
    /// When something moved last.
    moved: Duration,
    faces: Faces,
    plates: Plates,
    objects: Objects,
    teller: Teller,
    /// Memory for the parts of the next look.
    parts: Vec<Part>,
}

impl Recognizing {
    /// None for a camera in which nothing is to be recognised.
    pub fn new(
        running: &Running,
        camera: &str,
        settings: &CameraSettings,
        ledger: Ledger,
        status: Shared,
        patient: bool,
        beside: &Tracker,
    ) -> Result<Option<Self>> {
        let all = &running.settings;
        let wanted = all.wanted(settings.recognize);
        if wanted.is_nothing() {
            return Ok(None);
        }
        let (say, answers) = crossbeam_channel::unbounded();
        let masks = settings.privacy_masks.clone();
        Ok(Some(Self {
            settings: all.clone(),
            wanted,
            hatch: running.pool.desk(camera, masks, say),
            answers,
            patient,
            round: 0,
            next_due: Duration::ZERO,
            moved: Duration::ZERO,
            faces: Faces::new(all, beside)?,
            plates: Plates::new(all, running.rules.clone(), beside)?,
            objects: Objects::new(all, beside),
            teller: Teller {
                camera: camera.to_owned(),
                ledger,
                status,
            },
            parts: Vec::new(),
        }))
    }

    /// Takes what was recognised meanwhile, and has a picture looked at when it is time. Gives the
    /// pictures of events that ended.
    pub fn look(&mut self, seen: &Seen<'_>) -> Vec<Best> {
        let mut ended = Vec::new();
        self.collect(&mut ended);
        let pts = seen.frame.pts;
        if !seen.motion.regions.is_empty() {
            if self.is_still(pts) {
                self.next_due = pts;
            }
            self.moved = pts;
        }
        if pts < self.next_due || !self.choose(seen) {
            return ended;
        }
        self.next_due = self.due_after(pts);
        self.hatch.hand_in(Look {
            frame: seen.frame.clone(),
            at: seen.at,
            parts: std::mem::take(&mut self.parts),
            wanted: self.wanted,
            round: self.round,
        });
        if self.patient
            && let Ok(answer) = self.answers.recv()
        {
            self.take(answer, &mut ended);
        }
        ended
    }

    /// Whether nothing has moved for as long as it takes to confirm something.
    fn is_still(&self, pts: Duration) -> bool {
        pts.saturating_sub(self.moved) > self.settings.window()
    }

    /// When the look after one at `pts` is due. What is followed where nothing moves, like a car that
    /// was parked, is looked at only as often as it takes to notice that it is gone.
    fn due_after(&self, pts: Duration) -> Duration {
        let interval = self.settings.interval();
        match self.is_still(pts) {
            true => pts + interval.max(self.settings.max_age() / STILL_LOOKS),
            false => (self.next_due + interval).max(pts),
        }
    }

    /// Chooses the parts that are looked at: what moves, and what is followed. Gives whether there
    /// are any.
    fn choose(&mut self, seen: &Seen<'_>) -> bool {
        let moving = seen.motion.regions.iter();
        let moving = moving.map(|moving| (moving.region, self.settings.margin));
        let followed = self.faces.regions().chain(self.plates.regions());
        let followed = followed.chain(self.objects.regions());
        let followed = followed.map(|region| (region, FOLLOWED_MARGIN));
        parts(moving.chain(followed), seen.frame.size(), &mut self.parts);
        !self.parts.is_empty()
    }

    fn collect(&mut self, ended: &mut Vec<Best>) {
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer, ended);
        }
    }

    fn take(&mut self, answer: Answer, ended: &mut Vec<Best>) {
        let Answer { look, outcome } = answer;
        self.teller.status.update(|status| match outcome {
            Outcome::Seen(_) => status.looks += 1,
            Outcome::Skipped => status.looks_skipped += 1,
            Outcome::Failed => status.looks_failed += 1,
        });
        let Outcome::Seen(sightings) = outcome else {
            return;
        };
        if look.round == self.round {
            self.seen(&look, sightings, ended);
        }
        self.parts = look.parts;
    }

    fn seen(&mut self, look: &Look, sightings: Vec<Sightings>, ended: &mut Vec<Best>) {
        let size = look.frame.size();
        let (mut faces, mut plates, mut objects) = (Vec::new(), Vec::new(), Vec::new());
        for (part, sightings) in look.parts.iter().zip(sightings) {
            faces.extend(sightings.faces.into_iter().filter_map(|sighting| {
                let region = placed(&sighting.bounds, *part, size)?;
                is_share(sighting.score).then_some(Face { region, sighting })
            }));
            plates.extend(sightings.plates.into_iter().filter_map(|sighting| {
                let region = placed(&sighting.bounds, *part, size)?;
                is_share(sighting.score).then_some(Plate { region, sighting })
            }));
            objects.extend(sightings.objects.into_iter().filter_map(|sighting| {
                let region = placed(&sighting.bounds, *part, size)?;
                is_share(sighting.score).then_some(Object { region, sighting })
            }));
        }
        // What was not looked for is not there, whoever says so.
        let wanted = self.wanted;
        faces.retain(|_| wanted.faces);
        plates.retain(|_| wanted.plates);
        objects.retain(|_| wanted.objects);
        let looked = Looked {
            frame: &look.frame,
            at: look.at,
        };
        let here = self.faces.look(looked, &faces, &self.teller, ended);
        let hidden = |track| self.faces.is_hidden(track);
        self.plates
            .look(looked, &plates, &here, &self.teller, &hidden, ended);
        self.objects
            .look(looked, &objects, &here, &self.teller, &hidden, ended);
        self.forget();
    }

    fn forget(&mut self) {
        if self.plates.is_empty() && self.objects.is_empty() {
            self.faces.forget();
        }
    }

    /// What is followed, as those may know who look on.
    pub fn tracks(&self, out: &mut Vec<OverlayTrack>) {
        out.extend(self.faces.tracks());
        out.extend(self.plates.tracks());
        out.extend(self.objects.tracks());
    }

    /// Nothing that was seen so far goes on. Gives the pictures of events that ended.
    pub fn end_all(&mut self, reason: Option<&str>) -> Vec<Best> {
        let mut ended = Vec::new();
        self.hatch.take_back();
        self.collect(&mut ended);
        self.round += 1;
        (self.next_due, self.moved) = (Duration::ZERO, Duration::ZERO);
        let hidden = |track| self.faces.is_hidden(track);
        self.plates
            .end_all(reason, &self.teller, &hidden, &mut ended);
        self.objects
            .end_all(reason, &self.teller, &hidden, &mut ended);
        self.faces.end_all(reason, &self.teller, &mut ended);
        self.forget();
        ended
    }
}

/// Where something is in the whole picture, if it is in the part at all.
fn placed(bounds: &Box2, part: Part, [width, height]: [usize; 2]) -> Option<Region> {
    let bounds = bounds.within(part.w, part.h)?;
    let (width, height) = (width as f32, height as f32);
    Some(Region {
        x: (part.x as f32 + bounds.x) / width,
        y: (part.y as f32 + bounds.y) / height,
        w: bounds.w / width,
        h: bounds.h / height,
    })
}

fn is_share(score: f32) -> bool {
    (0.0..=1.0).contains(&score)
}
