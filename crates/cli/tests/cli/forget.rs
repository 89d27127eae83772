//! `forget`

use crate::world::{World, fields};

fn three() -> (World, Vec<String>) {
    let world = World::new();
    let ids = ["a", "b", "c"]
        .iter()
        .map(|content| {
            world.write("src/a", content);
            world.backup("src")
        })
        .collect();
    (world, ids)
}

#[test]
fn a_policy_forgets() {
    let (world, ids) = three();
    let planned = world
        .run(["forget", "--json", "--keep-last", "1", "--dry-run"])
        .ok()
        .json();
    assert_eq!(fields(&planned), ["kept", "removed"]);
    let done = world
        .run(["forget", "--json", "--keep-last", "1"])
        .ok()
        .json();
    assert_eq!(done, planned);
    assert_eq!(done["kept"][0]["id"], *ids.last().unwrap());
    assert_eq!(done["kept"][0]["reasons"], serde_json::json!(["last"]));
    assert_eq!(done["removed"].as_array().unwrap().len(), 2);
    assert_eq!(world.snapshot_count(), 1);
    assert_eq!(world.run(["status", "--json"]).ok().json()["trash"], 2);
    world.run(["check"]).ok();
}

#[test]
fn what_was_forgotten_can_be_taken_back() {
    let (world, ids) = three();
    world.run(["forget", &ids[0], &ids[1][..12]]).ok();
    world.run(["check"]).ok();
    let back = world
        .run(["forget", "--json", "--undo", &ids[0][..12]])
        .ok()
        .json();
    let dumped = world
        .run([
            "dump",
            back["snapshot"].as_str().unwrap(),
            world.path("src/a").to_str().unwrap(),
        ])
        .ok();
    assert_eq!(dumped.stdout, b"a");
    world.run(["check", "--read-data"]).ok();
    world.run(["forget", "--undo", &ids[0]]).code(1);
    assert_eq!(world.run(["status", "--json"]).ok().json()["trash"], 1);
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    let (world, _) = three();
    world.run(["forget", "--keep-tag", "none"]).code(1);
    world.run(["forget", "--max-count", "0"]).code(1);
    assert_eq!(world.snapshot_count(), 3);
    world
        .run(["forget", "--max-count", "0", "--allow-empty"])
        .ok();
    assert_eq!(world.run(["snapshots", "--json"]).ok().text(), "[]\n");
}

#[test]
fn pinned_snapshots_stay() {
    let world = World::new();
    world.write("src/a", "x");
    let report = world
        .run(["backup", "--json", "--tag", "keepwatch:pin", "src"])
        .ok()
        .json();
    let pinned = report["snapshot"].as_str().unwrap();
    world.backup("src");
    let report = world
        .run(["forget", "--json", "--keep-last", "1"])
        .ok()
        .json();
    assert_eq!(report["removed"].as_array().unwrap().len(), 0);
    world.run(["forget", pinned]).code(1);
    world.run(["forget", "--pinned", pinned]).ok();
}

#[test]
fn forget_can_prune() {
    let (world, _) = three();
    let report = world
        .run([
            "forget",
            "--json",
            "--keep-last",
            "1",
            "--prune",
            "--keep-trash",
            "0",
        ])
        .ok()
        .json();
    assert_eq!(report["prune"]["snapshots_purged"], 2);
    world.run(["check", "--read-data"]).ok();
}
