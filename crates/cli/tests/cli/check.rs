//! `check`, `repair-index`, `prune`

use std::fs;

use crate::world::{World, fields};

#[test]
fn a_sound_repository_passes() {
    let world = World::new();
    world.write("src/a", vec![1; 100_000]);
    world.backup("src");
    for args in [
        vec!["check", "--json"],
        vec!["check", "--json", "--read-data"],
        vec!["check", "--json", "--read-data-subset", "50%"],
        vec!["check", "--json", "--read-data-subset", "1G"],
    ] {
        let report = world.run(args).ok().json();
        for field in ["checked", "errors", "ok"] {
            assert!(fields(&report).contains(&field));
        }
        assert_eq!(
            fields(&report["checked"]),
            ["bytes", "chunks", "packs", "snapshots"]
        );
        assert_eq!(report["ok"], true);
        assert_eq!(report["checked"]["snapshots"], 1);
    }
    for subset in ["0/2", "3/2", "0%", "x"] {
        world.run(["check", "--read-data-subset", subset]).code(2);
    }
}

#[test]
fn nothing_checked_is_no_success() {
    let world = World::new();
    let report = world.run(["check", "--json"]).code(13).json();
    assert_eq!(report["ok"], false);
}

#[test]
fn damage_is_found() {
    let world = World::new();
    world.write("src/a", vec![1; 100_000]);
    world.backup("src");
    world.damage_packs();
    let report = world
        .run(["check", "--json", "--read-data"])
        .code(13)
        .json();
    assert_eq!(report["ok"], false);
    assert_eq!(fields(&report["errors"][0]), ["error", "object"]);
    let told = world.run(["check", "--read-data"]).code(13);
    assert!(told.stderr.contains("packs/"), "{}", told.stderr);
}

#[test]
fn a_lost_index_is_made_anew() {
    let world = World::new();
    world.write("src/a", "x");
    world.backup("src");
    fs::remove_dir_all(world.path(".cache")).unwrap();
    for entry in fs::read_dir(world.path("repo/index")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    world.run(["check"]).code(13);
    let report = world.run(["repair-index", "--json"]).ok().json();
    assert!(report["packs"].as_u64().unwrap() > 0);
    world.run(["repair", "index"]).ok();
    world.run(["check", "--read-data"]).ok();
}

#[test]
fn prune_frees_what_was_forgotten() {
    let world = World::new();
    let noise: Vec<u8> = (0..300_000_u32)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect();
    world.write("src/a", noise);
    let first = world.backup("src");
    world.write("src/a", "small");
    world.backup("src");
    world.run(["forget", &first]).ok();
    let kept = world.run(["prune", "--json"]).ok().json();
    assert_eq!(kept["packs_removed"], 0, "it can still be taken back");
    let planned = world
        .run(["prune", "--json", "--keep-trash", "0", "--dry-run"])
        .ok()
        .json();
    for field in ["bytes_freed", "packs_removed", "packs_rewritten"] {
        assert!(fields(&planned).contains(&field));
    }
    let done = world
        .run(["prune", "--json", "--keep-trash", "0", "--max-unused", "0%"])
        .ok()
        .json();
    assert!(done["bytes_freed"].as_u64().unwrap() > 0);
    world.run(["check", "--read-data"]).ok();
    world.run(["prune", "--max-unused", "101%"]).code(2);
    world.run(["prune", "--keep-trash", "1mo"]).code(2);
}
