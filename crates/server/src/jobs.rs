//! Jobs: what is done with repositories, one run of each at a time, and how the runs went.

mod run;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use keepwatch_config::Config;
use keepwatch_core::Error as CoreError;
use keepwatch_core::events::Store;
use keepwatch_core::with_causes;
use keepwatch_runner::{Asked, Runner, Setup};
use serde::{Deserialize, Serialize};

use crate::accounts::Clock;
use crate::error::{ApiError, Result};

use run::Counters;
pub(crate) use run::{JobKindView, Run, RunState};

/// The private file of the store that holds the runs.
const FILE: &str = "runs";
const VERSION: u32 = 1;
/// So many runs are remembered of all jobs, and of each at least the last good one.
const MOST: usize = 500;

/// Runs jobs, and remembers their runs.
pub(crate) struct Jobs(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    /// What jobs need, and where other processes that run them write down how it went.
    setup: Setup,
    now: Clock,
    state: Mutex<State>,
}

struct State {
    /// The latest last.
    history: VecDeque<Run>,
    running: BTreeMap<String, Running>,
    stopping: bool,
}

struct Running {
    run: Run,
    counters: Arc<Counters>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    runs: VecDeque<Run>,
}

/// How a job is doing.
pub(crate) struct JobState {
    pub running: Option<Run>,
    pub last: Option<Run>,
    pub last_success: Option<Timestamp>,
}

impl Jobs {
    /// Reads what is remembered. What was running when the server ended was interrupted.
    pub fn open(store: Arc<Store>, setup: Setup, now: Clock) -> Result<Self> {
        let bytes = store.read_private(FILE)?;
        let kept = parse(bytes.as_ref().map(|bytes| bytes.as_slice()))?;
        let mut history = kept.runs;
        for run in &mut history {
            if run.state == RunState::Running {
                run.state = RunState::Interrupted;
                run.ended_at = Some(now());
            }
        }
        Ok(Self(Arc::new(Inner {
            store,
            setup,
            now,
            state: Mutex::new(State {
                history,
                running: BTreeMap::new(),
                stopping: false,
            }),
        })))
    }

    /// Starts a job.
    pub fn start(&self, config: &Config, name: &str, by: &str) -> Result<Run> {
        let job = config
            .jobs
            .get(name)
            .ok_or_else(|| ApiError::not_found("Job"))?;
        let runner = Runner::new(Arc::new(config.clone()), self.0.setup.clone())
            .map_err(|error| ApiError::internal("cannot run jobs", &error))?;
        let run = Run::new(name, job.kind, by, (self.0.now)())?;
        let counters = Arc::new(Counters::default());
        let mut state = self.0.lock();
        if state.stopping {
            return Err(ApiError::unavailable("the server is stopping"));
        }
        if state.running.contains_key(name) {
            return Err(ApiError::conflict("the job is running"));
        }
        // What is not written down has not begun.
        self.0.remember(&mut state, &run)?;
        let (inner, mine, counted) = (self.0.clone(), run.clone(), counters.clone());
        let thread = std::thread::Builder::new()
            .name("job".to_owned())
            .spawn(move || inner.work(mine, &runner, &counted))
            .map_err(|error| ApiError::internal("cannot start a thread", &error))?;
        let running = Running {
            run: run.clone(),
            counters,
            thread: Some(thread),
        };
        state.running.insert(name.to_owned(), running);
        Ok(run)
    }

    /// Stops a run; it ends soon.
    pub fn stop(&self, id: &str) -> Result<Run> {
        let state = self.0.lock();
        let running = state.running.values().find(|running| running.run.id == id);
        let running = running.ok_or_else(|| {
            let history = self.0.history(&state);
            match history.iter().find(|run| run.id == id) {
                Some(run) if run.state == RunState::Running => {
                    ApiError::conflict("another process runs it")
                }
                Some(_) => ApiError::conflict("the run has ended"),
                None => ApiError::not_found("Run"),
            }
        })?;
        running.counters.stop.store(true, Ordering::Relaxed);
        Ok(running.now())
    }

    /// Runs, the latest first.
    pub fn runs(&self, job: Option<&str>, limit: usize) -> Vec<Run> {
        let state = self.0.lock();
        let history = self.0.history(&state);
        let wanted = |run: &&Run| job.is_none_or(|job| run.job == job);
        let runs = history.iter().rev().filter(wanted).take(limit);
        runs.map(|run| state.with_progress(run)).collect()
    }

    /// One run.
    pub fn run(&self, id: &str) -> Option<Run> {
        let state = self.0.lock();
        let history = self.0.history(&state);
        let run = history.iter().find(|run| run.id == id)?;
        Some(state.with_progress(run))
    }

