use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use keepwatch_config::Config;
use keepwatch_core::CachePlace;
use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{StoreOptions, StoreRole};

use super::*;

fn store(folder: &Path, key: &Key) -> Arc<Store> {
    let path = folder.join("store");
    if !Store::exists(&path) {
        let locks = [(Lock::KeyFile(key), StoreRole::Full)];
        Store::create(&path, &locks, &StoreOptions::default()).expect("it can be made");
    }
    let credential = Credential::KeyFile(key.clone());
    Arc::new(Store::open(&path, &credential).expect("it opens"))
}

fn config(folder: &Path) -> Config {
    let text = r#"
        [repositories.home]
        path = "@/vault"
        password = "a long passphrase"
        [jobs.backup]
        kind = "backup"
        repository = "home"
        paths = ["@/source"]
        exclude = ["*.tmp"]
        [jobs.drill]
        kind = "drill"
        repository = "home"
        [jobs.check]
        kind = "check"
        repository = "home"
        read_data_percent = 100.0
        [jobs.prune]
        kind = "prune"
        repository = "home"
    "#;
    let text = text.replace('@', folder.to_str().expect("it is UTF-8"));
    let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    Config::load(Some(&text), &BTreeMap::new(), &read)
        .expect("it is right")
        .config
}

fn jobs(folder: &Path, store: Arc<Store>) -> Jobs {
    let cache = CachePlace::Dir(folder.join("cache"));
    // Their repositories are in directories, and ask nothing of it.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let setup = Setup {
        state: keepwatch_runner::State::open(&folder.join("state")).expect("a directory"),
        repositories: keepwatch_runner::Repositories::new(cache, runtime.handle().clone()),
        environment: Vec::new(),
        clock: Arc::new(Timestamp::now),
        zone: jiff::tz::TimeZone::UTC,
        program: "test".to_owned(),
    };
    Jobs::open(store, setup, Arc::new(Timestamp::now)).expect("they can be read")
}

fn init(folder: &Path) {
    use keepwatch_core::crypto::{Kdf, Passphrase, zeroize::Zeroizing};
    use keepwatch_core::storage::LocalStorage;
    use keepwatch_core::{InitOptions, Repository};
    let storage = LocalStorage::create_dir(folder.join("vault")).expect("a directory");
    let passphrase = Passphrase::from(Zeroizing::new("a long passphrase".to_owned()));
    let lock = Lock::Passphrase(&passphrase, Kdf::default());
    let cache = CachePlace::Dir(folder.join("cache"));
    let (options, now) = (InitOptions::default(), Timestamp::now());
    Repository::init(Arc::new(storage), &lock, "main", &options, now, &cache)
        .expect("it can be made");
    std::fs::create_dir(folder.join("source")).expect("a directory");
    for (name, content) in [
        ("a.txt", "first"),
        ("b.txt", "second"),
        ("c.tmp", "left out"),
    ] {
        std::fs::write(folder.join("source").join(name), content).expect("a file");
    }
}

