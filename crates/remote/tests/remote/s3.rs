//! S3.

use keepwatch_testkit::s3::S3;
use keepwatch_testkit::storage_conformance_one_by_one;

use crate::{create, runtime, s3_options};

#[test]
fn it_keeps_every_promise() {
    let server = S3::start();
    let runtime = runtime();
    let storage = create(&server.address("a/repository"), &s3_options(), &runtime).unwrap();
    storage_conformance_one_by_one(&*storage);
}
