//! Listings of any length, made on a thread of their own while Python consumes them.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use keepwatch_core::{Change, Error, Listed};
use pyo3::prelude::*;

use super::reports;
use crate::errors::Result;

/// So many at once are handed over: one would cost more in waiting than in making.
const BATCH: usize = 256;
/// How many batches may wait to be consumed.
const AHEAD: usize = 4;
/// How often Ctrl-C is looked for.
const BEAT: Duration = Duration::from_millis(50);

type Batch<T> = std::result::Result<Vec<T>, Error>;

/// What a producer on another thread makes.
struct Produced<T> {
    batches: Receiver<Batch<T>>,
    ready: std::vec::IntoIter<T>,
    ended: bool,
}

/// Hands items over, in batches.
pub struct Sink<T> {
    batch: Vec<T>,
    out: SyncSender<Batch<T>>,
}

impl<T> Sink<T> {
    /// One more; fails when nobody wants any.
    pub fn push(&mut self, item: T) -> std::result::Result<(), Error> {
        self.batch.push(item);
        match self.batch.len() {
            BATCH => self.flush(),
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> std::result::Result<(), Error> {
        let batch = std::mem::take(&mut self.batch);
        self.out.send(Ok(batch)).map_err(|_| Error::Interrupted)
    }
}

impl<T: Send + 'static> Produced<T> {
    fn start(
        produce: impl FnOnce(&mut Sink<T>) -> std::result::Result<(), Error> + Send + 'static,
    ) -> Self {
        let (out, batches) = sync_channel(AHEAD);
        thread::spawn(move || {
            let mut sink = Sink {
                batch: Vec::new(),
                out,
            };
            let ended = produce(&mut sink).and_then(|()| sink.flush());
            if let Err(error) = ended {
                // Nobody listens any more if that is why it failed.
                let _ = sink.out.send(Err(error));
            }
        });
        Self {
            batches,
            ready: Vec::new().into_iter(),
            ended: false,
        }
    }

    fn next(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(item) = self.ready.next() {
                return Ok(Some(item));
            }
            if self.ended {
                return Ok(None);
            }
            match self.batches.recv_timeout(BEAT) {
                Ok(Ok(batch)) => self.ready = batch.into_iter(),
                Ok(Err(error)) => {
                    self.ended = true;
                    return Err(error.into());
                }
                Err(RecvTimeoutError::Disconnected) => self.ended = true,
                Err(RecvTimeoutError::Timeout) => Python::attach(|py| py.check_signals())?,
            }
        }
    }
}

macro_rules! iterator {
    ($(#[$meta:meta])* $name:ident: $from:ty => $to:ty) => {
        $(#[$meta])*
        #[pyclass(frozen, module = "keepwatch")]
        pub struct $name(Mutex<Produced<$from>>);

        impl $name {
            /// Of what `produce` makes.
            pub fn start(
                produce: impl FnOnce(&mut Sink<$from>) -> std::result::Result<(), Error>
                + Send
                + 'static,
            ) -> Self {
                Self(Mutex::new(Produced::start(produce)))
            }
        }

        #[pymethods]
        impl $name {
            fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
                slf
            }

            fn __next__(&self, py: Python<'_>) -> Result<Option<$to>> {
                let next = py.detach(|| {
                    let mut produced = self
                        .0
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    produced.next()
                })?;
                Ok(next.map(<$to>::from))
            }
        }
    };
}

iterator! {
    /// Entries of a snapshot, in the order of their paths.
    EntryIterator: Listed => reports::Entry
}

iterator! {
    /// Differences between snapshots, in the order of their paths.
    ChangeIterator: Change => reports::Change
}
