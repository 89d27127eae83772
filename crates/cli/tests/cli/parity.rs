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
    assert_eq!(fields(&report), ["bytes", "errors", "mended", "objects"]);
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
