//! MariaDB.

use keepwatch_ops::source::SourceError;
use keepwatch_testkit::mariadb::{MariaDb, PASSWORD, USER};
use serde_json::{Value, json};

use crate::world::{World, settings};

fn of(server: &MariaDb, more: &Value) -> Value {
    let mut all = json!({
        "kind": "mariadb",
        "socket": server.socket(),
        "user": USER,
        "password": PASSWORD,
    });
    let more = more.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    all
}

const SHOP: &str = "
    CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
    CREATE TABLE goods (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100), picture BLOB) ENGINE=InnoDB;
    INSERT INTO goods (name, picture) VALUES ('Käse 🧀', x'00ff0a27225c'), ('line\\nUSE `shop`;', NULL);
    CREATE TABLE log (what VARCHAR(100)) ENGINE=InnoDB;
    CREATE TRIGGER noted AFTER INSERT ON goods FOR EACH ROW INSERT INTO log VALUES (NEW.name);
    CREATE PROCEDURE add_one(IN n VARCHAR(100)) INSERT INTO goods (name) VALUES (n);
    CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR DO DELETE FROM log;
    CREATE VIEW names AS SELECT name FROM goods;
    CREATE DATABASE other; CREATE TABLE other.t (a INT);";

#[test]
fn all_of_a_server_comes_back() {
    let server = MariaDb::start();
    server.run(SHOP);
    let world = World::new();
    let all = settings(of(&server, &json!({ "users": true })));
    all.probe(&world.environment()).unwrap();
    world.backup(&all).unwrap();
    let names: Vec<String> = world.listed().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["other.sql", "shop.sql", "users.sql"]);
    assert!(String::from_utf8_lossy(&world.dump("users.sql")).contains(USER));
    let told = server.run("SELECT * FROM shop.goods ORDER BY id");

    // What is there stays unless it may go.
    let taken = world.restore(&all, "shop.sql", None, false).unwrap_err();
    assert!(matches!(taken, SourceError::Taken { .. }), "{taken}");
    server.run("DELETE FROM shop.goods; DROP PROCEDURE shop.add_one");
    world.restore(&all, "shop.sql", None, true).unwrap();
    assert_eq!(server.run("SELECT * FROM shop.goods ORDER BY id"), told);

    // And beside it, with all that belongs to it.
    world
        .restore(&all, "shop.sql", Some("copy"), false)
        .unwrap();
    assert_eq!(server.run("SELECT * FROM copy.goods ORDER BY id"), told);
    server.run("CALL copy.add_one('new')");
    assert_eq!(server.run("SELECT what FROM copy.log"), "new\n");
    assert_eq!(server.run("SELECT COUNT(*) FROM copy.names"), "3\n");
    assert_eq!(server.run("SELECT COUNT(*) FROM shop.goods"), "2\n");
    let events = "SELECT event_schema FROM information_schema.events ORDER BY 1";
    assert_eq!(server.run(events), "copy\nshop\n");
}

#[test]
fn names_that_lead_elsewhere_or_mean_something_else_come_back() {
    let server = MariaDb::start();
    let names = ["users", "all", "/etc", "..", "a%b"];
    for name in names {
        server.run(&format!(
            "CREATE DATABASE `{name}`; CREATE TABLE `{name}`.t AS SELECT '{name}' AS n"
        ));
    }
    let world = World::new();
    let all = settings(of(&server, &json!({ "users": true })));
    world.backup(&all).unwrap();
    let mut listed: Vec<String> = world.listed().into_iter().map(|(name, _)| name).collect();
    listed.sort();
    let files = [
        "%2e..sql",
        "%2fetc.sql",
        "%61ll.sql",
        "%75sers.sql",
        "a%25b.sql",
        "users.sql",
    ];
    assert_eq!(listed, files);
    for (name, file) in ["..", "/etc", "all", "users", "a%b"].iter().zip(files) {
        server.run(&format!("DROP DATABASE `{name}`"));
        world.restore(&all, file, None, false).unwrap();
        let kept = server.run(&format!("SELECT n FROM `{name}`.t"));
        assert_eq!(kept.trim_end(), *name);
    }
}

#[test]
fn what_has_not_changed_is_stored_once() {
    let server = MariaDb::start();
    server.run(SHOP);
    server.run(
        "USE other; INSERT INTO t SELECT a.seq * 1000 + b.seq FROM seq_1_to_1000 a, seq_1_to_100 b",
    );
    let world = World::new();
    let one = settings(of(&server, &json!({ "databases": ["other"] })));
    let first = world.backup(&one).unwrap();
    let again = world.backup(&one).unwrap();
    assert!(first.bytes.new > 500_000);
    // Its last line has the time.
    assert!(again.bytes.new < first.bytes.new / 10, "{:?}", again.bytes);
    let together = settings(of(
        &server,
        &json!({ "databases": ["other", "shop"], "together": true }),
    ));
    world.backup(&together).unwrap();
    assert_eq!(world.listed().len(), 1);
    let refused = world
        .restore(&together, "all.sql", None, false)
        .unwrap_err();
    assert!(matches!(refused, SourceError::Taken { .. }));
    server.run("DROP DATABASE shop");
    world.restore(&together, "all.sql", None, true).unwrap();
    assert_eq!(server.run("SELECT COUNT(*) FROM shop.goods"), "2\n");
}

