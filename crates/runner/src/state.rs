//! What is to be known the next time: a directory with the runs, the slots of schedules, locks, and
//! what is still to be told.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keepwatch_core::Error as CoreError;
use keepwatch_core::fs::{AtomicFile, Replace};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::record::{RunRecord, Status};

const RUNS: &str = "runs.json";
const SLOTS: &str = "slots.json";
const VERSION: u32 = 1;
/// So many runs are remembered of all jobs, and of each at least the last good one.
const MOST_RUNS: usize = 1000;
/// Whoever looks whether a job runs is done sooner.
const GLANCE: Duration = Duration::from_secs(1);
/// Files of more are not ours.
const MAX_FILE: u64 = 64 << 20;

/// The directory.
#[derive(Clone, Debug)]
pub struct State(PathBuf);

/// Held while a job runs, or a scheduler.
#[derive(Debug)]
pub(crate) struct Held(#[allow(dead_code, reason = "closing it gives the lock up")] File);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    version: u32,
    /// The latest last.
    runs: VecDeque<RunRecord>,
}

/// Up to when the schedule of a job was dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slot {
    pub after: Timestamp,
    /// The schedule. Slots of another are nothing that was missed.
    pub schedule: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slots {
    version: u32,
    jobs: BTreeMap<String, Slot>,
}

impl State {
    /// Makes the directory if need be, for this user alone.
    ///
    /// # Errors
    /// When that fails.
    pub fn open(path: &Path) -> Result<Self> {
        for dir in [path.to_owned(), path.join("locks")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .map_err(io("make", &dir))?;
        }
        Ok(Self(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where notifications wait.
    pub(crate) fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// The right to run a job; nothing if somebody has it.
    pub(crate) fn hold_job(&self, job: &str) -> Result<Option<Held>> {
        let until = Instant::now() + GLANCE;
        loop {
            let held = self.glance_at_job(job)?;
            if held.is_some() || Instant::now() > until {
                return Ok(held);
            }
            // Whoever only looks has it for a moment, and is not to be taken for a run.
            std::thread::sleep(GLANCE / 20);
        }
    }

    fn glance_at_job(&self, job: &str) -> Result<Option<Held>> {
        self.try_lock(&format!("locks/job-{job}"))
    }

    /// The right to start jobs by their schedules.
    pub(crate) fn hold_schedules(&self) -> Result<Held> {
        self.try_lock("locks/scheduler")?
            .ok_or_else(|| Error::Scheduled {
                path: self.0.display().to_string(),
            })
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf)> {
        let path = self.0.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io("open", &path))?;
        Ok((file, path))
    }

    fn try_lock(&self, name: &str) -> Result<Option<Held>> {
        let (file, path) = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(io("lock", &path)(error).into()),
        }
    }

    fn lock(&self, name: &str) -> Result<Held> {
        let (file, path) = self.lock_file(name)?;
        file.lock().map_err(io("lock", &path))?;
        Ok(Held(file))
    }

    /// Runs, the latest first. One whose process has ended without saying how it went is told as
    /// interrupted.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        let mut runs: Vec<RunRecord> = self.read_runs()?.into_iter().rev().collect();
        let mut latest = std::collections::BTreeSet::new();
        for run in &mut runs {
            let newest = latest.insert(run.job.clone());
            if run.status != Status::Running {
                continue;
            }
            // The lock is the newest run's. Who holds it is there.
            let runs_still = newest && self.glance_at_job(&run.job)?.is_none();
            if !runs_still {
                run.status = Status::Interrupted;
            }
        }
        Ok(runs)
    }

    fn read_runs(&self) -> Result<VecDeque<RunRecord>> {
        Ok(match self.read::<Runs>(RUNS)? {
            None => VecDeque::new(),
            Some(kept) => {
                self.check_version(RUNS, kept.version)?;
                kept.runs
            }
        })
    }

    /// Writes down a run, or how it is now.
    pub(crate) fn remember(&self, run: &RunRecord) -> Result<()> {
        let _held = self.lock("locks/runs")?;
        let mut runs = self.read_runs()?;
        for other in runs.iter_mut().filter(|other| other.job == run.job) {
            // Whoever writes has the lock of the job: no other run of it is there any more.
            if other.status == Status::Running && other.id != run.id {
                other.status = Status::Interrupted;
            }
        }
        match runs.iter_mut().find(|other| other.id == run.id) {
            Some(known) => *known = run.clone(),
            None => runs.push_back(run.clone()),
        }
        thin_out(&mut runs);
        let kept = Runs {
            version: VERSION,
            runs,
        };
        self.write(RUNS, &kept)
    }

