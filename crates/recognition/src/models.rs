//! Which files hold which networks.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::detect::scrfd::ScrfdSettings;
use crate::detect::yolo::YoloSettings;
use crate::detect::yunet::YuNetSettings;
use crate::detect::{Detector, Scrfd, Yolo, YuNet};
use crate::error::{Error, Result};
use crate::face::{ArcFace, Embedder, EmbedderNormalization};
use crate::infer::{Digest, Engine, Model, Session};
use crate::object::usual_names;

/// What a network is, which decides how it is fed and what its numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// Faces, by YuNet.
    YuNet,
    /// Faces, by SCRFD.
    Scrfd,
    /// Objects or plates, by the YOLOv8 family.
    Yolo,
    /// Embeddings of faces, by a network of ArcFace's kind.
    ArcFace,
}

impl Kind {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::YuNet => "yunet",
            Self::Scrfd => "scrfd",
            Self::Yolo => "yolo",
            Self::ArcFace => "arcface",
        }
    }

    /// What a network is, by its inputs and outputs.
    pub fn of(session: &dyn Session) -> Option<Self> {
        // The order matters: what fits the first fits none of the others by chance.
        if YuNet::fits(session) {
            Some(Self::YuNet)
        } else if ArcFace::fits(session) {
            Some(Self::ArcFace)
        } else if Yolo::fits(session) {
            Some(Self::Yolo)
        } else if Scrfd::fits(session) {
            Some(Self::Scrfd)
        } else {
            None
        }
    }
}

/// A network that the configuration names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The file, in ONNX.
    pub path: PathBuf,
    /// What its SHA-256 must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What it is, where its inputs and outputs do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// What an embedder of faces was trained with, where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalization: Option<EmbedderNormalization>,
    /// The names of a detector's classes, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

impl ModelFile {
    /// One of which nothing but the place is known.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            sha256: None,
            kind: None,
            normalization: None,
            classes: Vec::new(),
        }
    }

    /// Reads the file and makes it ready.
    ///
    /// # Errors
    /// [`Error::Read`], and [`Error::Model`] for one that was changed, cannot be computed, or is
    /// nothing that is known.
    pub fn load(&self, engine: &Engine) -> Result<LoadedModel> {
        let model = Model::read(&self.path, self.sha256)?;
        let session = engine.load(&model)?;
        let kind = self.kind.or_else(|| Kind::of(&*session)).ok_or_else(|| {
            model.unfit("its inputs and outputs are those of no network that is known here")
        })?;
        Ok(LoadedModel {
            classes: self.classes.clone(),
            normalization: self.normalization,
            model,
            session,
            kind,
        })
    }
}

/// A network that is ready.
pub struct LoadedModel {
    classes: Vec<String>,
    model: Model,
    session: Box<dyn Session>,
    kind: Kind,
    normalization: Option<EmbedderNormalization>,
}

impl LoadedModel {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The file.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The names of a detector's classes: those that were given, or else the usual ones. Empty when
    /// neither is known.
    pub fn classes(&self) -> Vec<String> {
        match self.classes.as_slice() {
            [] => usual_names(self.class_count()),
            named => named.to_vec(),
        }
    }

    /// How many classes a detector of objects has, if that is known.
    pub fn class_count(&self) -> Option<usize> {
        (self.kind == Kind::Yolo).then(|| Yolo::classes(&*self.session))?
    }

    /// As what finds things.
    ///
    /// # Errors
    /// [`Error::Model`] when it is something else.
    pub fn detector(self, settings: &DetectorSettings) -> Result<Box<dyn Detector>> {
        let Self { model, session, .. } = self;
        match self.kind {
            Kind::YuNet => {
                let mut own = YuNetSettings::default();
                settings.onto(&mut own.score, &mut own.longest);
                Ok(Box::new(YuNet::new(session, &model, own)?))
            }
            Kind::Scrfd => {
                let mut own = ScrfdSettings::default();
                settings.onto(&mut own.score, &mut own.longest);
                Ok(Box::new(Scrfd::new(session, &model, own)?))
            }
            Kind::Yolo => {
                let mut own = YoloSettings::default();
                settings.onto(&mut own.score, &mut own.longest);
                Ok(Box::new(Yolo::new(session, &model, own)?))
            }
            Kind::ArcFace => Err(model.unfit("it embeds faces, and finds nothing")),
        }
    }

    /// As what finds faces.
    ///
    /// # Errors
    /// [`Error::Model`] when it is something else.
    pub fn face_detector(self, settings: &DetectorSettings) -> Result<Box<dyn Detector>> {
        match self.kind {
            Kind::YuNet | Kind::Scrfd => self.detector(settings),
            kind => Err(self
                .model
                .unfit(format!("it is a {} and finds no faces", kind.name()))),
        }
    }

    /// As what embeds faces.
    ///
    /// # Errors
    /// [`Error::Model`] when it is something else.
    pub fn embedder(self) -> Result<Box<dyn Embedder>> {
        let Self {
            model,
            session,
            kind,
            normalization,
            ..
        } = self;
        if kind != Kind::ArcFace {
            let problem = format!("it is a {} and embeds no faces", kind.name());
            return Err(model.unfit(problem));
        }
        let normalization = normalization
            .or_else(|| known(model.digest()).map(|known| known.normalization))
            .unwrap_or_default();
        Ok(Box::new(ArcFace::new(session, &model, normalization)?))
    }
}

/// What may be set of any detector; its own defaults hold otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorSettings {
    /// The least score, 0 to 1.
    pub min_score: Option<f32>,
    /// The longest side that a network without a fixed size works at, in pixels.
    pub longest_side: Option<usize>,
}

impl DetectorSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<()> {
        let setting = |name: &'static str, problem: &str| Error::Setting {
            name,
            problem: problem.to_owned(),
        };
        if self
            .min_score
            .is_some_and(|score| !(0.0..=1.0).contains(&score))
        {
            return Err(setting("min_score", "it is from 0 to 1"));
        }
        if self
            .longest_side
            .is_some_and(|side| !(32..=4096).contains(&side))
        {
            return Err(setting("longest_side", "it is from 32 to 4096"));
        }
        Ok(())
    }

    fn onto(&self, score: &mut f32, longest: &mut usize) {
        *score = self.min_score.unwrap_or(*score);
        *longest = self.longest_side.unwrap_or(*longest);
    }
}

/// What is known of an embedder by its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownEmbedder {
    /// What it was trained with.
    pub normalization: EmbedderNormalization,
    /// The similarity from which on two faces are one person's.
    pub threshold: f32,
}

/// Looks an embedder up.
pub fn known(digest: Digest) -> Option<KnownEmbedder> {
    // MobileFaceNet for 112 x 112 pixels with 128 numbers, as it goes with facial landmarks.
    const MOBILEFACENET: &str = "b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507";
    (digest.to_string() == MOBILEFACENET).then_some(KnownEmbedder {
        normalization: EmbedderNormalization::ImageNet,
        threshold: 0.43,
    })
}