#[test]
fn who_is_not_let_in_is_told_without_the_password() {
    let server = MariaDb::start();
    let world = World::new();
    let wrong = settings(of(&server, &json!({ "password": "hunter2" })));
    let error = wrong.probe(&world.environment()).unwrap_err().to_string();
    assert!(error.contains("Access denied"), "{error}");
    assert!(!error.contains("hunter2") && !format!("{wrong:?}").contains("hunter2"));
    assert!(
        wrong
            .streams("db", &world.environment(), world.dir.path())
            .is_err()
    );
    let none = settings(of(&server, &json!({ "databases": ["nowhere"] })));
    let error = none.streams("db", &world.environment(), world.dir.path());
    assert!(matches!(error, Err(SourceError::NoDatabase { .. })));
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_no_snapshot() {
    let mut server = MariaDb::start();
    server.run(SHOP);
    server.run(
        "USE other; CREATE TABLE other.big (a INT, b VARCHAR(1000)); \
         INSERT INTO other.big SELECT seq, REPEAT(MD5(seq), 30) FROM seq_1_to_40000",
    );
    let world = World::new();
    let one = settings(of(&server, &json!({ "databases": ["other"] })));
    let mut streams = one
        .streams("db", &world.environment(), world.dir.path())
        .unwrap();
    // Killed once the first of it is there.
    struct Killing<R>(
        R,
        Option<std::sync::mpsc::Sender<()>>,
        std::sync::mpsc::Receiver<()>,
    );
    impl<R: std::io::Read> std::io::Read for Killing<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.read(buffer)?;
            if let Some(kill) = self.1.take() {
                assert!(length > 0);
                kill.send(()).unwrap();
                self.2.recv().unwrap();
            }
            Ok(length)
        }
    }
    let (kill, killed) = std::sync::mpsc::channel();
    let (done, gone) = std::sync::mpsc::channel();
    let killer = std::thread::spawn(move || {
        killed.recv().unwrap();
        server.program.stop();
        done.send(()).unwrap();
    });
    let keepwatch_core::Source::Stream(Some(stream), _) = streams.remove(0) else {
        panic!("it is a stream");
    };
    let source = keepwatch_core::Source::stream(keepwatch_core::Stream {
        path: stream.path,
        reader: Box::new(Killing(stream.reader, Some(kill), gone)),
        finish: stream.finish,
    });
    let repository = world.open();
    let options = keepwatch_testkit::vault::backup_options();
    let error = repository
        .backup(vec![source], &options, &keepwatch_core::Silent)
        .unwrap_err();
    killer.join().unwrap();
    let told = keepwatch_core::with_causes(&error);
    assert!(told.contains("mariadb-dump ended with"), "{told}");
    assert!(repository.snapshots().unwrap().0.is_empty());
}

#[test]
fn the_password_is_in_no_argument() {
    let server = MariaDb::start();
    // More than fits into a pipe, so that it waits for a reader with the rest.
    server.run(
        "CREATE DATABASE big; USE big; \
         CREATE TABLE big.t AS SELECT seq, REPEAT(MD5(seq), 30) AS filling FROM seq_1_to_5000",
    );
    let world = World::new();
    let one = settings(of(&server, &json!({ "databases": ["big"] })));
    let streams = one.streams("db", &world.environment(), world.dir.path());
    let keepwatch_core::Source::Stream(Some(mut stream), _) = streams.unwrap().remove(0) else {
        panic!("it is a stream");
    };
    let mut first = [0; 16];
    stream.reader.read_exact(&mut first).unwrap();
    let mut seen = 0;
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(argv) = std::fs::read(process.path().join("cmdline")) else {
            continue;
        };
        let argv = String::from_utf8_lossy(&argv).into_owned();
        if argv.contains(server.socket().to_str().unwrap()) {
            seen += usize::from(argv.contains("mariadb-dump"));
            assert!(!argv.contains(PASSWORD), "{argv}");
        }
    }
    assert_eq!(seen, 1);
    drop(stream);
}

#[test]
fn a_dump_is_tried_and_leaves_nothing() {
    let server = MariaDb::start();
    server.run(SHOP);
    let world = World::new();
    let all = settings(of(&server, &json!({ "users": true })));
    world.backup(&all).unwrap();
    let before = server.run("SHOW DATABASES");
    let dump = world.dump("shop.sql");
    let tried = world.rehearse(&all, "shop.sql", dump.clone()).unwrap();
    assert_eq!(tried.map(|back| back.tables), Some(2));
    let accounts = world.dump("users.sql");
    assert_eq!(world.rehearse(&all, "users.sql", accounts).unwrap(), None);
    // One that breaks off in a statement fails, and leaves nothing either.
    let at = dump.windows(6).position(|part| part == b"INSERT").unwrap();
    let half = dump[..at + 20].to_vec();
    world.rehearse(&all, "shop.sql", half).unwrap_err();
    assert_eq!(server.run("SHOW DATABASES"), before);
}
