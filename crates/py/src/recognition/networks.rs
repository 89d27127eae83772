//! Networks, and what computes them.

use std::path::PathBuf;

use keepwatch_recognition::infer::library;
use keepwatch_recognition::models::{Kind, ModelFile};
use pyo3::prelude::*;

use crate::credential::one_of;
use crate::errors::{Result, wrong_type};
use crate::record::FilePath;

/// A neural network in a file (ONNX).
#[pyclass(frozen, module = "keepwatch")]
pub struct Model {
    file: ModelFile,
}

#[pymethods]
impl Model {
    /// Names one; it is read when it is used.
    ///
    /// With `sha256`, a file that has changed is refused. `kind`, one of `yunet`, `scrfd`, `yolo` and
    /// `arcface`, is needed where the inputs and outputs of the network do not tell. `normalization`
    /// is what an embedder of faces was trained with, `arcface` or `imagenet`, where it is not known.
    #[new]
    #[pyo3(signature = (path, *, sha256=None, kind=None, normalization=None))]
    fn new(
        path: FilePath,
        sha256: Option<&str>,
        kind: Option<&str>,
        normalization: Option<&str>,
    ) -> Result<Self> {
        let mut file = ModelFile::at(path.0);
        file.sha256 = sha256.map(str::parse).transpose()?;
        file.kind = kind.map(parse_kind).transpose()?;
        file.normalization = normalization.map(str::parse).transpose()?;
        Ok(Self { file })
    }

    /// The file.
    #[getter]
    fn path(&self) -> PathBuf {
        self.file.path.clone()
    }

    /// What its SHA-256 must be, in hexadecimal digits.
    #[getter]
    fn sha256(&self) -> Option<String> {
        self.file.sha256.map(|digest| digest.to_string())
    }

    fn __repr__(&self) -> String {
        format!("Model({:?})", self.file.path.display().to_string())
    }
}

fn parse_kind(name: &str) -> Result<Kind> {
    const KINDS: [Kind; 4] = [Kind::YuNet, Kind::Scrfd, Kind::Yolo, Kind::ArcFace];
    let known = KINDS.into_iter().find(|kind| kind.name() == name);
    known.ok_or_else(|| one_of("kind", name, &KINDS.map(Kind::name)))
}

/// A model, or where one is.
pub struct ModelSource(pub ModelFile);

impl<'py> FromPyObject<'_, 'py> for ModelSource {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(model) = object.cast::<Model>() {
            return Ok(Self(model.get().file.clone()));
        }
        match object.extract::<PathBuf>() {
            Ok(path) => Ok(Self(ModelFile::at(path))),
            Err(_) => Err(wrong_type("a Model or a path is needed")),
        }
    }
}

/// Where ONNX Runtime's library may be: the package of this interpreter counts before those of
/// others.
pub fn places(py: Python<'_>) -> Vec<PathBuf> {
    // A package that cannot be found is none.
    let packages = package_folders(py).unwrap_or_default();
    library::places(&|name| std::env::var_os(name), &packages)
}

/// Finds the package without running it.
fn package_folders(py: Python<'_>) -> PyResult<Vec<PathBuf>> {
    let spec = py
        .import("importlib.util")?
        .call_method1("find_spec", ("onnxruntime",))?;
    if spec.is_none() {
        return Ok(Vec::new());
    }
    let folders = spec.getattr("submodule_search_locations")?;
    folders
        .try_iter()?
        .map(|folder| folder?.extract())
        .collect()
}
