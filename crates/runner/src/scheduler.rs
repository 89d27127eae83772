//! Starts jobs when their schedules say so.
//!
//! [`serve`] looks at the clock every second: clocks jump and machines sleep. The slot of a
//! schedule is written down before its run begins, so no slot runs twice, whatever ends the
//! process; one that passed meanwhile is caught up as the schedule says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use keepwatch_core::{Silent, with_causes};
use keepwatch_ops::notify::{Notification, Severity};
use keepwatch_ops::schedule::{Decision, Schedule, ScheduleSettings};

use crate::error::{Error, Result};
use crate::presence::Presence;
use crate::runner::{Asked, Runner};
use crate::state::Slot;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often what is still to be told is looked at, at least.
const TELL: Duration = Duration::from_secs(30);

/// How things stand, for a service manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Jobs that run.
    pub running: Vec<String>,
    /// Jobs that are due and wait for others.
    pub waiting: Vec<String>,
    /// The job that is due next, and when.
    pub next: Option<(String, Timestamp)>,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.running.as_slice() {
            [] => write!(f, "nothing runs")?,
            running => write!(f, "{} running", running.join(", "))?,
        }
        if !self.waiting.is_empty() {
            write!(f, ", {} waiting", self.waiting.join(", "))?;
        }
        match &self.next {
            Some((job, at)) => write!(f, "; {job} at {at:.0}"),
            None => write!(f, "; nothing is due"),
        }
    }
}

/// How a scheduler is controlled.
pub struct Control<'a> {
    /// Set to end it: jobs that run are stopped.
    pub stop: Arc<AtomicBool>,
    /// Gives another runner when the configuration has changed. Asked every second.
    pub reload: &'a mut dyn FnMut() -> Option<Runner>,
    /// Hears every second how things stand.
    pub beat: &'a mut dyn FnMut(&Standing),
}

/// Starts jobs when they are due, until it is stopped. Returns when all have ended.
///
/// # Errors
/// [`Error::Scheduled`] when another does the same with this state, [`Error::Schedule`] when a
/// schedule means nothing, and when slots cannot be written down at the start. Later, a disk that is
/// full keeps jobs from starting, which is logged and told, and tried again.
pub fn serve(runner: Runner, control: Control<'_>) -> Result<()> {
    let _held = runner.state().hold_schedules()?;
    let mut scheduler = Scheduler::new(runner)?;
    let teller = Teller::start(scheduler.current.clone());
    let mut presence = Presence::start(scheduler.runner().config());
    let Control { stop, reload, beat } = control;
    while !stop.load(Ordering::Relaxed) {
        if let Some(runner) = reload() {
            scheduler.replace(runner);
            presence.follow(scheduler.runner().config());
        }
        scheduler.look(&teller);
        let standing = scheduler.standing();
        presence.show(scheduler.runner().config(), &standing);
        beat(&standing);
        scheduler.wait();
    }
    tracing::info!("stopping");
    scheduler.end(beat);
    teller.end();
    presence.end();
    Ok(())
}

struct Planned {
    schedule: Schedule,
    /// As it is written down.
    text: String,
}

struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Scheduler {
    /// The runner in force, shared with who tells.
    current: Arc<RwLock<Arc<Runner>>>,
    planned: BTreeMap<String, Planned>,
    slots: BTreeMap<String, Slot>,
    /// Due, in the order in which they became so.
    waiting: VecDeque<String>,
    running: BTreeMap<String, Running>,
    next: Option<(String, Timestamp)>,
    ended: (Sender<String>, Receiver<String>),
    /// Whether it was told that slots cannot be written down.
    is_told: bool,
}

fn plan(runner: &Runner) -> Result<BTreeMap<String, Planned>> {
    let scheduled = runner.config().jobs.iter();
    scheduled
        .filter_map(|(name, job)| Some((name, job.schedule.as_ref()?)))
        .map(|(name, settings)| {
            let schedule =
                Schedule::new(settings, runner.zone()).map_err(|source| Error::Schedule {
                    name: name.clone(),
                    source,
                })?;
            let text = text_of(settings);
            Ok((name.clone(), Planned { schedule, text }))
        })
        .collect()
}

