//! Faces: how good they are, what they look like in numbers, whose they are.

mod align;
mod embed;
mod finder;
pub mod gallery;
mod identify;
mod quality;
pub mod securevision;

pub use align::{ALIGNED, align};
pub use embed::{ArcFace, Embedder, EmbedderNormalization, Embedding, cosine};
pub use finder::{FaceFinder, FoundFace};
pub use gallery::{Added, Gallery, Person, Photo};
pub use identify::{Decision, Identity, Index};
pub use quality::{Quality, QualityGate, Refusal};
