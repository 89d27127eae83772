//! Where events are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{Event, EventFilter, EventId, EventKind, Segment};
use crate::error::Result;

/// Keeps events. Calls may come from several threads at once, and block until they are done.
///
/// Each state of an event that is stored has a number. Numbers grow, with holes; none is ever used
/// again, whatever is purged. The number of an event is that of its last state.
pub trait EventStore: Send + Sync {
    /// Adds events, or later states of events that are there.
    ///
    /// All or none; durable when it returns.
    fn put(&self, events: &[Event]) -> Result<()>;

    /// Adds a stretch of continuous recording; durable when it returns.
    fn put_segment(&self, segment: &Segment) -> Result<()>;

    /// The last state of an event.
    fn get(&self, id: EventId) -> Result<Option<Event>>;

    /// The event that has a number; none when a later state has another one.
    fn get_numbered(&self, number: u64) -> Result<Option<Event>>;

    /// The last states of events.
    fn list(&self, filter: &EventFilter) -> Result<Vec<Event>> {
        let events = self.list_numbered(filter)?;
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    /// The last states of events, with their numbers.
    fn list_numbered(&self, filter: &EventFilter) -> Result<Vec<(u64, Event)>>;

    /// How many events of each kind a filter finds; kinds without any are left out. Its order, page
    /// and limit do not count.
    fn count(&self, filter: &EventFilter) -> Result<BTreeMap<EventKind, u64>>;

    /// The last number that was given to anything; 0 if none was.
    ///
    /// It may be greater than that of the last event.
    fn head(&self) -> Result<u64>;

    /// The states of events whose numbers are greater than `after`, in the order of the numbers, at
    /// most `limit` of them. An event has one for each time that it was stored; what was purged is
    /// not there.
    fn changes(&self, after: u64, limit: usize) -> Result<Vec<(u64, Event)>>;

    /// Waits until the head is greater than `seen` or the time is over, and gives the head.
    ///
    /// What this process adds ends the wait at once, what others add within a tenth of a second.
    fn wait(&self, seen: u64, timeout: Duration) -> Result<u64>;
}
