//! One read of the sources, and each repository by itself.

use keepwatch_runner::Status;
use keepwatch_testkit::{tree, vault};

use crate::world::{World, run};

const BOTH: &str = "[jobs.both]\nkind = \"backup\"\nrepository = [\"disk\", \"other\"]\n\
                    paths = [\"@/source\"]\n";

#[test]
fn the_sources_are_read_once_for_all_repositories() {
    let world = World::new();
    world.init("disk");
    world.init("other");
    // A pipe can be read once: whoever reads it again waits for ever.
    let runner = world.runner(BOTH);
    let record = run(&runner, "both");
    assert_eq!(record.status, Status::Done, "{record:?}");
    let from: Vec<_> = record
        .destinations
        .iter()
        .map(|there| there.from.as_deref())
        .collect();
    assert_eq!(from, [None, Some("disk")]);
    for name in ["disk", "other"] {
        let repository = world.open(name);
        let target = world.path(&format!("{name}-restored"));
        vault::restore(&repository, "latest", &world.path("source"), &target).unwrap();
        tree::assert_same_tree(&world.path("source"), &target);
    }
    let [disk, other] = ["disk", "other"].map(|name| world.snapshots(name));
    assert_eq!(disk[0].time, other[0].time);
    assert_eq!(
        record.destinations[1].snapshot,
        Some(world.open("other").snapshots().unwrap().0[0].0)
    );
}

#[test]
fn a_repository_that_is_away_is_told_and_made_up_for() {
    let world = World::new();
    world.init("disk");
    world.init("other");
    let runner = world.runner(BOTH);
    assert_eq!(run(&runner, "both").status, Status::Done);
    std::fs::rename(world.path("other"), world.path("away")).unwrap();
    for day in 1..3 {
        world.later(86_400);
        tree::write(&world.path("source"), "a", tree::noise(40_000, day));
        let record = run(&runner, "both");
        assert_eq!(record.status, Status::Partly);
        let states: Vec<Status> = record
            .destinations
            .iter()
            .map(|there| there.status)
            .collect();
        assert_eq!(states, [Status::Done, Status::Failed]);
        let said = record.said();
        assert!(said[0].starts_with("other: "), "{said:?}");
    }
    std::fs::rename(world.path("away"), world.path("other")).unwrap();
    world.later(86_400);
    assert_eq!(run(&runner, "both").status, Status::Done);
    let [disk, other] = ["disk", "other"].map(|name| world.snapshots(name));
    let times =
        |all: &[keepwatch_core::Snapshot]| all.iter().map(|one| one.time).collect::<Vec<_>>();
    assert_eq!(disk.len(), 4);
    assert_eq!(times(&disk), times(&other));
}

#[test]
fn when_the_first_is_away_the_next_reads_the_sources() {
    let world = World::new();
    world.init("other");
    let record = run(&world.runner(BOTH), "both");
    assert_eq!(record.status, Status::Partly);
    assert_eq!(record.destinations[0].status, Status::Failed);
    assert_eq!(record.destinations[1].status, Status::Done);
    assert_eq!(record.destinations[1].from, None);
    assert_eq!(world.snapshots("other").len(), 1);
    // With none there it is no backup at all.
    std::fs::remove_dir_all(world.path("other")).unwrap();
    let record = run(&world.runner(BOTH), "both");
    assert_eq!(record.status, Status::Failed);
    assert!(record.error.unwrap().contains("disk"), "it says where");
}

#[test]
fn old_snapshots_go_after_a_whole_backup_and_not_otherwise() {
    let world = World::new();
    world.init("disk");
    world.init("other");
    let jobs = format!("{BOTH}keep = {{ last = 2 }}\nprune = true\n");
    let runner = world.runner(&jobs);
    for _ in 0..3 {
        world.later(3600);
        assert_eq!(run(&runner, "both").status, Status::Done);
    }
    assert_eq!(world.snapshots("disk").len(), 2);
    assert_eq!(world.snapshots("other").len(), 2);
    // Of a path that is not there nothing is in the snapshot.
    let partly = jobs.replace("[\"@/source\"]", "[\"@/source\", \"@/none\"]");
    let runner = world.runner(&partly);
    for _ in 0..3 {
        world.later(3600);
        let record = run(&runner, "both");
        assert_eq!(record.status, Status::Partly, "{record:?}");
        assert_eq!(record.destinations[1].status, Status::Partly);
        assert!(record.destinations.iter().all(|there| there.forgotten == 0));
    }
    assert_eq!(world.snapshots("disk").len(), 5);
}
