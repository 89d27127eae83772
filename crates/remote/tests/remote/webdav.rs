//! WebDAV, with rclone's server.

use keepwatch_remote::{Credentials, Error, Options};
use keepwatch_testkit::program::{Program, free_port};
use keepwatch_testkit::storage_conformance_one_by_one;

use crate::{create, runtime};

#[test]
fn it_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    // It may keep what it knows of folders: nobody else writes to them. Without, it reads all of them
    // anew for every request, and this takes a minute.
    let command = [
        "rclone",
        "serve",
        "webdav",
        "--addr",
        &address,
        "--user=somebody",
        "--pass=a secret",
        data.to_str().unwrap(),
    ];
    let _server = Program::start(&command, port, &dir.path().join("log"));
    let runtime = runtime();
    let options = |secret: &str| Options {
        credentials: Credentials {
            user: Some("somebody".to_owned()),
            secret: Some(secret.to_owned().into()),
            ..Credentials::default()
        },
        ..Options::default()
    };
    let address = format!("webdav://{address}/a/repository");
    let storage = create(&address, &options("a secret"), &runtime).unwrap();
    storage_conformance_one_by_one(&*storage);

    let error = create(&address, &options("another"), &runtime).unwrap_err();
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("credentials")),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("another"), "{error:?}");
}

#[test]
fn no_password_goes_over_the_network_in_clear() {
    let options = Options {
        credentials: Credentials {
            secret: Some("a secret".to_owned().into()),
            ..Credentials::default()
        },
        ..Options::default()
    };
    let error = create("webdav://192.0.2.1/x", &options, &runtime()).unwrap_err();
    assert!(matches!(error, Error::Plaintext { .. }), "{error:?}");
}
