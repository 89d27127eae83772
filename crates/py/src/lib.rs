//! The native half of the Python package `keepwatch`.
//!
//! It converts arguments, calls the library crates and converts what they give; `python/keepwatch`
//! says what of it is public, and `python/keepwatch/_keepwatch.pyi` is its reference. Rules:
//!
//! - Whatever may take longer than some microseconds goes through `work::run`: without the
//!   interpreter's lock, and with Ctrl-C and callbacks served meanwhile.
//! - Errors become exceptions in `errors`, and nowhere else.
//! - Classes are frozen, and what changes in them is behind a lock: they are safe without the
//!   interpreter's lock.

mod backuphandler;
mod credential;
mod crypto;
mod errors;
mod event;
mod events;
mod handle;
mod recognition;
mod record;
mod remote;
mod sealed;
mod securevision;
mod stream;
mod vault;
#[cfg(feature = "vision")]
mod vision;
mod work;

use pyo3::prelude::*;

/// The native half of the package keepwatch.
#[pymodule]
mod _keepwatch {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::credential::Identity;
    #[pymodule_export]
    use crate::crypto::{FileReport, SealedInfo, decrypt_file, encrypt_file, keygen, sealed_info};
    #[pymodule_export]
    use crate::event::{Event, Media, Observation, Region};
    #[pymodule_export]
    use crate::events::{
        EventStore, EvidenceReport, ExportReport, Finding, VerifyReport, verify_evidence,
    };
    #[pymodule_export]
    use crate::recognition::{
        faces::{Face, FaceFinder},
        gallery::{FaceGallery, FaceMatch, identify},
        networks::Model,
        plates::{PlateReader, PlateReading, read_plates},
        reports::{EnrolReport, GalleryImport, Person, RefreshReport, RefusedPhoto},
        securevision::{SecureVisionPlateFinder, SecureVisionPlateReader},
    };
    #[pymodule_export]
    use crate::remote::Remote;
    #[pymodule_export]
    use crate::sealed::{SealedReader, SealedWriter, seal, unseal};
    #[cfg(feature = "vision")]
    #[pymodule_export]
    use crate::securevision::{SecureVisionTracker, securevision_iou};
    #[pymodule_export]
    use crate::securevision::{
        securevision_cleanup, securevision_get, securevision_list, securevision_put,
    };
    #[pymodule_export]
    use crate::stream::BinaryReader;
    #[pymodule_export]
    use crate::vault::Repository;
    #[pymodule_export]
    use crate::vault::iterate::{ChangeIterator, EntryIterator};
    #[pymodule_export]
    use crate::vault::reports::{
        BackupReport, ByteCounts, Change, CheckError, CheckReport, Checked, Chunk, Entry,
        FileCounts, ForgetEntry, ForgetReport, KeyInfo, ParityCheck, Problem, PruneReport,
        RestoreReport, Snapshot, Stats,
    };
    #[cfg(feature = "vision")]
    #[pymodule_export]
    use crate::vision::{
        analyzer::Detection, camera::Camera, frame::Frame, pipeline::Pipeline, status::CameraStatus,
    };
    #[pymodule_export]
    use crate::work::ProgressReport;

    /// Says what this build is.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::backuphandler::register(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("HAS_VISION", cfg!(feature = "vision"))
    }
}
