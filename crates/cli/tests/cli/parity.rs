//! `parity`, and `repair` from it and from a copy

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::{World, fields};

fn noise() -> Vec<u8> {
    (0..500_000_u32)
        .flat_map(|n| {
            n.wrapping_mul(2_654_435_761)
                .rotate_left(n % 31)
                .to_le_bytes()
        })
        .collect()
}

fn filled() -> World {
    let world = World::new();
    world.write("src/a", noise());
    world.backup("src");
    world
}

/// The packs, the largest first.
fn packs(world: &World) -> Vec<PathBuf> {
    let mut packs = Vec::new();
    for dir in fs::read_dir(world.path("repo/packs")).unwrap() {
        for pack in fs::read_dir(dir.unwrap().path()).unwrap() {
            packs.push(pack.unwrap().path());
        }
    }
    packs.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    packs
}

fn overwrite_sector(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[40_960..45_056].fill(0xff);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn parity_mends_damage_and_loss() {
    let world = filled();
    assert_eq!(
        world.run(["parity", "status"]).ok().text(),
        "there is no parity\n"
    );
    let added = world.run(["parity", "add", "--json"]).ok().json();
    assert_eq!(added["percent"], 10);
    assert_eq!(added["packs_read"], packs(&world).len());
    let status = world.run(["parity", "status", "--json"]).ok().json();
    assert_eq!(status["packs_against_damage"], status["packs"]);
    assert_eq!(status["packs_against_loss"], status["packs"]);
    assert_eq!(status["small_objects_copied"], status["small_objects"]);
    // With few packs it costs more than is asked for, and it is told.
    assert!(status["overhead_percent"].as_f64().unwrap() > 100.0);
    world.run(["parity", "add"]).ok();

    overwrite_sector(&packs(&world)[0]);
    let told = world.run(["check", "--read-data"]).code(13);
    assert!(
        told.text()
            .contains("`repair` brings back 1 damaged or lost object"),
        "{}",
        told.text()
    );
    let report = world.run(["repair", "--json"]).ok().json();
    assert_eq!(
        fields(&report),
        ["bytes", "errors", "lost_packs", "mended", "objects"]
    );
    assert_eq!(report["mended"][0]["from"], "parity");
    world.run(["check", "--read-data"]).ok();

    fs::remove_file(&packs(&world)[0]).unwrap();
    fs::remove_file(world.path("repo/config")).unwrap();
    world.run(["check"]).code(10);
    world.run(["repair"]).ok();
    world.run(["check", "--read-data"]).ok();

    let removed = world.run(["parity", "remove", "--json"]).ok().json();
    assert!(removed["objects"].as_u64().unwrap() > 0);
    for pack in packs(&world) {
        fs::remove_file(pack).unwrap();
    }
    let told = world.run(["repair"]).code(3);
    assert!(told.stderr.contains("is missing"), "{}", told.stderr);
    for percent in ["0", "51", "x"] {
        world.run(["parity", "add", "--percent", percent]).code(2);
    }
}

#[test]
fn a_copy_mends_it() {
    let world = filled();
    let copied = std::process::Command::new("cp")
        .args(["-r", "repo", "copy"])
        .current_dir(world.path(""))
        .status()
        .unwrap();
    assert!(copied.success());
    for pack in packs(&world) {
        fs::remove_file(pack).unwrap();
    }
    world.run(["repair"]).code(3);
    let copy = world.path("copy");
    let copy = copy.to_str().unwrap();
    let report = world.run(["repair", "--from", copy, "--json"]).ok().json();
    assert_eq!(report["mended"][0]["from"], "other_repository");
    world.run(["check", "--read-data"]).ok();
    world.run(["repair", "index", "--from", copy]).code(2);
}

#[test]
fn its_sources_and_repositories_with_other_keys_mend_it() {
    let world = filled();
    let other = world.path("other");
    let other = other.to_str().unwrap();
    world.write("other-key", [8; 32]);
    let there = |args: &[&str]| {
        let key = ["--repo", other, "--key-file", "other-key"];
        world.run_bare([&key[..], args].concat()).ok()
    };
    there(&["init"]);
    let repo = world.path("repo");
    let repo = repo.to_str().unwrap();
    there(&["copy", "--from", repo, "--from-key-file", "key"]);
    let lose = |packs: &[PathBuf]| {
        for pack in packs {
            fs::remove_file(pack).unwrap();
        }
        world.run(["check"]).code(13);
    };
    // The smallest is that of trees, which hold the times of the directories above.
    let all = packs(&world);
    let (_, data) = all.split_last().unwrap();
    lose(data);
    let source = world.path("src");
    let source = source.to_str().unwrap();
    let report = world
        .run(["repair", "--source", source, "--json"])
        .ok()
        .json();
    assert_eq!(report["mended"][0]["from"], "refilled");
    assert_eq!(report["lost_packs"].as_array().unwrap().len(), 0);
    world.run(["check", "--read-data"]).ok();
    assert_eq!(world.snapshot_count(), 1, "no snapshot is made");

    lose(&packs(&world));
    let from = ["--from", other, "--from-key-file", "other-key"];
    let told = world.run([&["repair"], &from[..]].concat()).ok();
    assert!(told.stderr.contains("in others now"), "{}", told.stderr);
    world.run(["check", "--read-data"]).ok();

    // What is not there any more is told.
    lose(&packs(&world));
    world.write("elsewhere/x", b"x");
    let told = world.run(["repair", "--source", "elsewhere"]).code(3);
    assert!(told.stderr.contains("still missing"), "{}", told.stderr);
}
