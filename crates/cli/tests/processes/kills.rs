//! `kill -9` at any moment.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use keepwatch_testkit::tree::describe;

use crate::dice::Dice;
use crate::repository::{
    DEADLINE, Manifest, age, assert_restores, assert_tidy, files_beneath, snapshots, unfinished,
};
use crate::world::World;

const SEED: u64 = 0x6b65_6570;
const KILLS: u32 = 50;
/// Some runs are over before their time comes.
const MAX_RUNS: u32 = 150;
const KEPT: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Backup,
    Forget,
    Prune,
    Rotate,
}

impl Deed {
    fn args(self) -> &'static [&'static str] {
        match self {
            Deed::Backup => &["backup", "src"],
            Deed::Forget => &["forget", "--keep-last", "3", "--prune", "--keep-trash", "0"],
            Deed::Prune => &["prune", "--keep-trash", "0", "--max-unused", "0%"],
            Deed::Rotate => &["key", "rotate"],
        }
    }
}

/// When to kill.
#[derive(Debug)]
enum Moment {
    /// After this time.
    After(Duration),
    /// When the number of files in the repository has changed so often.
    Changes(u64),
}

struct Scene {
    world: World,
    dice: Dice,
    source: PathBuf,
    /// Snapshots, and what was backed up.
    expected: BTreeMap<String, Manifest>,
    /// How long each deed takes when nobody disturbs it.
    usual: BTreeMap<Deed, Duration>,
}

impl Scene {
    fn new() -> Self {
        let world = World::empty();
        world.run(["init", "--pack-size", "256K"]).ok();
        let mut scene = Self {
            source: world.path("src"),
            world,
            dice: Dice::new(SEED),
            expected: BTreeMap::new(),
            usual: BTreeMap::new(),
        };
        scene.dice.scribble(&scene.source, 40, 80);
        for deed in [
            Deed::Backup,
            Deed::Backup,
            Deed::Forget,
            Deed::Prune,
            Deed::Rotate,
        ] {
            scene.prepare(deed);
            let started = Instant::now();
            scene.world.run(deed.args()).ok();
            scene.usual.insert(deed, started.elapsed());
            scene.note_snapshots(deed);
        }
        scene
    }

    fn prepare(&mut self, deed: Deed) {
        if deed == Deed::Backup {
            self.dice.scribble(&self.source, 40, 12);
        }
    }

    fn deed(&mut self) -> Deed {
        match self.dice.below(10) {
            0..5 => Deed::Backup,
            5..7 => Deed::Forget,
            7..9 => Deed::Prune,
            _ => Deed::Rotate,
        }
    }

    fn moment(&mut self, deed: Deed) -> Moment {
        match self.dice.below(2) {
            0 => Moment::After(Duration::from_micros(
                self.dice.below(self.usual[&deed].as_micros() as u64),
            )),
            _ => Moment::Changes(1 + self.dice.below(8)),
        }
    }

    /// Does it until the moment comes; whether it was killed.
    fn killed(&self, deed: Deed, moment: &Moment) -> bool {
        let repo = self.world.path("repo");
        let mut count = files_beneath(&repo).len();
        let mut changes = 0;
        let mut child = self
            .world
            .command(deed.args())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < DEADLINE, "{deed:?} does not end");
            let now = match moment {
                Moment::After(time) => started.elapsed() >= *time,
                Moment::Changes(wanted) => {
                    let files = files_beneath(&repo).len();
                    changes += u64::from(files != count);
                    count = files;
                    changes >= *wanted
                }
            };
            if now {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            std::hint::spin_loop();
        };
        match ended.signal() {
            Some(signal) => assert_eq!(signal, 9),
            None => {
                let output = child.wait_with_output().unwrap();
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(ended.success(), "{deed:?}: {ended}: {stderr}");
            }
        }
        ended.signal().is_some()
    }

    /// The repository opens, and all snapshots are there that may not be gone.
    fn note_snapshots(&mut self, deed: Deed) {
        let found = snapshots(&self.world);
        if deed == Deed::Forget {
            // The newest are at the end, and a policy does not touch them.
            let newest = &found[found.len().saturating_sub(KEPT)..];
            assert!(newest.len() == KEPT.min(self.expected.len()));
            self.expected.retain(|id, _| found.contains(id));
        }
        for id in self.expected.keys() {
            assert!(found.contains(id), "{deed:?} has lost snapshot {id}");
        }
        for id in found {
            if !self.expected.contains_key(&id) {
                assert_eq!(deed, Deed::Backup);
                self.expected.insert(id, describe(&self.source));
            }
        }
    }

    fn verify(&mut self, deed: Deed) {
        self.note_snapshots(deed);
        let read = self.world.run(["check", "--read-data", "--json"]);
        assert_eq!(read.code, 0, "after {deed:?}: {}", read.text());
    }

    fn restore_all(&self) -> usize {
        for (id, manifest) in &self.expected {
            assert_restores(&self.world, id, &self.source, manifest);
        }
        self.expected.len()
    }
}

/// What was killed how often, and what of it was over first.
#[derive(Default)]
struct Tally(BTreeMap<Deed, (u32, u32)>);

impl Tally {
    fn count(&mut self, deed: Deed, killed: bool) {
        let (kills, ends) = self.0.entry(deed).or_default();
        *if killed { kills } else { ends } += 1;
    }

    fn kills(&self) -> u32 {
        self.0.values().map(|(kills, _)| kills).sum()
    }

    fn runs(&self) -> u32 {
        self.0.values().map(|(kills, ends)| kills + ends).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kills in {} runs:", self.kills(), self.runs())?;
        self.0.iter().try_for_each(|(deed, (kills, ends))| {
            write!(f, " {deed:?} {kills} of {}", kills + ends)
        })
    }
}

#[test]
fn fifty_kills_lose_nothing() {
    let mut scene = Scene::new();
    let mut tally = Tally::default();
    let mut restored = 0;
    while tally.kills() < KILLS {
        assert!(tally.runs() < MAX_RUNS, "too few die in time: {tally}");
        let deed = scene.deed();
        let moment = scene.moment(deed);
        scene.prepare(deed);
        let killed = scene.killed(deed, &moment);
        tally.count(deed, killed);
        scene.verify(deed);
        if killed && tally.kills().is_multiple_of(10) {
            restored += scene.restore_all();
        }
    }
    // One that was killed between the trash and the snapshot is made up for by the next.
    scene.world.run(Deed::Forget.args()).ok();
    scene.note_snapshots(Deed::Forget);
    let world = &scene.world;
    let left = unfinished(&world.path("repo"));
    world.run(Deed::Backup.args()).ok();
    world.run(Deed::Prune.args()).ok();
    assert_eq!(
        unfinished(&world.path("repo")).len(),
        left.len(),
        "too young"
    );
    age(&left);
    world.run(Deed::Prune.args()).ok();
    assert_tidy(world);
    scene.note_snapshots(Deed::Backup);
    restored += scene.restore_all();
    println!(
        "{tally}; {restored} restores compared; {} unfinished files, then swept",
        left.len()
    );
}