/// What makes one schedule another: when its slots are.
fn text_of(settings: &ScheduleSettings) -> String {
    let times = match &settings.cron {
        Some(cron) => cron.clone(),
        None => settings.times.join(" "),
    };
    let zone = settings.time_zone.as_deref().unwrap_or_default();
    format!("{times} {zone}").trim_end().to_owned()
}

impl Scheduler {
    fn new(runner: Runner) -> Result<Self> {
        let planned = plan(&runner)?;
        let slots = runner.state().slots()?;
        let mut scheduler = Self {
            current: Arc::new(RwLock::new(Arc::new(runner))),
            planned,
            slots,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            next: None,
            ended: channel(),
            is_told: false,
        };
        let runner = scheduler.runner();
        scheduler.meet(runner.now());
        runner.state().keep_slots(&scheduler.slots)?;
        Ok(scheduler)
    }

    fn runner(&self) -> Arc<Runner> {
        let current = self.current.read();
        current
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Another configuration. What runs goes on by that of before.
    fn replace(&mut self, runner: Runner) {
        if runner.state().path() != self.runner().state().path() {
            tracing::error!(
                "`run.state` changes with the next start, the rest of the file as well"
            );
            return;
        }
        match plan(&runner) {
            Ok(planned) => self.planned = planned,
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "the configuration of before stays in force");
                return;
            }
        }
        self.waiting.retain(|name| self.planned.contains_key(name));
        let mut current = self
            .current
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *current = Arc::new(runner);
        tracing::info!("the configuration was read again");
    }

    /// A job that is new here, or has another schedule, has missed nothing as yet.
    fn meet(&mut self, now: Timestamp) {
        for (name, planned) in &self.planned {
            let known = self.slots.get(name);
            if known.is_some_and(|slot| slot.schedule == planned.text) {
                continue;
            }
            let slot = Slot {
                after: known.map_or(now, |slot| slot.after.max(now)),
                schedule: planned.text.clone(),
            };
            self.slots.insert(name.clone(), slot);
        }
        self.slots.retain(|name, _| self.planned.contains_key(name));
    }

    /// Notes what is due, and starts what can be started.
    fn look(&mut self, teller: &Teller) {
        let runner = self.runner();
        let now = runner.now();
        self.meet(now);
        let before = self.slots.clone();
        let mut due = Vec::new();
        self.next = None;
        for (name, planned) in &self.planned {
            let Some(slot) = self.slots.get_mut(name) else {
                continue;
            };
            // What is due while it runs or waits is dealt with when it has ended.
            if self.running.contains_key(name) || self.waiting.contains(name) {
                continue;
            }
            match planned.schedule.decide(name, slot.after, now) {
                Decision::Run { slot: at } => {
                    slot.after = at;
                    due.push((at, name.clone()));
                }
                Decision::Wait { until, skipped } => {
                    if let Some(skipped) = skipped.filter(|skipped| *skipped > slot.after) {
                        tracing::warn!(job = name, %skipped, "a run was missed by too much");
                        slot.after = skipped;
                    }
                    if self.next.as_ref().is_none_or(|(_, at)| until < *at) {
                        self.next = Some((name.clone(), until));
                    }
                }
                Decision::Never => {}
            }
        }
        if self.slots != before
            && let Err(error) = runner.state().keep_slots(&self.slots)
        {
            // What is not written down would run again.
            self.slots = before;
            self.cannot_write(&runner, &error, now);
            return;
        }
        self.is_told = false;
        due.sort();
        self.waiting.extend(due.into_iter().map(|(_, name)| name));
        while self.running.len() < runner.config().run.parallel as usize
            && let Some(name) = self.waiting.pop_front()
        {
            self.start(&runner, name, teller);
        }
    }

    fn cannot_write(&mut self, runner: &Runner, error: &Error, now: Timestamp) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let error = with_causes(error);
        tracing::error!(error, "no job can be started");
        let notification = Notification {
            severity: Severity::Failure,
            job: "keepwatch".to_owned(),
            title: "no job can be started".to_owned(),
            text: error,
            facts: Vec::new(),
            time: now,
            key: "scheduler".to_owned(),
        };
        runner.tell().tell_all(&notification, now);
    }

    fn start(&mut self, runner: &Arc<Runner>, name: String, teller: &Teller) {
        let stop = Arc::new(AtomicBool::new(false));
        let (job, runner, stopped) = (name.clone(), runner.clone(), stop.clone());
        let (ended, told) = (self.ended.0.clone(), teller.wake.clone());
        let started = std::thread::Builder::new()
            .name("job".to_owned())
            .spawn(move || {
                let asked = Asked {
                    by: "schedule",
                    id: None,
                    progress: &Silent,
                    stop: stopped,
                };
                if let Err(error) = runner.run(&job, asked) {
                    not_run(&runner, &job, &error);
                }
                // Nobody listens any more when the process ends.
                let _ = told.send(());
                let _ = ended.send(job);
            });
        match started {
            Ok(thread) => {
                self.running.insert(name, Running { stop, thread });
            }
            Err(error) => {
                tracing::error!(job = name, %error, "cannot start a thread; it is tried again");
                self.waiting.push_front(name);
            }
        }
    }

    fn standing(&self) -> Standing {
        Standing {
            running: self.running.keys().cloned().collect(),
            waiting: self.waiting.iter().cloned().collect(),
            next: self.next.clone(),
        }
    }

    /// Until the next look, or until a job ends.
    fn wait(&mut self) {
        if let Ok(name) = self.ended.1.recv_timeout(LOOK) {
            self.reap(&name);
        }
        while let Ok(name) = self.ended.1.try_recv() {
            self.reap(&name);
        }
    }

    fn reap(&mut self, name: &str) {
        if let Some(running) = self.running.remove(name)
            && running.thread.join().is_err()
        {
            tracing::error!(job = name, "a job has panicked");
        }
    }

    fn end(mut self, beat: &mut dyn FnMut(&Standing)) {
        self.waiting.clear();
        for running in self.running.values() {
            running.stop.store(true, Ordering::Relaxed);
        }
        while !self.running.is_empty() {
            beat(&self.standing());
            self.wait();
        }
    }
}

