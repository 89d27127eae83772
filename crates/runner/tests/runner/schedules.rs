//! Schedules, with a clock that tests set.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use keepwatch_runner::scheduler::{Control, serve};
use keepwatch_runner::{Error, RunRecord, Runner, State, Status};

use crate::world::{NOON, PATIENCE, World};

pub const AT: &str = "[jobs.j]\nkind = \"backup\"\nrepository = \"disk\"\npaths = [\"@/source\"]\n\
                  schedule = { times = [\"02:30\"] }\n";

pub struct Serving {
    stop: Arc<AtomicBool>,
    /// How often the clock was looked at.
    looks: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Result<(), Error>>,
}

impl Serving {
    pub fn start(runner: Runner) -> Self {
        let (stop, looks) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, counted) = (stop.clone(), looks.clone());
        let thread = std::thread::spawn(move || {
            let control = Control {
                stop: stopped,
                reload: &mut || None,
                beat: &mut |_| {
                    counted.fetch_add(1, Ordering::Relaxed);
                },
            };
            serve(runner, control)
        });
        Self {
            stop,
            looks,
            thread,
        }
    }

    /// Until it has looked at the clock anew, from the beginning to the end.
    fn look(&self) {
        let seen = self.looks.load(Ordering::Relaxed) + 2;
        let begun = Instant::now();
        while self.looks.load(Ordering::Relaxed) < seen {
            assert!(begun.elapsed() < PATIENCE, "it does not look at the clock");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
    }
}

/// Runs that have ended, the latest first, as soon as there are so many.
fn ended(world: &World, count: usize) -> Vec<RunRecord> {
    let state = State::open(&world.path("state")).unwrap();
    let begun = Instant::now();
    loop {
        let runs = state.runs().unwrap();
        if runs
            .iter()
            .filter(|run| run.status != Status::Running)
            .count()
            >= count
        {
            assert_eq!(runs.len(), count);
            return runs;
        }
        assert!(begun.elapsed() < PATIENCE, "{runs:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_job_runs_at_its_time_and_once_however_the_clock_jumps() {
    let world = World::new();
    world.init("disk");
    let serving = Serving::start(world.runner(AT));
    serving.look();
    assert_eq!(ended(&world, 0), []);
    // Noon to 02:30 of the next day.
    world.later(14 * 3600 + 30 * 60);
    let runs = ended(&world, 1);
    assert_eq!(
        (runs[0].status, runs[0].by.as_str()),
        (Status::Done, "schedule")
    );
    // An hour back and forth again: the slot was dealt with.
    world.later(-3600);
    serving.look();
    world.later(3600);
    serving.look();
    ended(&world, 1);
    // Three days asleep: one run makes up for them.
    world.later(3 * 86_400);
    ended(&world, 2);
    serving.look();
    ended(&world, 2);
    serving.end();
    assert_eq!(world.snapshots("disk").len(), 2);
}

#[test]
fn who_is_started_again_goes_on_where_the_last_was() {
    let world = World::new();
    world.init("disk");
    let serving = Serving::start(world.runner(AT));
    serving.look();
    serving.end();
    // The time passes while nobody looks.
    world.later(86_400);
    let serving = Serving::start(world.runner(AT));
    ended(&world, 1);
    serving.end();
    let serving = Serving::start(world.runner(AT));
    serving.look();
    ended(&world, 1);
    serving.end();
    // Another schedule has missed nothing.
    let other = AT.replace("02:30", "11:00");
    let serving = Serving::start(world.runner(&other));
    serving.look();
    ended(&world, 1);
    world.later(86_400);
    ended(&world, 2);
    serving.end();
}

#[test]
fn two_schedulers_of_one_state_are_one_too_many() {
    let world = World::new();
    world.init("disk");
    let serving = Serving::start(world.runner(AT));
    serving.look();
    let control = Control {
        stop: Arc::new(AtomicBool::new(false)),
        reload: &mut || None,
        beat: &mut |_| {},
    };
    let second = serve(world.runner(AT), control).unwrap_err();
    assert!(matches!(second, Error::Scheduled { .. }), "{second:?}");
    serving.end();
}

#[test]
fn what_cannot_be_written_down_does_not_run_and_is_told() {
    let world = World::new();
    world.init("disk");
    let text = format!(
        "{AT}[notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\nallow_private = true\n"
    );
    let serving = Serving::start(world.runner(&text));
    serving.look();
    // A directory in its place keeps the file from being written, also for root.
    let slots = world.path("state/slots.json");
    let kept = std::fs::read(&slots).unwrap();
    std::fs::remove_file(&slots).unwrap();
    std::fs::create_dir(&slots).unwrap();
    world.later(86_400);
    let begun = Instant::now();
    while world.told().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nobody was told");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(
        world.told()[0]["notification"]["title"],
        "no job can be started"
    );
    assert_eq!(ended(&world, 0), []);
    std::fs::remove_dir(&slots).unwrap();
    std::fs::write(&slots, kept).unwrap();
    // It is made up for as soon as it can be.
    assert_eq!(ended(&world, 1)[0].status, Status::Done);
    serving.end();
}

#[test]
fn the_noon_of_these_tests_is_one() {
    let noon = Timestamp::from_second(NOON).unwrap();
    assert_eq!(noon.to_string(), "2026-11-05T12:00:00Z");
}
