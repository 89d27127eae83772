//! Events and evidence: what cameras saw, kept so that nothing of it can be changed unnoticed.
//!
//! A [`Store`] is a directory: an encrypted database of events (SQLCipher), sealed clips and
//! pictures beside it, and key slots. Whatever is written becomes a record of a hash chain whose
//! head is signed from time to time; [`Store::verify`] finds what was removed, changed or put in
//! another order. `docs/FORMAT.md`, section 5, has every byte.

mod chain;
mod layout;
mod media;
mod model;
mod purge;
mod recover;
mod schema;
mod slots;
mod sqlite;
mod store;
mod verify;

pub use chain::Signer;
pub use layout::{StoreOptions, StoreRole};
pub use media::{MediaReader, MediaStore, MediaWriter, Unfinished};
pub use model::{
    Event, EventFilter, EventId, EventKind, MAX_CAMERA_NAME, MediaKind, MediaRef, Observation,
    Region, Segment, check_camera_name,
};
pub use purge::{PurgePlan, PurgeReport, Retention};
pub use recover::RecoverReport;
pub use sqlite::{AuditEntry, Store};
pub use store::EventStore;
pub use verify::{Expected, Finding, VerifyOptions, VerifyReport};
