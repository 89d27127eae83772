//! Binary streams in both directions: Rust readers as Python files, Python files as Rust readers.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyMemoryView, PyString};

use crate::errors::{self, Raise, Result, wrong_type};
use crate::work::{self, Stop};

/// Reads of up to this many bytes do not get a thread that could be interrupted.
const SHORT: usize = 1 << 20;
/// What is read ahead, so that lines and small pieces cost little.
const READ_AHEAD: usize = 64 << 10;

/// What can be read at any place.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// A binary file, read-only and seekable, as `open(path, "rb")` gives one.
#[pyclass(frozen, subclass, module = "keepwatch")]
pub struct BinaryReader {
    reader: Mutex<Option<BufReader<Box<dyn Source>>>>,
    name: String,
}

impl BinaryReader {
    /// Reads from this; `name` is for messages.
    pub fn new(source: impl Source + 'static, name: String) -> Self {
        let source: Box<dyn Source> = Box::new(source);
        Self {
            reader: Mutex::new(Some(BufReader::with_capacity(READ_AHEAD, source))),
            name,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<BufReader<Box<dyn Source>>>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the reader, without the interpreter's lock: another thread that holds
    /// the reader may need it to call a Python file.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut BufReader<Box<dyn Source>>) -> io::Result<T> + Send,
    ) -> Result<T> {
        let done = py.detach(|| self.lock().as_mut().map(work));
        match done {
            Some(result) => Ok(result?),
            None => Err(closed(py)),
        }
    }

    fn is_open(&self, py: Python<'_>) -> bool {
        py.detach(|| self.lock().is_some())
    }

    fn must_be_open(&self, py: Python<'_>) -> Result<()> {
        match self.is_open(py) {
            true => Ok(()),
            false => Err(closed(py)),
        }
    }

    /// Reads `size` bytes, or to the end.
    fn take(&self, py: Python<'_>, size: Option<usize>) -> Result<Vec<u8>> {
        if let Some(size) = size.filter(|size| *size <= SHORT) {
            return self.with(py, |reader| {
                let mut out = Vec::with_capacity(size);
                reader.take(size as u64).read_to_end(&mut out)?;
                Ok(out)
            });
        }
        self.must_be_open(py)?;
        let stop = Stop::default();
        let done = work::run(py, &stop, || {
            let mut guard = self.lock();
            let Some(reader) = guard.as_mut() else {
                return Ok(None);
            };
            let mut out = Vec::new();
            let mut left = size.map_or(u64::MAX, |size| size as u64);
            while left > 0 && !stop.load(Ordering::Relaxed) {
                let part = left.min(SHORT as u64);
                let read = reader.take(part).read_to_end(&mut out)? as u64;
                if read < part {
                    break;
                }
                left -= read;
            }
            io::Result::Ok(Some(out))
        })?;
        done?.ok_or_else(|| closed(py))
    }

    fn line(&self, py: Python<'_>, size: Option<usize>) -> Result<Vec<u8>> {
        self.with(py, |reader| {
            let mut line = Vec::new();
            let limit = size.map_or(u64::MAX, |size| size as u64);
            reader.take(limit).read_until(b'\n', &mut line)?;
            Ok(line)
        })
    }
}

fn closed(py: Python<'_>) -> Raise {
    match errors::make(py, "ClosedError", "it is closed", None) {
        Ok(error) | Err(error) => Raise::Python(error),
    }
}

/// `None` and negative numbers mean everything.
fn limit(size: Option<i64>) -> Option<usize> {
    size.and_then(|size| usize::try_from(size).ok())
}

#[pymethods]
impl BinaryReader {
    /// Reads up to `size` bytes, or to the end.
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<i64>) -> Result<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.take(py, limit(size))?))
    }

    /// Reads up to `size` bytes, fewer if more would cost another look into the source.
    #[pyo3(signature = (size=None, /))]
    fn read1<'py>(&self, py: Python<'py>, size: Option<i64>) -> Result<Bound<'py, PyBytes>> {
        let size = limit(size).unwrap_or(READ_AHEAD).min(READ_AHEAD);
        let part = self.with(py, |reader| {
            let mut out = vec![0; size];
            let count = reader.read(&mut out)?;
            out.truncate(count);
            Ok(out)
        })?;
        Ok(PyBytes::new(py, &part))
    }

    /// Reads to the end.
    fn readall<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>> {
        self.read(py, None)
    }

    /// Reads into a writable buffer; gives how many bytes.
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> Result<usize> {
        let view = PyMemoryView::from(buffer)?.call_method1("cast", ("B",))?;
        let data = self.take(py, Some(view.len()?))?;
        let count = data.len();
        let part = pyo3::types::PySlice::new(py, 0, count as isize, 1);
        view.set_item(part, PyBytes::new(py, &data))?;
        view.call_method0("release")?;
        Ok(count)
    }

    /// Reads a line, with its end.
    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<i64>) -> Result<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.line(py, limit(size))?))
    }

    /// Reads all lines, or as many as make up `hint` bytes.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(
        &self,
        py: Python<'py>,
        hint: Option<i64>,
    ) -> Result<Vec<Bound<'py, PyBytes>>> {
        let enough = limit(hint).filter(|hint| *hint > 0).unwrap_or(usize::MAX);
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while bytes < enough {
            let line = self.line(py, None)?;
            if line.is_empty() {
                break;
            }
            bytes += line.len();
            lines.push(PyBytes::new(py, &line));
        }
        Ok(lines)
    }

    /// Goes to a place and gives it, counted from the beginning.
    #[pyo3(signature = (offset, whence=0, /))]
    fn seek(&self, py: Python<'_>, offset: i64, whence: u8) -> Result<u64> {
        let to = match whence {
            0 => SeekFrom::Start(
                u64::try_from(offset)
                    .map_err(|_| Raise::value("offset", "it is before the beginning"))?,
            ),
            1 => SeekFrom::Current(offset),
            2 => SeekFrom::End(offset),
            _ => return Err(Raise::value("whence", "it is none of 0, 1 and 2")),
        };
        self.with(py, |reader| match to {
            // Keeps what was read ahead if the place is within it.
            SeekFrom::Current(by) => {
                reader.seek_relative(by)?;
                reader.stream_position()
            }
            to => reader.seek(to),
        })
        .map_err(|error| match error {
            Raise::File(_, _, error) if error.kind() == io::ErrorKind::InvalidInput => {
                Raise::value("offset", "it is before the beginning")
            }
            error => error,
        })
    }

    /// The place that is read next.
    fn tell(&self, py: Python<'_>) -> Result<u64> {
        self.with(py, Seek::stream_position)
    }

    fn seekable(&self, py: Python<'_>) -> Result<bool> {
        self.must_be_open(py).map(|()| true)
    }

    fn readable(&self, py: Python<'_>) -> Result<bool> {
        self.must_be_open(py).map(|()| true)
    }

    fn writable(&self, py: Python<'_>) -> Result<bool> {
        self.must_be_open(py).map(|()| false)
    }

    fn isatty(&self, py: Python<'_>) -> Result<bool> {
        self.must_be_open(py).map(|()| false)
    }

    /// Does nothing: nothing is written.
    fn flush(&self, py: Python<'_>) -> Result<()> {
        self.must_be_open(py)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.lock().take()));
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        !self.is_open(py)
    }

    /// What it reads.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    #[getter]
    fn mode(&self) -> &'static str {
        "rb"
    }

    fn __iter__(slf: PyRef<'_, Self>) -> Result<PyRef<'_, Self>> {
        slf.must_be_open(slf.py())?;
        Ok(slf)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyBytes>>> {
        let line = self.line(py, None)?;
        Ok((!line.is_empty()).then(|| PyBytes::new(py, &line)))
    }

    fn __enter__(slf: PyRef<'_, Self>) -> Result<PyRef<'_, Self>> {
        slf.must_be_open(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let closed = if self.is_open(py) { "" } else { ", closed" };
        format!("<BinaryReader {:?}{closed}>", self.name)
    }
}

/// Bytes that Python gave: those of `bytes` where they are, a copy of anything that could change.
pub struct Bytes<'py>(Bound<'py, PyBytes>);

impl Bytes<'_> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<'py> FromPyObject<'_, 'py> for Bytes<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self(bytes.to_owned()));
        }
        let view = PyMemoryView::from(&object).map_err(|_| {
            let found = object.get_type();
            let found = found
                .name()
                .map_or_else(|_| "?".to_owned(), |name| name.to_string());
            wrong_type(&format!("a bytes-like object is required, not {found}"))
        })?;
        let bytes = view.call_method0("tobytes")?;
        Ok(Self(bytes.cast_into::<PyBytes>().map_err(PyErr::from)?))
    }
}

