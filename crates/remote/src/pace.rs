//! Bandwidth that is shared fairly: bytes are given times at which they may go.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much goes at once between two waits, in bytes: small enough that a slow line is used evenly.
pub(crate) const PIECE: usize = 64 << 10;

/// A limit in bytes a second, for all connections together.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    /// When everything that was let through so far will be over the line.
    free_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// None for no limit.
    pub fn new(bytes_per_second: Option<u64>) -> Option<Self> {
        bytes_per_second.map(|limit| Self {
            bytes_per_second: limit.max(1),
            free_at: Mutex::new(None),
        })
    }

    /// When the next `bytes` may go, and takes that time for them.
    pub fn reserve(&self, bytes: usize, now: Instant) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        // Time in which nothing was sent is not made up for later.
        let start = free_at.map_or(now, |at| at.max(now));
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        *free_at = Some(start + takes);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time_and_idle_time_is_lost() {
        let pace = Pace::new(Some(1000)).expect("a limit");
        let begin = Instant::now();
        assert_eq!(pace.reserve(500, begin), begin);
        let half = begin + Duration::from_millis(500);
        assert_eq!(pace.reserve(1000, begin), half);
        let late = begin + Duration::from_secs(60);
        assert_eq!(pace.reserve(1, late), late);
        assert_eq!(
            pace.reserve(1, late),
            late + Duration::from_millis(1),
            "a minute of silence is no credit"
        );
    }

    #[test]
    fn no_limit_is_no_pace() {
        assert!(Pace::new(None).is_none());
    }
}
