//! `watch`, `camera`, `events` and `evidence`

use serde_json::Value;

use crate::world::World;

const SECRET: &str = "tops3cret";

/// A world with a store of what a test pattern showed.
fn watched() -> World {
    let world = World::empty();
    world.write("pw", "a passphrase\n");
    let watch = ["watch", "--password-file", "pw", "--store", "store"];
    // It takes two seconds to know the scene.
    let args = watch
        .into_iter()
        .chain(["--camera", "t=test:", "--for", "6s", "--json"]);
    world.run_bare(args).ok();
    world
}

fn events(world: &World) -> Vec<Value> {
    let list = [
        "events",
        "list",
        "--store",
        "store",
        "--password-file",
        "pw",
        "--json",
    ];
    let list = world.run_bare(list).ok().json();
    list.as_array().expect("a list").clone()
}

#[test]
fn an_address_that_cannot_be_read_is_not_repeated() {
    let world = World::empty();
    world.write("pw", "a passphrase\n");
    let bad = format!("rtsp://u:{SECRET}@h:99999/");
    let named = format!("a={bad}");
    for args in [
        vec![
            "watch",
            "--store",
            "s",
            "--password-file",
            "pw",
            "--camera",
            &named,
        ],
        vec![
            "watch",
            "--store",
            "s",
            "--password-file",
            "pw",
            "--camera",
            &bad,
        ],
        vec!["camera", "probe", &bad],
        vec!["camera", "probe", "--json", &bad],
    ] {
        let ran = world.run_bare(args).code(2);
        let said = format!("{}{}", ran.stderr, String::from_utf8_lossy(&ran.stdout));
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn settings_that_cannot_work_leave_no_store() {
    let world = World::empty();
    world.write("pw", "a passphrase\n");
    let watch = ["watch", "--store", "store", "--password-file", "pw"];
    let args = watch
        .into_iter()
        .chain(["--camera", "t=test:", "--decode", "none"]);
    let ran = world.run_bare(args).code(1);
    assert!(ran.stderr.contains("decode"), "{}", ran.stderr);
    assert!(!world.path("store").exists());
}

#[test]
fn what_was_watched_is_listed_exported_proven_and_purged() {
    let world = watched();
    let all = events(&world);
    let id = all[0]["id"].as_str().expect("it has an id").to_owned();
    let with_store = |args: &[&str]| -> Vec<String> {
        let store = ["--store", "store", "--password-file", "pw"];
        args.iter()
            .chain(&store)
            .map(|arg| (*arg).to_owned())
            .collect()
    };
    world.run_bare(with_store(&["events", "show", &id])).ok();
    for what in ["clip", "picture", "bundle"] {
        let option = format!("--{what}");
        world
            .run_bare(with_store(&["events", "export", &option, &id, "-o", what]))
            .ok();
        // What is there is not replaced.
        world
            .run_bare(with_store(&["events", "export", &option, &id, "-o", what]))
            .code(1);
    }
    world.run_bare(["evidence", "verify", "bundle"]).ok();
    world.run_bare(["evidence", "verify", "clip"]).code(13);
    world.run_bare(["camera", "probe", "clip"]).ok();
    world
        .run_bare(with_store(&["events", "verify", "--media"]))
        .ok();
    world.run_bare(with_store(&["events", "purge"])).code(2);
    std::fs::remove_file(
        world
            .path("store")
            .join(all[0]["clip"]["path"].as_str().expect("a path")),
    )
    .expect("it is there");
    world.run_bare(with_store(&["events", "verify"])).code(13);
    let purge = ["events", "purge", "--older-than", "1s", "--dry-run"];
    world.run_bare(with_store(&purge)).ok();
    assert_eq!(events(&world).len(), all.len());
}

#[test]
fn stores_say_what_is_wrong_by_their_exit_code() {
    let world = watched();
    world.write("other", "another passphrase\n");
    let list = |store, password| {
        [
            "events",
            "list",
            "--store",
            store,
            "--password-file",
            password,
        ]
    };
    world.run_bare(list("none", "pw")).code(10);
    world.run_bare(list("store", "other")).code(12);
    let watch = [
        "watch",
        "--store",
        "store",
        "--password-file",
        "pw",
        "--camera",
        "a=test:",
    ];
    let elsewhere = [
        "--recipient",
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
    ];
    world.run_bare(watch.into_iter().chain(elsewhere)).code(1);
    let missing = watch.map(|arg| {
        if arg == "a=test:" {
            "a=missing.mp4"
        } else {
            arg
        }
    });
    world.run_bare(missing).code(3);
}
