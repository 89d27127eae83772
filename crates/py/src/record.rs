//! What Python gets to see: frozen records, and the types of their fields.

use std::ffi::OsStr;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_core::{Id, Name};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyDateAccess, PyDateTime, PyString, PyTimeAccess, PyTuple, PyTzInfo};

use crate::errors::{Raise, wrong_type, wrong_value};

/// Makes a frozen class of a struct; its attributes are the fields.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$meta])*
        #[pyo3::pyclass(frozen, get_all, module = "keepwatch")]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }

        #[pyo3::pymethods]
        impl $name {
            fn __repr__(slf: &pyo3::Bound<'_, Self>) -> pyo3::PyResult<String> {
                $crate::record::repr(slf.as_any(), stringify!($name), &[$(stringify!($field)),*])
            }
        }
    };
}
pub(crate) use record;

/// `Name(field=value, …)`
pub fn repr(of: &Bound<'_, PyAny>, name: &str, fields: &[&str]) -> PyResult<String> {
    let mut parts = Vec::with_capacity(fields.len());
    for field in fields {
        let field = field.trim_start_matches("r#");
        parts.push(format!("{field}={}", of.getattr(field)?.repr()?));
    }
    Ok(format!("{name}({})", parts.join(", ")))
}

/// A moment, as an aware `datetime` in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

impl<'py> IntoPyObject<'py> for Time {
    type Target = PyDateTime;
    type Output = Bound<'py, PyDateTime>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let at = self.0.to_zoned_datetime(TimeZone::UTC).datetime();
        PyDateTime::new(
            py,
            i32::from(at.year()),
            at.month().unsigned_abs(),
            at.day().unsigned_abs(),
            at.hour().unsigned_abs(),
            at.minute().unsigned_abs(),
            at.second().unsigned_abs(),
            at.subsec_nanosecond().unsigned_abs() / 1000,
            Some(&*PyTzInfo::utc(py)?),
        )
    }
}

impl<'py> IntoPyObject<'py> for &Time {
    type Target = PyDateTime;
    type Output = Bound<'py, PyDateTime>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        (*self).into_pyobject(py)
    }
}

/// A `datetime` that was given.
pub struct Moment<'py>(Bound<'py, PyDateTime>);

impl<'py> FromPyObject<'_, 'py> for Moment<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyDateTime>() {
            Ok(time) => Ok(Self(time.to_owned())),
            Err(_) => Err(wrong_type("a datetime with a time zone is needed")),
        }
    }
}

/// Reads an aware `datetime`.
pub fn timestamp(argument: &'static str, time: &Moment<'_>) -> Result<Timestamp, Raise> {
    let time = &time.0;
    if time.getattr("tzinfo")?.is_none() {
        return Err(Raise::value(
            argument,
            "it has no time zone; say which, as with datetime.now(timezone.utc)",
        ));
    }
    let utc = PyTzInfo::utc(time.py())?;
    let time = time.call_method1("astimezone", (utc,))?;
    let time = time.cast::<PyDateTime>().map_err(PyErr::from)?;
    let out_of_range = || Raise::value(argument, "it is out of range");
    let year = i16::try_from(time.get_year()).map_err(|_| out_of_range())?;
    let small = |number: u8| i8::try_from(number).unwrap_or(i8::MAX);
    let nanos = i32::try_from(time.get_microsecond() * 1000).map_err(|_| out_of_range())?;
    jiff::civil::DateTime::new(
        year,
        small(time.get_month()),
        small(time.get_day()),
        small(time.get_hour()),
        small(time.get_minute()),
        small(time.get_second()),
        nanos,
    )
    .and_then(|time| time.to_zoned_datetime(TimeZone::UTC))
    .map(|zoned| zoned.timestamp())
    .map_err(|_| out_of_range())
}

/// A name or path, as Python shows file names: what is not UTF-8 becomes surrogates, and comes
/// back from them.
#[derive(Clone, Debug)]
pub struct Text(pub Name);

impl<'py> IntoPyObject<'py> for &Text {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        OsStr::from_bytes(&self.0.0)
            .into_pyobject(py)
            .map_err(|never| match never {})
    }
}

impl<'py> IntoPyObject<'py> for Text {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        (&self).into_pyobject(py)
    }
}

/// An id, as hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Hex(pub Id);

impl<'py> IntoPyObject<'py> for Hex {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        Ok(PyString::new(py, &self.0.to_string()))
    }
}

impl<'py> IntoPyObject<'py> for &Hex {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        (*self).into_pyobject(py)
    }
}

/// Many of something, as a tuple.
#[derive(Debug)]
pub struct Tuple(Py<PyTuple>);

impl Tuple {
    /// The tuple of these.
    pub fn new<'py, T: IntoPyObject<'py>>(
        py: Python<'py>,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> PyResult<Self> {
        Ok(Self(PyTuple::new(py, items)?.unbind()))
    }
}

impl<'py> IntoPyObject<'py> for &Tuple {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        Ok(self.0.bind(py).clone())
    }
}

/// A path: `str`, or anything that `os.fspath` takes.
#[derive(Clone, Debug, Default)]
pub struct FilePath(pub PathBuf);

impl<'py> FromPyObject<'_, 'py> for FilePath {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<PathBuf>() {
            Ok(path) => Ok(Self(path)),
            Err(_) => Err(wrong_type("a path is needed")),
        }
    }
}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// A whole number, not below zero.
#[derive(Clone, Copy, Debug)]
pub struct Whole<T>(pub T);

impl<'py, T: TryFrom<u64>> FromPyObject<'_, 'py> for Whole<T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let number = object.extract::<u64>().map_err(|error| {
            match error.is_instance_of::<PyOverflowError>(object.py()) {
                true => wrong_value("it is out of range"),
                false => wrong_type("a whole number is needed"),
            }
        })?;
        T::try_from(number)
            .map(Self)
            .map_err(|_| wrong_value("it is out of range"))
    }
}

/// One string, or several: `"a"` is not `["a"]` spelled letter by letter.
#[derive(Clone, Debug, Default)]
pub struct Strings(pub Vec<String>);

impl<'py> FromPyObject<'_, 'py> for Strings {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(one) = object.extract::<String>() {
            return Ok(Self(vec![one]));
        }
        let problem = || wrong_type("a string, or several of them, is needed");
        let mut all = Vec::new();
        for item in object.try_iter().map_err(|_| problem())? {
            all.push(item?.extract::<String>().map_err(|_| problem())?);
        }
        Ok(Self(all))
    }
}
