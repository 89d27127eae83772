//! Faces in pictures.

use std::sync::{Mutex, MutexGuard, PoisonError};

use keepwatch_recognition::face::{self, Embedding, FoundFace};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::networks::{ModelSource, places};
use super::picture::{Given, Order};
use super::settings::{FaceOptions, Settings, finder};
use crate::errors::Result;
use crate::record::{FilePath, Whole};
use crate::work::{self, Stop};

/// A face in a picture.
#[pyclass(frozen, subclass, module = "keepwatch")]
pub struct Face {
    found: FoundFace,
}

impl Face {
    /// As it was found; its picture is not kept.
    pub fn new(mut found: FoundFace) -> Self {
        found.aligned = keepwatch_recognition::Picture::default();
        Self { found }
    }

    /// Where it is and how sure, for a `repr`: nothing that a face could be told by.
    pub fn place(&self) -> String {
        let bounds = self.found.detection.bounds;
        format!(
            "bbox=({:.0}, {:.0}, {:.0}, {:.0}), score={:.2}",
            bounds.x, bounds.y, bounds.w, bounds.h, self.found.detection.score
        )
    }
}

#[pymethods]
impl Face {
    /// Left, top, width and height in pixels.
    #[getter]
    fn bbox(&self) -> (f32, f32, f32, f32) {
        let bounds = self.found.detection.bounds;
        (bounds.x, bounds.y, bounds.w, bounds.h)
    }

    /// Right eye, left eye, nose, right and left corner of the mouth, each x and y in pixels; right
    /// and left are the person's.
    #[getter]
    fn landmarks<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let landmarks = self.found.detection.landmarks;
        let points = landmarks.map(|points| points.map(|point| (point.x, point.y)));
        points.map(|points| PyTuple::new(py, points)).transpose()
    }

    /// How sure it is that it is a face, 0 to 1.
    #[getter]
    fn score(&self) -> f32 {
        self.found.detection.score
    }

    /// The shorter side of its box in pixels; none for a face without landmarks, as below.
    #[getter]
    fn size(&self) -> Option<f32> {
        self.found.quality.map(|quality| quality.size)
    }

    /// How sharp it is: the variance of the Laplacian of its brightness, aligned.
    #[getter]
    fn sharpness(&self) -> Option<f32> {
        self.found.quality.map(|quality| quality.sharpness)
    }

    /// How far it is turned to a side: 0 from the front, 1 with the nose as far aside as an eye.
    #[getter]
    fn turn(&self) -> Option<f32> {
        self.found.quality.map(|quality| quality.turn)
    }

    /// Why it cannot be compared with anybody; none if it can.
    #[getter]
    fn refused(&self) -> Option<String> {
        let refusal = self.found.embedding.as_ref().err();
        refusal.map(ToString::to_string)
    }

    /// The face in numbers, of length 1; none if it cannot be compared. The cosine of two of them,
    /// of one model, is how similar the faces are. Who it is can be told from them: keep them as
    /// what they are, biometric data.
    #[getter]
    fn embedding<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let embedding = self.found.embedding.as_ref().ok();
        let values = embedding.map(Embedding::values);
        values.map(|values| PyTuple::new(py, values)).transpose()
    }

    fn __repr__(&self) -> String {
        format!("Face({})", self.place())
    }
}

/// Finds faces in pictures, and makes numbers of them that can be compared.
#[pyclass(frozen, module = "keepwatch")]
pub struct FaceFinder {
    finder: Mutex<face::FaceFinder>,
    model: String,
    dimensions: usize,
}

impl FaceFinder {
    fn lock(&self) -> MutexGuard<'_, face::FaceFinder> {
        self.finder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl FaceFinder {
    /// Loads the networks: a `detector` (YuNet or SCRFD) and an `embedder` (of ArcFace's kind), each a
    /// path or a Model. `config` is a configuration (docs/CONFIG.md), its path or a dictionary of what
    /// is in it; arguments count before it.
    ///
    /// `min_score` is the least score of the detector, 0 to 1, and `longest_side` the size it works
    /// at, where it has none of its own. Faces that are smaller than `min_size` pixels, less sharp
    /// than `min_sharpness` or turned further than `max_turn` are found and have no embedding.
    ///
    /// `backend` computes: `auto`, `onnxruntime` or `tract`; `library` is that of ONNX Runtime.
    #[new]
    #[pyo3(signature = (
        *, detector=None, embedder=None, config=None, min_score=None, longest_side=None,
        min_size=None, min_sharpness=None, max_turn=None, backend=None, library=None
    ))]
    fn new(
        py: Python<'_>,
        detector: Option<ModelSource>,
        embedder: Option<ModelSource>,
        config: Option<&Bound<'_, PyAny>>,
        min_score: Option<f32>,
        longest_side: Option<Whole<usize>>,
        min_size: Option<f32>,
        min_sharpness: Option<f32>,
        max_turn: Option<f32>,
        backend: Option<&str>,
        library: Option<FilePath>,
    ) -> Result<Self> {
        let mut settings = Settings::load(config)?;
        settings.set_inference(backend, library)?;
        let options = FaceOptions {
            detector,
            embedder,
            min_score,
            longest_side,
            min_size,
            min_sharpness,
            max_turn,
        };
        options.onto(&mut settings)?;
        let places = places(py);
        let (finder, _) = work::run(py, &Stop::default(), || finder(&settings, &places))??;
        Ok(Self {
            model: finder.model().to_string(),
            dimensions: finder.dimensions(),
            finder: Mutex::new(finder),
        })
    }

    /// The faces of a picture, the surest first.
    ///
    /// `picture` is a path, the bytes of a picture file, a NumPy array (`uint8`, `[height, width]` of
    /// brightness or `[height, width, 3]` of colours) or a Frame. `channels` is the order of the
    /// colours in an array, `rgb`, or `bgr` as OpenCV has it.
    #[pyo3(signature = (picture, *, channels="rgb"))]
    fn find(
        &self,
        py: Python<'_>,
        picture: &Bound<'_, PyAny>,
        channels: &str,
    ) -> Result<Vec<Face>> {
        let given = Given::take(picture, Order::parse(channels)?, "given")?;
        let found = work::run(py, &Stop::default(), || {
            given.view(|view| self.lock().find(view))
        })??;
        Ok(found.into_iter().map(Face::new).collect())
    }

    /// The SHA-256 of the model that makes numbers of faces, in hexadecimal digits: those of two
    /// models cannot be compared.
    #[getter]
    fn model(&self) -> &str {
        &self.model
    }

    /// How many numbers a face has.
    #[getter]
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn __repr__(&self) -> String {
        format!("FaceFinder(model={:?})", self.model)
    }
}
