//! How long to wait before the next attempt to reach a camera.

use std::time::Duration;

use crate::source::Ending;

/// A camera that refuses the password is asked this many times more rarely, and at most so: cameras
/// lock users out that come with a wrong one too often.
const UNAUTHORIZED_FACTOR: u32 = 10;
const UNAUTHORIZED_LONGEST: Duration = Duration::from_secs(300);

/// Exponential backoff with full jitter: cameras that lost the same switch do not all come back
/// at the same moment, and none is asked more often than it can bear.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// From `first`, doubled with each failure, up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// The wait after a session that ended so.
    pub fn after(&mut self, ending: &Ending) -> Duration {
        let mut random = [0; 4];
        // Without randomness the wait is the same for all, and no harm is done.
        let _ = getrandom::fill(&mut random);
        let wait = self.next(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX));
        match ending {
            Ending::Unauthorized => (wait * UNAUTHORIZED_FACTOR).min(UNAUTHORIZED_LONGEST),
            _ => wait,
        }
    }

    /// The wait after one more failure: half of the current step, and up to as much again by
    /// `random`, which is from 0 to 1.
    pub fn next(&mut self, random: f64) -> Duration {
        let step = self.first.saturating_mul(1 << self.failures.min(16));
        let step = step.min(self.longest);
        self.failures = self.failures.saturating_add(1);
        step / 2 + (step / 2).mul_f64(random.clamp(0.0, 1.0))
    }

    /// The camera works.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(500), ms(3000));
        let waits: Vec<_> = (0..5).map(|_| backoff.next(1.0)).collect();
        assert_eq!(waits, [ms(500), ms(1000), ms(2000), ms(3000), ms(3000)]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), ms(250));
    }
}
