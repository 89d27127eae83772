//! An end to waits that nobody wants any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// So long what is under way may still be silent once nobody wants to wait.
const GRACE: Duration = Duration::from_secs(3);

/// Tells storages that nobody wants to wait for them any more. Clones are the same.
///
/// A storage that answers goes on as before, so that work can end in good order. One that does not
/// is given up within seconds, and not tried again: then operations fail with
/// [`StorageError::Interrupted`](keepwatch_core::storage::StorageError::Interrupted).
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Option<Instant>>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// Ends all waits, from any thread.
    pub fn stop(&self) {
        self.0.send_if_modified(|since| {
            let first = since.is_none();
            since.get_or_insert_with(Instant::now);
            first
        });
    }

    /// Whether nobody wants to wait.
    pub(crate) fn is_set(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Returns when nobody wants to wait any more.
    pub(crate) async fn wanted(&self) {
        // It fails only without a sender, and there is one in `self`.
        self.0
            .subscribe()
            .wait_for(Option::is_some)
            .await
            .map(drop)
            .unwrap_or_default();
    }

    /// Returns when nothing has moved for as long as it may, or as is waited after the stop. `last`
    /// says when something did, and how long there may be silence since.
    pub(crate) async fn silence(&self, last: impl Fn() -> (Instant, Duration)) {
        loop {
            let (last, limit) = last();
            let since = *self.0.borrow();
            let end = last + limit;
            let end = since.map_or(end, |since| end.min(last.max(since) + GRACE));
            if Instant::now() >= end {
                return;
            }
            tokio::select! {
                () = sleep_until(end) => {}
                () = self.wanted(), if since.is_none() => {}
            }
        }
    }

    /// What comes of `act`; nothing if that takes longer than `limit`, or than is waited after the
    /// stop.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        act: impl Future<Output = T>,
    ) -> Option<T> {
        let begun = Instant::now();
        tokio::select! {
            done = act => Some(done),
            () = self.silence(|| (begun, limit)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(future)
    }

    async fn took(act: impl Future) -> Duration {
        let begun = Instant::now();
        act.await;
        begun.elapsed()
    }

    #[test]
    fn silence_is_waited_for_as_long_as_it_may_last() {
        let stop = Stop::default();
        let limit = Duration::from_secs(30);
        let silence = run(async {
            let begun = Instant::now();
            took(stop.silence(|| (begun, limit))).await
        });
        assert!(silence >= limit && silence < 2 * limit, "{silence:?}");
    }

    #[test]
    fn a_stop_cuts_it_short() {
        let stop = Stop::default();
        let limit = Duration::from_secs(30);
        let silence = run(async {
            let begun = Instant::now();
            let stopping = async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                stop.clone().stop();
                std::future::pending::<()>().await;
            };
            took(async {
                tokio::select! {
                    () = stop.silence(|| (begun, limit)) => {}
                    () = stopping => {}
                }
            })
            .await
        });
        let expected = Duration::from_secs(5) + GRACE;
        assert!(
            silence >= expected && silence < expected + GRACE,
            "{silence:?}"
        );
    }

    #[test]
    fn what_moves_goes_on_after_a_stop() {
        let stop = Stop::default();
        stop.stop();
        run(async {
            let begun = Instant::now();
            let end = begun + 10 * GRACE;
            // A byte a second until the end.
            let last = || {
                let whole = begun.elapsed().as_secs();
                let last = (begun + Duration::from_secs(whole)).min(end);
                (last, Duration::from_secs(60))
            };
            let silence = took(stop.silence(last)).await;
            assert!(
                silence >= 10 * GRACE && silence <= 12 * GRACE,
                "{silence:?}"
            );
        });
    }
}
