//! Plates as `keepwatch.compat.securevision` finds and reads them: one step at a time.

use std::sync::{Mutex, PoisonError};

use keepwatch_recognition::detect::Yolo;
use keepwatch_recognition::detect::yolo::YoloSettings;
use keepwatch_recognition::infer::Model;
use keepwatch_recognition::plate::localize::Candidate;
use keepwatch_recognition::plate::network::{NetworkFinder, NetworkReader};
use keepwatch_recognition::plate::ocr::{PlateReader, Reading};
use keepwatch_recognition::plate::scan::{DetectedPlates, PlateFinder};
use keepwatch_recognition::settings::InferenceSettings;
use keepwatch_recognition::{Box2, View};
use pyo3::prelude::*;

use super::networks::places;
use super::picture::{Given, Order};
use crate::errors::Result;
use crate::record::{FilePath, Whole};
use crate::work::{self, Stop};

/// Left, top, right and bottom in pixels, and a score.
type Scored = (f32, f32, f32, f32, f32);

/// Finds plates in OpenCV's pictures.
#[pyclass(frozen, module = "keepwatch._keepwatch")]
pub struct SecureVisionPlateFinder(Mutex<Box<dyn PlateFinder>>);

#[pymethods]
impl SecureVisionPlateFinder {
    /// With a model of the YOLOv8 family (ONNX), or the network that is part of the package.
    #[new]
    #[pyo3(signature = (model=None, *, score=0.25, overlap=0.45, side=None))]
    fn new(
        py: Python<'_>,
        model: Option<FilePath>,
        score: f32,
        overlap: f32,
        side: Option<Whole<usize>>,
    ) -> Result<Self> {
        let places = places(py);
        let settings = YoloSettings {
            score,
            overlap,
            longest: side.map_or(YoloSettings::default().longest, |side| side.0),
        };
        let finder = work::run(py, &Stop::default(), || -> Result<Box<dyn PlateFinder>> {
            let engine = InferenceSettings::default().engine(&places)?;
            let Some(path) = model else {
                return Ok(Box::new(NetworkFinder::new(&engine)?));
            };
            let model = Model::read(&path, None)?;
            let yolo = Yolo::new(engine.load(&model)?, &model, settings)?;
            Ok(Box::new(DetectedPlates::new(Box::new(yolo))))
        })??;
        Ok(Self(Mutex::new(finder)))
    }

    /// Left, top, right and bottom of each in pixels, and its score, the likeliest first.
    #[pyo3(signature = (picture, /))]
    fn find(&self, py: Python<'_>, picture: &Bound<'_, PyAny>) -> Result<Vec<Scored>> {
        let given = Given::take(picture, Order::Bgr, "given")?;
        let found = work::run(py, &Stop::default(), || {
            let mut finder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut found = Vec::new();
            given.view(|view| finder.find(view, &mut found))?;
            Ok::<_, keepwatch_recognition::Error>(found)
        })??;
        let found = found.iter().map(|candidate| {
            let Box2 { x, y, w, h } = candidate.quad.bounds();
            (x, y, x + w, y + h, candidate.score)
        });
        Ok(found.collect())
    }
}

/// Reads plates in OpenCV's pictures.
#[pyclass(frozen, module = "keepwatch._keepwatch")]
pub struct SecureVisionPlateReader(Mutex<Reader>);

/// A box says nothing of how a plate is turned: what finds plates says that.
struct Reader {
    finder: NetworkFinder,
    reader: NetworkReader,
    found: Vec<Candidate>,
}

/// From this overlap (IoU) on, what is found is the plate of the box.
const SAME: f32 = 0.5;

impl Reader {
    fn read(&mut self, view: View<'_>, bounds: Box2) -> keepwatch_recognition::Result<Reading> {
        let around = Box2 {
            x: bounds.x - bounds.w / 2.0,
            y: bounds.y - bounds.h / 2.0,
            w: bounds.w * 2.0,
            h: bounds.h * 2.0,
        };
        let Some(around) = around.within(view.width(), view.height()) else {
            return Ok(Reading::default());
        };
        let (x, y) = (around.x as usize, around.y as usize);
        let width = (around.w.ceil() as usize).min(view.width() - x);
        let height = (around.h.ceil() as usize).min(view.height() - y);
        if width == 0 || height == 0 {
            return Ok(Reading::default());
        }
        let part = view.part(x, y, width, height);
        let bounds = Box2 {
            x: bounds.x - x as f32,
            y: bounds.y - y as f32,
            ..bounds
        };
        self.finder.find(part, &mut self.found)?;
        let overlap = |found: &Candidate| found.quad.bounds().iou(&bounds);
        let nearest = self
            .found
            .iter()
            .max_by(|a, b| overlap(a).total_cmp(&overlap(b)))
            .filter(|found| overlap(found) >= SAME);
        let quad = nearest.map_or_else(|| bounds.quad(), |found| found.quad);
        self.reader.read(part.gray().view(), &quad)
    }
}

#[pymethods]
impl SecureVisionPlateReader {
    /// With the network that is part of the package.
    #[new]
    fn new(py: Python<'_>) -> Result<Self> {
        let places = places(py);
        let reader = work::run(py, &Stop::default(), || {
            let engine = InferenceSettings::default().engine(&places)?;
            Ok::<_, keepwatch_recognition::Error>(Reader {
                finder: NetworkFinder::new(&engine)?,
                reader: NetworkReader::new(&engine)?,
                found: Vec::new(),
            })
        })??;
        Ok(Self(Mutex::new(reader)))
    }

    /// The text within left, top, right and bottom, and how sure it is, 0 to 1.
    #[pyo3(signature = (picture, bbox, /))]
    fn read(
        &self,
        py: Python<'_>,
        picture: &Bound<'_, PyAny>,
        bbox: (f32, f32, f32, f32),
    ) -> Result<(String, f32)> {
        let given = Given::take(picture, Order::Bgr, "given")?;
        let (x, y, right, bottom) = bbox;
        let bounds = Box2 {
            x,
            y,
            w: right - x,
            h: bottom - y,
        };
        let reading = work::run(py, &Stop::default(), || {
            let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            given.view(|view| reader.read(view, bounds))
        })??;
        Ok((reading.text, reading.confidence))
    }
}
