//! One process group, from its start to its end.

pub(crate) mod ask;
mod output;
mod wide;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, PipeReader, Read, pipe};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

pub use output::{MAX_OUTPUT, Output};
pub use wide::WideOutput;

/// As much is read of what was written before the end, lest a process left in the background
/// that writes on and on is read for ever.
const MAX_REST: usize = 1024 * 1024;

/// What is run.
pub(crate) struct Program<'a> {
    /// The program and its arguments.
    pub(crate) command: &'a [String],
    pub(crate) directory: Option<&'a Path>,
    pub(crate) environment: &'a BTreeMap<OsString, OsString>,
    pub(crate) timeout: Duration,
    pub(crate) kill_after: Duration,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit status; 0 is success.
    Exited(i32),
    /// By this signal, that somebody else sent.
    Signal(i32),
    /// It took longer than it may, and was ended with all its process group.
    TimedOut,
    /// It could not be started.
    NotStarted(io::ErrorKind),
    /// It was started, and then the system would not say what became of it.
    Lost(io::ErrorKind),
}

/// Runs a program to its end, and gives that with the end of what it wrote.
///
/// What it leaves in the background goes on; what that writes afterwards is lost.
pub(crate) fn run(program: &Program) -> (Ending, Output) {
    let mut output = Output::default();
    let ending = match start(program) {
        Ok((child, reader)) => {
            let seen = watch(program, child, reader, &mut output);
            seen.unwrap_or_else(|error| Ending::Lost(error.kind()))
        }
        Err(error) => Ending::NotStarted(error.kind()),
    };
    (ending, output)
}

/// The name of the program, for people to read: arguments may hold what nobody is to see.
pub(crate) fn name_of(command: &[String]) -> String {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let name = Path::new(program).file_name().unwrap_or(program.as_ref());
    name.to_string_lossy().into_owned()
}

fn start(program: &Program) -> io::Result<(Child, PipeReader)> {
    let (name, arguments) = program
        .command
        .split_first()
        .ok_or(io::ErrorKind::InvalidInput)?;
    // One pipe for both, so that lines keep their order.
    let (reader, writer) = pipe()?;
    fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
    let mut command = Command::new(name);
    command
        .args(arguments)
        .env_clear()
        .envs(program.environment)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        // A group of its own: what it starts can be ended with it.
        .process_group(0);
    if let Some(directory) = program.directory {
        command.current_dir(directory);
    }
    Ok((command.spawn()?, reader))
}

/// How far a hook has been asked to end.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    No,
    Terminated,
    Killed,
}

fn watch(
    program: &Program,
    mut child: Child,
    mut reader: PipeReader,
    output: &mut Output,
) -> io::Result<Ending> {
    let pid = Pid::from_child(&child);
    // Closed when the process has ended. It is not reaped there: until it is, its number and that
    // of its group are nobody else's, and a signal cannot reach a stranger.
    let (ended, ends) = pipe()?;
    let waiter = std::thread::Builder::new()
        .name("waiter".to_owned())
        .spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
            drop(ends);
        });
    let waiter = match waiter {
        Ok(waiter) => waiter,
        Err(error) => {
            let _ = kill_process_group(pid, Signal::KILL);
            child.wait()?;
            return Err(error);
        }
    };
    let mut asked = Asked::No;
    let mut deadline = Instant::now().checked_add(program.timeout);
    let mut open = true;
    loop {
        let mut fds = vec![PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN)];
        if open {
            fds.push(PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN));
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match poll(&mut fds, left.map(timespec).as_ref()) {
            Ok(0) => {
                // The group may be gone at this very moment, and that is no error.
                (asked, deadline) = match asked {
                    Asked::No => {
                        let _ = kill_process_group(pid, Signal::TERM);
                        (
                            Asked::Terminated,
                            Instant::now().checked_add(program.kill_after),
                        )
                    }
                    Asked::Terminated | Asked::Killed => {
                        let _ = kill_process_group(pid, Signal::KILL);
                        (Asked::Killed, None)
                    }
                };
                continue;
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL);
                child.wait()?;
                return Err(error.into());
            }
        }
        let has_ended = !fds[0].revents().is_empty();
        if open && fds.get(1).is_some_and(|fd| !fd.revents().is_empty()) {
            open = read_some(&mut reader, output, 64 * 1024);
        }
        if has_ended {
            break;
        }
    }
    if asked != Asked::No {
        // The rest of the group, which may have survived the one that led it.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    if open {
        read_some(&mut reader, output, MAX_REST);
    }
    let status = child.wait()?;
    let _ = waiter.join();
    Ok(match (asked, status.code(), status.signal()) {
        (Asked::Terminated | Asked::Killed, ..) => Ending::TimedOut,
        (Asked::No, Some(code), _) => Ending::Exited(code),
        (Asked::No, None, signal) => Ending::Signal(signal.unwrap_or_default()),
    })
}

/// Reads what is there, and says whether more may come.
fn read_some(reader: &mut PipeReader, output: &mut Output, most: usize) -> bool {
    let mut buffer = [0; 8192];
    let mut total = 0;
    while total < most {
        match reader.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                output.push(&buffer[..length]);
                total += length;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    true
}

pub(crate) fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}
