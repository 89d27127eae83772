//! SQLite.

use std::sync::atomic::{AtomicBool, Ordering};

use keepwatch_ops::source::SourceError;
use rusqlite::Connection;
use serde_json::json;

use crate::world::{World, settings};

#[test]
fn a_database_in_use_is_copied_as_of_one_moment() {
    copied_while_it_is_written("WAL");
}

#[test]
fn without_a_log_the_copy_comes_to_its_end_between_writes() {
    copied_while_it_is_written("TRUNCATE");
}

fn copied_while_it_is_written(mode: &str) {
    let world = World::new();
    let path = world.dir.path().join("a.db");
    let writer = Connection::open(&path).unwrap();
    let _: String = writer
        .query_row(&format!("PRAGMA journal_mode = {mode}"), [], |row| {
            row.get(0)
        })
        .unwrap();
    writer
        .busy_timeout(std::time::Duration::from_secs(60))
        .unwrap();
    // Two tables that always hold the same number of rows.
    writer
        .execute_batch("CREATE TABLE a (n INT, pad BLOB); CREATE TABLE b (n INT)")
        .unwrap();
    let write = |n: i64| {
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        writer
            .execute("INSERT INTO a VALUES (?1, randomblob(2000))", [n])
            .unwrap();
        writer.execute("INSERT INTO b VALUES (?1)", [n]).unwrap();
        writer.execute_batch("COMMIT").unwrap();
    };
    for n in 0..500 {
        write(n);
    }
    // More than is copied in one step.
    writer
        .execute_batch("CREATE TABLE big AS SELECT zeroblob(20000000) AS filling")
        .unwrap();
    let one = settings(json!({ "kind": "sqlite", "path": path }));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let backup = scope.spawn(|| {
            let result = world.backup(&one);
            done.store(true, Ordering::Relaxed);
            result
        });
        let mut n = 500;
        while !done.load(Ordering::Relaxed) {
            write(n);
            n += 1;
            // Whoever writes without end keeps everybody out who has no log to read from.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        backup.join().unwrap().unwrap();
    });
    let out = world.dir.path().join("out.db");
    let into = out.to_str().unwrap();
    world.restore(&one, "a.db", Some(into), false).unwrap();
    let copy = Connection::open(&out).unwrap();
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        copy.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert!(count("a") >= 500);
    assert_eq!(count("a"), count("b"));
    // Nothing of the copy is left.
    let left = std::fs::read_dir(world.dir.path()).unwrap().flatten();
    let names: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(
        !names
            .iter()
            .any(|name| name.to_string_lossy().starts_with("keepwatch-sqlite"))
    );

    let taken = world.restore(&one, "a.db", Some(into), false).unwrap_err();
    assert!(matches!(taken, SourceError::Taken { .. }), "{taken}");
    drop(copy);
    world.restore(&one, "a.db", Some(into), true).unwrap();
}

#[test]
fn what_is_no_database_makes_no_snapshot() {
    let world = World::new();
    let path = world.dir.path().join("a.db");
    std::fs::write(&path, vec![7; 5000]).unwrap();
    let one = settings(json!({ "kind": "sqlite", "path": path }));
    assert!(one.probe(&world.environment()).is_err());
    world.backup(&one).unwrap_err();
    assert!(world.open().snapshots().unwrap().0.is_empty());
    let none = settings(json!({ "kind": "sqlite", "path": world.dir.path().join("none.db") }));
    assert!(none.probe(&world.environment()).is_err());
    assert!(!world.dir.path().join("none.db").exists());
}
