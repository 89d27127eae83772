//! `snapshots`, `ls`, `find`, `diff`, `dump`, `stats`, `status`

use std::process::Stdio;

use crate::world::{World, fields};

fn two_snapshots() -> (World, String, String) {
    let world = World::new();
    world.write("src/same", "same");
    world.write("src/gone", "gone");
    world.write("src/text", "before");
    let first = world.backup("src");
    world.write("src/text", "after!");
    world.write("src/new.txt", "new");
    std::fs::remove_file(world.path("src/gone")).unwrap();
    let second = world.backup("src");
    (world, first, second)
}

#[test]
fn snapshots_are_listed_oldest_first() {
    let (world, first, second) = two_snapshots();
    let all = world.run(["snapshots", "--json"]).ok().json();
    assert_eq!(all[0]["id"], first);
    assert_eq!(all[1]["id"], second);
    assert_eq!(all[1]["files"], 3);
    let last = world
        .run(["snapshots", "--json", "--last", "1"])
        .ok()
        .json();
    assert_eq!(last[0]["id"], second);
    let none = world.run(["snapshots", "--json", "--host", "other"]).ok();
    assert_eq!(none.text(), "[]\n");
    let table = world.run(["snapshots"]).ok();
    assert!(
        table.text().starts_with("ID        Time"),
        "{}",
        table.text()
    );
    assert!(table.text().contains(&first[..8]));
}

#[test]
fn ls_shows_entries() {
    let (world, first, _) = two_snapshots();
    let base = world.path("src");
    let entries = world
        .run(["ls", "--json", &first, base.to_str().unwrap()])
        .ok()
        .json_lines();
    let names: Vec<&str> = entries
        .iter()
        .map(|entry| entry["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names, ["src", "gone", "same", "text"]);
    assert_eq!(entries[0]["type"], "dir");
    assert_eq!(entries[1]["size"], 4);
    for field in ["path", "type", "size", "mode", "mtime"] {
        assert!(fields(&entries[1]).contains(&field));
    }
    let long = world.run(["ls", "-l", "latest"]).ok();
    assert!(long.text().contains("drwx"), "{}", long.text());
    let flat = world.run(["ls", "--flat", "--json"]).ok();
    assert_eq!(flat.json_lines().len(), 1);
    world.run(["ls", "latest:/nowhere"]).code(1);
}

#[test]
fn find_looks_into_all_snapshots() {
    let (world, first, second) = two_snapshots();
    let found = world.run(["find", "--json", "same"]).ok().json_lines();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["snapshot"], first);
    assert_eq!(found[1]["snapshot"], second);
    let found = world.run(["find", "--json", "*.txt"]).ok().json_lines();
    assert_eq!(found.len(), 1);
    let nowhere = world.run(["find", "--snapshot", &first, "*.txt"]).ok();
    assert_eq!(nowhere.text(), "");
}

#[test]
fn diff_names_what_changed() {
    let (world, first, second) = two_snapshots();
    let changes = world
        .run(["diff", "--json", &first, &second])
        .ok()
        .json_lines();
    let mut seen: Vec<(&str, &str)> = changes
        .iter()
        .filter(|change| change["change"] != "metadata")
        .map(|change| {
            let path = change["path"].as_str().unwrap();
            (
                path.rsplit('/').next().unwrap(),
                change["change"].as_str().unwrap(),
            )
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("gone", "removed"),
            ("new.txt", "added"),
            ("text", "modified")
        ]
    );
    assert_eq!(
        fields(&changes[0]),
        ["change", "path", "size_after", "size_before"]
    );
}

#[test]
fn dump_writes_one_file() {
    let (world, first, _) = two_snapshots();
    let path = world.path("src/text");
    let path = path.to_str().unwrap();
    assert_eq!(world.run(["dump", &first, path]).ok().stdout, b"before");
    let report = world
        .run(["dump", "--json", "latest", path, "--output", "copy"])
        .ok()
        .json();
    assert_eq!(report["bytes"], 6);
    assert_eq!(std::fs::read(world.path("copy")).unwrap(), b"after!");
    world
        .run(["dump", "latest", path, "--output", "copy"])
        .code(1);
    world.run(["dump", "latest", "/nowhere"]).code(1);
}

#[test]
fn stats_and_status_count() {
    let (world, first, _) = two_snapshots();
    let stats = world.run(["stats", "--json"]).ok().json();
    assert_eq!(stats["snapshots"], 2);
    assert_eq!(stats["files"], 6);
    let one = world.run(["stats", "--json", &first]).ok().json();
    assert_eq!(one["snapshots"], 1);
    let status = world.run(["status", "--json"]).ok().json();
    assert_eq!(status["snapshots"], 2);
    assert_eq!(status["pending"], 0);
    assert_eq!(status["role"], "full");
    assert!(status["last_snapshot"].is_string());
    assert!(world.run(["status"]).ok().text().contains("last snapshot"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (world, ..) = two_snapshots();
    let mut command = world.command(["ls", "--long"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn filters_choose_snapshots() {
    let world = World::new();
    world.write("one/a", "1");
    world.write("two/b", "2");
    let backup = |args: &[&str]| {
        let mut all = vec!["backup"];
        all.extend(args);
        world.run(all).ok();
    };
    backup(&["--host", "fern", "--tag", "a,b", "one"]);
    backup(&["--host", "moss", "--tag", "a", "two"]);
    backup(&["--host", "moss", "--tag", "c", "one", "two"]);
    let count = |args: &[&str]| {
        let mut all = vec!["snapshots", "--json"];
        all.extend(args);
        world.run(all).ok().json().as_array().unwrap().len()
    };
    let path = |name: &str| world.path(name).to_str().unwrap().to_owned();
    assert_eq!(count(&[]), 3);
    assert_eq!(count(&["--host", "moss"]), 2);
    assert_eq!(count(&["--tag", "a"]), 2);
    assert_eq!(count(&["--tag", "a,b"]), 1);
    assert_eq!(count(&["--tag", "a,b", "--tag", "c"]), 2);
    assert_eq!(count(&["--path", &path("one")]), 2);
    assert_eq!(count(&["--path", &path("one"), "--path", &path("two")]), 1);
    assert_eq!(
        count(&["--tag", "a", "--host", "moss", "--path", &path("two")]),
        1
    );
}

#[test]
fn names_that_are_no_text_survive() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    let name = std::ffi::OsStr::from_bytes(b"no text \xff");
    std::fs::create_dir(world.path("src")).unwrap();
    std::fs::write(world.path("src").join(name), "x").unwrap();
    world.backup("src");
    let listed = world.run(["ls"]).ok();
    let ends = listed.stdout.strip_suffix(b"\n").unwrap();
    assert!(ends.ends_with(b"/no text \xff"));
    let entries = world.run(["ls", "--json"]).ok().json_lines();
    assert!(entries.last().unwrap()["path"]["hex"].is_string());
}
