//! What servers and lines do when they go bad.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use keepwatch_core::id::Id;
use keepwatch_core::storage::{ObjectKind, ObjectName, RemoteFault, Storage, StorageError};
use keepwatch_core::{Error, ReadData, Silent};
use keepwatch_remote::{Limits, Options};
use keepwatch_testkit::proxy::{Line, Proxy};
use keepwatch_testkit::s3::S3;
use keepwatch_testkit::{tree, vault};

use crate::{create, runtime, s3_options};

fn pack(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Pack, Id::of(text.as_bytes()))
}

fn fault(error: &StorageError) -> RemoteFault {
    match error {
        StorageError::Remote { fault, .. } => *fault,
        other => panic!("{other:?}"),
    }
}

fn with(stall: u64, patience: u64) -> Options {
    Options {
        limits: Limits {
            stall: Duration::from_secs(stall),
            patience: Duration::from_secs(patience),
            ..Limits::default()
        },
        ..s3_options()
    }
}

/// While `line` is what it is, nothing works; when it is good again, all goes on.
fn it_goes_on_after(line: Line) {
    let server = S3::start();
    let proxy = Proxy::start(server.port());
    let runtime = runtime();
    let address = server.address_at("r", proxy.port());
    let storage = create(&address, &with(1, 60), &runtime).unwrap();
    storage.create(&pack("before"), &[b"before"]).unwrap();
    proxy.set(line);
    thread::scope(|scope| {
        let writing = scope.spawn(|| storage.create(&pack("meanwhile"), &[b"meanwhile"]));
        let reading = scope.spawn(|| storage.read(&pack("before")));
        // Both have met the bad line when a short one has given up on it.
        let impatient =
            keepwatch_remote::open(&crate::remote(&address), &with(1, 0), runtime.handle());
        let error = impatient.unwrap().size(&pack("before")).unwrap_err();
        assert_eq!(fault(&error), RemoteFault::Unavailable, "{error:?}");
        assert!(!writing.is_finished() && !reading.is_finished());
        proxy.set(Line::Good);
        writing.join().unwrap().unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), b"before");
    });
    assert_eq!(storage.read(&pack("meanwhile")).unwrap(), b"meanwhile");
}

#[test]
fn stalls_pass() {
    it_goes_on_after(Line::Stalled);
}

#[test]
fn broken_connections_pass() {
    it_goes_on_after(Line::Cut);
}

#[test]
fn storms_of_500_pass() {
    it_goes_on_after(Line::Answers(500));
}

#[test]
fn storms_of_503_pass() {
    it_goes_on_after(Line::Answers(503));
}

#[test]
fn a_stop_ends_waits_and_nothing_else() {
    let server = S3::start();
    let proxy = Proxy::start(server.port());
    let runtime = runtime();
    let options = with(600, 3600);
    let address = server.address_at("r", proxy.port());
    let storage = create(&address, &options, &runtime).unwrap();
    storage.create(&pack("before"), &[b"before"]).unwrap();
    proxy.set(Line::Stalled);
    let sent = proxy.sent();
    thread::scope(|scope| {
        let reading = scope.spawn(|| storage.read(&pack("before")));
        while proxy.sent() == sent {
            thread::sleep(Duration::from_millis(2));
        }
        options.stop.stop();
        let error = reading.join().unwrap().unwrap_err();
        assert!(matches!(error, StorageError::Interrupted), "{error:?}");
    });
    // Nothing is tried again.
    proxy.set(Line::Cut);
    let error = storage.read(&pack("before")).unwrap_err();
    assert!(matches!(error, StorageError::Interrupted), "{error:?}");
    // What answers goes on, so that work ends in good order.
    proxy.set(Line::Good);
    storage.create(&pack("after"), &[b"after"]).unwrap();
    assert_eq!(storage.read(&pack("after")).unwrap(), b"after");
}

#[test]
fn wrong_and_expired_credentials_are_told_at_once() {
    let server = S3::start();
    let runtime = runtime();
    create(&server.address("r"), &s3_options(), &runtime).unwrap();
    let mut options = s3_options();
    options.credentials.secret = Some("expired".to_owned().into());
    let storage = keepwatch_remote::open(
        &crate::remote(&server.address("r")),
        &options,
        runtime.handle(),
    );
    let error = storage.unwrap().read(&pack("a")).unwrap_err();
    assert_eq!(fault(&error), RemoteFault::Denied, "{error:?}");
    assert!(!format!("{error:?}").contains("expired"), "{error:?}");
}

