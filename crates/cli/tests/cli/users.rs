//! `keepwatch user`

use keepwatch_core::crypto::{Key, Lock};
use keepwatch_core::events::{Store, StoreOptions, StoreRole};
use serde_json::{Value, json};

use crate::world::{Ran, World};

/// With an event store that the key file opens.
fn world() -> World {
    let world = World::empty();
    let key = Key::from_bytes([7; 32]);
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    Store::create(&world.path("events"), &locks, &StoreOptions::default()).unwrap();
    world.write("new", "correct horse battery\n");
    world
}

fn user(world: &World, args: &[&str]) -> Ran {
    let (verb, rest) = args.split_first().unwrap();
    let store = ["user", verb, "--store", "events", "--json"];
    world.run(store.iter().chain(rest))
}

/// Who is in a list.
fn names(listed: &Ran) -> Vec<Value> {
    let users = listed.json();
    let users = users.as_array().unwrap().iter();
    users.map(|user| user["name"].clone()).collect()
}

#[test]
fn users_are_made_changed_and_removed() {
    let world = world();
    let password = ["--new-password-file", "new"];
    let add = |name: &str, role: &str| {
        let args = ["add", name, "--role", role];
        user(&world, &[&args[..], &password].concat())
    };
    let ada = add("ada", "admin").ok().json();
    assert_eq!(
        (&ada["name"], &ada["role"], &ada["totp"]),
        (&json!("ada"), &json!("admin"), &json!(false))
    );
    add("bob", "viewer").ok();
    user(&world, &[&["passwd", "bob"][..], &password].concat()).ok();
    user(&world, &["reset-totp", "bob"]).ok();
    let listed = user(&world, &["list"]).ok();
    assert_eq!(names(&listed), ["ada", "bob"]);
    // Neither the password nor what is kept of it.
    assert!(!listed.text().contains("horse") && !listed.text().contains("argon2"));
    user(&world, &["remove", "bob"]).ok();
    assert_eq!(names(&user(&world, &["list"]).ok()), ["ada"]);
}

#[test]
fn what_cannot_be_is_said_and_changes_nothing() {
    let world = world();
    world.write("short", "short\n");
    let refused = |args: &[&str], because: &str| {
        let ran = user(&world, args).code(1);
        assert!(ran.stderr.contains(because), "{}", ran.stderr);
    };
    let add = [
        "add",
        "ada",
        "--new-password-file",
        "new",
        "--role",
        "admin",
    ];
    refused(&["add", "ada", "--new-password-file", "short"], "12");
    user(&world, &add).ok();
    refused(&add, "there is a user");
    refused(&["remove", "ada"], "admin");
    refused(
        &["passwd", "nobody", "--new-password-file", "new"],
        "no such user",
    );
    // Who has no terminal is not asked.
    let asked = user(&world, &["passwd", "ada"]).code(2);
    assert!(
        asked.stderr.contains("--new-password-file"),
        "{}",
        asked.stderr
    );
    world.run(["user", "list", "--store", "elsewhere"]).code(10);
    assert_eq!(names(&user(&world, &["list"]).ok()), ["ada"]);
}
