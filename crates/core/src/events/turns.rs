//! Something that one uses at a time, and that nobody waits for without end.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is used by turns.
pub(super) struct Turns<T> {
    /// None while somebody has it.
    idle: Mutex<Option<T>>,
    back: Condvar,
}

impl<T> Turns<T> {
    pub fn new(value: T) -> Self {
        Self {
            idle: Mutex::new(Some(value)),
            back: Condvar::new(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Option<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn; none if those before were not done in time.
    pub fn take(&self, patience: Duration) -> Option<Turn<'_, T>> {
        let waited = self
            .back
            .wait_timeout_while(self.idle(), patience, |idle| idle.is_none());
        let (mut idle, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let value = idle.take()?;
        Some(Turn {
            turns: self,
            value: Some(value),
        })
    }
}

/// A turn, which ends when it is dropped.
pub(super) struct Turn<'a, T> {
    turns: &'a Turns<T>,
    value: Option<T>,
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it goes back at the end")
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it goes back at the end")
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        *self.turns.idle() = self.value.take();
        self.turns.back.notify_one();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_at_a_time_and_all_come_to_it() {
        let turns = Turns::new(0_u32);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let mut turn = turns.take(Duration::from_secs(60)).unwrap();
                        let seen = *turn;
                        std::thread::yield_now();
                        *turn = seen + 1;
                    }
                });
            }
        });
        assert_eq!(*turns.take(Duration::ZERO).unwrap(), 800);
    }

    #[test]
    fn who_waits_too_long_is_told_and_a_panic_gives_it_back() {
        let turns = Turns::new(7);
        let held = turns.take(Duration::ZERO).unwrap();
        assert!(turns.take(Duration::from_millis(1)).is_none());
        drop(held);
        std::thread::scope(|scope| {
            let panics = scope.spawn(|| {
                let _turn = turns.take(Duration::ZERO).unwrap();
                panic!("as it should");
            });
            assert!(panics.join().is_err());
        });
        assert_eq!(*turns.take(Duration::ZERO).unwrap(), 7);
    }
}
