//! Neural networks: one file format (ONNX), two engines.
//!
//! [`Engine`] loads a [`Model`] as a [`Session`], with ONNX Runtime where its library is found, or
//! with `tract`, which is part of the program. A session takes one tensor and gives those that the
//! network makes of it; what they mean is known in [`detect`](crate::detect), [`face`](crate::face)

pub mod library;
mod model;
#[cfg(feature = "ort")]
mod onnxruntime;
mod tensor;
#[cfg(feature = "tract")]
mod tract;

use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use model::{Digest, MAX_MODEL, Model};
pub use tensor::Tensor;

use crate::error::{Error, Result};

/// What computes a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// ONNX Runtime if its library is there, or else `tract`.
    #[default]
    Auto,
    /// ONNX Runtime, whose library is found when the program runs.
    OnnxRuntime,
    /// `tract`, in Rust alone: slower, and always there.
    Tract,
}

impl Backend {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::OnnxRuntime => "onnxruntime",
            Self::Tract => "tract",
        }
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "onnxruntime" => Ok(Self::OnnxRuntime),
            "tract" => Ok(Self::Tract),
            _ => Err(Error::Setting {
                name: "backend",
                problem: format!("{text:?} is none of auto, onnxruntime, tract"),
            }),
        }
    }
}

/// An input or output of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The length of each of its dimensions, where the network fixes it.
    pub shape: Vec<Option<usize>>,
}

/// A network that is ready to compute, on one thread at a time.
pub trait Session: Send {
    /// What it takes: one tensor of 32-bit numbers.
    fn input(&self) -> &Port;

    /// What it gives.
    fn outputs(&self) -> &[Port];

    /// Computes. `outputs` gets one tensor for each of [`Session::outputs`], in that order, in the
    /// memory that it has.
    ///
    /// # Errors
    /// [`Error::Inference`] for an input of another shape, or whatever else the engine says.
    fn run(&mut self, input: &Tensor, outputs: &mut Vec<Tensor>) -> Result<()>;
}

/// What loads networks.
///
/// A process can use one library of ONNX Runtime; the first that is loaded stays.
pub struct Engine(Kind);

enum Kind {
    #[cfg(feature = "ort")]
    OnnxRuntime(onnxruntime::Runtime),
    #[cfg(feature = "tract")]
    Tract,
}

impl Engine {
    /// The engine of a backend. `libraries` are the places where ONNX Runtime's library may be, the
    /// best first; a name without a folder is looked for where the system keeps its libraries.
    ///
    /// # Errors
    /// [`Error::Backend`] when it is not to be had: with all places that were tried.
    pub fn new(backend: Backend, libraries: &[PathBuf]) -> Result<Self> {
        match backend {
            Backend::OnnxRuntime => Self::onnxruntime(libraries),
            Backend::Tract => Self::tract(),
            Backend::Auto => Self::onnxruntime(libraries).or_else(|error| {
                tracing::debug!(%error, "ONNX Runtime is not used");
                Self::tract().map_err(|_| error)
            }),
        }
    }

    #[cfg(feature = "ort")]
    fn onnxruntime(libraries: &[PathBuf]) -> Result<Self> {
        Ok(Self(Kind::OnnxRuntime(onnxruntime::Runtime::load(
            libraries,
        )?)))
    }

    #[cfg(not(feature = "ort"))]
    fn onnxruntime(_: &[PathBuf]) -> Result<Self> {
        Err(Error::Backend {
            backend: "onnxruntime",
            problem: "this program was built without it".to_owned(),
        })
    }

    #[cfg(feature = "tract")]
    fn tract() -> Result<Self> {
        Ok(Self(Kind::Tract))
    }

    #[cfg(not(feature = "tract"))]
    fn tract() -> Result<Self> {
        Err(Error::Backend {
            backend: "tract",
            problem: "this program was built without it".to_owned(),
        })
    }

    /// Which it is.
    pub fn backend(&self) -> Backend {
        match &self.0 {
            #[cfg(feature = "ort")]
            Kind::OnnxRuntime(_) => Backend::OnnxRuntime,
            #[cfg(feature = "tract")]
            Kind::Tract => Backend::Tract,
        }
    }

    /// The library that it uses, if it uses one.
    pub fn library(&self) -> Option<&Path> {
        match &self.0 {
            #[cfg(feature = "ort")]
            Kind::OnnxRuntime(runtime) => Some(runtime.library()),
            #[cfg(feature = "tract")]
            Kind::Tract => None,
        }
    }

    /// What it is called, with its library.
    pub fn describe(&self) -> String {
        match (self.backend(), self.library()) {
            (Backend::OnnxRuntime, Some(library)) => {
                format!("ONNX Runtime ({})", library.display())
            }
            (backend, _) => backend.name().to_owned(),
        }
    }

    /// Makes a network ready to compute.
    ///
    /// # Errors
    /// [`Error::Model`] for what is no network, has operators that the engine does not know, or has
    /// other than one input of 32-bit numbers.
    pub fn load(&self, model: &Model) -> Result<Box<dyn Session>> {
        match &self.0 {
            #[cfg(feature = "ort")]
            Kind::OnnxRuntime(runtime) => runtime.session(model),
            #[cfg(feature = "tract")]
            Kind::Tract => tract::session(model),
        }
    }
}

/// The one input of a network.
fn only_input(model: &Model, mut inputs: Vec<Port>) -> Result<Port> {
    match (inputs.pop(), inputs.len()) {
        (Some(input), 0) => Ok(input),
        (_, left) => Err(model.unfit(format!(
            "it has {} inputs, and takes something else than a picture",
            left + 1
        ))),
    }
}
