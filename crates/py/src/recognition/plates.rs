//! Plates in pictures.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use keepwatch_recognition::plate::grammar::Grammar;
use keepwatch_recognition::plate::list::{ListChange, ListFiles, PlateLists};
use keepwatch_recognition::plate::scan::Plate;
use keepwatch_recognition::settings::PlateScanner;
use pyo3::prelude::*;

use super::networks::{ModelSource, places};
use super::picture::{Given, Order};
use super::settings::{PlateOptions, Settings};
use crate::errors::Result;
use crate::record::{FilePath, Strings, Tuple, record};
use crate::work::{self, Stop};

record! {
    /// A plate that was read.
    PlateReading {
        /// Capitals and digits, corrected where the region's patterns tell letters from digits.
        text: String,
        /// As it was read.
        text_raw: String,
        /// How sure the reading is, 0 to 1.
        confidence: f32,
        /// Left, top, width and height in pixels.
        bbox: (f32, f32, f32, f32),
        /// Top left, top right, bottom right and bottom left, each x and y in pixels.
        corners: Tuple,
        /// Whether plates of the region look so.
        fits: bool,
        /// On which list it is: `allow`, `deny`, or none.
        matched_list: Option<&'static str>,
        /// The plate as the list has it.
        matched_plate: Option<String>,
        /// What the list says of it.
        description: Option<String>,
    }
}

impl PlateReading {
    fn new(py: Python<'_>, Seen { plate, listed }: Seen) -> PyResult<Self> {
        let bounds = plate.candidate.quad.bounds();
        let corners = plate.candidate.quad.0.map(|corner| (corner.x, corner.y));
        let (list, written, description) = match listed {
            Some(listed) => (Some(listed.list), Some(listed.written), listed.description),
            None => (None, None, None),
        };
        Ok(Self {
            text: plate.text.clean,
            text_raw: plate.reading.text,
            confidence: plate.reading.confidence,
            bbox: (bounds.x, bounds.y, bounds.w, bounds.h),
            corners: Tuple::new(py, corners)?,
            fits: plate.text.fits,
            matched_list: list,
            matched_plate: written,
            description,
        })
    }
}

/// A plate, and what the lists say of it.
struct Seen {
    plate: Plate,
    listed: Option<Listed>,
}

struct Listed {
    list: &'static str,
    written: String,
    description: Option<String>,
}

impl Seen {
    fn new(plate: Plate, lists: &PlateLists) -> Self {
        let listed = lists.find(&plate.text.clean).map(|found| Listed {
            list: found.list.name(),
            written: found.entry.written.clone(),
            description: Some(found.entry.description.clone()).filter(|text| !text.is_empty()),
        });
        Self { plate, listed }
    }
}

/// Finds and reads licence plates.
#[pyclass(frozen, module = "keepwatch")]
pub struct PlateReader(Arc<Reader>);

/// One of them, which [`read_plates`] keeps as well.
struct Reader {
    settings: Settings,
    grammar: Grammar,
    parts: Mutex<Parts>,
}

/// What is used by one thread at a time.
struct Parts {
    scanner: PlateScanner,
    lists: ListFiles,
    started: Instant,
}

impl Reader {
    fn new(py: Python<'_>, settings: Settings) -> Result<Self> {
        let places = places(py);
        let (grammar, parts) = work::run(py, &Stop::default(), || -> Result<_> {
            let plates = &settings.plates;
            let (grammar, lists) = (plates.grammar()?, plates.lists()?);
            let engine = settings.inference.engine(&places)?;
            let parts = Parts {
                scanner: plates.scanner(&settings.models, &engine)?,
                lists,
                started: Instant::now(),
            };
            Ok((grammar, parts))
        })??;
        warn(py, parts.lists.odd())?;
        Ok(Self {
            settings,
            grammar,
            parts: Mutex::new(parts),
        })
    }

    fn read(&self, py: Python<'_>, given: &Given) -> Result<Vec<PlateReading>> {
        let (said, seen) = work::run(py, &Stop::default(), || -> Result<_> {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            let said = parts.refresh();
            let plates = given.view(|view| parts.scanner.scan(view, &self.grammar))?;
            let lists = parts.lists.lists();
            let seen = plates.into_iter().map(|plate| Seen::new(plate, lists));
            Ok((said, seen.collect::<Vec<_>>()))
        })??;
        warn(py, said)?;
        let readings = seen.into_iter().map(|seen| PlateReading::new(py, seen));
        Ok(readings.collect::<PyResult<_>>()?)
    }
}

impl Parts {
    /// Reads lists again that have changed. Gives what is wrong with them, if anything.
    fn refresh(&mut self) -> Vec<String> {
        let changes = self.lists.check(self.started.elapsed());
        if changes.is_empty() {
            return Vec::new();
        }
        let broken = changes
            .iter()
            .filter(|(_, change)| matches!(change, ListChange::Broken(_)));
        let mut said: Vec<String> = broken
            .map(|(list, change)| change.describe(*list))
            .collect();
        said.extend(self.lists.odd());
        said
    }
}

