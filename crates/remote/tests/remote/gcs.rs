//! Google Cloud Storage.

use keepwatch_remote::{Credentials, Options};
use keepwatch_testkit::gcs::Gcs;
use keepwatch_testkit::storage_conformance_one_by_one;

use crate::{create, runtime};

#[test]
fn it_keeps_every_promise() {
    let server = Gcs::start();
    let runtime = runtime();
    let options = Options {
        credentials: Credentials {
            token: Some("a token".to_owned().into()),
            ..Credentials::default()
        },
        ..Options::default()
    };
    let storage = create(&server.address("a/repository"), &options, &runtime).unwrap();
    storage_conformance_one_by_one(&*storage);
}
