//! Faces, plates and objects in what cameras see.
//!
//! Each camera offers the parts of its pictures in which something moves, or in which something is
//! followed, to a pool of threads that all cameras share. What a [`Recognizer`] sees there is
//! followed from look to look on the camera's own thread, confirmed by several looks, and becomes
//! an event: `face_match`, `face_unknown`, `plate_read` or `object`.

mod events;
mod faces;
mod look;
mod meter;
mod objects;
mod plan;
mod plates;
mod pool;
mod regions;
mod rules;
mod settings;
mod standard;
mod tracks;

use std::sync::Arc;

use keepwatch_recognition::face::Quality;
use keepwatch_recognition::{Box2, Quad, View};

pub use plan::{Plan, PlanSettings, PlateFiles};
pub use rules::{PlateRules, Rules};
pub use settings::{RecognitionSettings, Recognize, UnknownFaces};
pub use standard::{KnownFaces, StandardRecognizer};

use crate::error::Result;

pub(crate) use look::{Recognizing, Running};
pub(crate) use meter::Meter;
pub(crate) use pool::Pool;
pub(crate) use regions::Part;

/// Part of a camera's picture.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Crop<'a> {
    /// The name of the camera.
    pub camera: &'a str,
    /// Its pixels, red, green and blue, in the full size of the picture. What privacy masks hide is
    /// black.
    pub view: View<'a>,
    /// Whether faces are looked for.
    pub faces: bool,
    /// Whether plates are.
    pub plates: bool,
    /// Whether other objects are.
    pub objects: bool,
}

/// A face in a crop.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceSighting {
    /// Where, in pixels of the crop.
    pub bounds: Box2,
    /// How sure it is that it is one, 0 to 1.
    pub score: f32,
    /// How good it is, if that is known.
    pub quality: Option<Quality>,
    /// Whose it is: of those who pass the threshold and the margin to the next. None for nobody who
    /// is known.
    pub person: Option<String>,
    /// How similar it is to the nearest person that is known: a cosine, -1 to 1.
    pub similarity: Option<f32>,
    /// Whether it was good enough to be compared with anybody. One that was not says nothing about
    /// whose it is.
    pub comparable: bool,
}

/// A plate in a crop.
#[derive(Clone, Debug, PartialEq)]
pub struct PlateSighting {
    /// Where, in pixels of the crop.
    pub bounds: Box2,
    /// Its corners, in pixels of the crop.
    pub quad: Quad,
    /// How sure it is that it is a plate, 0 to 1.
    pub score: f32,
    /// What was read, as the reader gives it; empty when nothing was.
    pub text_raw: String,
    /// The same, cleaned ([`clean`](keepwatch_recognition::plate::text::clean)), with what is put in
    /// place of others.
    pub text_clean: String,
    /// How sure each character of the cleaned text is, 0 to 1, as
    /// [`Votes::add`](keepwatch_recognition::plate::vote::Votes::add) takes it.
    pub characters: Vec<f32>,
    /// How sure the whole text is, 0 to 1.
    pub confidence: f32,
}

/// An object in a crop.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectSighting {
    /// Where, in pixels of the crop.
    pub bounds: Box2,
    /// How sure it is that it is one, 0 to 1.
    pub score: f32,
    /// What it is.
    pub label: Arc<str>,
}

/// What is in a crop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sightings {
    /// Faces.
    pub faces: Vec<FaceSighting>,
    /// Plates.
    pub plates: Vec<PlateSighting>,
    /// Other objects.
    pub objects: Vec<ObjectSighting>,
}

/// Recognises faces, plates and objects in parts of pictures, on one thread at a time.
///
/// A recogniser lasts as long as cameras are watched: it is up to it to look now and then whether
/// its gallery has changed. One that panics is replaced by another of its [`RecognizerFactory`].
pub trait Recognizer: Send {
    /// What is in each of the crops, in their order. They may be of several cameras and frames, so
    /// that networks which take batches can work on them together; how many there are at most
    /// follows from [`RecognitionSettings::batch`], with up to 8 crops of a camera.
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>>;
}

/// Makes recognisers: one for each thread, with networks of its own.
pub type RecognizerFactory = Arc<dyn Fn() -> Result<Box<dyn Recognizer>> + Send + Sync>;

/// What a [`Watch`](crate::Watch) needs to recognise what cameras see.
#[derive(Clone)]
pub struct Recognition {
    /// How.
    pub settings: RecognitionSettings,
    /// With what.
    pub recognizer: RecognizerFactory,
    /// What is known of plates; it may be changed at any time.
    pub rules: Rules,
}

#[cfg(test)]
mod tests;
