//! `keepwatch inventory`

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::world::{World, fields};

/// A system with two packages and somebody's settings.
fn world() -> World {
    let world = World::empty();
    let status = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
        Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.9\n";
    world.write("sys/var/lib/dpkg/status", status);
    world.write("sys/etc/passwd", "ada:x:1000:1000::/home/ada:/bin/sh\n");
    world.write("sys/etc/hostname", "barn\n");
    world.write("sys/home/ada/.bashrc", "alias l=ls\n");
    world.write("sys/home/ada/.bash_history", "mysql -phunter-two\n");
    world
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_inventory_is_taken_of_a_mounted_system() {
    let world = world();
    let ran = world.run_bare(["inventory", "--root", "sys"]).ok();
    let inventory = ran.json();
    assert_eq!(inventory["format"], "keepwatch-inventory");
    assert_eq!(inventory["packages"]["apt"][1]["name"], "hello");
    assert_eq!(inventory["dotfiles"][0]["file"]["withheld"], "not_asked");
    assert!(!ran.text().contains("hunter"));
    let args = [
        "inventory",
        "--root",
        "sys",
        "--include-shell-history",
        "--json",
        "-o",
        "a.json",
    ];
    let told = world.run_bare(args).ok().json();
    assert_eq!(fields(&told), ["output", "packages", "problems"]);
    assert_eq!(told["packages"], 2);
    assert_eq!(mode(&world.path("a.json")), 0o600);
    assert!(
        fs::read_to_string(world.path("a.json"))
            .unwrap()
            .contains("hunter-two")
    );
    world.run_bare(args).code(1);
    world.run_bare(args.iter().chain(&["--force"])).ok();
    world
        .run_bare(["inventory", "--root", "sys", "--user", "bob"])
        .code(2);
    world.run_bare(["inventory", "--root", "nowhere"]).code(1);
    world
        .run_bare(["inventory", "--root", "sys", "diff", "a.json", "a.json"])
        .code(2);
}

#[test]
fn what_cannot_be_understood_is_3() {
    let world = world();
    world.write("sys/home/ada/.cargo/.crates2.json", "{");
    let ran = world.run_bare(["inventory", "--root", "sys"]).code(3);
    assert!(
        ran.stderr
            .contains("packages.cargo: /home/ada/.cargo/.crates2.json is not understood")
    );
    assert_eq!(ran.json()["problems"].as_array().unwrap().len(), 1);
}

#[test]
fn two_inventories_are_compared() {
    let world = world();
    world
        .run_bare(["inventory", "--root", "sys", "-o", "a.json"])
        .ok();
    let status = fs::read_to_string(world.path("sys/var/lib/dpkg/status")).unwrap();
    world.write("sys/var/lib/dpkg/status", status.replace("2.9", "2.10"));
    world.write("sys/home/ada/.profile", "");
    fs::remove_file(world.path("sys/home/ada/.bashrc")).unwrap();
    world
        .run_bare(["inventory", "--root", "sys", "-o", "b.json"])
        .ok();
    let ran = world
        .run_bare(["inventory", "diff", "a.json", "b.json"])
        .ok();
    insta::assert_snapshot!(ran.text(), @r"
    M  packages.apt hello amd64 (version 2.9 -> 2.10)
    -  dotfiles ada .bashrc
    +  dotfiles ada .profile
    ");
    assert_eq!(ran.stderr, "1 added, 1 removed, 1 changed\n");
    let lines = world
        .run_bare(["inventory", "diff", "--json", "a.json", "b.json"])
        .ok()
        .json_lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        fields(&lines[0]),
        ["after", "before", "change", "fields", "key", "section"]
    );
    let same = world
        .run_bare(["inventory", "diff", "a.json", "a.json"])
        .ok();
    assert_eq!(same.text(), "");
    world.write("c.json", "{}");
    let wrong = world
        .run_bare(["inventory", "diff", "a.json", "c.json"])
        .code(1);
    assert!(
        wrong.stderr.contains("c.json is not an inventory"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_script_has_the_sections_that_were_asked_for() {
    let world = world();
    let take = [
        "inventory",
        "--root",
        "sys",
        "--include-dotfiles",
        "-o",
        "a.json",
    ];
    world.run_bare(take).ok();
    let all = world.run_bare(["inventory", "script", "a.json"]).ok();
    assert!(all.text().contains("'hello'") && all.text().contains("put_at_home 'ada' '.bashrc'"));
    let some = [
        "inventory",
        "script",
        "a.json",
        "--only",
        "packages,services",
        "-o",
        "rebuild",
    ];
    world.run_bare(some).ok();
    let script = fs::read_to_string(world.path("rebuild")).unwrap();
    assert!(script.contains("'hello'") && !script.contains("'.bashrc'"));
    assert_eq!(mode(&world.path("rebuild")), 0o700);
    world
        .run_bare(["inventory", "script", "a.json", "--only", "everything"])
        .code(2);
}
