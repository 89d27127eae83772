//! A real file system without room.

use std::fs;

use crate::dice::Dice;
use crate::repository::{assert_tidy, files_beneath, snapshots, unfinished};
use crate::small_disk::{SmallDisk, room};
use crate::world::World;

/// What frees a disk has to write a little first.
#[test]
fn packs_leave_room_for_what_frees_the_disk() {
    let world = World::empty();
    let repo = world.path("repo");
    let Some(_small) = SmallDisk::mount(&repo, "8m") else {
        return;
    };
    world.run(["init"]).ok();
    let mut dice = Dice::new(12);
    world.write("src/a", dice.noise(1_000_000));
    let first = world.backup("src");

    let rest = usize::try_from(room(&repo)).unwrap() - (200 << 10);
    fs::write(repo.join("packs/filler"), dice.noise(rest)).unwrap();
    world.write("src/b", dice.noise(50_000));
    let failed = world.run(["backup", "src"]).code(1);
    assert!(failed.stderr.contains("no space"), "{}", failed.stderr);

    let at_once = ["--prune", "--keep-trash", "0"];
    world.run(["forget", &first].iter().chain(&at_once)).ok();
    assert!(room(&repo) > 900_000, "{} bytes free", room(&repo));
}

#[test]
fn a_full_disk_is_told_and_left() {
    let world = World::empty();
    let repo = world.path("repo");
    let Some(_small) = SmallDisk::mount(&repo, "8m") else {
        return;
    };
    world.run(["init", "--pack-size", "256K"]).ok();
    let mut dice = Dice::new(11);
    world.write("src/a", dice.noise(1_000_000));
    let first = world.backup("src");

    world.write("src/b", dice.noise(12_000_000));
    let failed = world.run(["backup", "src"]).code(1);
    assert!(failed.stderr.contains("no space"), "{}", failed.stderr);
    assert_eq!(snapshots(&world), [first.as_str()]);
    assert!(unfinished(&repo).is_empty());
    world.run(["check", "--read-data"]).ok();
    let packs = files_beneath(&repo.join("packs")).len();
    assert!(room(&repo) >= 128 << 10, "{} bytes free", room(&repo));

    // Full to the last byte, and it can still be read and freed.
    let filler = repo.join("packs/filler");
    let full = fs::write(&filler, dice.noise(8 << 20)).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    world.run(["check", "--read-data"]).ok();
    let restored = world.run(["dump", "latest", world.path("src/a").to_str().unwrap()]);
    assert_eq!(restored.ok().stdout, fs::read(world.path("src/a")).unwrap());
    let failed = world.run(["backup", "src"]).code(1);
    assert!(failed.stderr.contains("no space"), "{}", failed.stderr);
    world.run(["key", "rotate"]).code(1);
    world.run(["check"]).ok();
    fs::remove_file(filler).unwrap();

    fs::remove_file(world.path("src/b")).unwrap();
    world.write("src/c", dice.noise(500_000));
    world.run(["prune", "--drop-pending"]).ok();
    world.run(["prune"]).ok();
    let second = world.backup("src");
    println!("{packs} packs on the full disk; it works again");
    assert_eq!(snapshots(&world), [first, second]);
    assert_tidy(&world);
}
