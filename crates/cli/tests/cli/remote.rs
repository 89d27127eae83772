//! Repositories on other machines, and copies from one to another.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keepwatch_testkit::proxy::{Line, Proxy};
use keepwatch_testkit::s3::{self, S3};
use keepwatch_testkit::tree;
use rustix::process::{Pid, Signal, kill_process};

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

/// Comes true, or fails the test.
#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_first_ctrl_c_ends_a_wait_for_a_storage_that_does_not_answer() {
    let server = S3::start();
    let proxy = Proxy::start(server.port());
    let world = World::new();
    let address = server.address_at("laptop", proxy.port());
    let there = |args: &[&str]| {
        let mut command = world.command(["--repo", &address, "--patience", "3600"]);
        command
            .args(args)
            .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY);
        command
    };
    run(&mut there(&["init"])).ok();

    // The command that is backed up says that the backup has begun, and waits for us.
    let fifo = world.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let backing_up = ["backup", "--command", "out", "--", "sh", "-c"];
    let mut child = there(&backing_up)
        .arg("echo >begun; cat fifo")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the backup begins", || world.path("begun").exists());
    proxy.set(Line::Stalled);
    let before = proxy.sent();
    let mut pipe = OpenOptions::new().write(true).open(&fifo).unwrap();
    pipe.write_all(&tree::noise(1 << 20, 1)).unwrap();
    drop(pipe);
    wait_until("something is asked of it", || proxy.sent() > before);

    // It is patient, until it is told not to be.
    assert!(child.try_wait().unwrap().is_none());
    let told = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    // What is silent for 30 s is tried again as long as there is patience: an hour.
    while child.try_wait().unwrap().is_none() && told.elapsed() < Duration::from_secs(25) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // It may be gone.
    let _ = child.kill();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted"), "{said}");

    // And nothing is broken by it.
    proxy.set(Line::Good);
    world.write("src/a", b"a");
    run(&mut there(&["backup", "src"])).ok();
    run(&mut there(&["check", "--read-data"])).ok();
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
