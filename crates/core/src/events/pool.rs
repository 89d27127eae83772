//! Connections that are lent: whoever reads waits for nobody else who reads.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

/// No more connections than this are open at once; who finds none waits for one to come back.
pub(super) const MAX_CONNECTIONS: usize = 4;

/// Connections, opened when they are first needed.
pub(super) struct Pool<C> {
    state: Mutex<State<C>>,
    back: Condvar,
    /// Whether a connection that was used can be used again.
    is_alive: fn(&C) -> bool,
    /// Whether one that was idle still can.
    still_works: fn(&C) -> bool,
}

struct State<C> {
    idle: Vec<C>,
    open: usize,
}

impl<C> Pool<C> {
    pub fn new(is_alive: fn(&C) -> bool, still_works: fn(&C) -> bool) -> Self {
        Self {
            is_alive,
            still_works,
            state: Mutex::new(State {
                idle: Vec::new(),
                open: 0,
            }),
            back: Condvar::new(),
        }
    }

    /// A connection that is idle, or a new one.
    pub fn take(&self, connect: impl FnOnce() -> Result<C>) -> Result<Lent<'_, C>> {
        let mut state = self.lock();
        loop {
            if let Some(connection) = state.idle.pop() {
                // Looking may take its time, and others need not wait for that.
                drop(state);
                let lent = self.lend(connection);
                if (self.still_works)(&lent) {
                    return Ok(lent);
                }
                drop(lent);
                state = self.lock();
                continue;
            }
            if state.open < MAX_CONNECTIONS {
                break;
            }
            state = self
                .back
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.open += 1;
        drop(state);
        match connect() {
            Ok(connection) => Ok(self.lend(connection)),
            Err(error) => {
                self.give(None);
                Err(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self, connection: C) -> Lent<'_, C> {
        Lent {
            pool: self,
            connection: Some(connection),
        }
    }

    fn give(&self, connection: Option<C>) {
        let mut state = self.lock();
        // Where one is gone the others are, too: they are to the same server.
        let mut gone = Vec::new();
        match connection {
            Some(connection) if (self.is_alive)(&connection) => state.idle.push(connection),
            Some(connection) => {
                gone.append(&mut state.idle);
                gone.push(connection);
                state.open -= gone.len();
            }
            None => state.open -= 1,
        }
        let several = gone.len() > 1;
        drop(state);
        // Each that wakes finds something; those who would not stay asleep.
        match several {
            true => self.back.notify_all(),
            false => self.back.notify_one(),
        }
    }
}

/// A connection that goes back when it is dropped.
pub(super) struct Lent<'a, C> {
    pool: &'a Pool<C>,
    connection: Option<C>,
}

impl<C> Deref for Lent<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.connection.as_ref().expect("it goes back at the end")
    }
}

impl<C> DerefMut for Lent<'_, C> {
    fn deref_mut(&mut self) -> &mut C {
        self.connection.as_mut().expect("it goes back at the end")
    }
}

impl<C> Drop for Lent<'_, C> {
    fn drop(&mut self) {
        self.pool.give(self.connection.take());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    #[test]
    fn as_many_as_there_are_work_at_once_and_the_others_wait() {
        let pool = Pool::new(|_| true, |_| true);
        let (opened, working) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // Nobody gets on before all of the first ones hold a connection.
        let together = Barrier::new(MAX_CONNECTIONS);
        std::thread::scope(|scope| {
            for _ in 0..MAX_CONNECTIONS * 4 {
                scope.spawn(|| {
                    let number = pool.take(|| Ok(opened.fetch_add(1, Ordering::SeqCst)));
                    let number = number.unwrap();
                    assert!(*number < MAX_CONNECTIONS);
                    assert!(working.fetch_add(1, Ordering::SeqCst) < MAX_CONNECTIONS);
                    together.wait();
                    working.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(opened.into_inner(), MAX_CONNECTIONS);
    }

    #[test]
    fn with_one_that_is_gone_all_are_that_nobody_uses() {
        let pool = Pool::new(|connection: &u32| *connection != 7, |_| true);
        let both = [pool.take(|| Ok(1)), pool.take(|| Ok(2))];
        drop(both);
        drop(pool.take(|| panic!("there are two")));
        let (_one, mut other) = (
            pool.take(|| panic!("there are two")).unwrap(),
            pool.take(|| panic!("there are two")).unwrap(),
        );
        *other = 7;
        drop(other);
        assert_eq!(*pool.take(|| Ok(3)).unwrap(), 3);
        drop(pool.take(|| panic!("it is back")));
    }

    #[test]
    fn what_went_away_while_it_was_idle_is_not_lent() {
        use std::cell::Cell;
        let pool = Pool::new(
            |connection: &Cell<u32>| connection.get() != 7,
            |connection| {
                connection.set(connection.get() + 5);
                connection.get() != 7
            },
        );
        drop(pool.take(|| Ok(Cell::new(2))));
        // Looked at, it is found to be gone.
        let new = pool.take(|| Ok(Cell::new(30)));
        assert_eq!(new.unwrap().get(), 30);
        let looked_at = pool.take(|| panic!("it is back"));
        assert_eq!(looked_at.unwrap().get(), 35);
    }

    #[test]
    fn what_cannot_be_opened_takes_no_place() {
        let pool = Pool::<u32>::new(|_| true, |_| true);
        for _ in 0..MAX_CONNECTIONS * 2 {
            assert!(pool.take(|| Err(Error::Interrupted)).is_err());
        }
        assert_eq!(*pool.take(|| Ok(7)).unwrap(), 7);
    }
}
