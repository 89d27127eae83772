//! Many files at once: threads that work, and a Python callable that is told what came out.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::backuphandler::keys::lock;
use crate::errors::Result;
use crate::work::{Stop, run_with};

/// Calls `work` for every item, on so many threads, and `done(index, result)` on the calling one as
/// results come in, in no order; what failed comes as an exception that is not raised.
///
/// What `done` raises, or Ctrl-C, stops the work and comes out.
pub fn each<'py, T, R>(
    py: Python<'py>,
    items: &[T],
    workers: usize,
    done: &Py<PyAny>,
    work: impl Fn(&T, &Stop) -> Result<R> + Sync,
) -> PyResult<()>
where
    T: Sync,
    R: Send + for<'a> IntoPyObject<'a>,
{
    let stop = Stop::default();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item, &stop);
            lock(&results).push((index, result));
        }
    };
    run_with(
        py,
        &stop,
        || {
            thread::scope(|scope| {
                for _ in 0..workers.min(items.len()) {
                    scope.spawn(worker);
                }
            });
        },
        |py| {
            let results = std::mem::take(&mut *lock(&results));
            for (index, result) in results {
                let result = match result {
                    Ok(value) => value.into_py_any(py)?,
                    Err(raise) => PyErr::from(raise).into_value(py).into_any(),
                };
                done.call1(py, (index, result))?;
            }
            Ok(())
        },
    )
}

/// A file that cannot be read any further once the work is stopped.
pub struct Stoppable<'a> {
    file: &'a File,
    stop: &'a Stop,
}

impl<'a> Stoppable<'a> {
    pub fn new(file: &'a File, stop: &'a Stop) -> Self {
        Self { file, stop }
    }
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            // Nobody sees it: what stopped the work is raised instead.
            return Err(io::Error::other("stopped"));
        }
        self.file.read(buf)
    }
}

impl Seek for Stoppable<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
