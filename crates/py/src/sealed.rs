//! Sealed data as streams and in memory.

use std::fs::File;
use std::io::{self, Cursor, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use keepwatch_core::fs::AtomicFile;
use keepwatch_crypto::sealed::{
    SealOptions, SealedReader as Reader, SealedWriter as Writer, open_stream, seal_stream,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::credential::{IdentitySource, KeySource, Secret, borrowed, credential, kdf, new_locks};
use crate::crypto::replace;
use crate::errors::{self, Raise, Result};
use crate::record::Strings;
use crate::stream::{BinaryReader, Bytes, PyFile};

/// Seals bytes.
#[pyfunction]
#[pyo3(signature = (data, *, passphrase=None, key_file=None, recipients=None, kdf="argon2id"))]
pub fn seal<'py>(
    py: Python<'py>,
    data: Bytes<'py>,
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    recipients: Option<Strings>,
    kdf: &str,
) -> Result<Bound<'py, PyBytes>> {
    let kdf = self::kdf(kdf)?;
    let locks = new_locks(passphrase, key_file, recipients)?;
    let data = data.as_slice();
    let sealed = py.detach(|| {
        let mut out = Vec::with_capacity(data.len() + data.len() / 1024 + 1024);
        let options = SealOptions::default();
        seal_stream(
            Cursor::new(data),
            &mut out,
            &borrowed(&locks, kdf),
            options,
            0,
        )?;
        Ok::<_, Raise>(out)
    })?;
    Ok(PyBytes::new(py, &sealed))
}

/// Opens what [`seal`] or `encrypt_file` made.
#[pyfunction]
#[pyo3(signature = (data, *, passphrase=None, key_file=None, identity=None))]
pub fn unseal<'py>(
    py: Python<'py>,
    data: Bytes<'py>,
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    identity: Option<IdentitySource>,
) -> Result<Bound<'py, PyBytes>> {
    let credential = credential(passphrase, key_file, identity)?;
    let data = data.as_slice();
    let plain = py.detach(|| {
        let mut out = zeroize::Zeroizing::new(Vec::with_capacity(data.len()));
        open_stream(Cursor::new(data), &mut *out, &credential, 0)?;
        Ok::<_, Raise>(out)
    })?;
    Ok(PyBytes::new(py, &plain))
}

/// Where sealed bytes go.
enum Output {
    File(AtomicFile),
    Python(PyFile),
}

impl Write for Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Output::File(file) => file.write(data),
            Output::Python(file) => file.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::File(file) => file.flush(),
            Output::Python(file) => file.flush(),
        }
    }
}

enum Writing {
    Open(Box<Writer<Output>>, u64),
    Closed,
    Aborted,
}

/// A binary file that seals what is written to it.
///
/// Leaving its `with` block ends the file; leaving it by an exception, or never closing it, leaves
/// no file of that name (and in a file object of yours one that does not open).
#[pyclass(frozen, module = "keepwatch")]
pub struct SealedWriter {
    state: Mutex<Writing>,
    name: String,
}

