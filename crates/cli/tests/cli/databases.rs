//! Dumps that come back on a machine that has no configuration.

use std::process::Command;

use keepwatch_testkit::mariadb::{self, MariaDb};
use keepwatch_testkit::postgres::{self, Postgres};

use crate::world::{Ran, World, run};

/// A world with a snapshot of one database of these settings, named `shop`, and nothing else of the
/// configuration any more.
fn backed_up(settings: &str) -> World {
    let world = World::new();
    world.write(
        "keepwatch.toml",
        format!(
            "[run]\nstate = \"state\"\n\
             [repositories.disk]\npath = \"repo\"\nkey_file = \"key\"\n\
             [databases.shop]\n{settings}\n\
             [jobs.nightly]\nkind = \"backup\"\nrepository = \"disk\"\ndatabases = [\"shop\"]\n"
        ),
    );
    run(&mut world.bare(["job", "run", "nightly", "--config", "keepwatch.toml"])).ok();
    std::fs::remove_file(world.path("keepwatch.toml")).unwrap();
    world
}

/// Nothing of the old configuration is there, and it is not looked for.
fn restoring(world: &World, args: &[&str]) -> Command {
    let mut command = world.command(["restore-db", "latest", "shop"]);
    command
        .args(args)
        .env("KEEPWATCH_CONFIG", "/no/such/keepwatch.toml");
    command
}

fn says(ran: &Ran, what: &str) {
    assert!(ran.stderr.contains(what), "{}", ran.stderr);
}

#[test]
fn a_dump_of_mariadb_comes_back_without_a_configuration() {
    let server = MariaDb::start();
    server.run("CREATE DATABASE shop; CREATE TABLE shop.t AS SELECT 'a''b' AS x UNION SELECT 'c'");
    let (socket, port) = (
        server.socket().display().to_string(),
        server.port().to_string(),
    );
    let world = backed_up(&format!(
        "kind = \"mariadb\"\nsocket = \"{socket}\"\nuser = \"{}\"\npassword = '''{}'''",
        mariadb::USER,
        mariadb::PASSWORD.replace('$', "$$"),
    ));
    server.run("DROP DATABASE shop");
    world.write("db-password", format!("{}\n", mariadb::PASSWORD));
    let user = ["--db-user", mariadb::USER];
    let from_file = ["--db-password-file", "db-password"];
    let by_socket = ["--kind", "mariadb", "--db-socket", &socket];

    let mut back = restoring(&world, &by_socket);
    run(back.args(user).args(from_file)).ok();
    assert_eq!(server.run("SELECT x FROM shop.t ORDER BY x"), "a'b\nc\n");
    let taken = run(&mut back).code(1);
    says(&taken, "--force");

    // Over the network, and the password out of the environment.
    let by_port = ["--kind", "mysql", "--db-host", "127.0.0.1", "--db-port"];
    let mut beside = restoring(&world, &by_port);
    beside.args([&*port, "--db-tls", "off", "--into", "beside"]);
    run(beside
        .args(user)
        .env("KEEPWATCH_DB_PASSWORD", mariadb::PASSWORD))
    .ok();
    assert_eq!(server.run("SELECT x FROM beside.t ORDER BY x"), "a'b\nc\n");

    let mut wrong = restoring(&world, &by_socket);
    let wrong = run(wrong.args(user).env("KEEPWATCH_DB_PASSWORD", "hunter2")).code(1);
    says(&wrong, "denied");
    assert!(!wrong.stderr.contains("hunter2"), "{}", wrong.stderr);
}

#[test]
fn a_dump_of_postgres_comes_back_without_a_configuration() {
    let server = Postgres::start();
    server.create_database("shop");
    server.run("shop", "CREATE TABLE t AS SELECT 'c' AS x");
    let port = server.port().to_string();
    let world = backed_up(&format!(
        "kind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"{}\"\n\
         password = \"{}\"\ndatabases = [\"shop\"]",
        postgres::USER,
        postgres::PASSWORD,
    ));
    let at = ["--kind", "postgres", "--db-host", "127.0.0.1", "--db-port"];
    let mut back = restoring(&world, &at);
    back.args([&*port, "--db-user", postgres::USER, "--into", "beside"])
        .env("KEEPWATCH_DB_PASSWORD", postgres::PASSWORD);
    run(&mut back).ok();
    assert_eq!(server.run("beside", "SELECT x FROM t"), "c");
}

#[test]
fn a_copy_of_sqlite_comes_back_without_a_configuration() {
    let empty = World::empty();
    let file = empty.path("shop.db");
    let ask = |file: &std::path::Path, sql: &str| {
        let ran = Command::new("sqlite3").arg(file).arg(sql).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    ask(&file, "CREATE TABLE t (x); INSERT INTO t VALUES ('c')");
    let world = backed_up(&format!("kind = \"sqlite\"\npath = \"{}\"", file.display()));
    let into = ["--kind", "sqlite", "--into", "back.db"];
    let report = run(restoring(&world, &into).arg("--json")).ok().json();
    assert_eq!(report["dump"], "/databases/shop/shop.db");
    assert_eq!(ask(&world.path("back.db"), "SELECT x FROM t"), "c\n");
    says(&run(&mut restoring(&world, &into)).code(1), "--force");
}

#[test]
fn what_does_not_go_together_is_a_usage_error() {
    let world = World::empty();
    let file = world.write("shop.db", b"");
    let file = file.to_str().unwrap();
    for (args, said) in [
        (&["--kind", "oracle"][..], "[possible values: mysql"),
        (&["--db-host", "db.lan"], "--kind"),
        (&["--db-password-file", file], "--kind"),
        (&["--kind", "mysql", "--to", "other"], "--to"),
        (
            &["--kind", "mysql", "--db-socket", "/s", "--db-host", "h"],
            "--db-socket",
        ),
        (&["--kind", "postgres", "--db-socket", "/s"], "--db-host"),
        (&["--kind", "sqlite"], "--into"),
        (
            &["--kind", "sqlite", "--into", "x", "--db-user", "me"],
            "SQLite has no server",
        ),
        (&["--kind", "sqlite", "--into", "/"], "no file"),
    ] {
        says(&run(&mut restoring(&world, args)).code(2), said);
    }
    // Whoever has no configuration hears how it goes without one.
    let mut without = world.command(["restore-db", "latest", "shop"]);
    says(&run(&mut without).code(2), "--kind");
}

#[test]
fn a_dump_that_is_not_there_is_told() {
    let world = World::new();
    world.write("src/a", b"a");
    world.backup("src");
    let into = ["--kind", "sqlite", "--into", "back.db"];
    let told = run(&mut restoring(&world, &into)).code(2);
    says(&told, "no dump of a database \"shop\"");
    assert!(!world.path("back.db").exists());
}
