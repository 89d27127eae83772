//! Writers and a collector at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use keepwatch_testkit::tree::describe;

use crate::dice::Dice;
use crate::repository::{DEADLINE, Manifest, assert_restores, assert_tidy, snapshots};
use crate::world::{Ran, World};

/// A writer is a directory and the cache that it uses; the last two share one.
const WRITERS: [(&str, &str); 5] = [
    ("a", "cache-a"),
    ("b", "cache-b"),
    ("c", "cache-c"),
    ("d", "cache-shared"),
    ("e", "cache-shared"),
];
const ROUNDS: u64 = 20;

/// What was backed up, by snapshot.
type Published = HashMap<String, (PathBuf, Manifest)>;

struct Scene {
    world: World,
    published: Mutex<Published>,
    busy: AtomicU64,
    over: AtomicBool,
}

impl Scene {
    /// Exit code 11 means that somebody else is at it, and is to be tried again.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        let started = Instant::now();
        loop {
            let ran = self.world.run(args);
            match ran.code {
                0 => return ran,
                11 => self.busy.fetch_add(1, Ordering::Relaxed),
                code => panic!("{args:?} ended with {code}: {}", ran.stderr),
            };
            assert!(started.elapsed() < DEADLINE, "{args:?} is always busy");
        }
    }

    fn write(&self, seed: u64, (dir, cache): (&str, &str)) -> u64 {
        let source = self.world.path(dir);
        let mut own = Dice::new(seed);
        let mut backups = 0;
        // The last backup begins when no collector is left.
        let mut last = false;
        while !last {
            last = self.over.load(Ordering::Relaxed);
            own.scribble(&source, 8, 3);
            // What others have as well, at about the same time.
            Dice::new(1000 + backups / 2).scribble(&source.join("shared"), 4, 2);
            let manifest = describe(&source);
            let report = self
                .run(&["--cache-dir", cache, "backup", "--json", dir])
                .json();
            let id = report["snapshot"].as_str().unwrap().to_owned();
            let mut published = self.published.lock().unwrap();
            published.insert(id, (source.clone(), manifest));
            backups += 1;
        }
        backups
    }

    fn collect(&self) -> (u64, u64) {
        let (mut forgotten, mut removed) = (0, 0);
        for _ in 0..ROUNDS {
            let report = self
                .run(&[
                    "--cache-dir",
                    "cache-collector",
                    "forget",
                    "--json",
                    "--keep-last",
                    "1",
                    "--prune",
                    "--keep-trash",
                    "0",
                ])
                .json();
            forgotten += report["removed"].as_array().unwrap().len() as u64;
            removed += report["prune"]["packs_removed"].as_u64().unwrap();
            removed += report["prune"]["packs_rewritten"].as_u64().unwrap();
        }
        self.over.store(true, Ordering::Relaxed);
        (forgotten, removed)
    }
}

#[test]
fn writers_and_a_collector_get_along() {
    let world = World::empty();
    world.run(["init", "--pack-size", "128K"]).ok();
    let scene = Scene {
        world,
        published: Mutex::default(),
        busy: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    let (backups, (forgotten, removed)) = thread::scope(|scope| {
        let writers: Vec<_> = (1..)
            .zip(WRITERS)
            .map(|(seed, writer)| {
                scope.spawn({
                    let scene = &scene;
                    move || scene.write(seed, writer)
                })
            })
            .collect();
        let collected = scene.collect();
        let backups: u64 = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum();
        (backups, collected)
    });
    let Scene {
        world,
        published,
        busy,
        ..
    } = scene;
    let published = published.into_inner().unwrap();
    let left = snapshots(&world);
    println!(
        "{backups} backups beside {ROUNDS} collections, {} times busy; {forgotten} snapshots \
         forgotten, {removed} packs removed; {} snapshots left",
        busy.into_inner(),
        left.len()
    );
    assert_eq!(published.len() as u64, backups, "every id is new");
    assert_eq!(left.len() as u64, backups - forgotten);
    let mut sources: Vec<&Path> = Vec::new();
    for id in &left {
        let (source, manifest) = &published[id];
        assert_restores(&world, id, source, manifest);
        sources.push(source);
    }
    sources.sort();
    sources.dedup();
    assert_eq!(sources.len(), WRITERS.len());
    world.run(["check", "--read-data"]).ok();
    world.run(["prune", "--keep-trash", "0"]).ok();
    world.run(["prune", "--keep-trash", "0"]).ok();
    assert_tidy(&world);
}
