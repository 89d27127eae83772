//! Events and evidence: what cameras saw, kept so that nothing of it can be changed unnoticed.
//!
//! [`Store`] keeps events in a directory, with the clips and pictures that belong to them; it is
//! an [`EventStore`].

mod audit;
mod backup;
mod beginning;
mod bundle;
mod chain;
mod database;
mod event_store;
mod files;
mod follow;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod header;
mod keys;
mod labels;
mod lookup;
mod media;
mod model;
mod numbered;
#[cfg(feature = "postgres")]
mod on_server;
mod pool;
mod private;
mod purge;
mod query;
mod recover;
mod shelf;
mod slots;
mod store;
mod turns;
mod verify;

pub use crate::keyring::Role as StoreRole;
pub use audit::{AuditEntry, AuditFilter};
pub use bundle::{BundlePart, BundleReport, ExportReport, PartKind, extract_bundle, verify_bundle};
#[cfg(feature = "postgres")]
pub use database::PostgresUrl;
pub use event_store::EventStore;
pub use labels::fold_label;
pub use media::{MediaReader, MediaStore, MediaWriter, Unfinished, check_camera_name};
pub use model::{
    Event, EventFilter, EventId, EventKind, MAX_CAMERA_NAME, MediaKind, MediaRef, Observation,
    Region, Segment,
};
pub use private::{MAX_PRIVATE, PrivateStamp};
pub use purge::{PurgePlan, PurgeReport, RetentionPolicy};
pub use recover::RecoverReport;
pub use slots::StoreKey;
pub use store::{Store, StoreOptions};
pub use verify::{Finding, FindingKind, VerifyOptions, VerifyReport};
