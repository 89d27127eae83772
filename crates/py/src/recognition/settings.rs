//! What the keyword arguments and a configuration say about recognition.

use std::path::PathBuf;

use keepwatch_recognition::face::{Decision, FaceFinder};
use keepwatch_recognition::settings::{
    FaceSettings, FinderKind, InferenceSettings, Models, PlateSettings,
};
use pyo3::prelude::*;

use super::networks::ModelSource;
use crate::credential::one_of;
use crate::errors::Result;
use crate::record::{FilePath, Strings, Whole};

/// Everything that recognition needs to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub inference: InferenceSettings,
    pub models: Models,
    pub faces: FaceSettings,
    pub plates: PlateSettings,
}

impl Settings {
    /// Those of a configuration, or else those that hold without any.
    #[cfg(feature = "vision")]
    pub fn load(config: Option<&Bound<'_, PyAny>>) -> Result<Self> {
        let Some(config) = config else {
            return Ok(Self::default());
        };
        let config = crate::vision::config::load(config)?;
        Ok(Self {
            inference: config.inference,
            models: config.models,
            faces: config.faces,
            plates: config.plates.unwrap_or_default(),
        })
    }

    /// Those that hold without a configuration: what reads one knows cameras.
    #[cfg(not(feature = "vision"))]
    pub fn load(config: Option<&Bound<'_, PyAny>>) -> Result<Self> {
        match config {
            None => Ok(Self::default()),
            Some(config) => Err(crate::errors::Raise::Python(crate::errors::make(
                config.py(),
                "UnsupportedError",
                "config: this build of keepwatch has no cameras and reads no configuration",
                Some("name the models and settings as arguments"),
            )?)),
        }
    }

    /// What computes, by its arguments.
    pub fn set_inference(
        &mut self,
        backend: Option<&str>,
        library: Option<FilePath>,
    ) -> Result<()> {
        if let Some(backend) = backend {
            self.inference.backend = backend.parse()?;
        }
        if let Some(library) = library {
            self.inference.library = Some(library.0);
        }
        Ok(())
    }
}

/// The arguments that are about finding faces; what is not given is as the configuration has it.
pub struct FaceOptions {
    pub detector: Option<ModelSource>,
    pub embedder: Option<ModelSource>,
    pub min_score: Option<f32>,
    pub longest_side: Option<Whole<usize>>,
    pub min_size: Option<f32>,
    pub min_sharpness: Option<f32>,
    pub max_turn: Option<f32>,
}

impl FaceOptions {
    /// Puts them in the place of what is set.
    pub fn onto(self, settings: &mut Settings) -> Result<()> {
        let (models, faces) = (&mut settings.models, &mut settings.faces);
        if let Some(detector) = self.detector {
            models.face_detector = Some(detector.0);
        }
        if let Some(embedder) = self.embedder {
            models.face_embedder = Some(embedder.0);
        }
        faces.min_score = self.min_score.or(faces.min_score);
        faces.longest_side = self.longest_side.map(|side| side.0).or(faces.longest_side);
        faces.min_size = self.min_size.unwrap_or(faces.min_size);
        faces.min_sharpness = self.min_sharpness.unwrap_or(faces.min_sharpness);
        faces.max_turn = self.max_turn.unwrap_or(faces.max_turn);
        Ok(faces.validate()?)
    }
}

/// Loads the networks for faces.
pub fn finder(settings: &Settings, places: &[PathBuf]) -> Result<(FaceFinder, Decision)> {
    let engine = settings.inference.engine(places)?;
    let finder = settings.faces.finder(&settings.models, &engine)?;
    let decision = settings.faces.decision(finder.model());
    Ok((finder, decision))
}

/// The arguments that are about plates; what is not given is as the configuration has it.
#[derive(Default)]
pub struct PlateOptions {
    pub region: Option<String>,
    pub patterns: Option<Strings>,
    pub allow_list: Option<FilePath>,
    pub deny_list: Option<FilePath>,
    pub allow_distance: Option<f32>,
    pub deny_distance: Option<f32>,
    pub min_confidence: Option<f32>,
    pub finder: Option<String>,
    pub detector: Option<ModelSource>,
}

impl PlateOptions {
    /// Puts them in the place of what is set.
    pub fn onto(self, settings: &mut Settings) -> Result<()> {
        let plates = &mut settings.plates;
        match (self.region, self.patterns) {
            (Some(region), patterns) => {
                plates.region = region;
                plates.patterns = patterns.unwrap_or_default().0;
            }
            (None, Some(patterns)) => {
                "custom".clone_into(&mut plates.region);
                plates.patterns = patterns.0;
            }
            (None, None) => {}
        }
        let path = |given: Option<FilePath>| given.map(|path| path.0);
        plates.allow_list = path(self.allow_list).or(plates.allow_list.take());
        plates.deny_list = path(self.deny_list).or(plates.deny_list.take());
        plates.allow_distance = self.allow_distance.unwrap_or(plates.allow_distance);
        plates.deny_distance = self.deny_distance.unwrap_or(plates.deny_distance);
        plates.min_confidence = self.min_confidence.unwrap_or(plates.min_confidence);
        if let Some(finder) = self.finder {
            plates.finder = match finder.as_str() {
                "network" => FinderKind::Network,
                "classical" => FinderKind::Classical,
                _ => return Err(one_of("finder", &finder, &["network", "classical"])),
            };
        }
        if let Some(detector) = self.detector {
            settings.models.plate_detector = Some(detector.0);
        }
        Ok(settings.plates.validate()?)
    }
}
