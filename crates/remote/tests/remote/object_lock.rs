//! Buckets that hold on to what is written.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use keepwatch_core::id::Id;
use keepwatch_core::storage::{ObjectKind, ObjectName, RemoteFault, Storage, StorageError};
use keepwatch_core::{ReadData, Silent};
use keepwatch_remote::Error;
use keepwatch_testkit::locked_s3::{LOCKED, LockedS3, PLAIN};
use keepwatch_testkit::proxy::{Line, Proxy};
use keepwatch_testkit::s3::S3;
use keepwatch_testkit::{storage_conformance_one_by_one, tree, vault};
use tokio::runtime::Runtime;

use crate::{create, remote, runtime, s3_options};

fn pack(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Pack, Id::of(text.as_bytes()))
}

fn open(address: &str, runtime: &Runtime) -> Arc<dyn Storage> {
    keepwatch_remote::open(&remote(address), &s3_options(), runtime.handle()).unwrap()
}

/// How many versions of an object there are, and how many are left when somebody has tried to remove
/// each of them for good.
fn survive(server: &LockedS3, bucket: &str, path: &str) -> (usize, usize) {
    let of = |versions: Vec<(String, String)>| {
        let mut versions = versions;
        versions.retain(|(key, _)| key == path);
        versions
    };
    let before = of(server.versions(bucket));
    for (key, version) in &before {
        server.ask("DELETE", &format!("{bucket}/{key}?versionId={version}"), "");
    }
    (before.len(), of(server.versions(bucket)).len())
}

/// When a bucket tells the time in seconds, what happens after this happens later.
fn next_second() -> Timestamp {
    let now = Timestamp::now();
    while Timestamp::now().as_second() == now.as_second() {
        thread::sleep(Duration::from_millis(10));
    }
    now
}

#[test]
fn it_keeps_every_promise() {
    let server = LockedS3::start();
    let runtime = runtime();
    let address = server.address(LOCKED, "r", "&object_lock=1d");
    let storage = create(&address, &s3_options(), &runtime).unwrap();
    storage_conformance_one_by_one(&*storage);
}

#[test]
fn what_lasts_is_held_and_nothing_else() {
    let server = LockedS3::start();
    let runtime = runtime();
    let address = server.address(LOCKED, "r", "&object_lock=1d");
    let storage = create(&address, &s3_options(), &runtime).unwrap();
    assert_eq!(storage.held_for(), Some(Duration::from_secs(24 * 3600)));
    for kind in ObjectKind::ALL {
        let name = ObjectName::new(kind, Id::of(b"a")).canonical();
        storage.create(&name, &[b"content"]).unwrap();
        storage.remove(&name).unwrap();
        assert!(matches!(
            storage.read(&name).unwrap_err(),
            StorageError::NotFound { .. }
        ));
        let left = survive(&server, LOCKED, &format!("r/{name}"));
        assert_eq!(left, (1, usize::from(kind.is_lasting())), "{kind:?}");
    }
    // Without the lock it can be removed: the server alone does not hold on to it.
    let plain = open(&server.address(LOCKED, "r", ""), &runtime);
    assert_eq!(plain.held_for(), None);
    plain.create(&pack("b"), &[b"content"]).unwrap();
    let left = survive(&server, LOCKED, &format!("r/{}", pack("b")));
    assert_eq!(left, (1, 0));
}