    /// How jobs are doing.
    pub fn states<'a>(&self, jobs: impl Iterator<Item = &'a String>) -> Vec<JobState> {
        let state = self.0.lock();
        let history = self.0.history(&state);
        jobs.map(|job| {
            let mut runs = history.iter().rev().filter(|run| run.job == *job);
            let newest = runs.clone().next();
            let elsewhere = newest.filter(|run| run.state == RunState::Running);
            let last = runs.clone().find(|run| run.state != RunState::Running);
            let success = runs.find(|run| run.state == RunState::Done);
            JobState {
                running: match state.running.get(job) {
                    Some(running) => Some(running.now()),
                    None => elsewhere.cloned(),
                },
                last: last.cloned(),
                last_success: success.and_then(|run| run.ended_at),
            }
        })
        .collect()
    }

    /// Stops all runs, and waits for their ends.
    pub fn close(&self) {
        let threads: Vec<_> = {
            let mut state = self.0.lock();
            state.stopping = true;
            let running = state.running.values_mut();
            running
                .filter_map(|running| {
                    running.counters.stop.store(true, Ordering::Relaxed);
                    running.thread.take()
                })
                .collect()
        };
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a job has panicked");
            }
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut run: Run, runner: &Runner, counters: &Arc<Counters>) {
        let asked = Asked {
            by: &run.by,
            id: Some(run.id.clone()),
            progress: &**counters,
            stop: counters.stop.clone(),
        };
        let job = run.job.clone();
        let work = || runner.run(&job, asked);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        run.finish(done, (self.now)());
        match run.state {
            RunState::Done => tracing::info!(job = run.job, "a job is done"),
            state => {
                tracing::warn!(job = run.job, ?state, problems = ?run.problems, "a job has ended");
            }
        }
        let mut state = self.lock();
        state.running.remove(&run.job);
        if let Err(error) = self.remember(&mut state, &run) {
            tracing::error!(?error, "how a job went cannot be written down");
        }
        drop(state);
        // Whoever is to hear of it may take his time. What does not arrive is kept.
        runner.deliver();
    }

    /// What is known of runs, the latest last: also of those that other processes have made.
    fn history(&self, state: &State) -> Vec<Run> {
        let others = self.setup.state.runs().unwrap_or_else(|error| {
            let error = with_causes(&error);
            tracing::error!(error, "the runs of other processes cannot be read");
            Vec::new()
        });
        let own: BTreeSet<&str> = state.history.iter().map(|run| run.id.as_str()).collect();
        let mut all: Vec<Run> = others
            .iter()
            .filter(|record| !own.contains(record.id.as_str()))
            .map(Run::of)
            .collect();
        all.extend(state.history.iter().cloned());
        all.sort_by_key(|run| run.started_at);
        all
    }

    /// Writes down a run, or how it is now.
    fn remember(&self, state: &mut State, run: &Run) -> Result<()> {
        let mut written = None;
        self.store
            .change_private(FILE, |bytes| -> Result<_, CoreError> {
                let mut kept = parse(bytes)?;
                // What is known here is newer than what another server left.
                kept.runs = std::mem::take(&mut kept.runs)
                    .into_iter()
                    .filter(|other| other.id != run.id)
                    .map(
                        |other| match state.history.iter().find(|own| own.id == other.id) {
                            Some(own) => own.clone(),
                            None => other,
                        },
                    )
                    .collect();
                kept.runs.push_back(run.clone());
                thin_out(&mut kept.runs);
                kept.version = VERSION;
                let bytes = serde_json::to_vec(&kept).expect("runs are plain JSON");
                written = Some(kept.runs);
                Ok(Some(bytes))
            })?;
        state.history = written.expect("it was changed");
        Ok(())
    }
}

impl Running {
    fn now(&self) -> Run {
        let mut run = self.run.clone();
        run.progress = Some(self.counters.progress());
        run
    }
}

impl State {
    fn with_progress(&self, run: &Run) -> Run {
        match self.running.get(&run.job) {
            Some(running) if running.run.id == run.id => running.now(),
            _ => run.clone(),
        }
    }
}

/// The oldest go, but not the last good one of a job.
fn thin_out(runs: &mut VecDeque<Run>) {
    let mut at = 0;
    while runs.len() > MOST && at < runs.len() {
        let run = &runs[at];
        let good = |other: &Run| other.job == run.job && other.state == RunState::Done;
        let keep = run.state == RunState::Running
            || (run.state == RunState::Done && !runs.iter().skip(at + 1).any(good));
        match keep {
            true => at += 1,
            false => drop(runs.remove(at)),
        }
    }
}

fn parse(bytes: Option<&[u8]>) -> Result<Kept, CoreError> {
    let Some(bytes) = bytes else {
        return Ok(Kept {
            version: VERSION,
            runs: VecDeque::new(),
        });
    };
    let kept: Kept = serde_json::from_slice(bytes).map_err(|_| CoreError::Damaged {
        object: "the runs in the event store".to_owned(),
        detail: "they cannot be read".to_owned(),
    })?;
    match kept.version {
        VERSION => Ok(kept),
        version => Err(CoreError::Unsupported {
            what: "version of the runs",
            value: version.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests;
