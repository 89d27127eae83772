//! From a picture to faces that can be compared.

use keepwatch_core::jiff::Timestamp;

use super::align::{ALIGNED, align};
use super::embed::{Embedder, Embedding};
use super::gallery::Photo;
use super::quality::{Quality, QualityGate, Refusal};
use crate::detect::{Detection, Detector};
use crate::error::{Error, Result};
use crate::geometry::{Box2, Point};
use crate::infer::Digest;
use crate::picture::{Picture, View};
use crate::resample::Shrinker;

/// In a photograph that somebody is enrolled with, a face is a bystander's when its size is less than
/// this share of the largest one's, or it is too bad to be enrolled (seen from the side, blurred).
const BACKGROUND: f32 = 0.4;

/// A face is the one of an event when it overlaps with where that was by as much: the picture is of the
/// same moment.
const SAME_PLACE: f32 = 0.4;

/// A face in a picture.
#[derive(Clone, Debug)]
pub struct FoundFace {
    /// Where, and how sure.
    pub detection: Detection,
    /// How good it is; none without landmarks.
    pub quality: Option<Quality>,
    /// It can be compared; or else this is why not.
    pub embedding: Result<Embedding, Refusal>,
    /// Turned upright; empty where it was not embedded.
    pub aligned: Picture,
}

/// Finds faces and embeds them, on one thread at a time.
pub struct FaceFinder {
    detector: Box<dyn Detector>,
    embedder: Box<dyn Embedder>,
    gate: QualityGate,
    aligner: Aligner,
    found: Vec<Vec<Detection>>,
}

impl FaceFinder {
    /// With these networks. Faces that do not pass the gate are found, and not embedded.
    pub fn new(
        detector: Box<dyn Detector>,
        embedder: Box<dyn Embedder>,
        gate: QualityGate,
    ) -> Self {
        Self {
            detector,
            embedder,
            gate,
            aligner: Aligner::default(),
            found: Vec::new(),
        }
    }

    /// The model that faces are embedded with.
    pub fn model(&self) -> Digest {
        self.embedder.model()
    }

    /// How many numbers an embedding has.
    pub fn dimensions(&self) -> usize {
        self.embedder.dimensions()
    }

    /// The network that embeds.
    pub fn embedder(&mut self) -> &mut dyn Embedder {
        &mut *self.embedder
    }

    /// Finds the faces of a picture, the surest first.
    ///
    /// # Errors
    /// [`Error::Inference`] when a network cannot be computed.
    pub fn find(&mut self, picture: View<'_>) -> Result<Vec<FoundFace>> {
        let mut all = self.find_all(&[picture])?;
        Ok(all.pop().unwrap_or_default())
    }

