//! Pictures as NumPy arrays, without a copy.
//!
//! A frame describes its memory by `__array_interface__`, and an array made from it holds on to it:
//! so the memory stays as long as any array over it, and neither unsafe code nor NumPy's own
//! interface, which changes from version to version, is needed.

use std::time::Duration;

use jiff::Timestamp;
use keepwatch_vision::{Color, Image, Pixels};
use pyo3::exceptions::{PyImportError, PyModuleNotFoundError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::record::Time;

/// A picture of a camera.
#[pyclass(frozen, module = "keepwatch")]
pub struct Frame {
    pixels: Pixels,
    camera: String,
    pts: Duration,
    time: Timestamp,
}

impl Frame {
    /// Of a camera with this name.
    pub fn new(camera: &str, image: Image) -> Self {
        let Image { pixels, pts, wall } = image;
        Self {
            pixels,
            camera: camera.to_owned(),
            pts,
            time: wall,
        }
    }

    /// Its pixels.
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }
}

#[pymethods]
impl Frame {
    /// The pixels: an array of 8-bit values, `[height, width]` of brightness or
    /// `[height, width, 3]` of red, green and blue. It is a view of the decoder's memory, and cannot
    /// be written to.
    #[getter]
    fn image<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        numpy(slf.py())?.call_method1("asarray", (slf,))
    }

    /// Where the pixels are, as NumPy wants to know it.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pixels = &self.pixels;
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", "|u1")?;
        interface.set_item("data", (pixels.bytes().as_ptr() as usize, true))?;
        let (height, width, stride) = (pixels.height(), pixels.width(), pixels.stride());
        match pixels.color() {
            Color::Luma => {
                interface.set_item("shape", (height, width))?;
                interface.set_item("strides", (stride, 1))?;
            }
            Color::Rgb => {
                interface.set_item("shape", (height, width, 3))?;
                interface.set_item("strides", (stride, 3, 1))?;
            }
        }
        Ok(interface)
    }

    /// The width in pixels.
    #[getter]
    fn width(&self) -> usize {
        self.pixels.width()
    }

    /// The height in pixels.
    #[getter]
    fn height(&self) -> usize {
        self.pixels.height()
    }

    /// What its values are: `"luma"` or `"rgb"`.
    #[getter]
    fn color(&self) -> &'static str {
        match self.pixels.color() {
            Color::Luma => "luma",
            Color::Rgb => "rgb",
        }
    }

    /// The name of the camera.
    #[getter]
    fn camera(&self) -> &str {
        &self.camera
    }

    /// When it is shown, in seconds.
    #[getter]
    fn pts(&self) -> f64 {
        self.pts.as_secs_f64()
    }

    /// When it was taken, by the clock of this machine.
    #[getter]
    fn time(&self) -> Time {
        Time(self.time)
    }

    fn __repr__(&self) -> String {
        format!(
            "Frame(camera={:?}, pts={:.3}, {}x{} {})",
            self.camera,
            self.pts.as_secs_f64(),
            self.width(),
            self.height(),
            self.color()
        )
    }
}

/// NumPy, which only who looks at pictures needs.
fn numpy(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    PyModule::import(py, "numpy").map_err(|error| {
        if !error.is_instance_of::<PyModuleNotFoundError>(py) {
            return error;
        }
        let text = "frames are NumPy arrays, and NumPy is not there: pip install numpy";
        let told = PyImportError::new_err(text);
        told.set_cause(py, Some(error));
        told
    })
}