#[test]
fn bandwidth_is_kept_to() {
    let server = S3::start();
    let runtime = runtime();
    let mut options = s3_options();
    options.limits.upload = Some(1 << 20);
    options.limits.download = Some(2 << 20);
    let storage = create(&server.address("r"), &options, &runtime).unwrap();
    let content = tree::noise(1 << 20, 1);
    // Limits are lower bounds of time: a slow machine cannot make these fail.
    let begin = std::time::Instant::now();
    storage.create(&pack("a"), &[&content]).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(900));
    let begin = std::time::Instant::now();
    assert!(storage.read(&pack("a")).unwrap() == content);
    assert!(begin.elapsed() >= Duration::from_millis(400));
}

fn files(folder: &Path) {
    for nth in 0..40 {
        tree::write(folder, &format!("{nth}"), tree::noise(50_000, nth));
    }
}

/// At whatever byte the line breaks for good: nothing is told as done that was not, what was stored
/// stays, and the next backup is whole.
#[test]
fn a_destination_that_dies_at_any_time_loses_nothing() {
    let server = S3::start();
    let proxy = Proxy::start(server.port());
    let runtime = runtime();
    let source = tempfile::tempdir().unwrap();
    files(source.path());
    let made = |name: &str, cache: &Path| {
        let address = server.address_at(name, proxy.port());
        let storage = create(&address, &with(5, 0), &runtime).unwrap();
        vault::init(storage, &vault::small(), cache)
    };
    let cache = tempfile::tempdir().unwrap();
    let repository = made("whole", cache.path());
    let before = proxy.sent();
    vault::backup(&repository, source.path()).unwrap();
    let whole = proxy.sent() - before;
    assert!(whole > 2_000_000, "{whole}");
    for nth in 0..10 {
        let cache = tempfile::tempdir().unwrap();
        let repository = made(&format!("r{nth}"), cache.path());
        let bytes = 1 + nth * whole / 11;
        proxy.cut_after(bytes);
        let cuts = proxy.cuts();
        let first = vault::backup(&repository, source.path());
        assert_eq!(proxy.cuts(), cuts + 1, "{bytes}: it was not cut");
        let error = first.expect_err("without patience a cut is a failure");
        assert!(matches!(error, Error::Storage(_)), "{error:?}");
        let (snapshots, problems) = repository.snapshots().unwrap();
        assert!(problems.is_empty(), "{bytes}: {problems:?}");
        assert!(snapshots.is_empty(), "{bytes}");

        let report = vault::backup(&repository, source.path()).unwrap();
        assert!(report.errors.is_empty());
        let checked = repository.check(ReadData::All, &Silent).unwrap();
        assert!(checked.errors.is_empty(), "{bytes}: {:?}", checked.errors);
        let target = tempfile::tempdir().unwrap();
        let target = target.path().join("out");
        vault::restore(&repository, "latest", source.path(), &target).unwrap();
        tree::assert_same_tree(source.path(), &target);
    }
}

/// With patience the same cuts are not even seen.
#[test]
fn a_backup_survives_a_line_that_breaks_again_and_again() {
    let server = S3::start();
    let proxy = Proxy::start(server.port());
    let runtime = runtime();
    let source = tempfile::tempdir().unwrap();
    files(source.path());
    let cache = tempfile::tempdir().unwrap();
    let address = server.address_at("r", proxy.port());
    let storage: Arc<dyn Storage> = create(&address, &with(5, 60), &runtime).unwrap();
    let repository = vault::init(storage, &vault::small(), cache.path());
    thread::scope(|scope| {
        let backing_up = scope.spawn(|| vault::backup(&repository, source.path()));
        while !backing_up.is_finished() {
            proxy.cut_after(150_000);
            let cuts = proxy.cuts();
            while proxy.cuts() == cuts && !backing_up.is_finished() {
                thread::sleep(Duration::from_millis(2));
            }
        }
        let report = backing_up.join().unwrap().unwrap();
        assert!(report.errors.is_empty());
    });
    assert!(proxy.cuts() >= 3, "{}", proxy.cuts());
    let checked = repository.check(ReadData::All, &Silent).unwrap();
    assert!(checked.errors.is_empty(), "{:?}", checked.errors);
}
