//! `restore`

use std::fs;

use crate::world::{World, fields, run};

#[test]
fn what_was_backed_up_comes_back() {
    let world = World::new();
    world.write("src/a", "first");
    world.write("src/d/b", "second");
    let first = world.backup("src");
    world.write("src/a", "other");
    world.backup("src");
    let report = world
        .run(["restore", "--json", "latest", "--target", "all"])
        .ok()
        .json();
    for field in ["bytes", "errors", "files", "skipped"] {
        assert!(fields(&report).contains(&field));
    }
    assert_eq!(report["files"], 2);
    let inner = world.path("src");
    let inner = inner.strip_prefix("/").unwrap();
    assert_eq!(
        fs::read(world.path("all").join(inner).join("a")).unwrap(),
        b"other"
    );

    let source = format!("{first}:{}", world.path("src").display());
    world.run(["restore", &source, "--target", "part"]).ok();
    assert_eq!(fs::read(world.path("part/a")).unwrap(), b"first");
    assert_eq!(fs::read(world.path("part/d/b")).unwrap(), b"second");
}

#[test]
fn a_target_that_is_not_empty_needs_a_word() {
    let world = World::new();
    world.write("src/a", "from the backup");
    world.backup("src");
    world.write("target/a", "precious");
    world.write("target/extra", "x");
    let path = world.path("src");
    let path = path.to_str().unwrap();
    let restore = |more: &[&str]| {
        let mut args = vec!["restore", "latest", "--target", "target", "--path", path];
        args.extend(more);
        world.run(args)
    };
    restore(&[]).code(1);
    restore(&["--overwrite", "never"]).ok();
    assert_eq!(fs::read(world.path("target/a")).unwrap(), b"precious");
    restore(&["--overwrite", "always", "--dry-run"]).ok();
    assert_eq!(fs::read(world.path("target/a")).unwrap(), b"precious");
    restore(&["--overwrite", "always"]).ok();
    assert_eq!(
        fs::read(world.path("target/a")).unwrap(),
        b"from the backup"
    );
    assert!(world.path("target/extra").exists());
    restore(&["--overwrite", "if-changed", "--delete"]).ok();
    assert!(!world.path("target/extra").exists());
}

#[test]
fn patterns_choose() {
    let world = World::new();
    for name in ["a.txt", "b.o", "d/c.txt"] {
        world.write(&format!("src/{name}"), "x");
    }
    world.backup("src");
    let path = world.path("src");
    let path = path.to_str().unwrap();
    world
        .run([
            "restore",
            "latest",
            "-t",
            "one",
            "--path",
            path,
            "--include",
            "*.txt",
            "--exclude",
            "d",
        ])
        .ok();
    assert!(world.path("one/a.txt").exists());
    assert!(!world.path("one/b.o").exists());
    assert!(!world.path("one/d").exists());
}

#[test]
fn latest_can_be_narrowed_down() {
    let world = World::new();
    world.write("src/a", "from fern");
    world.run(["backup", "--host", "fern", "src"]).ok();
    world.write("src/a", "from moss");
    world
        .run(["backup", "--host", "moss", "--tag", "x", "src"])
        .ok();
    let path = world.path("src");
    let path = path.to_str().unwrap();
    world
        .run([
            "restore", "latest", "-t", "out", "--host", "fern", "--path", path,
        ])
        .ok();
    assert_eq!(fs::read(world.path("out/a")).unwrap(), b"from fern");
    world
        .run([
            "restore", "latest", "-t", "none", "--host", "fern", "--tag", "x",
        ])
        .code(1);
}

#[test]
fn damage_is_13_and_the_rest_comes_back() {
    let world = World::new();
    world.write("src/a", vec![9; 100_000]);
    world.backup("src");
    world.damage_packs();
    world.run(["restore", "latest", "--target", "out"]).code(13);
}

#[test]
fn a_restore_does_not_delete_its_repository() {
    let world = World::new();
    world.write("src/a", "x");
    world.run(["backup", "."]).ok();
    let here = world.path("");
    let here = here.to_str().unwrap();
    let what = format!("latest:{here}");
    let delete = ["--overwrite", "if-changed", "--delete"];
    for target in [here, "..", "repo", "repo/packs"] {
        let args = [&["restore", &what, "--target", target][..], &delete].concat();
        let refused = world.run(args).code(1);
        assert!(refused.stderr.contains("repository"), "{}", refused.stderr);
    }
    world.run(["check", "--read-data"]).ok();
    std::os::unix::fs::symlink(here, world.path("src/link")).unwrap();
    let args = [&["restore", &what, "--target", "src/link"][..], &delete].concat();
    world.run(args).code(1);
    // Without `--delete` it stays.
    let args = ["restore", &what, "-t", here, "--overwrite", "always"];
    world.run(args).ok();
    world.run(["check", "--read-data"]).ok();
}

#[test]
fn a_low_limit_of_open_files_does_not_limit_depth() {
    let world = World::new();
    let deep = "d/".repeat(400);
    world.write(&format!("src/{deep}file"), "at the bottom");
    let few_files = |args: &[&str]| {
        let command = world.command(args);
        let mut limited = std::process::Command::new("sh");
        limited
            .args(["-c", "ulimit -Sn 100; exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(world.path(""))
            .env("HOME", world.path(""))
            .env("KEEPWATCH_REPO", world.path("repo"));
        run(&mut limited).ok();
    };
    few_files(&["backup", "src"]);
    let what = format!("latest:{}", world.path("src").display());
    few_files(&["restore", &what, "-t", "out"]);
    let back = fs::read(world.path(format!("out/{deep}file"))).unwrap();
    assert_eq!(back, b"at the bottom");
}
