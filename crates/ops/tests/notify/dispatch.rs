//! Who is told, how often, and what a restart or a dead network leaves.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keepwatch_ops::notify::{
    DispatchOptions, Dispatcher, Notification, Notifier, NotifyError, Outcome, Severity,
    SpoolLimits, Target, Told,
};
use serde_json::json;

use crate::sink::{Answer, Sink};
use crate::{network, notification, settings};

fn begin() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    begin() + SignedDuration::from_secs(seconds)
}

/// Whoever is told, in this process; it fails as often as a test asks.
#[derive(Clone, Default)]
struct Ear {
    heard: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<VecDeque<NotifyError>>>,
}

impl Ear {
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().drain(..).collect()
    }

    fn fails(&self, error: NotifyError) {
        self.errors.lock().unwrap().push_back(error);
    }

    fn target(&self, from: Severity) -> Target {
        Target {
            from,
            notifier: Box::new(self.clone()),
        }
    }
}

impl Notifier for Ear {
    fn send(&self, told: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        match self.errors.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => {
                self.heard.lock().unwrap().push(told.title.clone());
                Ok(())
            }
        }
    }
}

fn offline() -> NotifyError {
    NotifyError::Timeout {
        host: "example.org".to_owned(),
    }
}

fn options() -> DispatchOptions {
    DispatchOptions {
        retry_first: Duration::from_secs(10),
        retry_longest: Duration::from_secs(600),
        ..DispatchOptions::default()
    }
}

fn dispatcher(
    dir: &Path,
    targets: &[(&str, &Ear, Severity)],
    options: DispatchOptions,
) -> Dispatcher {
    let targets = targets
        .iter()
        .map(|(name, ear, from)| ((*name).to_owned(), ear.target(*from)));
    Dispatcher::new(targets.collect(), dir.to_owned(), options).unwrap()
}

fn one(dir: &Path, ear: &Ear) -> Dispatcher {
    dispatcher(dir, &[("ear", ear, Severity::Success)], options())
}

fn told(title: &str, severity: Severity) -> Notification {
    Notification {
        title: title.to_owned(),
        key: title.to_owned(),
        severity,
        ..notification()
    }
}

fn outcomes(dispatcher: &Dispatcher, now: Timestamp) -> Vec<Outcome> {
    dispatcher
        .deliver(now)
        .unwrap()
        .into_iter()
        .map(|done| done.outcome)
        .collect()
}

#[test]
fn each_target_is_told_from_its_severity_up() {
    let dir = tempfile::tempdir().unwrap();
    let (all, bad) = (Ear::default(), Ear::default());
    let dispatcher = dispatcher(
        dir.path(),
        &[
            ("all", &all, Severity::Success),
            ("bad", &bad, Severity::Failure),
        ],
        options(),
    );
    for (severity, targets) in [
        (Severity::Success, 1),
        (Severity::Warning, 1),
        (Severity::Failure, 2),
        (Severity::Critical, 2),
    ] {
        let kept = dispatcher
            .tell(&told(severity.as_str(), severity), begin())
            .unwrap();
        assert_eq!(kept, Told::Kept(targets));
    }
    assert_eq!(outcomes(&dispatcher, begin()).len(), 6);
    assert_eq!(all.heard(), ["success", "warning", "failure", "critical"]);
    assert_eq!(bad.heard(), ["failure", "critical"]);
    assert_eq!(dispatcher.next_due(begin()).unwrap(), None);
}

#[test]
fn the_same_is_told_once_and_counted_also_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let ear = Ear::default();
    assert_eq!(
        one(dir.path(), &ear)
            .tell(&told("full", Severity::Failure), begin())
            .unwrap(),
        Told::Kept(1)
    );
    for count in 1..=12 {
        let told = one(dir.path(), &ear)
            .tell(
                &told("full", Severity::Failure),
                after(i64::from(count) * 60),
            )
            .unwrap();
        assert_eq!(told, Told::Counted(count));
    }
    let dispatcher = one(dir.path(), &ear);
    outcomes(&dispatcher, after(3599));
    assert_eq!(ear.heard(), ["full"]);
    assert_eq!(dispatcher.next_due(after(3599)).unwrap(), Some(after(3600)));
    outcomes(&dispatcher, after(3600));
    assert_eq!(ear.heard(), ["full (and 12 more times)"]);
    assert_eq!(dispatcher.next_due(after(3600)).unwrap(), None);
    assert_eq!(
        dispatcher
            .tell(&told("full", Severity::Failure), after(3601))
            .unwrap(),
        Told::Kept(1)
    );
}

#[test]
fn what_is_worse_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let ear = Ear::default();
    let dispatcher = one(dir.path(), &ear);
    let tell = |severity, now| {
        let told = Notification {
            key: "drill".to_owned(),
            ..told(severity, Severity::Warning)
        };
        let severity = serde_json::from_value(json!(severity)).unwrap();
        dispatcher
            .tell(&Notification { severity, ..told }, now)
            .unwrap()
    };
    assert_eq!(tell("failure", begin()), Told::Kept(1));
    assert_eq!(tell("warning", after(1)), Told::Counted(1));
    assert_eq!(tell("critical", after(2)), Told::Kept(1));
    outcomes(&dispatcher, after(2));
    assert_eq!(
        ear.heard(),
        ["failure", "failure (and 1 more time)", "critical"]
    );
    // A clock that was set back has no window last for ever.
    assert_eq!(tell("critical", after(-9_999_999)), Told::Kept(1));
}

