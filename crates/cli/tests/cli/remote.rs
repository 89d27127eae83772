//! Repositories on other machines, and copies from one to another.

use std::process::Command;

use keepwatch_testkit::s3::{self, S3};
use keepwatch_testkit::tree;

use crate::world::{World, run};

fn on(world: &World, server: &S3, secret: &str, args: &[&str]) -> Command {
    let address = server.address("laptop");
    let mut command = world.command(["--repo", &address, "--patience", "20"]);
    command
        .args(args)
        .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret);
    command
}

#[test]
fn a_bucket_is_a_repository_like_any_other() {
    let server = S3::start();
    let world = World::new();
    world.write("src/a", tree::noise(100_000, 1));
    world.write("src/deep/b", b"b");
    let there = |args: &[&str]| run(&mut on(&world, &server, s3::SECRET_KEY, args));

    let told = there(&["snapshots"]).code(10);
    assert!(told.stderr.contains("s3://"), "{}", told.stderr);
    there(&["init"]).ok();
    assert!(server.bucket().join("laptop/storage.json").exists());
    there(&["backup", "src"]).ok();
    there(&["check", "--read-data"]).ok();
    there(&["restore", "latest", "--target", "out"]).ok();
    let inside = world
        .path("out")
        .join(world.path("src").strip_prefix("/").unwrap());
    tree::assert_same_tree(&world.path("src"), &inside);

    // And what is there comes here.
    let address = server.address("laptop");
    let mut copy = world.command(["copy", "--from", &address, "--json"]);
    copy.env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY);
    let report = run(&mut copy).ok().json();
    assert_eq!(report["copied"].as_array().unwrap().len(), 1);
    assert_eq!(world.snapshot_count(), 1);
    let again = run(&mut copy).ok().json();
    assert_eq!(again["present"].as_array().unwrap().len(), 1);

    let denied = run(&mut on(&world, &server, "expired", &["snapshots"])).code(1);
    assert!(denied.stderr.contains("credentials"), "{}", denied.stderr);
    assert!(!denied.stderr.contains("expired"), "{}", denied.stderr);
}

#[test]
fn what_rclone_reaches_is_a_repository() {
    let server = S3::start();
    let world = World::new();
    world.write("src/a", tree::noise(3_000_000, 1));
    world.write("src/deep/b", b"b");
    let configuration = format!(
        "[cloud]\ntype = s3\nprovider = Other\nendpoint = http://127.0.0.1:{}\n\
         access_key_id = {}\nsecret_access_key = {}\nno_check_bucket = true\n",
        server.port(),
        s3::ACCESS_KEY,
        s3::SECRET_KEY
    );
    world.write("rclone.conf", configuration);
    let address = format!("rclone://cloud/{}/laptop", s3::BUCKET);
    let there = |args: &[&str]| {
        let mut command = world.command(["--repo", &address, "--remote-key-file", "rclone.conf"]);
        // rclone of Debian 12 reaches no bucket where this is set.
        run(command.args(args).env_remove("AWS_CA_BUNDLE"))
    };
    there(&["init"]).ok();
    there(&["backup", "src"]).ok();
    there(&["backup", "src"]).ok();
    there(&["check", "--read-data"]).ok();
    there(&["forget", "--keep-last", "1"]).ok();
    there(&["restore", "latest", "--target", "out"]).ok();
    let inside = world
        .path("out")
        .join(world.path("src").strip_prefix("/").unwrap());
    tree::assert_same_tree(&world.path("src"), &inside);
    let objects = std::fs::read_dir(server.bucket().join("laptop/tmp"));
    assert!(objects.is_err() || objects.unwrap().next().is_none());
}

#[test]
fn an_address_with_a_password_is_refused() {
    let world = World::empty();
    let told = world
        .run(["--repo", "sftp://me:hidden@host/x", "snapshots"])
        .code(2);
    assert!(told.stderr.contains("holds a password"), "{}", told.stderr);
    assert!(!told.stderr.contains("hidden"), "{}", told.stderr);
}