    /// The same of several pictures, together where the networks can do that.
    ///
    /// # Errors
    /// As [`FaceFinder::find`].
    pub fn find_all(&mut self, pictures: &[View<'_>]) -> Result<Vec<Vec<FoundFace>>> {
        let gate = self.gate;
        self.find_by(pictures, &gate)
    }

    fn find_by(
        &mut self,
        pictures: &[View<'_>],
        gate: &QualityGate,
    ) -> Result<Vec<Vec<FoundFace>>> {
        self.detector.detect(pictures, &mut self.found)?;
        let mut all: Vec<Vec<FoundFace>> = Vec::with_capacity(pictures.len());
        for (picture, found) in pictures.iter().zip(&self.found) {
            let aligner = &mut self.aligner;
            let face = |detection: &Detection| aligner.face(*picture, detection, gate);
            all.push(found.iter().map(face).collect());
        }
        let mut waiting: Vec<&mut FoundFace> = all
            .iter_mut()
            .flatten()
            .filter(|face| face.aligned.width() > 0)
            .collect();
        let views: Vec<View<'_>> = waiting.iter().map(|face| face.aligned.view()).collect();
        let embeddings = self.embedder.embed(&views)?;
        for (face, embedding) in waiting.iter_mut().zip(embeddings) {
            face.embedding = embedding.ok_or(Refusal::Unsure);
        }
        Ok(all)
    }

    /// Finds the face of a photograph that somebody is to be enrolled with; `name` is that of the
    /// photograph, for messages.
    ///
    /// # Errors
    /// [`Error::Photo`] when there is no face in it, more than one that is no bystander's, or the
    /// largest is not good enough.
    pub fn enrol(&mut self, picture: View<'_>, name: &str, at: Timestamp) -> Result<Photo> {
        let bad = |problem: String| Error::Photo {
            name: name.to_owned(),
            problem,
        };
        let gate = QualityGate::enrolment();
        let faces = self.find_by(&[picture], &gate)?.pop().unwrap_or_default();
        let size = |face: &FoundFace| face.detection.bounds.w.min(face.detection.bounds.h);
        let Some(largest) = faces.iter().max_by(|a, b| size(a).total_cmp(&size(b))) else {
            return Err(bad("there is no face in it".to_owned()));
        };
        if let Err(refusal) = &largest.embedding {
            return Err(bad(format!("the face in it cannot be enrolled: {refusal}")));
        }
        let near = |face: &FoundFace| size(face) >= size(largest) * BACKGROUND;
        let meant = faces.iter().filter(|face| near(face));
        let mut meant = meant.filter_map(|face| Some((face, face.embedding.as_ref().ok()?)));
        match (meant.next(), meant.count()) {
            (Some((face, embedding)), 0) => Photo::new(face.aligned.view(), embedding.clone(), at),
            (_, others) => Err(bad(format!(
                "there are {} faces in it; cut out the one that is meant",
                others + 1
            ))),
        }
    }

    /// Finds the face that is at a place of a picture, as an event says it, for somebody to be enrolled
    /// with it.
    ///
    /// # Errors
    /// [`Error::Photo`] when there is no face there, or it is not good enough.
    pub fn enrol_at(
        &mut self,
        picture: View<'_>,
        place: Box2,
        name: &str,
        at: Timestamp,
    ) -> Result<Photo> {
        let bad = |problem: String| Error::Photo {
            name: name.to_owned(),
            problem,
        };
        let gate = QualityGate::enrolment();
        let faces = self.find_by(&[picture], &gate)?.pop().unwrap_or_default();
        let overlap = |face: &FoundFace| face.detection.bounds.iou(&place);
        let nearest = faces
            .iter()
            .max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
        let Some(face) = nearest.filter(|face| overlap(face) >= SAME_PLACE) else {
            return Err(bad("there is no face where the event has one".to_owned()));
        };
        match &face.embedding {
            Ok(embedding) => Photo::new(face.aligned.view(), embedding.clone(), at),
            Err(refusal) => Err(bad(format!("the face in it cannot be enrolled: {refusal}"))),
        }
    }
}

/// Cuts faces out, in memory that it keeps.
#[derive(Default)]
struct Aligner {
    shrinker: Shrinker,
    small: Picture,
}

impl Aligner {
    fn face(&mut self, picture: View<'_>, detection: &Detection, gate: &QualityGate) -> FoundFace {
        let mut face = FoundFace {
            detection: *detection,
            quality: None,
            embedding: Err(Refusal::Unsure),
            aligned: Picture::default(),
        };
        let Some(landmarks) = &detection.landmarks else {
            return face;
        };
        if !self.align(picture, detection.bounds, landmarks, &mut face.aligned) {
            face.aligned = Picture::default();
            return face;
        }
        let quality = Quality::of(detection, face.aligned.view());
        face.quality = quality;
        let verdict = quality.map_or(Err(Refusal::Unsure), |quality| gate.check(&quality));
        if let Err(refusal) = verdict {
            face.embedding = Err(refusal);
            face.aligned = Picture::default();
        }
        face
    }

    /// A face that is much larger than what becomes of it is shrunk first: otherwise most of its
    /// pixels would be skipped.
    fn align(
        &mut self,
        picture: View<'_>,
        bounds: Box2,
        landmarks: &[Point; 5],
        out: &mut Picture,
    ) -> bool {
        let around = Box2 {
            x: bounds.x - bounds.w / 2.0,
            y: bounds.y - bounds.h / 2.0,
            w: bounds.w * 2.0,
            h: bounds.h * 2.0,
        };
        let factor = bounds.w.max(bounds.h) / ALIGNED as f32;
        let around = around.within(picture.width(), picture.height());
        let (Some(around), true) = (around, factor >= 2.0) else {
            return align(picture, landmarks, out);
        };
        let (x, y) = (around.x as usize, around.y as usize);
        let width = (around.w.ceil() as usize).min(picture.width() - x).max(1);
        let height = (around.h.ceil() as usize).min(picture.height() - y).max(1);
        let small = |side: usize| ((side as f32 / factor) as usize).max(1);
        let (small_width, small_height) = (small(width), small(height));
        self.small
            .reset(small_width, small_height, picture.channels());
        let part = picture.part(x, y, width, height);
        self.shrinker
            .shrink(part, small_width, small_height, &mut self.small);
        // Landmarks count from the centre of the first pixel.
        let scale = |v: f32, from: usize, old: usize, new: usize| {
            (v + 0.5 - from as f32) * new as f32 / old as f32 - 0.5
        };
        let landmarks = landmarks.each_ref().map(|p| Point {
            x: scale(p.x, x, width, small_width),
            y: scale(p.y, y, height, small_height),
        });
        align(self.small.view(), &landmarks, out)
    }
}
