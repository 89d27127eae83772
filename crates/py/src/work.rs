//! Long work: off the interpreter's lock, and stopped by Ctrl-C or by a callback that raises.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use keepwatch_core::Progress;
use pyo3::prelude::*;

/// How often Ctrl-C is looked for and progress is told.
const BEAT: Duration = Duration::from_millis(50);

/// The flag that ends the work. It is new for every call: of two calls in two threads one can be
/// stopped.
pub type Stop = Arc<AtomicBool>;

/// Runs `work` on a thread of its own, while this one looks for Ctrl-C.
///
/// When Python raises, `stop` is set, the end of the work is waited for, and the exception comes
/// out; what the work gave is lost.
pub fn run<T: Send>(py: Python<'_>, stop: &Stop, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    run_with(py, stop, work, |_| Ok(()))
}

/// As [`run`], and calls `beat` at every look for Ctrl-C, and once more at the end.
pub fn run_with<T: Send>(
    py: Python<'_>,
    stop: &Stop,
    work: impl FnOnce() -> T + Send,
    mut beat: impl FnMut(Python<'_>) -> PyResult<()> + Send,
) -> PyResult<T> {
    py.detach(|| {
        thread::scope(|scope| {
            let (done, result) = channel();
            let worker = scope.spawn(move || {
                let value = work();
                // The receiver waits as long as this thread runs.
                let _ = done.send(());
                value
            });
            let mut raised = None;
            while let Err(RecvTimeoutError::Timeout) = result.recv_timeout(BEAT) {
                if raised.is_some() {
                    continue;
                }
                let served = Python::attach(|py| {
                    py.check_signals()?;
                    beat(py)
                });
                if let Err(error) = served {
                    stop.store(true, Ordering::Relaxed);
                    raised = Some(error);
                }
            }
            let value = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match raised {
                Some(error) => Err(error),
                None => Python::attach(beat).map(|()| value),
            }
        })
    })
}

/// Counts what an operation tells, for a Python callable to be told.
#[derive(Default)]
pub struct Counter {
    total_files: AtomicU64,
    total_bytes: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    messages: Mutex<Vec<String>>,
    wants_total: bool,
}

impl Progress for Counter {
    fn wants_total(&self) -> bool {
        self.wants_total
    }

    fn total(&self, files: u64, bytes: u64) {
        self.total_files.store(files, Ordering::Relaxed);
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }

    fn advance(&self, files: u64, bytes: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn message(&self, text: &str) {
        if self.wants_total {
            let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
            messages.push(text.to_owned());
        }
    }
}

/// Counts, and ends the operation when told to.
pub struct Stopping<'a> {
    /// What counts.
    pub counter: &'a Counter,
    /// What stops it.
    pub stop: &'a Stop,
}

impl Progress for Stopping<'_> {
    fn wants_total(&self) -> bool {
        self.counter.wants_total()
    }

    fn total(&self, files: u64, bytes: u64) {
        self.counter.total(files, bytes);
    }

    fn advance(&self, files: u64, bytes: u64) {
        self.counter.advance(files, bytes);
    }

    fn message(&self, text: &str) {
        self.counter.message(text);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Reads or writes until the flag is set, and counts.
pub struct Stoppable<T> {
    inner: T,
    stop: Stop,
    count: u64,
}

impl<T> Stoppable<T> {
    /// Watches `stop`.
    pub fn new(inner: T, stop: Stop) -> Self {
        Self {
            inner,
            stop,
            count: 0,
        }
    }

    /// What was wrapped.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Bytes that went through.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn check(&self) -> io::Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            // The exception that set the flag is what comes out.
            true => Err(io::Error::other("interrupted")),
            false => Ok(()),
        }
    }
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<S: Seek> Seek for Stoppable<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl<W: Write> Write for Stoppable<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check()?;
        let count = self.inner.write(data)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// How far an operation has come.
#[pyclass(frozen, get_all, module = "keepwatch", name = "Progress")]
pub struct ProgressReport {
    /// Files done.
    files: u64,
    /// Bytes done.
    bytes: u64,
    /// Files to do, as far as is known.
    total_files: u64,
    /// Bytes to do, as far as is known.
    total_bytes: u64,
    /// What could not be done, since the last call.
    messages: Vec<String>,
}

#[pymethods]
impl ProgressReport {
    fn __repr__(&self) -> String {
        format!(
            "Progress(files={}, bytes={}, total_files={}, total_bytes={})",
            self.files, self.bytes, self.total_files, self.total_bytes
        )
    }
}

/// A Python callable that is told how far an operation has come, or none.
pub struct Teller {
    callable: Option<Py<PyAny>>,
    counter: Arc<Counter>,
}

impl Teller {
    /// Calls it for the first time: what it raises then comes before anything has been done.
    pub fn begin(py: Python<'_>, callable: Option<Py<PyAny>>) -> PyResult<Self> {
        let counter = Arc::new(Counter {
            wants_total: callable.is_some(),
            ..Counter::default()
        });
        let teller = Self { callable, counter };
        teller.tell(py)?;
        Ok(teller)
    }

    /// Where the operation counts.
    pub fn counter(&self) -> Arc<Counter> {
        self.counter.clone()
    }

    /// Runs `work`, and calls the callable meanwhile.
    pub fn run<T: Send>(
        &self,
        py: Python<'_>,
        stop: &Stop,
        work: impl FnOnce() -> T + Send,
    ) -> PyResult<T> {
        run_with(py, stop, work, |py| self.tell(py))
    }

    fn tell(&self, py: Python<'_>) -> PyResult<()> {
        let Some(callable) = &self.callable else {
            return Ok(());
        };
        let counter = &self.counter;
        let messages = std::mem::take(
            &mut *counter
                .messages
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let report = ProgressReport {
            files: counter.files.load(Ordering::Relaxed),
            bytes: counter.bytes.load(Ordering::Relaxed),
            total_files: counter.total_files.load(Ordering::Relaxed),
            total_bytes: counter.total_bytes.load(Ordering::Relaxed),
            messages,
        };
        callable.call1(py, (report,)).map(drop)
    }
}
