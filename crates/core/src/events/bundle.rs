//! Evidence bundles: an event with its recording, and the proof that a store recorded it so
//! (FORMAT.md, section 8).

mod export;
mod manifest;
mod verify;

pub use export::ExportReport;
#[cfg(feature = "fuzzing")]
pub(crate) use manifest::Manifest;
pub use manifest::{BundlePart, PartKind};
pub use verify::{BundleReport, extract_bundle, verify_bundle};
