//! `plate list`, `add` and `remove`

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::world::{World, fields, run};

const CONFIG: &str = "[plates]\nallow_list = \"lists/allow.csv\"\ndeny_list = \"lists/deny.csv\"\n";
const LIST: &str =
    "# the house\r\nplate_text;description\r\nB-KA 12;\"Ann; first floor\"\r\nRK300AG;\r\n";

fn text(world: &World, name: &str) -> String {
    fs::read_to_string(world.path(name)).unwrap()
}

/// With a configuration in another folder, and its lists beside it.
fn world() -> World {
    let world = World::empty();
    world.write("etc/keepwatch.toml", CONFIG);
    world.write("etc/lists/allow.csv", LIST);
    world.write("etc/lists/deny.csv", "X1\n");
    world
}

fn plate(world: &World, args: &[&str]) -> crate::world::Ran {
    let mut command = world.bare(["plate"]);
    command
        .args(args)
        .env("KEEPWATCH_CONFIG", world.path("etc/keepwatch.toml"));
    run(&mut command)
}

#[test]
fn lists_of_the_configuration_are_changed_and_nothing_else_in_them() {
    let world = world();
    let allow = world.path("etc/lists/allow.csv");
    fs::set_permissions(&allow, fs::Permissions::from_mode(0o640)).unwrap();
    let added = plate(
        &world,
        &["add", "--allow", "--json", "m-x 7", "--description", "Bob"],
    );
    let added = added.ok().json();
    assert_eq!(
        (&added["list"], &added["plate"], &added["text_clean"]),
        (&json!("allow"), &json!("m-x 7"), &json!("MX7"))
    );
    assert_eq!((&added["added"], &added["line"]), (&json!(true), &json!(5)));
    assert_eq!(
        text(&world, "etc/lists/allow.csv"),
        format!("{LIST}m-x 7;Bob\r\n")
    );
    let mode = fs::metadata(&allow).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);

    let removed = plate(&world, &["remove", "--allow", "--json", "MX-7"])
        .ok()
        .json();
    assert_eq!(
        (&removed["plate"], &removed["lines"]),
        (&json!("m-x 7"), &json!(1))
    );
    assert_eq!(text(&world, "etc/lists/allow.csv"), LIST);
    plate(&world, &["add", "--deny", "M-X 7"]).ok();
    assert_eq!(text(&world, "etc/lists/deny.csv"), "X1\nM-X 7\n");
    // Nothing is left beside them.
    assert_eq!(fs::read_dir(world.path("etc/lists")).unwrap().count(), 2);
}

#[test]
fn lists_are_listed() {
    let world = world();
    let listed = plate(&world, &["list", "--json"]).ok().json();
    let rows = listed.as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        fields(&rows[0]),
        ["description", "file", "line", "list", "plate", "text_clean"]
    );
    assert_eq!(
        (
            &rows[0]["text_clean"],
            &rows[0]["description"],
            &rows[0]["line"]
        ),
        (&json!("BKA12"), &json!("Ann; first floor"), &json!(3))
    );
    let text = plate(&world, &["list", "--deny"]).ok();
    assert_eq!(text.text(), "LIST  PLATE  DESCRIPTION\ndeny  X1\n");
    world.write("etc/lists/deny.csv", "RK 300 AG\n");
    let said = plate(&world, &["list"]).ok().stderr;
    assert!(
        said.contains("the plate in line 4 of the allow list"),
        "{said}"
    );
    plate(&world, &["list", "--file", "none.csv"]).code(1);
    // There is no configuration.
    let ran = world.run_bare(["plate", "list"]).code(2);
    assert!(ran.stderr.contains("names no list"), "{}", ran.stderr);
    world.write("bad.csv", "A1\n\"");
    let ran = plate(&world, &["list", "--file", "bad.csv"]).code(1);
    assert!(ran.stderr.contains("line 2"), "{}", ran.stderr);
}