#[test]
fn a_dead_network_loses_nothing_and_a_restart_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (dead, alive) = (Ear::default(), Ear::default());
    let both = [
        ("dead", &dead, Severity::Success),
        ("alive", &alive, Severity::Success),
    ];
    let first = dispatcher(dir.path(), &both, options());
    for title in ["a", "b", "c"] {
        first
            .tell(&told(title, Severity::Failure), begin())
            .unwrap();
    }
    dead.fails(offline());
    let done = outcomes(&first, begin());
    // One attempt at the dead one; those behind it wait with it.
    assert_eq!(
        done.iter()
            .filter(|done| **done == Outcome::Delivered)
            .count(),
        3
    );
    assert_eq!(done.len(), 4);
    assert_eq!(alive.heard(), ["a", "b", "c"]);
    drop(first);
    let mut waits = Vec::new();
    let mut now = begin();
    for _ in 0..10 {
        let again = dispatcher(dir.path(), &both, options());
        let due = again.next_due(now).unwrap().unwrap();
        assert!(outcomes(&again, due - SignedDuration::from_secs(1)).is_empty());
        dead.fails(offline());
        assert!(
            matches!(&outcomes(&again, due)[..], [Outcome::Postponed { until, .. }] if *until > due)
        );
        waits.push(due.duration_since(now).as_secs());
        now = due;
    }
    for (attempt, wait) in waits.iter().enumerate() {
        let step = (10 << attempt).min(600);
        assert!((step / 2 - 1..=step).contains(wait), "{waits:?}");
    }
    let due = dispatcher(dir.path(), &both, options())
        .next_due(now)
        .unwrap()
        .unwrap();
    assert_eq!(
        outcomes(&dispatcher(dir.path(), &both, options()), due),
        [Outcome::Delivered, Outcome::Delivered, Outcome::Delivered]
    );
    assert_eq!(
        (dead.heard(), alive.heard()),
        (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], vec![])
    );
}

