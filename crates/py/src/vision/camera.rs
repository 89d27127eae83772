//! The pictures of one camera.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepwatch_vision::{FrameOptions, Frames, Read};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;

use super::frame::Frame;
use super::settings::{Url, color, seconds, settings};
use super::status::CameraStatus;
use crate::errors::{self, Raise, Result};
use crate::record::FilePath;
use crate::work::{self, Stop};

/// How often Ctrl-C is looked for.
const BEAT: Duration = Duration::from_millis(50);

/// A camera, and its pictures one after the other: `for frame in camera`.
#[pyclass(frozen, module = "keepwatch")]
pub struct Camera {
    frames: Mutex<Option<Arc<Frames>>>,
    name: String,
    url: String,
}

#[pymethods]
impl Camera {
    /// Begins to read a camera, and does not wait for it.
    ///
    /// `url` is an address (`rtsp://`, `rtsps://`, `http://`, `https://`), the path of a file,
    /// `device:/dev/video0` or `test:`. Pictures are decoded on other threads, a few ahead: a file
    /// waits until they are taken, and of those of a camera that nobody takes the oldest are
    /// dropped.
    ///
    /// `color` is `"luma"` (brightness as it is encoded, without any conversion) or `"rgb"`. `fps`
    /// is how many frames a second are given at most. A camera that sends nothing for
    /// `read_timeout` seconds counts as gone. One that is gone is tried to be reached again for
    /// `reconnect` seconds, for ever if that is None. `tls_ca_file` and `tls_sha256` say which
    /// certificate of an `rtsps` or `https` camera is trusted.
    #[new]
    #[pyo3(signature = (
        url, *, name=None, color="luma", fps=None, transport="tcp", read_timeout=5.0,
        reconnect=60.0, tls_ca_file=None, tls_sha256=None
    ))]
    fn new(
        py: Python<'_>,
        url: Url,
        name: Option<String>,
        color: &str,
        fps: Option<f64>,
        transport: &str,
        read_timeout: f64,
        reconnect: Option<f64>,
        tls_ca_file: Option<FilePath>,
        tls_sha256: Option<&str>,
    ) -> Result<Self> {
        let settings = settings(url.0, transport, read_timeout, tls_ca_file, tls_sha256)?;
        let options = FrameOptions {
            color: self::color(color)?,
            max_fps: fps,
            reconnect: reconnect
                .map(|time| seconds("reconnect", time))
                .transpose()?,
        };
        // The first one starts GStreamer, which may look through its plugins.
        let frames = work::run(py, &Stop::default(), || Frames::open(&settings, options))??;
        let url = settings.url.to_string();
        Ok(Self {
            frames: Mutex::new(Some(Arc::new(frames))),
            name: name.unwrap_or_else(|| url.clone()),
            url,
        })
    }

    /// Its name; where it is if it was given none.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, without user and password.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// The next frame; None at the end of a file.
    ///
    /// Waits for it, at most `timeout` seconds if that is given: then TimeoutError is raised.
    #[pyo3(signature = (*, timeout=None))]
    fn read(&self, py: Python<'_>, timeout: Option<f64>) -> Result<Option<Frame>> {
        let timeout = timeout.map(|time| seconds("timeout", time)).transpose()?;
        self.next(py, timeout)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Frame>> {
        self.next(py, None)
    }

    /// How it is doing.
    fn status(&self, py: Python<'_>) -> Result<CameraStatus> {
        let mut status = self.open_frames(py)?.status();
        status.camera.clone_from(&self.name);
        Ok(CameraStatus::new(status))
    }

    /// Leaves the camera. Frames that were read stay as they are.
    fn close(&self, py: Python<'_>) -> Result<()> {
        let frames = lock(&self.frames).take();
        if let Some(frames) = frames {
            work::run(py, &Stop::default(), || frames.close())?;
        }
        Ok(())
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) -> Result<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let closed = match lock(&self.frames).is_some() {
            true => "",
            false => ", closed",
        };
        match self.name == self.url {
            true => format!("Camera({:?}{closed})", self.url),
            false => format!("Camera({:?}, name={:?}{closed})", self.url, self.name),
        }
    }
}

impl Camera {
    fn open_frames(&self, py: Python<'_>) -> Result<Arc<Frames>> {
        match lock(&self.frames).as_ref() {
            Some(frames) => Ok(frames.clone()),
            None => Err(closed(py)?),
        }
    }

    fn next(&self, py: Python<'_>, timeout: Option<Duration>) -> Result<Option<Frame>> {
        let frames = self.open_frames(py)?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => BEAT,
            };
            match py.detach(|| frames.read(left.min(BEAT)))? {
                Read::Image(image) => return Ok(Some(Frame::new(&self.name, image))),
                // Another thread may have closed it meanwhile.
                Read::Ended if lock(&self.frames).is_none() => return Err(closed(py)?),
                Read::Ended => return Ok(None),
                Read::Nothing if left.is_zero() => {
                    let error = PyTimeoutError::new_err("no frame came in the time given");
                    return Err(Raise::Python(error));
                }
                Read::Nothing => py.check_signals()?,
            }
        }
    }
}

fn closed(py: Python<'_>) -> PyResult<Raise> {
    errors::make(py, "ClosedError", "the camera is closed", None).map(Raise::Python)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