/// A Python object with `read`, `write` or `seek`.
pub struct PyFile(Py<PyAny>);

impl PyFile {
    /// Wraps an object that has the method, or raises `TypeError`.
    pub fn with_method(argument: &str, object: &Bound<'_, PyAny>, method: &str) -> PyResult<Self> {
        match object.hasattr(method)? && !object.is_instance_of::<PyString>() {
            true => Ok(Self(object.clone().unbind())),
            false => Err(wrong_type(&format!(
                "{argument}: a path, or a binary file with {method}(), is needed"
            ))),
        }
    }

    fn call<T: Send>(
        &self,
        work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T> + Send,
    ) -> io::Result<T> {
        // What Python raises travels through Rust as it is.
        Python::attach(|py| work(self.0.bind(py))).map_err(io::Error::other)
    }
}

impl Read for PyFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.call(|file| {
            let data = file.call_method1("read", (out.len(),))?;
            let data = data
                .cast::<PyBytes>()
                .map_err(|_| PyTypeError::new_err("read() of the file gives no bytes"))?;
            let data = data.as_bytes();
            let Some(room) = out.get_mut(..data.len()) else {
                return Err(PyTypeError::new_err("read() of the file gives too much"));
            };
            room.copy_from_slice(data);
            Ok(data.len())
        })
    }
}

impl Write for PyFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.call(|file| {
            let written = file.call_method1("write", (PyBytes::new(file.py(), data),))?;
            // Some writers give nothing, and mean everything.
            match written.cast::<PyInt>() {
                Ok(count) => Ok(count.extract::<usize>()?.min(data.len())),
                Err(_) => Ok(data.len()),
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.call(|file| match file.hasattr("flush")? {
            true => file.call_method0("flush").map(drop),
            false => Ok(()),
        })
    }
}

impl Seek for PyFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.call(|file| {
            let place = match to {
                SeekFrom::Start(at) => file.call_method1("seek", (at, 0))?,
                SeekFrom::Current(by) => file.call_method1("seek", (by, 1))?,
                SeekFrom::End(by) => file.call_method1("seek", (by, 2))?,
            };
            match place.is_none() {
                true => file.call_method0("tell")?.extract(),
                false => place.extract(),
            }
        })
    }
}
