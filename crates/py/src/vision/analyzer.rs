//! Analysers that are written in Python.

use std::sync::{Mutex, PoisonError};

use keepwatch_core::events::Region;
use keepwatch_vision::{Analyzer, Color, Found, Image, Pixels, Seen};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::frame::Frame;
use crate::errors::{Raise, Result, wrong_type};

/// Something that was found in a frame.
#[pyclass(frozen, get_all, eq, module = "keepwatch")]
#[derive(Clone, PartialEq)]
pub struct Detection {
    /// What it is.
    label: String,
    /// How sure, 0 to 1.
    score: f32,
    /// The left edge, as a fraction of the picture's width.
    x: f32,
    /// The upper edge, as a fraction of its height.
    y: f32,
    /// The width, as a fraction of the picture's.
    w: f32,
    /// The height, as a fraction of the picture's.
    h: f32,
}

#[pymethods]
impl Detection {
    #[new]
    fn new(label: String, score: f32, x: f32, y: f32, w: f32, h: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&score) {
            return Err(Raise::value("score", format!("{score} is not 0 to 1")));
        }
        // What is seen in part may reach out of the picture. Pixels are another thing.
        for (name, value, least) in [("x", x, -1.0), ("y", y, -1.0), ("w", w, 0.0), ("h", h, 0.0)] {
            if !(least..=2.0).contains(&value) {
                let problem = format!("{value} is no fraction of the picture's size");
                return Err(Raise::value(name, problem));
            }
        }
        Ok(Self {
            label,
            score,
            x,
            y,
            w,
            h,
        })
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let fields = ["label", "score", "x", "y", "w", "h"];
        crate::record::repr(slf.as_any(), "Detection", &fields)
    }
}

impl Detection {
    fn found(&self) -> Found {
        Found {
            label: self.label.clone(),
            score: self.score,
            region: Region {
                x: self.x,
                y: self.y,
                w: self.w,
                h: self.h,
            },
        }
    }
}

/// The first exception of an analyser: it ends the pipeline, and comes out of it.
#[derive(Default)]
pub struct Failure(Mutex<(bool, Option<PyErr>)>);

impl Failure {
    /// The exception, the first time that it is asked for.
    pub fn take(&self) -> Option<PyErr> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .take()
    }

    fn is_set(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn set(&self, error: PyErr) {
        let mut failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !failure.0 {
            *failure = (true, Some(error));
        }
    }
}

/// A callable of Python that looks at frames.
pub struct Callable {
    callable: Py<PyAny>,
    color: Color,
    failure: std::sync::Arc<Failure>,
}

impl Callable {
    /// Of an object with a method `analyze`, or of one that can be called.
    pub fn new(
        analyzer: &Bound<'_, PyAny>,
        color: Color,
        failure: std::sync::Arc<Failure>,
    ) -> Result<Self> {
        let method = analyzer.getattr_opt("analyze")?;
        let callable = method.as_ref().unwrap_or(analyzer);
        match callable.is_callable() {
            true => Ok(Self {
                callable: callable.clone().unbind(),
                color,
                failure,
            }),
            false => Err(Raise::Python(wrong_type(
                "analyzers: a callable, or an object with a method analyze, is needed",
            ))),
        }
    }

    fn call(&self, py: Python<'_>, frame: Frame) -> PyResult<Vec<Found>> {
        let found = self.callable.call1(py, (frame,))?;
        let found = found.bind(py);
        if found.is_none() {
            return Ok(Vec::new());
        }
        found.try_iter()?.map(|item| detection(&item?)).collect()
    }
}

impl Analyzer for Callable {
    fn analyze(&self, seen: &Seen<'_>) -> keepwatch_vision::Result<Vec<Found>> {
        if self.failure.is_set() {
            return Ok(Vec::new());
        }
        let image = Image {
            pixels: Pixels::of(seen.frame, self.color)?,
            pts: seen.frame.pts,
            wall: seen.at,
        };
        let frame = Frame::new(seen.camera, image);
        // None when the interpreter ends: nobody looks any more.
        let found = Python::try_attach(|py| match self.call(py, frame) {
            Ok(found) => found,
            Err(error) => {
                self.failure.set(error);
                Vec::new()
            }
        });
        Ok(found.unwrap_or_default())
    }
}

/// A [`Detection`], or what makes one.
fn detection(item: &Bound<'_, PyAny>) -> PyResult<Found> {
    if let Ok(detection) = item.cast::<Detection>() {
        return Ok(detection.get().found());
    }
    let fields = item
        .cast::<PyTuple>()
        .ok()
        .and_then(|tuple| tuple.extract::<(String, f32, f32, f32, f32, f32)>().ok());
    match fields {
        Some((label, score, x, y, w, h)) => {
            let detection = Detection::new(label, score, x, y, w, h)?;
            Ok(detection.found())
        }
        None => Err(wrong_type(
            "an analyser gives Detection(label, score, x, y, w, h), or tuples of these",
        )),
    }
}