impl SealedWriter {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Writing) -> Result<T> + Send,
    ) -> Result<T> {
        // Another thread that writes may need the interpreter's lock.
        py.detach(|| work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn writer_closed() -> Raise {
    Python::attach(
        |py| match errors::make(py, "ClosedError", "the writer is closed", None) {
            Ok(error) | Err(error) => Raise::Python(error),
        },
    )
}

#[pymethods]
impl SealedWriter {
    #[new]
    #[pyo3(signature = (
        target, *, passphrase=None, key_file=None, recipients=None, kdf="argon2id",
        overwrite=false
    ))]
    fn new(
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        recipients: Option<Strings>,
        kdf: &str,
        overwrite: bool,
    ) -> Result<Self> {
        let kdf = self::kdf(kdf)?;
        let locks = new_locks(passphrase, key_file, recipients)?;
        let (target, name) = match target.extract::<PathBuf>() {
            Ok(path) => (Ok(path.clone()), path.display().to_string()),
            Err(_) => (
                Err(PyFile::with_method("target", target, "write")?),
                "a file".to_owned(),
            ),
        };
        let writer = py.detach(|| {
            let output = match target {
                Ok(path) => Output::File(AtomicFile::create(&path, replace(overwrite))?),
                Err(file) => Output::Python(file),
            };
            let options = SealOptions::default();
            Ok::<_, Raise>(Writer::new(output, &borrowed(&locks, kdf), options)?)
        })?;
        Ok(Self {
            state: Mutex::new(Writing::Open(Box::new(writer), 0)),
            name,
        })
    }

    /// Seals bytes; gives how many.
    #[pyo3(signature = (data, /))]
    fn write(&self, py: Python<'_>, data: Bytes<'_>) -> Result<usize> {
        let data = data.as_slice();
        self.with(py, |state| match state {
            Writing::Open(writer, count) => {
                writer.write_all(data)?;
                *count += data.len() as u64;
                Ok(data.len())
            }
            _ => Err(writer_closed()),
        })
    }

    /// Flushes what is below. What is not yet a whole chunk stays here until the end.
    fn flush(&self, py: Python<'_>) -> Result<()> {
        self.with(py, |state| match state {
            Writing::Open(writer, _) => Ok(writer.flush()?),
            _ => Err(writer_closed()),
        })
    }

    /// Bytes written so far.
    fn tell(&self, py: Python<'_>) -> Result<u64> {
        self.with(py, |state| match state {
            Writing::Open(_, count) => Ok(*count),
            _ => Err(writer_closed()),
        })
    }

    /// Ends the file: only now it is whole, and has its name. A second call does nothing.
    fn close(&self, py: Python<'_>) -> Result<()> {
        self.with(py, |state| {
            if let Writing::Open(writer, _) = std::mem::replace(state, Writing::Closed) {
                match writer.finish()? {
                    Output::File(file) => file.commit()?,
                    // It belongs to the caller, who may write more behind it.
                    Output::Python(_) => {}
                }
            }
            Ok(())
        })
    }

    /// Gives the file up: nothing is left of it under its name.
    fn abort(&self, py: Python<'_>) -> Result<()> {
        self.with(py, |state| {
            if matches!(state, Writing::Open(..)) {
                *state = Writing::Aborted;
            }
            Ok(())
        })
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> Result<bool> {
        self.with(py, |state| Ok(!matches!(state, Writing::Open(..))))
    }

    /// What it writes.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn readable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn __enter__(slf: PyRef<'_, Self>) -> Result<PyRef<'_, Self>> {
        let open = !slf.closed(slf.py())?;
        open.then_some(slf).ok_or_else(writer_closed)
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> Result<()> {
        match exception.get_item(0).is_ok_and(|kind| !kind.is_none()) {
            true => self.abort(py),
            false => self.close(py),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> Result<String> {
        let state = self.with(py, |state| {
            Ok(match state {
                Writing::Open(..) => "",
                Writing::Closed => ", closed",
                Writing::Aborted => ", aborted",
            })
        })?;
        Ok(format!("<SealedWriter {:?}{state}>", self.name))
    }
}

/// The plaintext of a sealed file, to be read at any place, of a path or of a binary file that can
/// seek.
#[pyclass(frozen, extends = BinaryReader, module = "keepwatch")]
pub struct SealedReader;

#[pymethods]
impl SealedReader {
    #[new]
    #[pyo3(signature = (source, *, passphrase=None, key_file=None, identity=None))]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        identity: Option<IdentitySource>,
    ) -> Result<PyClassInitializer<Self>> {
        let credential = credential(passphrase, key_file, identity)?;
        let reader = match source.extract::<PathBuf>() {
            Ok(path) => {
                let reader = py.detach(|| {
                    let file = File::open(&path).map_err(Raise::file("read", &path))?;
                    Ok::<_, Raise>(Reader::open(file, &credential)?)
                })?;
                BinaryReader::new(reader, path.display().to_string())
            }
            Err(_) => {
                let file = PyFile::with_method("source", source, "seek")?;
                let reader = py.detach(|| Reader::open(file, &credential))?;
                BinaryReader::new(reader, "a file".to_owned())
            }
        };
        Ok(PyClassInitializer::from(reader).add_subclass(Self))
    }
}
