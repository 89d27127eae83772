//! How faces, plates and objects are recognised.

use std::time::Duration;

use keepwatch_recognition::confirm::{ConfirmSettings, MAX_WINDOW, PlateSettings};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::tracking::TrackerSettings;

/// What becomes of faces that nobody is known by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownFaces {
    /// They are events, with a picture.
    #[default]
    Record,
    /// They are events, and every unknown face in the pictures of recognised faces and plates is
    /// made unrecognisable before the picture is kept.
    Blur,
    /// They are no events, and leave no trace in the events of others: their pictures are treated as
    /// with [`UnknownFaces::Blur`].
    Ignore,
}

/// Whether one camera differs from what is set for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recognize {
    /// Whether faces are recognised; as for all cameras if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faces: Option<bool>,
    /// Whether plates are; as for all cameras if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plates: Option<bool>,
    /// Whether other objects are; as for all cameras if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<bool>,
}

impl Recognize {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub faces: bool,
    pub plates: bool,
    pub objects: bool,
}

impl Wanted {
    pub fn is_nothing(self) -> bool {
        !(self.faces || self.plates || self.objects)
    }
}

/// How faces, plates and objects are recognised.
///
/// Where SecureVision has a setting of the same name, the default is its own. What it counts in
/// frames is counted in looks here: a look is a frame that a recogniser has worked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecognitionSettings {
    /// Whether faces are recognised. A camera may differ.
    pub faces: bool,
    /// Whether plates are. A camera may differ.
    pub plates: bool,
    /// Whether other objects are. A camera may differ.
    pub objects: bool,
    /// Threads that all cameras share, 1 to 64. Each has networks of its own in memory.
    pub threads: usize,
    /// Of how many cameras a thread takes the waiting frames at once, 1 to 64.
    pub batch: usize,
    /// How many frames a second of each camera are looked at, at most: 0.1 to 30.
    pub looks_per_second: f32,
    /// By how much of its longer side a moving region is grown on each side, 0 to 2.
    pub margin: f32,
    /// So many looks at a face, plate or object must agree, 1 to `frames_window` …
    pub frames_required: usize,
    /// … of the latest so many, 1 to 64.
    pub frames_window: usize,
    /// The least overlap (IoU) with where it should be, for a face, plate or object to be the one of
    /// before: 0 to 1.
    pub iou_threshold: f32,
    /// What was not seen for so many looks is gone, 1 to 10000. It is counted as time, at
    /// `looks_per_second`, so that it means the same when looks are left out.
    pub max_age_frames: u32,
    /// How far the readings of a plate must agree, 0 to 1.
    pub ocr_agreement_threshold: f32,
    /// Whoever is back before so many seconds are over has not been away, 0 to 86400. Objects that
    /// are nobody in particular are told of again.
    pub cooldown_seconds: f64,
    /// What becomes of faces that nobody is known by.
    pub unknown_faces: UnknownFaces,
}

impl Default for RecognitionSettings {
    fn default() -> Self {
        Self {
            faces: true,
            plates: true,
            objects: true,
            threads: 1,
            batch: 8,
            looks_per_second: 5.0,
            margin: 0.25,
            frames_required: 3,
            frames_window: 5,
            iou_threshold: 0.5,
            max_age_frames: 30,
            ocr_agreement_threshold: 0.6,
            cooldown_seconds: 30.0,
            unknown_faces: UnknownFaces::default(),
        }
    }
}

