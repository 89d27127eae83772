//! Many files at once: threads that work, and a Python callable that is told what came out.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::backuphandler::keys::lock;
use crate::errors::Result;
use crate::work::{Stop, run_with};

/// Waiting for the disk, not computing, is what small files take: so many at once share the waits.
const SMALL_AT_ONCE: usize = 8;
const SMALL: u64 = 1 << 20;

/// Whether a file is one of those that are written faster many at once.
pub fn is_small(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|is| is.len() <= SMALL)
}

/// Calls `work` for every item, on so many threads, and `done(index, result)` on the calling one as
/// results come in, in no order; what failed comes as an exception that is not raised.
///
/// Items that are `small` come first, on more threads. What `done` raises, or Ctrl-C, stops the work
/// and comes out.
pub fn each<'py, T, R>(
    py: Python<'py>,
    items: &[T],
    workers: usize,
    small: impl Fn(&T) -> bool + Sync,
    done: &Py<PyAny>,
    work: impl Fn(&T, &Stop) -> Result<R> + Sync,
) -> PyResult<()>
where
    T: Sync,
    R: Send + for<'a> IntoPyObject<'a>,
{
    let stop = Stop::default();
    let results = Mutex::new(Vec::new());
    let work_on = |indices: &[usize], threads: usize| {
        let next = AtomicUsize::new(0);
        let worker = || {
            while !stop.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(&index) = indices.get(at) else { break };
                let result = work(&items[index], &stop);
                lock(&results).push((index, result));
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads.min(indices.len()) {
                scope.spawn(worker);
            }
        });
    };
    run_with(
        py,
        &stop,
        || {
            let (first, rest): (Vec<_>, Vec<_>) =
                (0..items.len()).partition(|index| small(&items[*index]));
            work_on(&first, workers.max(SMALL_AT_ONCE));
            work_on(&rest, workers);
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
