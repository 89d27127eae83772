//! What is recognised, with what: as the configuration has it.

mod objects;
mod plates;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use objects::ObjectSettings;
pub use plates::{FinderKind, PlateScanner, PlateSettings, ReaderKind};

use crate::error::{Error, Result};
use crate::face::{Decision, FaceFinder, QualityGate};
use crate::infer::{Backend, Digest, Engine};
use crate::models::{DetectorSettings, ModelFile, known};

/// What computes networks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceSettings {
    /// Which engine.
    pub backend: Backend,
    /// The library of ONNX Runtime, instead of those in the usual places.
    pub library: Option<PathBuf>,
}

impl InferenceSettings {
    /// The engine. `places` is where ONNX Runtime's library is looked for when none is set.
    ///
    /// # Errors
    /// [`Error::Backend`]. A library that is set must be there, also when the backend is
    /// [`Backend::Auto`].
    pub fn engine(&self, places: &[PathBuf]) -> Result<Engine> {
        match (&self.library, self.backend) {
            (Some(library), Backend::Auto | Backend::OnnxRuntime) => {
                Engine::new(Backend::OnnxRuntime, std::slice::from_ref(library))
            }
            (_, backend) => Engine::new(backend, places),
        }
    }
}

/// The networks, by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Models {
    /// Finds faces: YuNet or SCRFD.
    pub face_detector: Option<ModelFile>,
    /// Tells faces apart: of ArcFace's kind.
    pub face_embedder: Option<ModelFile>,
    /// Finds plates, instead of what is built in: of the YOLOv8 family.
    pub plate_detector: Option<ModelFile>,
    /// Finds objects: of the YOLOv8 family.
    pub object_detector: Option<ModelFile>,
}

impl Models {
    /// The names of the roles.
    pub const ROLES: [&str; 4] = [
        "face_detector",
        "face_embedder",
        "plate_detector",
        "object_detector",
    ];

    /// Those that are set, each with its role.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &ModelFile)> {
        let files = [
            &self.face_detector,
            &self.face_embedder,
            &self.plate_detector,
            &self.object_detector,
        ];
        let named = Self::ROLES.into_iter().zip(files);
        named.filter_map(|(role, file)| Some((role, file.as_ref()?)))
    }

    /// Whether faces can be recognised.
    pub fn has_faces(&self) -> bool {
        self.face_detector.is_some() && self.face_embedder.is_some()
    }
}

/// How faces are recognised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaceSettings {
    /// The least similarity (cosine) with a photograph of a person. Without it, that of the model.
    pub threshold: Option<f32>,
    /// How much less similar the second person must be.
    pub margin: f32,
    /// The least score of the detector, 0 to 1. Without it, the detector's own.
    pub min_score: Option<f32>,
    /// The longest side that a detector without a fixed size works at, in pixels.
    pub longest_side: Option<usize>,
    /// Faces with a shorter side are not compared, in pixels.
    pub min_size: f32,
    /// Faces that are less sharp are not compared: the variance of the Laplacian.
    pub min_sharpness: f32,
    /// Faces that are turned further aside are not compared: 1 is as far as the nose over an eye.
    pub max_turn: f32,
}

impl Default for FaceSettings {
    fn default() -> Self {
        let gate = QualityGate::default();
        Self {
            threshold: None,
            margin: Decision::default().margin,
            min_score: None,
            longest_side: None,
            min_size: gate.min_size,
            min_sharpness: gate.min_sharpness,
            max_turn: gate.max_turn,
        }
    }
}

impl FaceSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<()> {
        self.detector().validate()?;
        let least = |name: &'static str, value: f32, from: f32, to: f32| {
            if (from..=to).contains(&value) {
                return Ok(());
            }
            Err(Error::Setting {
                name,
                problem: format!("it is from {from} to {to}"),
            })
        };
        least("threshold", self.threshold.unwrap_or(0.0), -1.0, 1.0)?;
        least("margin", self.margin, 0.0, 1.0)?;
        least("min_size", self.min_size, 1.0, 10_000.0)?;
        least("min_sharpness", self.min_sharpness, 0.0, 1e6)?;
        least("max_turn", self.max_turn, 0.0, 10.0)
    }

    fn detector(&self) -> DetectorSettings {
        DetectorSettings {
            min_score: self.min_score,
            longest_side: self.longest_side,
        }
    }

    /// When a face is somebody's, with the embedder of this digest.
    pub fn decision(&self, embedder: Digest) -> Decision {
        let known = known(embedder).map(|known| known.threshold);
        let threshold = self.threshold.or(known);
        Decision {
            threshold: threshold.unwrap_or(Decision::default().threshold),
            margin: self.margin,
        }
    }

    /// Makes the networks ready to find faces.
    ///
    /// # Errors
    /// [`Error::NoModel`] when one is not set, and what is wrong with it otherwise.
    pub fn finder(&self, models: &Models, engine: &Engine) -> Result<FaceFinder> {
        self.validate()?;
        let set = |file: &Option<ModelFile>, role: &'static str| {
            file.clone().ok_or(Error::NoModel { role })
        };
        let detector = set(&models.face_detector, "face_detector")?;
        let embedder = set(&models.face_embedder, "face_embedder")?;
        let detector = detector.load(engine)?.face_detector(&self.detector())?;
        let embedder = embedder.load(engine)?.embedder()?;
        let gate = QualityGate {
            min_size: self.min_size,
            min_sharpness: self.min_sharpness,
            max_turn: self.max_turn,
            ..QualityGate::default()
        };
        Ok(FaceFinder::new(detector, embedder, gate))
    }
}