    /// The slots that were dealt with, by job.
    pub(crate) fn slots(&self) -> Result<BTreeMap<String, Slot>> {
        Ok(match self.read::<Slots>(SLOTS)? {
            None => BTreeMap::new(),
            Some(kept) => {
                self.check_version(SLOTS, kept.version)?;
                kept.jobs
            }
        })
    }

    /// Only a scheduler writes them.
    pub(crate) fn keep_slots(&self, jobs: &BTreeMap<String, Slot>) -> Result<()> {
        let kept = Slots {
            version: VERSION,
            jobs: jobs.clone(),
        };
        self.write(SLOTS, &kept)
    }

    fn check_version(&self, name: &str, version: u32) -> Result<()> {
        match version {
            VERSION => Ok(()),
            version => Err(CoreError::Unsupported {
                what: "version of what jobs left",
                value: format!("{version}, in {}", self.0.join(name).display()),
            }
            .into()),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.0.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("read", &path)(error).into()),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE)
            .read_to_end(&mut bytes)
            .map_err(io("read", &path))?;
        let parsed = serde_json::from_slice(&bytes).map_err(|error| CoreError::Damaged {
            object: path.display().to_string(),
            detail: format!("{error}; moved away, it is made anew"),
        })?;
        Ok(Some(parsed))
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.0.join(name);
        let bytes = serde_json::to_vec(value).map_err(|error| io("write", &path)(error.into()))?;
        let mut file = AtomicFile::create(&path, Replace::Files)?;
        file.write_all(&bytes).map_err(io("write", &path))?;
        Ok(file.commit()?)
    }
}

fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CoreError + use<> {
    let path = path.to_owned();
    move |source| CoreError::Io {
        operation,
        path,
        source,
    }
}

/// The oldest go, but not the last good one of a job.
fn thin_out(runs: &mut VecDeque<RunRecord>) {
    let mut at = 0;
    while runs.len() > MOST_RUNS && at < runs.len() {
        let run = &runs[at];
        let good = |other: &RunRecord| other.job == run.job && other.status == Status::Done;
        let keep = run.status == Status::Running
            || (run.status == Status::Done && !runs.iter().skip(at + 1).any(good));
        match keep {
            true => at += 1,
            false => drop(runs.remove(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepwatch_config::JobKind;

    fn run(id: usize, job: &str, status: Status) -> RunRecord {
        RunRecord {
            id: id.to_string(),
            job: job.to_owned(),
            kind: JobKind::Backup,
            by: "test".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            status,
            destinations: Vec::new(),
            summary: BTreeMap::new(),
            problems: Vec::new(),
            error: None,
            fault: None,
        }
    }

    #[test]
    fn a_run_that_nobody_holds_was_interrupted() {
        let dir = tempfile::tempdir().expect("it works");
        let state = State::open(dir.path()).expect("it works");
        let held = state.hold_job("a").expect("it works").expect("it works");
        assert!(state.hold_job("a").expect("it works").is_none());
        state
            .remember(&run(1, "a", Status::Running))
            .expect("it works");
        assert_eq!(state.runs().expect("it works")[0].status, Status::Running);
        drop(held);
        assert_eq!(
            state.runs().expect("it works")[0].status,
            Status::Interrupted
        );
        let _held = state.hold_job("a").expect("it works").expect("it works");
        state
            .remember(&run(2, "a", Status::Running))
            .expect("it works");
        let of_all: Vec<Status> = state
            .runs()
            .expect("it works")
            .iter()
            .map(|run| run.status)
            .collect();
        assert_eq!(of_all, [Status::Running, Status::Interrupted]);
    }

    #[test]
    fn the_oldest_runs_go_but_not_the_last_good_one() {
        let mut runs: VecDeque<RunRecord> = VecDeque::new();
        runs.push_back(run(0, "rare", Status::Done));
        runs.push_back(run(1, "rare", Status::Failed));
        runs.extend((2..MOST_RUNS + 5).map(|id| run(id, "often", Status::Done)));
        thin_out(&mut runs);
        assert_eq!(runs.len(), MOST_RUNS);
        assert_eq!(runs[0].id, "0");
        assert_ne!(runs[1].id, "1");
        assert_eq!(
            runs.back().expect("it works").id,
            (MOST_RUNS + 4).to_string()
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_and_kept() {
        let dir = tempfile::tempdir().expect("it works");
        let state = State::open(dir.path()).expect("it works");
        std::fs::write(dir.path().join(RUNS), "{").expect("it works");
        let error = state
            .remember(&run(1, "a", Status::Done))
            .expect_err("it fails");
        assert!(error.to_string().contains(RUNS), "{error}");
        assert_eq!(
            std::fs::read(dir.path().join(RUNS)).expect("it works"),
            b"{"
        );
        let newer = r#"{"version":2,"runs":[]}"#;
        std::fs::write(dir.path().join(RUNS), newer).expect("it works");
        assert!(state.runs().is_err());
    }
}
