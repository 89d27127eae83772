//! SFTP, with OpenSSH's server and client.

use std::time::Duration;

use keepwatch_core::id::Id;
use keepwatch_core::storage::{ObjectKind, ObjectName, RemoteFault, StorageError};
use keepwatch_remote::{Credentials, Limits, Options};
use keepwatch_testkit::ssh::{self, Ssh};
use keepwatch_testkit::storage_conformance;

use crate::{create, runtime};

pub fn options(server: &Ssh) -> Options {
    Options {
        credentials: Credentials {
            key_file: Some(server.key()),
            known_hosts: Some(server.known_hosts()),
            ..Credentials::default()
        },
        limits: Limits {
            patience: Duration::from_secs(20),
            ..Limits::default()
        },
        scratch: std::env::temp_dir(),
        ..Options::default()
    }
}

fn pack(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Pack, Id::of(text.as_bytes()))
}

#[test]
fn it_keeps_every_promise() {
    let server = Ssh::start();
    let runtime = runtime();
    let storage = create(&server.address("a/repository"), &options(&server), &runtime).unwrap();
    storage_conformance(&*storage);
    let left: Vec<_> = std::fs::read_dir(server.data().join("a/repository/tmp"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "drafts are left: {left:?}");
}

#[test]
fn a_locked_key_is_opened_by_its_passphrase() {
    let server = Ssh::start();
    let runtime = runtime();
    let mut options = options(&server);
    options.credentials.key_file = Some(server.locked_key());
    options.credentials.secret = Some(ssh::PASSPHRASE.to_owned().into());
    let storage = create(&server.address("x"), &options, &runtime).unwrap();
    storage.create(&pack("a"), &[b"a"]).unwrap();
    assert_eq!(storage.read(&pack("a")).unwrap(), b"a");

    options.credentials.secret = Some("not it".to_owned().into());
    let storage = create(&server.address("x"), &options, &runtime).unwrap();
    let error = storage.read(&pack("a")).unwrap_err();
    assert_eq!(fault(&error), RemoteFault::Denied, "{error:?}");
    assert!(!format!("{error:?}").contains("not it"));
}

#[test]
fn a_host_that_is_not_known_is_not_asked() {
    let mut server = Ssh::start();
    let runtime = runtime();
    let mut options = options(&server);
    let storage = create(&server.address("x"), &options, &runtime).unwrap();
    storage.create(&pack("a"), &[b"a"]).unwrap();
    drop(storage);

    server.change_host_key();
    let storage = create(&server.address("x"), &options, &runtime).unwrap();
    let error = storage.read(&pack("a")).unwrap_err();
    assert_eq!(fault(&error), RemoteFault::Denied);
    assert!(format!("{error:?}").contains("another key"), "{error:?}");

    options.credentials.known_hosts = Some(server.data().join("none"));
    let storage = create(&server.address("x"), &options, &runtime).unwrap();
    let error = storage.read(&pack("a")).unwrap_err();
    assert_eq!(fault(&error), RemoteFault::Denied);
    assert!(
        format!("{error:?}").contains("not among the known"),
        "{error:?}"
    );
}

#[test]
fn it_goes_on_when_the_server_is_back() {
    let mut server = Ssh::start();
    let runtime = runtime();
    let storage = create(&server.address("x"), &options(&server), &runtime).unwrap();
    storage.create(&pack("a"), &[b"a"]).unwrap();
    server.program.stop();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| storage.read(&pack("a")));
        server.program.restart();
        assert_eq!(reading.join().unwrap().unwrap(), b"a");
    });
}

#[test]
fn a_stop_ends_the_wait_for_a_server_that_hangs() {
    let mut server = Ssh::start();
    let runtime = runtime();
    let mut options = options(&server);
    options.limits.patience = Duration::from_secs(3600);
    let storage = create(&server.address("x"), &options, &runtime).unwrap();
    server.program.freeze();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| storage.create(&pack("a"), &[b"a"]));
        options.stop.stop();
        let error = writing.join().unwrap().unwrap_err();
        assert!(matches!(error, StorageError::Interrupted), "{error:?}");
    });
    // What answers goes on.
    server.program.thaw();
    storage.create(&pack("b"), &[b"b"]).unwrap();
    assert_eq!(storage.read(&pack("b")).unwrap(), b"b");
}

#[test]
fn what_writers_left_goes_after_a_day() {
    let server = Ssh::start();
    let runtime = runtime();
    let storage = create(&server.address("x"), &options(&server), &runtime).unwrap();
    storage.create(&pack("a"), &[b"a"]).unwrap();
    let drafts = server.data().join("x/tmp");
    let write = |name: &str, age: u64| {
        let file = std::fs::File::create(drafts.join(name)).unwrap();
        let time = std::time::SystemTime::now() - Duration::from_secs(age);
        file.set_modified(time).unwrap();
    };
    write("old", 25 * 60 * 60);
    write("new", 60);
    assert_eq!(storage.sweep_temporaries().unwrap(), 1);
    assert!(drafts.join("new").exists() && !drafts.join("old").exists());
}

fn fault(error: &StorageError) -> RemoteFault {
    match error {
        StorageError::Remote { fault, .. } => *fault,
        other => panic!("{other:?}"),
    }
}
