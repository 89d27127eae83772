//! Events and evidence: what cameras saw, kept so that nothing of it can be changed unnoticed.

mod model;
mod store;

pub use model::{
    Event, EventFilter, EventId, EventKind, MAX_CAMERA_NAME, MediaKind, MediaRef, Observation,
    Region, Segment,
};
pub use store::EventStore;
