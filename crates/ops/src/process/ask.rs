//! Running programs that are asked what they know.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::metadata;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// More than this of what a program complains of helps nobody.
const MAX_COMPLAINT: usize = 4096;

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// There is no such program, so that there is nothing to ask.
    Missing,
    /// It was not run: the system is not the running machine.
    NotRun,
    /// It ended well, with this on its standard output.
    Said(Vec<u8>),
    /// It could not be run or ended badly.
    Failed {
        /// Its exit code; none if it could not be run or a signal ended it.
        code: Option<i32>,
        /// The first of what it said on its standard error.
        complaint: String,
    },
    /// It was stopped, since it took too long.
    TooSlow,
    /// It was stopped, since it said too much.
    TooMuch,
}

/// Runs programs without a shell, for a limited time and with limited output.
#[derive(Debug)]
pub(crate) struct Runner {
    /// Where programs are, as in `PATH`.
    pub search: Vec<PathBuf>,
    /// Their environment, apart from what makes them speak so that it can be parsed.
    pub environment: BTreeMap<OsString, OsString>,
}

/// How long a program may take, and how much it may say in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub time: Duration,
    pub output: usize,
}

impl Runner {
    fn find(&self, program: &str) -> Option<PathBuf> {
        self.search
            .iter()
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(program))
            .find(|path| {
                metadata(path)
                    .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
            })
    }

    /// Runs the program that `argv` begins with.
    pub fn run(&self, argv: &[&str], bounds: Bounds) -> Answer {
        self.run_with(argv, Stdio::null(), bounds)
    }

    /// The same with something on its standard input.
    pub fn run_with(&self, argv: &[&str], input: Stdio, bounds: Bounds) -> Answer {
        let Some(program) = self.find(argv[0]) else {
            return Answer::Missing;
        };
        let mut command = Command::new(program);
        command
            .args(&argv[1..])
            .env_clear()
            .envs(&self.environment)
            .env("LC_ALL", "C")
            // npm and others would look for a newer version of themselves.
            .env("NO_UPDATE_NOTIFIER", "1")
            .env("NO_COLOR", "1")
            .current_dir("/")
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // So that what it starts ends with it.
            .process_group(0);
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::Missing,
            Err(error) => Answer::Failed {
                code: None,
                complaint: error.to_string(),
            },
            Ok(child) => listen(child, bounds),
        }
    }
}

/// What ended the listening.
enum Ended {
    Itself,
    TooSlow,
    TooMuch,
}

fn listen(mut child: Child, bounds: Bounds) -> Answer {
    let mut said = Vec::new();
    let mut complaint = Vec::new();
    let ended = collect(&mut child, bounds, &mut said, &mut complaint);
    if !matches!(ended, Ok(Ended::Itself)) {
        stop(&mut child);
    }
    let status = child.wait();
    match (ended, status) {
        (Ok(Ended::TooSlow), _) => Answer::TooSlow,
        (Ok(Ended::TooMuch), _) => Answer::TooMuch,
        (Ok(Ended::Itself), Ok(status)) if status.success() => Answer::Said(said),
        (Ok(Ended::Itself), Ok(status)) => Answer::Failed {
            code: status.code(),
            complaint: String::from_utf8_lossy(&complaint).trim().to_owned(),
        },
        (Err(error), _) | (_, Err(error)) => Answer::Failed {
            code: None,
            complaint: error.to_string(),
        },
    }
}

