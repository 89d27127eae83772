//! Where events are kept.

use super::model::{Event, EventFilter, EventId, Segment};
use crate::error::Result;

/// Keeps events. Calls may come from several threads at once, and block until they are done.
pub trait EventStore: Send + Sync {
    /// Adds events, or later states of events that are there.
    ///
    /// All or none; durable when it returns.
    fn put(&self, events: &[Event]) -> Result<()>;

    /// Adds a stretch of continuous recording; durable when it returns.
    fn put_segment(&self, segment: &Segment) -> Result<()>;

    /// The last state of an event.
    fn get(&self, id: EventId) -> Result<Option<Event>>;

    /// The last states of events.
    fn list(&self, filter: &EventFilter) -> Result<Vec<Event>>;
}
