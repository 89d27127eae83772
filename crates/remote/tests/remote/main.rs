//! Storages on real servers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod faults;
mod gcs;
mod network;
mod object_lock;
mod rclone;
mod s3;
mod sftp;
mod webdav;

use std::ffi::OsStr;
use std::sync::Arc;

use keepwatch_core::storage::Storage;
use keepwatch_remote::{Credentials, Error, Location, Options, Remote};
use keepwatch_testkit::s3 as server;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn remote(address: &str) -> Remote {
    match Location::parse(OsStr::new(address)).expect(address) {
        Location::Remote(remote) => remote,
        Location::Local(_) => panic!("{address} is a path"),
    }
}

fn s3_options() -> Options {
    Options {
        credentials: Credentials {
            user: Some(server::ACCESS_KEY.to_owned()),
            secret: Some(server::SECRET_KEY.to_owned().into()),
            ..Credentials::default()
        },
        ..Options::default()
    }
}

fn create(address: &str, options: &Options, runtime: &Runtime) -> Result<Arc<dyn Storage>, Error> {
    keepwatch_remote::create(&remote(address), options, runtime.handle())
}
