//! The output of a program as a stream, whole or not at all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use keepwatch_core::Source;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Ended, told_by};
use crate::process::{Output, WideOutput, name_of, timespec};
use crate::secrets::Secrets;

/// So much of the end is looked at.
const END: usize = 512;

/// A program that is run.
#[derive(Clone)]
pub(super) struct Spec {
    pub argv: Vec<String>,
    /// All of it.
    pub environment: BTreeMap<OsString, OsString>,
    /// What of that nobody is to read in an error.
    pub secrets: Secrets,
}

impl Spec {
    /// The program, in a process group of its own, so that what it starts ends with it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.argv.first().map_or("", String::as_str));
        command
            .args(self.argv.iter().skip(1))
            .env_clear()
            .envs(&self.environment)
            .env("LC_ALL", "C")
            .process_group(0);
        command
    }
}

/// How a whole dump is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whole {
    /// Its program succeeds.
    ByStatus,
    /// And this stands in its last lines.
    Ends(&'static str),
    /// And it begins so.
    Begins(&'static [u8]),
}

/// A stream that runs the program when it is read, and gives it up when nothing comes for as long as
/// `stall`.
pub(super) fn stream(path: PathBuf, spec: Spec, whole: Whole, stall: Option<Duration>) -> Source {
    let ended = Ended::default();
    let reader = Dump {
        spec,
        whole,
        stall,
        running: None,
        first: Vec::new(),
        last: Vec::new(),
        ended: ended.clone(),
    };
    told_by(path, reader, ended)
}

struct Running {
    child: Child,
    output: WideOutput,
    complaint: Receiver<Output>,
}

struct Dump {
    spec: Spec,
    whole: Whole,
    stall: Option<Duration>,
    running: Option<Running>,
    first: Vec<u8>,
    last: Vec<u8>,
    ended: Ended,
}

impl Dump {
    fn start(&mut self) -> io::Result<()> {
        let mut child = self
            .spec
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let program = name_of(&self.spec.argv);
                io::Error::new(error.kind(), format!("{program}: {error}"))
            })?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let (Some(output), Some(errors)) = (output, errors) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        self.running = Some(Running {
            child,
            output: WideOutput::new(output),
            complaint: listen(errors),
        });
        Ok(())
    }

    /// Waits until there is something to read, but no longer than it may take.
    fn wait(&mut self) -> io::Result<()> {
        let (Some(running), Some(stall)) = (&self.running, self.stall) else {
            return Ok(());
        };
        // A signal that comes in between begins the wait anew, which is no harm.
        let ready = loop {
            let mut output = [PollFd::from_borrowed_fd(
                running.output.as_fd(),
                PollFlags::IN,
            )];
            match poll(&mut output, Some(&timespec(stall))) {
                Err(rustix::io::Errno::INTR) => {}
                done => break done?,
            }
        };
        if ready > 0 {
            return Ok(());
        }
        if let Some(running) = self.running.take() {
            end_group(running.child);
        }
        let program = name_of(&self.spec.argv);
        let problem = format!("{program} was ended: nothing came from it for {stall:?}");
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Err(problem.clone()));
        Err(io::Error::new(io::ErrorKind::TimedOut, problem))
    }

    /// It has said all that it says.
    fn end(&mut self) -> Result<(), String> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        let result = self.judge(running);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended = Some(result.clone());
        result
    }

    fn judge(&self, mut running: Running) -> Result<(), String> {
        drop(running.output);
        let program = name_of(&self.spec.argv);
        let status = running.child.wait();
        let said = self.spec.secrets.hide(&heard(&running.complaint));
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => {
                return Err(match said.trim() {
                    "" => format!("{program} ended with {status}"),
                    said => format!("{program} ended with {status}: {said}"),
                });
            }
            Err(error) => return Err(format!("{program}: {error}")),
        }
        let whole = match self.whole {
            Whole::ByStatus => true,
            Whole::Begins(magic) => self.first.starts_with(magic),
            Whole::Ends(line) => ends(&String::from_utf8_lossy(&self.last), line),
        };
        match whole {
            true => Ok(()),
            false => Err(format!("{program} succeeded, but its dump is not whole")),
        }
    }
}

/// Whether a text ends with this line, after which nothing but comments and the end of PostgreSQL's
/// `\\restrict` come: the same words may stand among what is dumped.
fn ends(text: &str, wanted: &str) -> bool {
    let mut lines = text.lines().rev();
    lines
        .find(|line| {
            let says_nothing =
                line.is_empty() || *line == "--" || line.starts_with("\\unrestrict ");
            !says_nothing
        })
        .is_some_and(|line| line.starts_with(wanted))
}

impl Read for Dump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.running.is_none() {
            if self
                .ended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some()
            {
                return Ok(0);
            }
            self.start()?;
        }
        self.wait()?;
        let Some(running) = &mut self.running else {
            return Ok(0);
        };
        let length = running.output.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            // Told when the stream is finished.
            let _ = self.end();
            return Ok(0);
        }
        let piece = &buffer[..length];
        if self.first.len() < 16 {
            self.first.extend(piece.iter().take(16));
        }
        let kept = END.min(length);
        self.last.extend(&piece[length - kept..]);
        let excess = self.last.len().saturating_sub(END);
        self.last.drain(..excess);
        Ok(length)
    }
}

/// Nobody wants the rest.
impl Drop for Dump {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            end_group(running.child);
        }
    }
}

/// Ends a program with all that it has started.
pub(super) fn end_group(mut child: Child) {
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
}

/// Hears what a program complains of, to its end.
pub(super) fn listen(mut errors: impl Read + Send + 'static) -> Receiver<Output> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut output = Output::default();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = errors.read(&mut buffer) {
            output.push(&buffer[..length]);
        }
        // Nobody may want to know.
        let _ = sender.send(output);
    });
    receiver
}

/// What a program that has ended complained of. One that it has left behind may keep the line open,
/// and is not waited for.
pub(super) fn heard(complaint: &Receiver<Output>) -> String {
    let output = complaint.recv_timeout(Duration::from_secs(2));
    output.unwrap_or_default().text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something_counts() {
        let end = "-- Dump completed";
        for whole in [
            "INSERT;\n-- Dump completed on 2026-11-29  5:00:00\n",
            "-- Dump completed\n--\n\n\\unrestrict abc\n\n",
        ] {
            assert!(ends(whole, end), "{whole}");
        }
        for half in [
            "",
            "-- Dump completed\nINSERT INTO t VALUES (1",
            "x -- Dump completed",
        ] {
            assert!(!ends(half, end), "{half}");
        }
    }
}
