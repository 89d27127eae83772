//! Where items go.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Handed, LiveItem};

/// Somebody who looks on.
pub(crate) struct Sink(Box<dyn FnMut(LiveItem) -> Handed + Send>);

impl Sink {
    pub fn new(sink: impl FnMut(LiveItem) -> Handed + Send + 'static) -> Self {
        Self(Box::new(sink))
    }

    /// Hands an item over. One that panics is gone: it is no reason for the camera to stop.
    pub fn hand(&mut self, item: LiveItem) -> Handed {
        catch_unwind(AssertUnwindSafe(|| (self.0)(item))).unwrap_or_else(|_| {
            tracing::error!("who looks at a camera has panicked");
            Handed::Gone
        })
    }

    /// Hands over what may be missed; gives whether the sink is still there.
    pub fn tell(&mut self, item: LiveItem) -> bool {
        self.hand(item) != Handed::Gone
    }
}