impl RecognitionSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first of them.
    pub fn validate(&self) -> Result<()> {
        let within = |name: &'static str, value: f64, from: f64, to: f64| {
            // What is no number is in no range.
            if (from..=to).contains(&value) {
                return Ok(());
            }
            let problem = format!("{value} is not from {from} to {to}");
            Err(Error::Setting { name, problem })
        };
        within("threads", self.threads as f64, 1.0, 64.0)?;
        within("batch", self.batch as f64, 1.0, 64.0)?;
        within(
            "looks_per_second",
            self.looks_per_second.into(),
            f64::from(0.1_f32),
            30.0,
        )?;
        within("margin", self.margin.into(), 0.0, 2.0)?;
        let window = self.frames_window as f64;
        within("frames_window", window, 1.0, MAX_WINDOW as f64)?;
        within("frames_required", self.frames_required as f64, 1.0, window)?;
        within("iou_threshold", self.iou_threshold.into(), 0.0, 1.0)?;
        within("max_age_frames", self.max_age_frames.into(), 1.0, 10_000.0)?;
        let agreement = self.ocr_agreement_threshold;
        within("ocr_agreement_threshold", agreement.into(), 0.0, 1.0)?;
        within("cooldown_seconds", self.cooldown_seconds, 0.0, 86_400.0)
    }

    /// What is looked for with a camera that may differ.
    pub(super) fn wanted(&self, camera: Recognize) -> Wanted {
        Wanted {
            faces: camera.faces.unwrap_or(self.faces),
            plates: camera.plates.unwrap_or(self.plates),
            objects: camera.objects.unwrap_or(self.objects),
        }
    }

    /// The time from one look to the next, at least.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / f64::from(self.looks_per_second))
    }

    /// How long what is not seen any more is waited for.
    pub(super) fn max_age(&self) -> Duration {
        self.interval() * self.max_age_frames
    }

    /// The time that the looks take of which some must agree.
    pub(super) fn window(&self) -> Duration {
        self.interval() * self.frames_window as u32
    }

    pub(super) fn tracker(&self) -> TrackerSettings {
        TrackerSettings {
            min_iou: self.iou_threshold,
            // Whether it counts is not for the tracker to say.
            hits: 1,
            window: 1,
            max_age: self.max_age(),
            max_tracks: 64,
        }
    }

    pub(super) fn confirm(&self) -> ConfirmSettings {
        ConfirmSettings {
            frames_required: self.frames_required,
            frames_window: self.frames_window,
            cooldown: Duration::from_secs_f64(self.cooldown_seconds),
            ..ConfirmSettings::default()
        }
    }

    pub(super) fn plate(&self) -> PlateSettings {
        PlateSettings {
            confirm: self.confirm(),
            ocr_agreement_threshold: self.ocr_agreement_threshold,
            ..PlateSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        RecognitionSettings::default()
            .validate()
            .expect("the defaults work");
        type Change = fn(&mut RecognitionSettings);
        for (name, change) in [
            ("threads", (|s| s.threads = 0) as Change),
            ("batch", |s| s.batch = 65),
            ("looks_per_second", |s| s.looks_per_second = f32::NAN),
            ("looks_per_second", |s| s.looks_per_second = 0.0),
            ("margin", |s| s.margin = -0.1),
            ("frames_window", |s| s.frames_window = MAX_WINDOW + 1),
            ("frames_required", |s| s.frames_required = 6),
            ("frames_required", |s| s.frames_required = 0),
            ("iou_threshold", |s| s.iou_threshold = 1.1),
            ("max_age_frames", |s| s.max_age_frames = 0),
            ("ocr_agreement_threshold", |s| {
                s.ocr_agreement_threshold = -1.0;
            }),
            ("cooldown_seconds", |s| s.cooldown_seconds = f64::INFINITY),
        ] {
            let mut settings = RecognitionSettings::default();
            change(&mut settings);
            let error = settings.validate().expect_err("it is refused");
            assert!(error.to_string().starts_with(name), "{name}: {error}");
        }
    }

    #[test]
    fn looks_are_counted_as_time() {
        let settings = RecognitionSettings {
            looks_per_second: 4.0,
            max_age_frames: 6,
            ..RecognitionSettings::default()
        };
        assert_eq!(settings.tracker().max_age, Duration::from_millis(1500));
    }
}
