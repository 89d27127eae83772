//! PostgreSQL.

use keepwatch_ops::source::SourceError;
use keepwatch_testkit::postgres::{PASSWORD, Postgres, USER};
use serde_json::{Value, json};

use crate::world::{World, settings};

fn of(server: &Postgres, more: &Value) -> Value {
    let mut all = json!({
        "kind": "postgres",
        "host": "127.0.0.1",
        "port": server.port(),
        "user": USER,
        "password": PASSWORD,
    });
    let more = more.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    all
}

#[test]
fn all_of_a_server_comes_back() {
    let server = Postgres::start();
    server.create_database("shop");
    server.run(
        "shop",
        "CREATE TABLE goods (id serial PRIMARY KEY, name text, picture bytea); \
         INSERT INTO goods (name, picture) VALUES ('Käse 🧀', '\\x00ff0a27225c'), (E'a\\nb', NULL); \
         CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'; \
         CREATE ROLE clerk;",
    );
    let world = World::new();
    let all = settings(of(&server, &json!({})));
    all.probe(&world.environment()).unwrap();
    world.backup(&all).unwrap();
    let names: Vec<String> = world.listed().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["globals.sql", "postgres.pgdump", "shop.pgdump"]);
    let goods = "SELECT id, name, encode(picture, 'hex') FROM goods ORDER BY id";
    let told = server.run("shop", goods);

    let taken = world.restore(&all, "shop.pgdump", None, false).unwrap_err();
    assert!(matches!(taken, SourceError::Taken { .. }), "{taken}");
    world
        .restore(&all, "shop.pgdump", Some("co py"), false)
        .unwrap();
    assert_eq!(server.run("co py", goods), told);
    assert_eq!(server.run("co py", "SELECT twice(21)"), "42");
    server.run("shop", "DROP TABLE goods");
    world.restore(&all, "shop.pgdump", None, true).unwrap();
    assert_eq!(server.run("shop", goods), told);
    server.run("postgres", "DROP ROLE clerk");
    world.restore(&all, "globals.sql", None, false).unwrap();
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname = 'clerk'";
    assert_eq!(server.run("postgres", roles), "1");
    let target = keepwatch_ops::source::RestoreTarget::default();
    let other = all.restore(
        "shop.sql",
        Box::new(std::io::empty()),
        &target,
        &world.environment(),
    );
    assert!(
        matches!(other, Err(SourceError::NoDump { .. })),
        "{other:?}"
    );
}

#[test]
fn half_a_dump_changes_nothing() {
    let server = Postgres::start();
    server.create_database("shop");
    server.run(
        "shop",
        "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i",
    );
    let world = World::new();
    let one = settings(of(&server, &json!({ "databases": ["shop"] })));
    world.backup(&one).unwrap();
    assert_eq!(world.listed().len(), 1, "roles are for those who want all");
    let whole = world.dump("shop.pgdump");
    let half = std::io::Cursor::new(whole[..whole.len() / 2].to_vec());
    let target = keepwatch_ops::source::RestoreTarget {
        into: Some("half".to_owned()),
        force: false,
    };
    let error = one.restore("shop.pgdump", Box::new(half), &target, &world.environment());
    assert!(
        matches!(error, Err(SourceError::Failed { .. })),
        "{error:?}"
    );
    let left = "SELECT count(*) FROM pg_database WHERE datname = 'half'";
    assert_eq!(
        server.run("postgres", left),
        "0",
        "nor does it leave a database"
    );

    // One that was there, and is empty, stays as it was.
    server.create_database("half");
    let half = std::io::Cursor::new(whole[..whole.len() / 2].to_vec());
    let error = one.restore("shop.pgdump", Box::new(half), &target, &world.environment());
    assert!(error.is_err());
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 't'";
    assert_eq!(server.run("half", tables), "0");
}

#[test]
fn who_is_not_let_in_is_told_without_the_password() {
    let server = Postgres::start();
    let world = World::new();
    let wrong = settings(of(&server, &json!({ "password": "hunter2" })));
    let error = wrong.probe(&world.environment()).unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    assert!(!error.contains("hunter2") && !format!("{wrong:?}").contains("hunter2"));
    let none = settings(of(&server, &json!({ "databases": ["nowhere"] })));
    let error = none.streams("db", &world.environment(), world.dir.path());
    assert!(matches!(error, Err(SourceError::NoDatabase { .. })));
}

#[test]
fn a_dump_is_tried_and_leaves_nothing() {
    let server = Postgres::start();
    server.create_database("shop");
    server.run(
        "shop",
        "CREATE TABLE a (b int); CREATE TABLE c (d int); CREATE VIEW v AS SELECT 1",
    );
    let world = World::new();
    let all = settings(of(&server, &json!({})));
    world.backup(&all).unwrap();
    let databases = "SELECT datname FROM pg_database ORDER BY 1";
    let before = server.run("postgres", databases);
    let dump = world.dump("shop.pgdump");
    let tried = world.rehearse(&all, "shop.pgdump", dump.clone()).unwrap();
    assert_eq!(tried.map(|back| back.tables), Some(2));
    assert_eq!(
        world.rehearse(&all, "globals.sql", Vec::new()).unwrap(),
        None
    );
    let half = dump[..dump.len() / 2].to_vec();
    world
        .rehearse(&all, "shop.pgdump", half.clone())
        .unwrap_err();
    assert_eq!(server.run("postgres", databases), before);
}
