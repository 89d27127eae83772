//! How long recognisers take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::pool::Shared;
use crate::gauges::{Histogram, RecognitionGauges};

/// Up to how many seconds a run counts for each bucket: a network on a fast machine takes some
/// milliseconds, several large pictures on a slow one some seconds.
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Counts what all pools of a watch do, those that were replaced as well: its numbers only grow.
#[derive(Default)]
pub(crate) struct Meter {
    /// The last one is for all that took longer.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
    pictures: AtomicU64,
    pools: Mutex<Vec<Weak<Shared>>>,
}

impl Meter {
    /// One more pool.
    pub fn join(&self, pool: Weak<Shared>) {
        let mut pools = self.pools();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// A recogniser took so long for so many parts of pictures.
    pub fn run(&self, took: Duration, pictures: usize) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.pictures.fetch_add(pictures as u64, Ordering::Relaxed);
    }

    /// The numbers of the moment.
    pub fn gauges(&self) -> RecognitionGauges {
        let counts = self.buckets.each_ref();
        let counts = counts.map(|count| count.load(Ordering::Relaxed)).to_vec();
        RecognitionGauges {
            waiting: self
                .pools()
                .iter()
                .filter_map(Weak::upgrade)
                .map(|pool| pool.waiting())
                .sum(),
            pictures: self.pictures.load(Ordering::Relaxed),
            runs: Histogram {
                bounds: &BOUNDS,
                sum: self.nanos.load(Ordering::Relaxed) as f64 / 1e9,
                counts,
            },
        }
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Weak<Shared>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_counts_for_the_first_bucket_that_it_fits() {
        let meter = Meter::default();
        for millis in [0, 5, 6, 5000, 5001, 60_000] {
            meter.run(Duration::from_millis(millis), 2);
        }
        let gauges = meter.gauges();
        assert_eq!(gauges.runs.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(gauges.runs.count(), 6);
        assert_eq!(gauges.runs.sum, 70.012);
        assert_eq!((gauges.pictures, gauges.waiting), (12, 0));
    }
}