fn warn(py: Python<'_>, said: Vec<String>) -> PyResult<()> {
    for text in said {
        py.import("warnings")?.call_method1("warn", (text,))?;
    }
    Ok(())
}

#[pymethods]
impl PlateReader {
    /// Makes ready what finds and reads plates, which is part of the package.
    ///
    /// `region` is where they are from: `eu` (unless something else is said), `us`, `br` or `de`; or
    /// `patterns` are regular expressions for what they look like, such as `[A-Z]{2}[0-9]{3,4}`. The
    /// lists are files with a plate in each line, or `plate_text,description`; a reading is on a list
    /// that is as near to one of its plates as `allow_distance` and `deny_distance` say: characters
    /// that are taken for each other count less than 1, others 1. Files that change are read again.
    /// Readings that are less sure than `min_confidence`, 0 to 1, are left out.
    ///
    /// `finder` is `network` or `classical`, without a network; `detector` finds plates instead of the
    /// network that is part of the package: a Model of the YOLOv8 family, or its path. `config`,
    /// `backend` and `library` are as for FaceFinder.
    #[new]
    #[pyo3(signature = (
        *, region=None, patterns=None, allow_list=None, deny_list=None, allow_distance=None,
        deny_distance=None, min_confidence=None, finder=None, detector=None, config=None,
        backend=None, library=None
    ))]
    fn new(
        py: Python<'_>,
        region: Option<String>,
        patterns: Option<Strings>,
        allow_list: Option<FilePath>,
        deny_list: Option<FilePath>,
        allow_distance: Option<f32>,
        deny_distance: Option<f32>,
        min_confidence: Option<f32>,
        finder: Option<String>,
        detector: Option<ModelSource>,
        config: Option<&Bound<'_, PyAny>>,
        backend: Option<&str>,
        library: Option<FilePath>,
    ) -> Result<Self> {
        let mut settings = Settings::load(config)?;
        settings.set_inference(backend, library)?;
        let options = PlateOptions {
            region,
            patterns,
            allow_list,
            deny_list,
            allow_distance,
            deny_distance,
            min_confidence,
            finder,
            detector,
        };
        options.onto(&mut settings)?;
        Ok(Self(Arc::new(Reader::new(py, settings)?)))
    }

    /// The plates of a picture, the likeliest first.
    ///
    /// `picture` is a path, the bytes of a picture file, a NumPy array (`uint8`, `[height, width]` of
    /// brightness or `[height, width, 3]` of colours) or a Frame. `channels` is the order of the
    /// colours in an array, `rgb`, or `bgr` as OpenCV has it.
    #[pyo3(signature = (picture, *, channels="rgb"))]
    fn read(
        &self,
        py: Python<'_>,
        picture: &Bound<'_, PyAny>,
        channels: &str,
    ) -> Result<Vec<PlateReading>> {
        let given = Given::take(picture, Order::parse(channels)?, "given")?;
        self.0.read(py, &given)
    }

    /// Where plates are from: `eu`, `us`, `br`, `de`, or `custom` with patterns.
    #[getter]
    fn region(&self) -> &str {
        &self.0.settings.plates.region
    }

    fn __repr__(&self) -> String {
        format!("PlateReader(region={:?})", self.region())
    }
}

/// The reader of the last call, which the next one may need again.
static LAST: Mutex<Option<Arc<Reader>>> = Mutex::new(None);

/// Finds and reads the licence plates of a picture, the likeliest first.
///
/// The arguments are those of PlateReader and its `read`. What reads is kept for the next call with
/// the same arguments; who needs several at once keeps a PlateReader for each.
#[pyfunction]
#[pyo3(signature = (
    picture, *, region=None, patterns=None, allow_list=None, deny_list=None, min_confidence=None,
    channels="rgb"
))]
pub fn read_plates(
    py: Python<'_>,
    picture: &Bound<'_, PyAny>,
    region: Option<String>,
    patterns: Option<Strings>,
    allow_list: Option<FilePath>,
    deny_list: Option<FilePath>,
    min_confidence: Option<f32>,
    channels: &str,
) -> Result<Vec<PlateReading>> {
    let given = Given::take(picture, Order::parse(channels)?, "given")?;
    let mut settings = Settings::default();
    let options = PlateOptions {
        region,
        patterns,
        allow_list,
        deny_list,
        min_confidence,
        ..PlateOptions::default()
    };
    options.onto(&mut settings)?;
    // Not locked while one is made: that needs the interpreter.
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let reader = match last.filter(|last| last.settings == settings) {
        Some(reader) => reader,
        None => {
            let reader = Arc::new(Reader::new(py, settings)?);
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader.clone());
            reader
        }
    };
    reader.read(py, &given)
}
