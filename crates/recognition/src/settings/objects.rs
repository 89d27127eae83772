//! How objects are recognised.

use serde::{Deserialize, Serialize};

use super::Models;
use crate::error::{Error, Result};
use crate::infer::Engine;
use crate::models::DetectorSettings;
use crate::object::ObjectFinder;

/// How objects are recognised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectSettings {
    /// The classes that are told of, by name; all of them without any.
    pub labels: Vec<String>,
    /// The least score, 0 to 1. Without it, the detector's own.
    pub min_score: Option<f32>,
    /// The longest side that a detector without a fixed size works at, in pixels.
    pub longest_side: Option<usize>,
}

impl ObjectSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<()> {
        self.detector().validate()
    }

    fn detector(&self) -> DetectorSettings {
        DetectorSettings {
            min_score: self.min_score,
            longest_side: self.longest_side,
        }
    }

    /// Makes the network ready.
    ///
    /// # Errors
    /// [`Error::NoModel`] when none is set, what is wrong with it otherwise, and [`Error::Setting`]
    /// for labels that it has no class for.
    pub fn finder(&self, models: &Models, engine: &Engine) -> Result<ObjectFinder> {
        self.validate()?;
        let role = "object_detector";
        let file = models.object_detector.as_ref();
        let model = file.ok_or(Error::NoModel { role })?.load(engine)?;
        let names = model.classes();
        ObjectFinder::new(model.detector(&self.detector())?, &names, &self.labels)
    }
}
