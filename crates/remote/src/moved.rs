//! Whether anything moves, which tells a slow line from a dead one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::stop::Stop;

/// The slowest that a connection may be without counting as stalled, in bytes a second: eight of
/// them fill a line of 1 Mbit/s.
const SLOWEST: u64 = 16 << 10;
/// What the system takes from a sender at most before any of it is sent, in bytes: the largest
/// buffer that Linux gives a connection by itself.
const MOST_UNSENT: u64 = 4 << 20;

/// When something last moved.
#[derive(Clone)]
pub(crate) struct Moved(Arc<Mutex<State>>);

struct State {
    last: Instant,
    handed_over: u64,
}

impl Moved {
    pub fn now() -> Self {
        Self(Arc::new(Mutex::new(State {
            last: Instant::now(),
            handed_over: 0,
        })))
    }

    /// Something moved, or will at that time.
    pub fn touch(&self, at: Instant) {
        self.change(|state| state.last = at);
    }

    /// The system has taken so many bytes. When it sends them it does not tell.
    pub fn hand_over(&self, bytes: usize, at: Instant) {
        self.change(|state| {
            state.last = at;
            state.handed_over += bytes as u64;
        });
    }

    /// Returns when nothing has moved for so long, and longer than unsent bytes can explain; sooner
    /// when nobody wants to wait any more.
    pub async fn stalled(&self, stall: Duration, stop: &Stop) {
        let allowed = |state: &mut State| {
            let unsent = state.handed_over.min(MOST_UNSENT);
            let sending = Duration::from_millis(unsent * 1000 / SLOWEST);
            (state.last, stall + sending)
        };
        stop.silence(|| self.change(allowed)).await;
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long it takes until that counts as stalled.
    fn patience(prepare: impl FnOnce(&Moved)) -> Duration {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let begin = Instant::now();
            let moved = Moved::now();
            prepare(&moved);
            moved
                .stalled(Duration::from_secs(30), &Stop::default())
                .await;
            begin.elapsed()
        })
    }

    #[test]
    fn what_is_unsent_gets_time_to_be_sent() {
        let seconds = |prepare: fn(&Moved)| patience(prepare).as_secs();
        assert_eq!(seconds(|_| ()), 30);
        let later = |moved: &Moved| moved.touch(Instant::now() + Duration::from_secs(5));
        assert_eq!(seconds(later), 35);
        let small = |moved: &Moved| moved.hand_over(160 << 10, Instant::now());
        assert_eq!(seconds(small), 40);
        // The rest was sent, or there would have been no room for it.
        let large = |moved: &Moved| moved.hand_over(1 << 30, Instant::now());
        assert_eq!(seconds(large), 30 + 256);
    }
}