/// Its group has its number, which is its own until it was waited for.
fn stop(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may have ended just now.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Listens until the program has ended: a pipe that something it has started keeps open is no
/// reason to wait.
fn collect(
    child: &mut Child,
    bounds: Bounds,
    said: &mut Vec<u8>,
    complaint: &mut Vec<u8>,
) -> io::Result<Ended> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a program without a number"))?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let until = Instant::now() + bounds.time;
    let mut exited = false;
    loop {
        let left = match exited {
            true => Duration::ZERO,
            false => until.saturating_duration_since(Instant::now()),
        };
        let (of_out, of_err, of_process) = {
            let mut waiting = vec![PollFd::new(&process, PollFlags::IN)];
            let out_at = out.as_ref().map(|_| waiting.len());
            waiting.extend(out.iter().map(|out| PollFd::new(out, PollFlags::IN)));
            let err_at = err.as_ref().map(|_| waiting.len());
            waiting.extend(err.iter().map(|err| PollFd::new(err, PollFlags::IN)));
            let time = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut waiting, Some(&time)) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result?,
            };
            let ready = |at: Option<usize>| at.is_some_and(|at| !waiting[at].revents().is_empty());
            (ready(out_at), ready(err_at), ready(Some(0)))
        };
        if of_out && !take(&mut out, said, bounds.output + 1)? {
            out = None;
        }
        if said.len() > bounds.output {
            return Ok(Ended::TooMuch);
        }
        if of_err && !take(&mut err, complaint, MAX_COMPLAINT)? {
            err = None;
        }
        if exited && !of_out && !of_err {
            return Ok(Ended::Itself);
        }
        exited |= of_process;
        if !exited && Instant::now() >= until {
            return Ok(Ended::TooSlow);
        }
    }
}

/// Reads once of what is ready; whether there may be more. What is beyond `most` is dropped.
fn take<R: Read>(from: &mut Option<R>, into: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let Some(from) = from else { return Ok(false) };
    let mut buffer = [0; 65536];
    let count = from.read(&mut buffer)?;
    let room = most.saturating_sub(into.len()).min(count);
    into.extend_from_slice(&buffer[..room]);
    Ok(count > 0)
}

/// The directories of a `PATH`.
pub(crate) fn directories(search: &OsStr) -> Vec<PathBuf> {
    std::env::split_paths(search).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        time: Duration::from_secs(30),
        output: 1000,
    };

    fn shell(script: &str, bounds: Bounds) -> Answer {
        let runner = Runner {
            search: directories(OsStr::new("relative:/usr/bin:/bin")),
            environment: BTreeMap::new(),
        };
        runner.run(&["sh", "-c", script], bounds)
    }

    #[test]
    fn a_program_is_heard_to_its_end() {
        assert_eq!(
            shell("printf 'a\\nb'", BOUNDS),
            Answer::Said(b"a\nb".to_vec())
        );
        assert_eq!(
            shell("exec >&-; printf x >&2", BOUNDS),
            Answer::Said(vec![])
        );
        let failed = Answer::Failed {
            code: Some(7),
            complaint: "no".into(),
        };
        assert_eq!(shell("echo yes; echo no >&2; exit 7", BOUNDS), failed);
        let killed = shell("kill -9 $$", BOUNDS);
        assert!(matches!(killed, Answer::Failed { code: None, .. }));
    }

    #[test]
    fn nothing_is_said_in_another_language_or_with_other_secrets() {
        let said = shell("env | grep -v '^_=' | sort", BOUNDS);
        let expected = "LC_ALL=C\nNO_COLOR=1\nNO_UPDATE_NOTIFIER=1\nPWD=/\n";
        assert_eq!(said, Answer::Said(expected.into()));
    }

    #[test]
    fn a_program_that_is_not_there_is_no_failure() {
        let runner = Runner {
            search: directories(OsStr::new("/usr/bin")),
            environment: BTreeMap::new(),
        };
        let none = runner.run(&["no-program-is-called-so"], BOUNDS);
        assert_eq!(none, Answer::Missing);
    }

    #[test]
    fn who_takes_too_long_or_says_too_much_is_stopped() {
        let quick = Bounds {
            time: Duration::from_millis(50),
            ..BOUNDS
        };
        assert_eq!(shell("sleep 1000 & sleep 1000", quick), Answer::TooSlow);
        assert_eq!(shell("exec >&- 2>&-; sleep 1000", quick), Answer::TooSlow);
        assert_eq!(shell("yes", BOUNDS), Answer::TooMuch);
        assert_eq!(shell("printf %01001d 0", BOUNDS), Answer::TooMuch);
        let Answer::Said(all) = shell("printf %01000d 0", BOUNDS) else {
            panic!("just what is allowed");
        };
        assert_eq!(all.len(), 1000);
    }

    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let said = shell("sleep 1000 & echo $!", BOUNDS);
        let Answer::Said(pid) = said else {
            panic!("{said:?}")
        };
        let pid = String::from_utf8(pid).expect("a number");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        rustix::process::kill_process(pid.expect("a number"), Signal::KILL).expect("it runs");
    }
}
