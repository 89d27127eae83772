//! Standing back for others.

use std::process::{Command, Stdio};

use keepwatch_config::{IoClass, JobConfig};
use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// Lets this thread, and those that it starts, stand back as the job says. What cannot be done is
/// logged: a backup that pushes is better than none.
pub(crate) fn stand_back(job: &JobConfig) {
    // On Linux both belong to the thread and not to the process.
    if let Some(nice) = job.nice
        && let Err(error) = setpriority_process(None, i32::from(nice))
    {
        tracing::warn!(%error, "the job runs with the priority of this process");
    }
    let Some(class) = job.ionice else { return };
    let class: &[&str] = match class {
        IoClass::Idle => &["-c", "3"],
        IoClass::Low => &["-c", "2", "-n", "7"],
    };
    let done = Command::new("ionice")
        .args(class)
        .args(["-p", &gettid().as_raw_nonzero().to_string()])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match done {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::warn!(%status, "ionice did not work"),
        Err(error) => tracing::warn!(%error, "ionice is not there (package util-linux)"),
    }
}
