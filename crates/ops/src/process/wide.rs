//! What a program prints, taken in large pieces.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ChildStdout;
use std::time::Duration;

/// So much is in the pipe before the program has to wait, where the system allows it.
const ROOM: usize = 1 << 20;
/// After less than this it is given time to print more.
const PIECE: usize = 256 << 10;
/// So much time.
const PAUSE: Duration = Duration::from_micros(500);

/// The standard output of a program.
///
/// Dumps are printed a few KiB at a time. A reader that is always there first is woken for each of
/// them, and takes as much of the processor for that as the program does.
#[derive(Debug)]
pub struct WideOutput {
    output: ChildStdout,
    /// Whether the last piece was a small one.
    early: bool,
}

impl WideOutput {
    /// Makes room in the pipe.
    pub fn new(output: ChildStdout) -> Self {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::pipe::fcntl_setpipe_size(&output, ROOM) {
            // As much as there is does it, too: all users together may have only so much.
            tracing::debug!(%error, "a pipe stays small");
        }
        Self {
            output,
            early: false,
        }
    }
}

impl Read for WideOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.early {
            std::thread::sleep(PAUSE);
        }
        let length = self.output.read(buffer)?;
        self.early = length < PIECE.min(buffer.len());
        Ok(length)
    }
}

impl AsFd for WideOutput {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}
