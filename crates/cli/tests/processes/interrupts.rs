//! Ctrl-C while it works.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use keepwatch_testkit::tree::describe;
use rustix::process::{Pid, Signal, kill_process};

use crate::dice::Dice;
use crate::repository::{DEADLINE, assert_tidy, files_beneath};
use crate::world::World;

const FILES: u64 = 400;

fn world() -> World {
    let world = World::empty();
    world.run(["init", "--pack-size", "256K"]).ok();
    let source = world.path("src");
    fs::create_dir(&source).unwrap();
    let mut dice = Dice::new(7);
    for number in 0..FILES {
        fs::write(source.join(number.to_string()), dice.noise(100_000)).unwrap();
    }
    world
}

/// Runs it until so many files are beneath a directory, and then interrupts it.
fn interrupt(command: &mut Command, watched: &Path, files: usize, signal: Signal) {
    let mut child: Child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while files_beneath(watched).len() < files {
        assert!(child.try_wait().unwrap().is_none(), "it is over already");
        assert!(started.elapsed() < DEADLINE);
        std::hint::spin_loop();
    }
    kill_process(Pid::from_child(&child), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
}

#[test]
fn an_interrupted_backup_goes_on_where_it_stopped() {
    let world = world();
    let mut stored = Vec::new();
    for signal in [Signal::INT, Signal::TERM] {
        let packs = world.path("repo/packs");
        let before = files_beneath(&packs).len();
        interrupt(
            &mut world.command(["backup", "src"]),
            &packs,
            before + 10,
            signal,
        );
        let kept: u64 = files_beneath(&packs)
            .iter()
            .map(|pack| fs::metadata(pack).unwrap().len())
            .sum();
        stored.push(kept);
        assert_eq!(world.run(["snapshots", "--json"]).ok().text(), "[]\n");
        // A collector leaves what the next backup needs.
        world.run(["prune", "--keep-trash", "0"]).ok();
    }
    assert!(stored[0] < stored[1]);
    let report = world.run(["backup", "--json", "src"]).ok().json();
    let (scanned, new) = (&report["bytes"]["scanned"], &report["bytes"]["new"]);
    let (scanned, new) = (scanned.as_u64().unwrap(), new.as_u64().unwrap());
    println!("{} bytes kept, {new} of {scanned} new", stored[1]);
    assert_eq!(scanned, FILES * 100_000);
    assert!(new < scanned && new + stored[1] <= scanned + scanned / 20);
    assert_tidy(&world);
}

#[test]
fn an_interrupted_restore_is_completed() {
    let world = world();
    world.run(["backup", "src"]).ok();
    let what = format!("latest:{}", world.path("src").display());
    let args = ["restore", "--json", &what, "--target", "out"];
    let out = world.path("out");
    interrupt(&mut world.command(args), &out, 20, Signal::INT);
    let there = files_beneath(&out).len() as u64;
    assert!(there < FILES);
    let report = world.run(args).ok().json();
    let (files, skipped) = (&report["files"], &report["skipped"]);
    let (files, skipped) = (files.as_u64().unwrap(), skipped.as_u64().unwrap());
    println!("{there} files were there, {files} were written, {skipped} stayed");
    assert_eq!(files + skipped, FILES);
    assert!(skipped > 0);
    assert!(describe(&out) == describe(&world.path("src")));
    // It is whole: a third run is refused like any other.
    world.run(args).code(1);
}
