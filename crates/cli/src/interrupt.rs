//! Ctrl-C: the first one ends the work in good order, the second one at once.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keepwatch_core::Progress;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::{Code, Failure};

/// The user wants the command to end.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Stopped;

/// A flag that Ctrl-C sets. Commands that do not ask for it end at once, as the system does it.
pub fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the second signal finds the flag set by the first.
        flag::register_conditional_shutdown(signal, Code::Interrupted as i32, stop.clone())
            .and_then(|_| flag::register(signal, stop.clone()))
            .map_err(|error| Failure::refused(format!("cannot wait for Ctrl-C: {error}"), None))?;
    }
    Ok(stop)
}

/// Ends an operation that asks, when the flag is set.
#[derive(Debug)]
pub struct Until(pub Arc<AtomicBool>);

impl Progress for Until {
    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Passes on what it reads or writes until the flag is set.
#[derive(Debug)]
pub struct Stoppable<T> {
    inner: T,
    stop: Arc<AtomicBool>,
}

impl<T> Stoppable<T> {
    /// Watches `stop`.
    pub fn new(inner: T, stop: Arc<AtomicBool>) -> Self {
        Self { inner, stop }
    }

    /// What was wrapped.
    pub fn into_inner(self) -> T {
        self.inner
    }

    fn check(&self) -> io::Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(io::Error::other(Stopped)),
            false => Ok(()),
        }
    }
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
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
        self.inner.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
