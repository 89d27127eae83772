//! What can go wrong with faces and plates, told so that a person can act on it.

use std::path::PathBuf;

use crate::infer::Digest;

/// The result of operations on pictures, models, galleries and lists.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of recognition.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or some bytes are no picture that can be used.
    #[error("the picture {name}: {problem}")]
    Photo {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// Pixels do not fit the size they are said to have.
    #[error("a picture of {width} x {height} with rows of {stride} bytes does not fit {len} bytes")]
    Pixels {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes from one row to the next.
        stride: usize,
        /// Bytes there are.
        len: usize,
    },
    /// A setting has a value that cannot work.
    #[error("{name}: {problem}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A network cannot be used.
    #[error("the model {name}: {problem}")]
    Model {
        /// Its name.
        name: String,
        /// Why not.
        problem: String,
    },
    /// What should compute networks is not to be had.
    #[error("the inference backend {backend}: {problem}")]
    Backend {
        /// Its name in the configuration.
        backend: &'static str,
        /// Why not.
        problem: String,
    },
    /// A network could not be computed.
    #[error("inference: {problem}")]
    Inference {
        /// Which, and why.
        problem: String,
    },
    /// A network is needed that the configuration does not name.
    #[error("no model is set as {role}")]
    NoModel {
        /// What it is for.
        role: &'static str,
    },
    /// The event store refuses.
    #[error(transparent)]
    Store(#[from] keepwatch_core::Error),
    /// A list of plates cannot be used.
    #[error("the list of plates {name}: {problem}")]
    List {
        /// Its name.
        name: String,
        /// What is wrong, and in which line.
        problem: String,
    },
    /// A gallery of faces is not one, or is damaged.
    #[error("the gallery of faces: {problem}")]
    Gallery {
        /// What is wrong.
        problem: &'static str,
    },
    /// Faces that were embedded by one model cannot be compared with those of another.
    #[error(
        "the faces were enrolled with another model: its SHA-256 is {gallery}, and that of the one \
         that is configured is {model}"
    )]
    OtherModel {
        /// The one that the gallery was made with.
        gallery: Digest,
        /// The one that was to be compared with.
        model: Digest,
    },
}

impl Error {
    /// What to do about it, where it is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.hint(),
            Self::NoModel { .. } => Some("keepwatch model add FILE names one in the configuration"),
            Self::OtherModel { .. } => Some(
                "keepwatch face refresh enrols everybody anew with the model that is configured now",
            ),
            Self::Backend {
                backend: "onnxruntime",
                ..
            } => {
                Some("pip install onnxruntime has the library; inference.library says where it is")
            }
            _ => None,
        }
    }

    /// Whether data that was kept is damaged.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_damage(),
            Self::Gallery { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn gallery(problem: &'static str) -> Self {
        Self::Gallery { problem }
    }
}