#[test]
fn what_is_there_is_said_and_not_added_again() {
    let world = world();
    for (written, said) in [
        ("rk 300 ag", "already: line 4 is RK300AG"),
        ("RK3OOAG", "RK300AG in line 4 looks like it"),
    ] {
        let ran = plate(&world, &["add", "--allow", written]).ok();
        assert!(ran.text().contains(said), "{}", ran.text());
        let known = plate(&world, &["add", "--allow", "--json", written])
            .ok()
            .json();
        assert_eq!(
            (&known["added"], &known["plate"]),
            (&json!(false), &json!("RK300AG"))
        );
    }
    assert_eq!(text(&world, "etc/lists/allow.csv"), LIST);
    plate(&world, &["add", "--allow", "--force", "RK3OOAG"]).ok();
    plate(&world, &["add", "--allow", "--force", "RK3OOAG"]).ok();
    assert_eq!(
        text(&world, "etc/lists/allow.csv"),
        format!("{LIST}RK3OOAG;\r\n")
    );
    // On the other list it is another matter, and that is said.
    let ran = plate(&world, &["add", "--deny", "RK300AG"]).ok();
    assert!(
        ran.stderr.contains("on the allow list, too"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_cannot_be_done_is_told_by_the_exit_code() {
    let world = world();
    let ran = plate(&world, &["remove", "--allow", "ZZ9"]).code(1);
    assert!(ran.stderr.contains("ZZ9 is not in"), "{}", ran.stderr);
    let ran = plate(&world, &["remove", "--allow", "RK3OOAG"]).code(1);
    assert!(
        ran.stderr.contains("RK300AG in line 4 looks like it"),
        "{}",
        ran.stderr
    );
    plate(&world, &["remove", "--file", "none.csv", "A1"]).code(1);
    assert!(!world.path("none.csv").exists());
    for args in [
        &["add", "A1"][..],
        &["add", "--allow", "--deny", "A1"],
        &["add", "--allow", "A*1"],
        &["remove", "--allow", "--"],
        &["remove", "--allow", "--", "--"],
        &["read", "--region", "xx", "photo.jpg"],
        &["read", "--within", "5,5,5", "photo.jpg"],
    ] {
        plate(&world, args).code(2);
    }
    assert_eq!(text(&world, "etc/lists/allow.csv"), LIST);
    let ran = world.run_bare(["plate", "add", "--deny", "A1"]).code(2);
    assert!(ran.stderr.contains("names no deny list"), "{}", ran.stderr);
    // A list that cannot be read is not changed.
    world.write("etc/lists/deny.csv", "X1\n???\n");
    plate(&world, &["add", "--deny", "A1"]).code(1);
    assert_eq!(text(&world, "etc/lists/deny.csv"), "X1\n???\n");
}

#[test]
fn a_file_of_its_own_is_made_and_found_behind_a_link() {
    let world = World::empty();
    world
        .run_bare(["plate", "add", "--file", "new.csv", "A-1"])
        .ok();
    assert_eq!(text(&world, "new.csv"), "A-1\n");
    symlink("new.csv", world.path("link.csv")).unwrap();
    world
        .run_bare(["plate", "add", "--file", "link.csv", "B2"])
        .ok();
    assert_eq!(text(&world, "new.csv"), "A-1\nB2\n");
    assert!(world.path("link.csv").is_symlink());
    world
        .run_bare(["plate", "remove", "--file", "new.csv", "a1"])
        .ok();
    assert_eq!(text(&world, "new.csv"), "B2\n");
}

#[test]
fn those_who_add_at_once_do_not_lose_each_others_plates() {
    let world = World::empty();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let world = &world;
            scope.spawn(move || {
                let plate = format!("AB{n}{n}00");
                world
                    .run_bare(["plate", "add", "--file", "list.csv", &plate])
                    .ok();
            });
        }
    });
    assert_eq!(text(&world, "list.csv").lines().count(), 8);
}