#[test]
fn a_bucket_that_holds_nothing_is_refused() {
    let moto = LockedS3::start();
    // It takes the headers and thinks no more of them. It also looks whether they are signed.
    let careless = S3::start();
    let runtime = runtime();
    for address in [
        moto.address(PLAIN, "r", "&object_lock=1d"),
        careless.address("r") + "&object_lock=1d",
    ] {
        let error = create(&address, &s3_options(), &runtime).unwrap_err();
        assert!(
            matches!(&error, Error::Unfit { problem, .. } if problem.contains("object lock")),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains("with object lock"));
        // Also where there is a repository already.
        let storage = open(&address, &runtime);
        let error = storage.create(&pack("a"), &[b"a"]).unwrap_err();
        assert!(
            matches!(
                &error,
                StorageError::Remote {
                    fault: RemoteFault::Refused,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let mut wrong = s3_options();
    wrong.credentials.secret = Some("wrong".to_owned().into());
    let error = create(
        &(careless.address("r") + "&object_lock=1d"),
        &wrong,
        &runtime,
    );
    assert!(
        matches!(
            error.as_ref().unwrap_err(),
            Error::Storage(StorageError::Remote {
                fault: RemoteFault::Denied,
                ..
            })
        ),
        "{error:?}"
    );
}

#[test]
fn a_lock_is_renewed() {
    let server = LockedS3::start();
    let runtime = runtime();
    let until = |name: &ObjectName| {
        let (_, head) = server.ask("HEAD", &format!("{LOCKED}/r/{name}"), "");
        let mut lines = head.lines();
        let line =
            lines.find_map(|line| line.strip_prefix("x-amz-object-lock-retain-until-date: "));
        line.expect(&head).parse::<Timestamp>().unwrap()
    };
    let lock = |lock: &str| server.address(LOCKED, "r", &format!("&object_lock={lock}"));
    let storage = create(&lock("1d"), &s3_options(), &runtime).unwrap();
    storage.create(&pack("a"), &[b"a"]).unwrap();
    let first = until(&pack("a"));
    next_second();
    storage.hold(&pack("a")).unwrap();
    let second = until(&pack("a"));
    assert!(second > first, "{first} {second}");
    // What was written without a lock gets one.
    let plain = open(&server.address(LOCKED, "r", ""), &runtime);
    plain.hold(&pack("a")).unwrap();
    assert_eq!(until(&pack("a")), second);
    plain.create(&pack("b"), &[b"b"]).unwrap();
    open(&lock("2d"), &runtime).hold(&pack("b")).unwrap();
    assert!(until(&pack("b")) > second);
    // Somebody has removed it meanwhile.
    let proxy = Proxy::start(server.port());
    proxy.set(Line::Answers(404));
    let gone = open(
        &server.address_at(proxy.port(), LOCKED, "r", "&object_lock=1d"),
        &runtime,
    );
    assert!(matches!(
        gone.hold(&pack("a")).unwrap_err(),
        StorageError::NotFound { .. }
    ));
}

/// Somebody has the credentials, removes everything, writes over what there was, and removes all
/// versions that the bucket gives up.
#[test]
fn a_repository_is_there_as_it_was_before_an_attack() {
    let server = LockedS3::start();
    let runtime = runtime();
    let source = tempfile::tempdir().unwrap();
    tree::write(source.path(), "a", tree::noise(300_000, 1));
    tree::write(source.path(), "b/c", "content");
    let address = server.address(LOCKED, "r", "&object_lock=1d");
    let storage = create(&address, &s3_options(), &runtime).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let repository = vault::init(storage, &vault::small(), cache.path());
    vault::backup(&repository, source.path()).unwrap();
    drop(repository);
    let before = next_second();

    for (key, _) in server.versions(LOCKED) {
        server.ask("PUT", &format!("{LOCKED}/{key}"), "");
        server.ask("DELETE", &format!("{LOCKED}/{key}"), "");
    }
    for (key, version) in server.versions(LOCKED) {
        server.ask("DELETE", &format!("{LOCKED}/{key}?versionId={version}"), "");
    }
    let now = open(&address, &runtime);
    assert!(matches!(
        now.read(&ObjectName::config()).unwrap_err(),
        StorageError::NotFound { .. }
    ));

    let past = server.address(LOCKED, "r", &format!("&at={before}"));
    let past = open(&past, &runtime);
    let repository = vault::open(Arc::clone(&past), cache.path()).unwrap();
    let checked = repository.check(ReadData::All, &Silent).unwrap();
    assert!(checked.errors.is_empty(), "{:?}", checked.errors);
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("out");
    vault::restore(&repository, "latest", source.path(), &target).unwrap();
    tree::assert_same_tree(source.path(), &target);

    // It is there to be read.
    let error = past.create(&pack("a"), &[b"a"]).unwrap_err();
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains("as it was at"), "{text}");
    past.remove(&ObjectName::config()).unwrap_err();
    let error = create(
        &server.address(LOCKED, "r", &format!("&at={before}")),
        &s3_options(),
        &runtime,
    );
    assert!(matches!(
        error.unwrap_err(),
        Error::Option { what: "at", .. }
    ));
    // Before anything was written there was nothing.
    let empty = server.address(LOCKED, "r", "&at=2026-01-01T00%3A00%3A00Z");
    assert!(matches!(
        open(&empty, &runtime)
            .read(&ObjectName::config())
            .unwrap_err(),
        StorageError::NotFound { .. }
    ));
}
