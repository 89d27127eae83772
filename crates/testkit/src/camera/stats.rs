//! What a camera was asked and did, to wait for.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a camera was asked and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that were made.
    pub connections: u64,
    /// Connections that are open.
    pub open: u64,
    /// Sessions that were played, one after the other or at once.
    pub sessions: u64,
    /// Pictures that were sent.
    pub frames: u64,
    /// Packets that were lost on purpose.
    pub lost: u64,
    /// Requests that were refused for want of the right password.
    pub refused: u64,
    /// Requests, by method, in their order.
    pub requests: Vec<String>,
}

/// Counted by several threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<(Mutex<Stats>, Condvar)>);

impl Counter {
    pub fn count(&self, change: impl FnOnce(&mut Stats)) {
        let (stats, changed) = &*self.0;
        change(&mut stats.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    pub fn get(&self) -> Stats {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until they are so.
    ///
    /// # Panics
    /// When they are not within `patience`.
    pub fn wait_for(&self, patience: Duration, is_so: impl Fn(&Stats) -> bool) -> Stats {
        let (stats, changed) = &*self.0;
        let deadline = Instant::now() + patience;
        let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if is_so(&stats) {
                return stats.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {patience:?}: {stats:?}");
            let waited = changed.wait_timeout(stats, left);
            stats = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