/// Starts a job and waits for its end, looking again and again.
fn run(jobs: &Jobs, config: &Config, name: &str) -> Run {
    let run = jobs.start(config, name, "ada").expect("it starts");
    loop {
        let now = jobs.run(&run.id).expect("it is remembered");
        if now.state != RunState::Running {
            return now;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn of(jobs: &Jobs, name: &str) -> JobState {
    jobs.states([&name.to_owned()].into_iter()).remove(0)
}

#[test]
fn each_kind_of_job_does_what_it_is_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::generate().expect("random");
    init(folder.path());
    let (config, jobs) = (
        config(folder.path()),
        jobs(folder.path(), store(folder.path(), &key)),
    );
    // There is nothing to restore yet, and that is no success.
    let drill = run(&jobs, &config, "drill");
    assert_eq!(drill.state, RunState::Failed);
    assert!(
        drill.problems[0].contains("no snapshot"),
        "{:?}",
        drill.problems
    );
    let backup = run(&jobs, &config, "backup");
    assert_eq!(
        (backup.state, backup.by.as_str()),
        (RunState::Done, "ada"),
        "{:?}",
        backup.problems
    );
    assert_eq!(backup.summary.expect("it has one")["files_new"], 2);
    let drill = run(&jobs, &config, "drill");
    assert_eq!(drill.state, RunState::Done, "{:?}", drill.problems);
    assert_eq!(drill.summary.expect("it has one")["files"], 2);
    assert_eq!(run(&jobs, &config, "check").state, RunState::Done);
    assert_eq!(run(&jobs, &config, "prune").state, RunState::Done);
    assert!(of(&jobs, "backup").last_success.is_some());
    assert_eq!(jobs.runs(None, 2).len(), 2);
    assert!(jobs.start(&config, "other", "ada").is_err());
}

#[test]
fn damage_fails_a_check_and_a_drill_and_nothing_tells_the_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::generate().expect("random");
    init(folder.path());
    let (config, jobs) = (
        config(folder.path()),
        jobs(folder.path(), store(folder.path(), &key)),
    );
    assert_eq!(run(&jobs, &config, "backup").state, RunState::Done);
    std::fs::remove_dir_all(folder.path().join("vault/packs")).expect("they are there");
    for name in ["check", "drill"] {
        let run = run(&jobs, &config, name);
        assert_eq!(run.state, RunState::Failed, "{name}");
        let told = format!("{:?}", run.problems);
        assert!(!run.problems.is_empty());
        assert!(
            !told.contains(folder.path().to_str().expect("UTF-8")),
            "{told}"
        );
    }
    std::fs::remove_dir_all(folder.path().join("vault")).expect("it is there");
    let lost = run(&jobs, &config, "backup");
    assert_eq!(lost.state, RunState::Failed);
    assert!(
        lost.problems[0].contains("no repository"),
        "{:?}",
        lost.problems
    );
}

#[test]
fn runs_are_remembered_and_one_that_was_cut_off_was_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::generate().expect("random");
    init(folder.path());
    let config = config(folder.path());
    let opened = store(folder.path(), &key);
    let first = jobs(folder.path(), opened.clone());
    let done = run(&first, &config, "backup");
    // As a server leaves it that is killed.
    let mut cut_off = done.clone();
    cut_off.id = "0123456789abcdef".to_owned();
    cut_off.state = RunState::Running;
    cut_off.ended_at = None;
    first
        .0
        .remember(&mut first.0.lock(), &cut_off)
        .expect("it is written");
    drop(first);
    let second = jobs(folder.path(), opened);
    assert_eq!(
        second.run(&done.id).expect("it is remembered").state,
        RunState::Done
    );
    let cut_off = second.run(&cut_off.id).expect("it is remembered");
    assert_eq!(cut_off.state, RunState::Interrupted);
    assert!(of(&second, "backup").running.is_none());
    second.close();
    assert!(
        second.start(&config, "backup", "ada").is_err(),
        "it is stopping"
    );
}

#[test]
fn the_last_good_run_outlives_many_bad_ones() {
    let job = |number: usize, state| {
        let kind = keepwatch_config::JobKind::Backup;
        Run {
            id: number.to_string(),
            job: "nightly".to_owned(),
            kind,
            by: String::new(),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            state,
            progress: None,
            summary: None,
            problems: Vec::new(),
        }
    };
    let mut runs: VecDeque<Run> = (0..MOST + 20)
        .map(|number| {
            job(
                number,
                if number < 3 {
                    RunState::Done
                } else {
                    RunState::Failed
                },
            )
        })
        .collect();
    thin_out(&mut runs);
    assert_eq!(runs.len(), MOST);
    assert_eq!((runs[0].id.as_str(), runs[0].state), ("2", RunState::Done));
}
