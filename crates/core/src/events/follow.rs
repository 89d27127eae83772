//! Following what is added, by this process or another.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::database::{Connection, Database, Mode};
use crate::error::Result;

/// How long a change by another process may go unnoticed while somebody waits for it. A look takes
/// two microseconds.
const LOOK: Duration = Duration::from_millis(10);

/// Wakes those who wait for the chain to grow.
pub(super) struct Pulse {
    state: Mutex<State>,
    grown: Condvar,
}

struct State {
    /// The end of the chain, as far as it is known here.
    head: u64,
    /// Whether one of those who wait looks at the database, for all of them.
    watched: bool,
}

impl Pulse {
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State {
                head: 0,
                watched: false,
            }),
            grown: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chain ends here now.
    pub fn grow(&self, head: u64) {
        let mut state = self.state();
        if head > state.head {
            state.head = head;
            self.grown.notify_all();
        }
    }

    /// Waits for a record after `seen`, and gives the head.
    ///
    /// `look` asks the database for its head; what it may cost is paid by one of those who wait.
    /// It may take the time that it is given, which is none at first, and says how long it is
    /// before it is worth to look again.
    pub fn wait(
        &self,
        seen: u64,
        timeout: Duration,
        mut look: impl FnMut(Duration) -> Result<(u64, Duration)>,
    ) -> Result<u64> {
        let start = Instant::now();
        let mut looked = false;
        let mut state = self.state();
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            if state.head > seen || (looked && left.is_zero()) {
                return Ok(state.head);
            }
            if state.watched {
                if left.is_zero() {
                    return Ok(state.head);
                }
                state = self.sleep(state, left);
                continue;
            }
            state.watched = true;
            drop(state);
            let found = look(if looked { left } else { Duration::ZERO });
            looked = true;
            state = self.state();
            state.watched = false;
            match found {
                Ok((head, pause)) => {
                    if head > state.head {
                        state.head = head;
                        // It may be what others wait for, though not what this one does.
                        self.grown.notify_all();
                    }
                    if state.head <= seen && !left.is_zero() {
                        state.watched = true;
                        state = self.sleep(state, left.min(pause));
                        state.watched = false;
                        if state.head > seen || start.elapsed() >= timeout {
                            // This one leaves: those who were woken before it saw it still here.
                            self.grown.notify_all();
                        }
                    } else {
                        // Somebody else who waits has to look from now on.
                        self.grown.notify_all();
                    }
                }
                Err(error) => {
                    self.grown.notify_all();
                    return Err(error);
                }
            }
        }
    }

    fn sleep<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        if time.is_zero() {
            return state;
        }
        let woken = self.grown.wait_timeout(state, time);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Notices what other connections have written.
pub(super) struct Watch {
    db: Connection,
    version: Option<i64>,
    head: u64,
}

impl Watch {
    pub fn open(database: &Database) -> Result<Self> {
        let db = database.connect(Mode::Read)?;
        #[cfg(feature = "postgres")]
        if let Connection::Postgres(db) = &db {
            db.listen()?;
        }
        Ok(Self {
            db,
            version: None,
            head: 0,
        })
    }

    pub fn is_alive(&self) -> bool {
        self.db.is_alive()
    }

    /// The head, and how long it is before it is worth to look again.
    pub fn look(&mut self, time: Duration) -> Result<(u64, Duration)> {
        let _ = time;
        match &self.db {
            // The price is that of a look at the header of the log.
            Connection::Sqlite(_) => {
                let version = self.db.first("PRAGMA data_version", &[])?;
                let version = version.map(|row| row.integer(0)).transpose()?;
                if self.version != version {
                    self.head = last_seq(&self.db)?;
                    self.version = version;
                }
                Ok((self.head, LOOK))
            }
            // Who listens is told.
            #[cfg(feature = "postgres")]
            Connection::Postgres(db) => {
                self.head = match time.is_zero() {
                    true => last_seq(&self.db)?,
                    false => db.told(time)?.map_or(self.head, |told| told.max(self.head)),
                };
                Ok((self.head, Duration::ZERO))
            }
        }
    }
}

/// The number of the last record; 0 if there is none.
pub(super) fn last_seq(db: &Connection) -> Result<u64> {
    let row = db.first("SELECT coalesce(max(seq), 0) FROM records", &[])?;
    row.map_or(Ok(0), |row| row.number(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn all_who_wait_are_woken_and_one_of_them_looks() {
        let pulse = Pulse::new();
        let head = AtomicU64::new(0);
        let looking = AtomicUsize::new(0);
        let waiting = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for seen in 0..8 {
                let (pulse, head, looking, waiting) = (&pulse, &head, &looking, &waiting);
                scope.spawn(move || {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    let found = pulse.wait(seen, LONG, |_| {
                        assert_eq!(looking.fetch_add(1, Ordering::SeqCst), 0);
                        let found = head.load(Ordering::SeqCst);
                        looking.fetch_sub(1, Ordering::SeqCst);
                        Ok((found, LOOK))
                    });
                    assert!(found.unwrap() > seen);
                });
            }
            // By others first, and then by this process.
            while waiting.load(Ordering::SeqCst) < 8 {
                std::thread::yield_now();
            }
            head.store(4, Ordering::SeqCst);
            let look = |_| Ok((head.load(Ordering::SeqCst), LOOK));
            pulse.wait(3, LONG, look).unwrap();
            pulse.grow(9);
        });
    }

    #[test]
    fn another_looks_when_the_one_that_did_leaves() {
        let pulse = Pulse::new();
        std::thread::scope(|scope| {
            let (looks, looked) = std::sync::mpsc::channel();
            scope.spawn(|| {
                let found = pulse.wait(0, 5 * LOOK, move |_| {
                    looks.send(()).unwrap();
                    Ok((0, LONG))
                });
                assert_eq!(found.unwrap(), 0);
            });
            looked.recv().unwrap();
            let begin = Instant::now();
            assert_eq!(pulse.wait(0, LONG, |_| Ok((1, LOOK))).unwrap(), 1);
            assert!(begin.elapsed() < LONG / 2, "nobody looked");
        });
    }

    #[test]
    fn time_ends_the_wait_after_a_look() {
        let pulse = Pulse::new();
        assert_eq!(pulse.wait(0, Duration::ZERO, |_| Ok((5, LOOK))).unwrap(), 5);
        assert_eq!(pulse.wait(5, Duration::ZERO, |_| Ok((5, LOOK))).unwrap(), 5);
        assert_eq!(
            pulse
                .wait(5, Duration::from_millis(1), |_| Ok((5, LOOK)))
                .unwrap(),
            5
        );
        assert_eq!(pulse.wait(0, LONG, |_| panic!("it is known")).unwrap(), 5);
    }

    #[test]
    fn an_error_of_the_look_is_told_and_the_next_one_looks_again() {
        let pulse = Pulse::new();
        assert!(pulse.wait(0, LONG, |_| Err(Error::Interrupted)).is_err());
        assert_eq!(pulse.wait(0, LONG, |_| Ok((1, LOOK))).unwrap(), 1);
    }
}