/// A slot passed without a run, which nobody would hear of otherwise.
fn not_run(runner: &Runner, job: &str, error: &Error) {
    let told = with_causes(error);
    tracing::error!(job, error = told, "a job does not run");
    let severity = match error {
        // Somebody has started it by hand.
        Error::Running { .. } => Severity::Warning,
        _ => Severity::Failure,
    };
    let now = runner.now();
    let notification = Notification {
        severity,
        job: job.to_owned(),
        title: format!("{job}: it does not run"),
        text: told,
        facts: Vec::new(),
        time: now,
        key: format!("job {job} does not run"),
    };
    runner.tell().tell_all(&notification, now);
}

/// Tells what is to be told, apart from everything else: whoever is told may take his time.
struct Teller {
    wake: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Teller {
    fn start(current: Arc<RwLock<Arc<Runner>>>) -> Self {
        let (wake, woken) = channel::<()>();
        let thread = std::thread::Builder::new()
            .name("notifications".to_owned())
            .spawn(move || {
                loop {
                    let runner = current
                        .read()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .clone();
                    let next = runner.deliver();
                    let wait = next.map_or(TELL, |next| {
                        let wait = next.duration_since(runner.now());
                        Duration::try_from(wait)
                            .unwrap_or_default()
                            .clamp(LOOK, TELL)
                    });
                    drop(runner);
                    match woken.recv_timeout(wait) {
                        Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            });
        if let Err(error) = &thread {
            tracing::error!(%error, "nobody is told of anything");
        }
        Self {
            wake,
            thread: thread.ok(),
        }
    }

    /// Tells what the last runs left, once, and ends.
    fn end(self) {
        let _ = self.wake.send(());
        drop(self.wake);
        if let Some(thread) = self.thread
            && thread.join().is_err()
        {
            tracing::error!("what tells of jobs has panicked");
        }
    }
}
