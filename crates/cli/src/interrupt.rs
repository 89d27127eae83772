//! Ctrl-C: the first one ends the work in good order, the second one at once.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use keepwatch_core::Progress;
use keepwatch_remote::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use crate::exit::{Code, Failure};

/// The user wants the command to end.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Stopped;

/// A flag that Ctrl-C sets. Commands that do not ask for it end at once, as the system does it.
pub fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let failed =
        |error: io::Error| Failure::refused(format!("cannot wait for Ctrl-C: {error}"), None);
    let stop = Arc::new(AtomicBool::new(false));
    let (told, tells) = UnixStream::pair().map_err(failed)?;
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the second signal finds the flag set by the first.
        flag::register_conditional_shutdown(signal, Code::Interrupted as i32, stop.clone())
            .and_then(|_| flag::register(signal, stop.clone()))
            .and_then(|_| low_level::pipe::register(signal, tells.try_clone()?))
            .map_err(failed)?;
    }
    // Nobody wakes whoever waits for a storage out of a signal: that takes a thread.
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            let mut told = told;
            if told.read_exact(&mut [0]).is_ok() {
                WAITS.stop();
            }
        })
        .map_err(failed)?;
    Ok(stop)
}

static WAITS: LazyLock<Stop> = LazyLock::new(Stop::default);

/// What Ctrl-C ends waits for storages on other machines with, once a command has asked for
/// [`stop_flag`].
pub fn waits() -> Stop {
    WAITS.clone()
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