#[test]
fn a_storm_of_errors_is_outlasted_and_each_message_comes_once() {
    let sink = Sink::start(vec![
        Answer::Status(503, "retry-after: 7200\r\n"),
        Answer::Status(500, ""),
        Answer::Reset,
        Answer::Status(429, "retry-after: Sun, 01 Mar 2026 09:00:00 GMT\r\n"),
        Answer::Status(502, ""),
        Answer::Status(200, ""),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let url = sink.url("/s3cret-path");
    let target = || {
        settings(
            json!({"kind": "webhook", "url": url, "allow_private": true, "secret": "s3cret-0123456789"}),
        )
    };
    let start = || {
        let target = target().build(&network(), []).unwrap();
        Dispatcher::new(
            BTreeMap::from([("hook".to_owned(), target)]),
            dir.path().to_owned(),
            options(),
        )
        .unwrap()
    };
    for title in ["a", "b"] {
        start()
            .tell(&told(title, Severity::Failure), begin())
            .unwrap();
    }
    let mut now = begin();
    let mut delivered = 0;
    let mut postponed = Vec::new();
    while let Some(due) = start().next_due(now).unwrap() {
        now = now.max(due);
        for outcome in outcomes(&start(), now) {
            match outcome {
                Outcome::Delivered => delivered += 1,
                Outcome::Postponed { until, .. } => postponed.push(until),
                other => panic!("{other:?}"),
            }
        }
        for file in fs::read_dir(dir.path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
    assert_eq!((delivered, postponed.len()), (2, 5));
    assert_eq!(postponed[0], after(7200));
    assert_eq!(postponed[3], "2026-03-01T09:00:00Z".parse().unwrap());
    let titles: Vec<_> = std::iter::repeat_with(|| sink.next().json()["title"].clone())
        .take(6)
        .collect();
    // The one that was broken off was read by nobody.
    assert_eq!(titles[..], ["a", "a", "a", "a", "a", "b"]);
    assert!(sink.has_none());
}

#[test]
fn when_the_disk_fails_there_is_a_way_without_it() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("spool");
    let (all, bad) = (Ear::default(), Ear::default());
    let targets = [
        ("all", &all, Severity::Success),
        ("bad", &bad, Severity::Failure),
    ];
    let dispatcher = dispatcher(&dir, &targets, options());
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "").unwrap();
    let error = dispatcher
        .tell(&told("full", Severity::Warning), begin())
        .unwrap_err();
    assert!(error.to_string().contains(dir.to_str().unwrap()) && error.hint().contains("full"));
    let done = dispatcher.tell_without_spool(&told("full", Severity::Warning), begin());
    assert_eq!((done.len(), &done[0].outcome), (1, &Outcome::Delivered));
    all.fails(offline());
    let done = dispatcher.tell_without_spool(&told("full", Severity::Failure), begin());
    assert_eq!(done[0].outcome, Outcome::Refused(offline()));
    assert_eq!(done[1].outcome, Outcome::Delivered);
    assert_eq!((all.heard().len(), bad.heard().len()), (1, 1));
}

#[test]
fn what_nobody_will_ever_take_does_not_block_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let ear = Ear::default();
    let dispatcher = one(dir.path(), &ear);
    dispatcher
        .tell(&told("a", Severity::Failure), begin())
        .unwrap();
    dispatcher
        .tell(&told("b", Severity::Failure), begin())
        .unwrap();
    ear.fails(NotifyError::Status {
        host: "example.org".to_owned(),
        status: 400,
        retry_after: None,
    });
    assert!(matches!(
        &outcomes(&dispatcher, begin())[..],
        [Outcome::Refused(_), Outcome::Delivered]
    ));
    assert_eq!(ear.heard(), ["b"]);
    assert_eq!(dispatcher.next_due(begin()).unwrap(), None);
}

#[test]
fn the_spool_is_bounded_in_count_and_age_and_the_worst_stays() {
    let dir = tempfile::tempdir().unwrap();
    let ear = Ear::default();
    let limits = SpoolLimits {
        count: 4,
        age: Duration::from_secs(3600),
    };
    let dispatcher = dispatcher(
        dir.path(),
        &[("ear", &ear, Severity::Success)],
        DispatchOptions {
            spool: limits,
            ..options()
        },
    );
    dispatcher
        .tell(&told("critical", Severity::Critical), begin())
        .unwrap();
    for number in 0..9 {
        dispatcher
            .tell(
                &told(&format!("s{number}"), Severity::Success),
                after(number),
            )
            .unwrap();
    }
    dispatcher
        .tell(&told("late", Severity::Warning), after(3000))
        .unwrap();
    outcomes(&dispatcher, after(3500));
    assert_eq!(ear.heard(), ["critical", "s7", "s8", "late"]);
    dispatcher
        .tell(&told("old", Severity::Warning), after(10_000))
        .unwrap();
    assert_eq!(outcomes(&dispatcher, after(13_601)), [Outcome::Dropped]);
    assert!(ear.heard().is_empty());
}

#[test]
fn files_are_for_the_owner_alone_and_damaged_ones_hold_nobody_up() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("state/spool");
    let ear = Ear::default();
    let dispatcher = one(&dir, &ear);
    dispatcher
        .tell(&told("a", Severity::Failure), begin())
        .unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let mut messages = 0;
    for file in fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            messages += 1;
        }
    }
    assert_eq!(messages, 2);
    fs::write(dir.join("00000000000000000001-3-00.json"), "{").unwrap();
    fs::write(
        dir.join("00000000000000000002-3-00.json"),
        vec![b'1'; 9_000_000],
    )
    .unwrap();
    fs::write(dir.join("told.json"), "[").unwrap();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    // Of a target that is no more.
    let gone = one_named(&dir, "gone", &ear);
    gone.tell(&told("b", Severity::Failure), begin()).unwrap();
    assert_eq!(
        outcomes(&dispatcher, begin()),
        [
            Outcome::Dropped,
            Outcome::Dropped,
            Outcome::Delivered,
            Outcome::Dropped
        ]
    );
    assert_eq!(fs::read_to_string(dir.join("notes.txt")).unwrap(), "mine");
}

fn one_named(dir: &Path, name: &str, ear: &Ear) -> Dispatcher {
    dispatcher(dir, &[(name, ear, Severity::Success)], options())
}

#[test]
fn two_that_deliver_at_once_tell_it_once() {
    #[derive(Clone)]
    struct Slow {
        inside: Arc<Barrier>,
        leave: Arc<Barrier>,
        heard: Arc<Mutex<u32>>,
    }
    impl Notifier for Slow {
        fn send(&self, _: &Notification, _: Timestamp) -> Result<(), NotifyError> {
            *self.heard.lock().unwrap() += 1;
            self.inside.wait();
            self.leave.wait();
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let slow = Slow {
        inside: Arc::new(Barrier::new(2)),
        leave: Arc::new(Barrier::new(2)),
        heard: Arc::default(),
    };
    let start = || {
        let target = Target {
            from: Severity::Success,
            notifier: Box::new(slow.clone()),
        };
        Dispatcher::new(
            BTreeMap::from([("slow".to_owned(), target)]),
            dir.path().to_owned(),
            options(),
        )
        .unwrap()
    };
    start()
        .tell(&told("a", Severity::Failure), begin())
        .unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| outcomes(&start(), begin()));
        slow.inside.wait();
        // Others may tell meanwhile, but not deliver.
        assert!(outcomes(&start(), begin()).is_empty());
        start()
            .tell(&told("a", Severity::Failure), begin())
            .unwrap();
        slow.leave.wait();
        assert_eq!(first.join().unwrap(), [Outcome::Delivered]);
    });
    assert_eq!(*slow.heard.lock().unwrap(), 1);
}
