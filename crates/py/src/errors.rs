//! Errors of the libraries as Python exceptions.
//!
//! The classes are in `python/keepwatch/errors.py`: only Python can derive one from
//! `KeepwatchError` and from `OSError` at once.

use std::io;
use std::path::{Path, PathBuf};

use keepwatch_core::crypto::Error as CryptoError;
use keepwatch_core::storage::StorageError;
use keepwatch_core::{Error as CoreError, fs::PatternError, with_causes};
use keepwatch_recognition::Error as RecognitionError;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyType};

/// The result of what may raise.
pub type Result<T, E = Raise> = std::result::Result<T, E>;

/// What a library says, on its way to Python.
#[derive(Debug)]
pub enum Raise {
    /// The vault or an event store.
    Core(CoreError),
    /// A sealed file or key.
    Crypto(CryptoError),
    /// Faces and plates.
    Recognition(RecognitionError),
    /// A camera.
    #[cfg(feature = "vision")]
    Vision(keepwatch_vision::Error),
    /// Cameras that were not watched to their end, in words.
    #[cfg(feature = "vision")]
    Camera(String),
    /// The configuration.
    #[cfg(feature = "vision")]
    Config(keepwatch_config::Error),
    /// An argument, by its name.
    Value(&'static str, String),
    /// A file that could not be read or written.
    File(&'static str, PathBuf, io::Error),
    /// A Python exception.
    Python(PyErr),
}

impl Raise {
    /// For `map_err` on file operations.
    pub fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Raise::File(operation, path, error)
    }

    /// An argument has a value that cannot be used.
    pub fn value(argument: &'static str, problem: impl Into<String>) -> Self {
        Raise::Value(argument, problem.into())
    }
}

macro_rules! raise_from {
    ($($(#[$attribute:meta])* $variant:ident($error:ty);)*) => {$(
        $(#[$attribute])*
        impl From<$error> for Raise {
            fn from(error: $error) -> Self {
                Raise::$variant(error)
            }
        }
    )*};
}

raise_from! {
    Core(CoreError);
    Crypto(CryptoError);
    Recognition(RecognitionError);
    #[cfg(feature = "vision")]
    Vision(keepwatch_vision::Error);
    #[cfg(feature = "vision")]
    Config(keepwatch_config::Error);
    Python(PyErr);
}

impl From<PatternError> for Raise {
    fn from(error: PatternError) -> Self {
        Raise::value("exclude", error.to_string())
    }
}

/// What a reader or writer says: perhaps an error of ours that passed through it.
impl From<io::Error> for Raise {
    fn from(error: io::Error) -> Self {
        let error = match error.downcast::<CoreError>() {
            Ok(error) => return Raise::Core(error),
            Err(error) => error,
        };
        match error.downcast::<CryptoError>() {
            Ok(error) => Raise::Crypto(error),
            Err(error) => Raise::File("read or write", PathBuf::new(), error),
        }
    }
}

impl From<StorageError> for Raise {
    fn from(error: StorageError) -> Self {
        Raise::Core(error.into())
    }
}

impl From<Raise> for PyErr {
    fn from(raise: Raise) -> Self {
        Python::attach(|py| to_python(py, raise).unwrap_or_else(|error| error))
    }
}

fn to_python(py: Python<'_>, raise: Raise) -> PyResult<PyErr> {
    match raise {
        Raise::Python(error) => Ok(error),
        Raise::Value(argument, problem) => make(
            py,
            "InvalidValueError",
            &format!("{argument}: {problem}"),
            None,
        ),
        Raise::File(operation, path, error) => of_io(py, operation, &path, error),
        Raise::Core(error) => of_core(py, error),
        Raise::Crypto(error) => of_crypto(py, error),
        Raise::Recognition(error) => of_recognition(py, error),
        #[cfg(feature = "vision")]
        Raise::Vision(error) => of_vision(py, error),
        #[cfg(feature = "vision")]
        Raise::Camera(problem) => make(py, "CameraError", &problem, None),
        #[cfg(feature = "vision")]
        Raise::Config(error) => {
            let hint = error.hint();
            make(py, "ConfigError", &with_causes(&error), hint.as_deref())
        }
    }
}

#[cfg(feature = "vision")]
fn of_vision(py: Python<'_>, error: keepwatch_vision::Error) -> PyResult<PyErr> {
    use keepwatch_vision::Error;
    let hint = error.hint();
    match error {
        Error::Core(error) => of_core(py, error),
        Error::Recognition(error) => of_recognition(py, error),
        Error::Io {
            operation,
            path,
            source,
        } => of_io(py, operation, &path, source),
        // Settings are called as the arguments are that set them.
        Error::Setting { .. } => make(py, "InvalidValueError", &error.to_string(), None),
        Error::Url { problem } => {
            let text = format!("url: {problem}");
            make(py, "InvalidValueError", &text, hint.as_deref())
        }
        error => make(py, "CameraError", &with_causes(&error), hint.as_deref()),
    }
}

fn of_recognition(py: Python<'_>, error: RecognitionError) -> PyResult<PyErr> {
    let class = match error {
        RecognitionError::Store(error) => return of_core(py, error),
        RecognitionError::Read { path, source } => return of_io(py, "read", &path, source),
        RecognitionError::Photo { .. } | RecognitionError::Pixels { .. } => "PictureError",
        RecognitionError::OtherModel { .. } => "OtherModelError",
        RecognitionError::Model { .. }
        | RecognitionError::Backend { .. }
        | RecognitionError::Inference { .. }
        | RecognitionError::NoModel { .. } => "ModelError",
        // Settings are called as the arguments are that set them.
        RecognitionError::Setting { .. } | RecognitionError::List { .. } => "InvalidValueError",
        ref error if error.is_damage() => "DamagedError",
        _ => "KeepwatchError",
    };
    make(py, class, &with_causes(&error), error.hint())
}

fn of_core(py: Python<'_>, error: CoreError) -> PyResult<PyErr> {
    let class = match error {
        CoreError::Interrupted => return Ok(PyKeyboardInterrupt::new_err(())),
        CoreError::Crypto(error) => return of_crypto(py, error),
        CoreError::Io {
            operation,
            path,
            source,
        } => return of_io(py, operation, &path, source),
        CoreError::Storage(StorageError::Io {
            operation,
            path,
            source,
        }) => return of_io(py, operation, &path, source),
        CoreError::Storage(StorageError::NoSpace { .. }) => {
            let full = make(py, "FileError", &with_causes(&error), error.hint())?;
            let errno = rustix::io::Errno::NOSPC.raw_os_error();
            full.value(py).setattr("errno", errno)?;
            return Ok(full);
        }
        CoreError::NoRepository { .. }
        | CoreError::NoStore { .. }
        | CoreError::Storage(StorageError::NotARepository { .. }) => "RepositoryNotFoundError",
        CoreError::RepositoryExists { .. }
        | CoreError::StoreExists { .. }
        | CoreError::Storage(StorageError::NotEmpty { .. }) => "RepositoryExistsError",
        CoreError::FileExists { .. } => "FileTakenError",
        CoreError::NotAFile { .. } => "FileError",
        CoreError::WrongKey { .. } => "WrongKeyError",
        CoreError::NeedsFullKey { .. } => "NeedsFullKeyError",
        CoreError::NoSuchSnapshot { .. } | CoreError::AmbiguousSnapshot { .. } => {
            "SnapshotNotFoundError"
        }
        CoreError::NoSuchPath { .. } => "PathNotFoundError",
        CoreError::NoSuchEvent { .. } => "EventNotFoundError",
        CoreError::Busy { .. } | CoreError::Unavailable { .. } => "BusyError",
        CoreError::Invalid { .. } => "InvalidValueError",
        CoreError::Unsupported { .. } => "UnsupportedError",
        CoreError::SourceFailed { .. } => "SourceFailedError",
        CoreError::WrongSigner { .. } => "WrongSignerError",
        ref error if error.is_damage() => "DamagedError",
        _ => "KeepwatchError",
    };
    make(py, class, &with_causes(&error), error.hint())
}

fn of_crypto(py: Python<'_>, error: CryptoError) -> PyResult<PyErr> {
    let class = match error {
        CryptoError::Io { action, source } => {
            // What a Python object raised when it was read or written comes out unchanged.
            return match taken_from(source) {
                Ok(error) => Ok(error),
                Err(source) => of_io(py, action, Path::new(""), source),
            };
        }
        CryptoError::Open | CryptoError::OtherCredential { .. } => "WrongKeyError",
        CryptoError::Malformed { .. } => "DamagedError",
        CryptoError::Unsupported { .. } => "UnsupportedError",
        CryptoError::Invalid { .. } | CryptoError::TooLong { .. } => "InvalidValueError",
        _ => "KeepwatchError",
    };
    make(py, class, &with_causes(&error), error.hint())
}

/// The Python exception that an I/O error carries through Rust code.
fn taken_from(error: io::Error) -> std::result::Result<PyErr, io::Error> {
    match error.get_ref() {
        Some(inner) if inner.is::<PyErr>() => {
            let inner = error.into_inner().expect("it is there");
            Ok(*inner.downcast::<PyErr>().expect("it is one"))
        }
        _ => Err(error),
    }
}

fn of_io(py: Python<'_>, operation: &str, path: &Path, error: io::Error) -> PyResult<PyErr> {
    let error = match taken_from(error) {
        Ok(error) => return Ok(error),
        Err(error) => error,
    };
    let class = match error.kind() {
        io::ErrorKind::NotFound => "FileMissingError",
        io::ErrorKind::AlreadyExists => "FileTakenError",
        io::ErrorKind::PermissionDenied => "FileForbiddenError",
        io::ErrorKind::IsADirectory => "FileIsDirectoryError",
        _ => "FileError",
    };
    let name = path.display();
    let mut text = match path.as_os_str().is_empty() {
        true => operation.to_owned(),
        false => format!("cannot {operation} {name}"),
    };
    text = format!("{text}: {}", with_causes(&error));
    let exception = make(py, class, &text, None)?;
    let value = exception.value(py);
    value.setattr("errno", error.raw_os_error())?;
    value.setattr("strerror", error.to_string())?;
    if !path.as_os_str().is_empty() {
        value.setattr("filename", path.as_os_str())?;
    }
    Ok(exception)
}

/// An argument has a type that cannot be used. PyO3 adds the argument's name.
pub fn wrong_type(needed: &str) -> PyErr {
    Python::attach(|py| match make(py, "InvalidTypeError", needed, None) {
        Ok(error) | Err(error) => error,
    })
}

/// An argument has a value that cannot be used. PyO3 adds the argument's name.
pub fn wrong_value(problem: &str) -> PyErr {
    Python::attach(|py| match make(py, "InvalidValueError", problem, None) {
        Ok(error) | Err(error) => error,
    })
}

/// An exception of `keepwatch.errors`.
pub fn make(py: Python<'_>, class: &str, text: &str, hint: Option<&str>) -> PyResult<PyErr> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || {
        PyModule::import(py, "keepwatch.errors").map(Bound::unbind)
    })?;
    let class = module.bind(py).getattr(class)?.cast_into::<PyType>()?;
    let value = class.call1((text,))?;
    value.setattr("hint", hint)?;
    Ok(PyErr::from_value(value))
}
