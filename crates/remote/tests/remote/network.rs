//! A network in which packets vanish, and nobody is told.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use keepwatch_core::id::Id;
use keepwatch_core::storage::{ObjectKind, ObjectName, RemoteFault, Storage, StorageError};
use keepwatch_core::{Error, InitOptions, ReadData, Repository, Silent};
use keepwatch_remote::{Limits, Options};
use keepwatch_testkit::network::{self, Network};
use keepwatch_testkit::s3::S3;
use keepwatch_testkit::ssh::Ssh;
use keepwatch_testkit::{tree, vault};
use tokio::runtime::Runtime;

use crate::{create, remote, runtime, s3_options, sftp};

/// What a backup of [`files`] sends at least, in bytes.
const WHOLE: u64 = 3_000_000;

enum Server {
    S3(S3),
    Ssh(Ssh),
}

/// Where repositories are, and who may go there.
struct Destination {
    server: Server,
    runtime: Runtime,
}

impl Destination {
    fn s3() -> Self {
        Self {
            server: Server::S3(S3::start()),
            runtime: runtime(),
        }
    }

    fn sftp() -> Self {
        Self {
            server: Server::Ssh(Ssh::start()),
            runtime: runtime(),
        }
    }

    fn address(&self, name: &str) -> String {
        match &self.server {
            Server::S3(server) => server.address(name),
            Server::Ssh(server) => server.address(name),
        }
    }

    fn options(&self, stall: u64, patience: u64) -> Options {
        let who = match &self.server {
            Server::S3(_) => s3_options(),
            Server::Ssh(server) => sftp::options(server),
        };
        Options {
            limits: Limits {
                stall: Duration::from_secs(stall),
                patience: Duration::from_secs(patience),
                ..Limits::default()
            },
            ..who
        }
    }

    fn create(&self, name: &str, stall: u64, patience: u64) -> Arc<dyn Storage> {
        let options = self.options(stall, patience);
        create(&self.address(name), &options, &self.runtime).unwrap()
    }

    fn open(&self, name: &str, stall: u64, patience: u64) -> Arc<dyn Storage> {
        let options = self.options(stall, patience);
        let remote = remote(&self.address(name));
        keepwatch_remote::open(&remote, &options, self.runtime.handle()).unwrap()
    }
}

fn files(folder: &Path) {
    for nth in 0..200 {
        tree::write(folder, &format!("{nth}"), tree::noise(15_000, nth));
    }
}

/// Every byte is there, and comes back as it was.
fn assert_whole(repository: &Repository, source: &Path) {
    let checked = repository.check(ReadData::All, &Silent).unwrap();
    assert!(checked.errors.is_empty(), "{:?}", checked.errors);
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("out");
    vault::restore(repository, "latest", source, &target).unwrap();
    tree::assert_same_tree(source, &target);
}

fn assert_unavailable(error: &StorageError) {
    let StorageError::Remote { fault, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(*fault, RemoteFault::Unavailable, "{error:?}");
}

fn lost_packets_are_sent_again(network: &Network, to: &Destination) {
    let source = tempfile::tempdir().unwrap();
    files(source.path());
    network.lose(1);
    let cache = tempfile::tempdir().unwrap();
    let repository = vault::init(to.create("r", 5, 60), &vault::small(), cache.path());
    let report = vault::backup(&repository, source.path()).unwrap();
    assert!(report.errors.is_empty());
    assert_whole(&repository, source.path());
    // There and back again, in packets of 1500 bytes at most.
    assert!(network.carried() > 2 * WHOLE, "{}", network.carried());
    assert!(network.vanished() > 0);
}

fn a_cable_is_put_back(network: &Network, to: &Destination) {
    let source = tempfile::tempdir().unwrap();
    files(source.path());
    let cache = tempfile::tempdir().unwrap();
    let repository = vault::init(to.create("r", 1, 120), &vault::small(), cache.path());
    network.pull_cable_after(WHOLE / 2);
    thread::scope(|scope| {
        let backing_up = scope.spawn(|| vault::backup(&repository, source.path()));
        while network.vanished() == 0 {
            assert!(!backing_up.is_finished(), "the cable was not pulled");
            thread::sleep(Duration::from_millis(5));
        }
        // The backup has waited in vain as well when a short one has.
        let name = ObjectName::new(ObjectKind::Pack, Id::of(b"any"));
        assert_unavailable(&to.open("r", 1, 0).size(&name).unwrap_err());
        assert!(!backing_up.is_finished());
        network.plug_in();
        let report = backing_up.join().unwrap().unwrap();
        assert!(report.errors.is_empty());
    });
    assert_whole(&repository, source.path());
}

fn a_cable_stays_pulled(network: &Network, to: &Destination) {
    let source = tempfile::tempdir().unwrap();
    files(source.path());
    for stage in 0..3 {
        let name = format!("r{stage}");
        let cache = tempfile::tempdir().unwrap();
        let repository = vault::init(to.create(&name, 1, 0), &vault::small(), cache.path());
        let vanished = network.vanished();
        network.pull_cable_after(1 + stage * WHOLE / 3);
        let error = vault::backup(&repository, source.path())
            .expect_err("without patience a cable that is pulled is a failure");
        assert!(network.vanished() > vanished, "{stage}: it was not pulled");
        match error {
            Error::Storage(error) => assert_unavailable(&error),
            other => panic!("{stage}: {other:?}"),
        }
        drop(repository);
        network.plug_in();

        let repository = vault::open(to.open(&name, 1, 60), cache.path()).unwrap();
        let (snapshots, problems) = repository.snapshots().unwrap();
        assert!(problems.is_empty(), "{stage}: {problems:?}");
        assert!(snapshots.is_empty(), "{stage}");
        let report = vault::backup(&repository, source.path()).unwrap();
        assert!(report.errors.is_empty());
        assert_whole(&repository, source.path());
    }
}

/// What is sent waits behind all that is sent beside it, and longer than a stall may last.
fn a_slow_line_is_no_stall(network: &Network, to: &Destination) {
    let source = tempfile::tempdir().unwrap();
    tree::write(source.path(), "film", tree::noise(6_000_000, 1));
    let options = InitOptions {
        pack_size: 4 << 20,
        ..vault::small()
    };
    let cache = tempfile::tempdir().unwrap();
    let repository = vault::init(to.create("r", 5, 0), &options, cache.path());
    network.slow(500);
    let report = vault::backup(&repository, source.path()).unwrap();
    assert!(report.errors.is_empty());
    let checked = repository.check(ReadData::All, &Silent).unwrap();
    assert!(checked.errors.is_empty(), "{:?}", checked.errors);
}

#[test]
fn lost_packets_are_sent_again_by_s3() {
    network::own("network::lost_packets_are_sent_again_by_s3", |network| {
        lost_packets_are_sent_again(network, &Destination::s3());
    });
}

#[test]
fn lost_packets_are_sent_again_by_sftp() {
    network::own("network::lost_packets_are_sent_again_by_sftp", |network| {
        lost_packets_are_sent_again(network, &Destination::sftp());
    });
}

#[test]
fn s3_goes_on_when_a_cable_is_put_back() {
    network::own("network::s3_goes_on_when_a_cable_is_put_back", |network| {
        a_cable_is_put_back(network, &Destination::s3());
    });
}

#[test]
fn sftp_goes_on_when_a_cable_is_put_back() {
    network::own(
        "network::sftp_goes_on_when_a_cable_is_put_back",
        |network| {
            a_cable_is_put_back(network, &Destination::sftp());
        },
    );
}

#[test]
fn s3_ends_when_a_cable_stays_pulled() {
    network::own("network::s3_ends_when_a_cable_stays_pulled", |network| {
        a_cable_stays_pulled(network, &Destination::s3());
    });
}

#[test]
fn sftp_ends_when_a_cable_stays_pulled() {
    network::own("network::sftp_ends_when_a_cable_stays_pulled", |network| {
        a_cable_stays_pulled(network, &Destination::sftp());
    });
}

#[test]
fn a_slow_line_to_s3_is_no_stall() {
    network::own("network::a_slow_line_to_s3_is_no_stall", |network| {
        a_slow_line_is_no_stall(network, &Destination::s3());
    });
}

#[test]
fn a_slow_line_to_sftp_is_no_stall() {
    network::own("network::a_slow_line_to_sftp_is_no_stall", |network| {
        a_slow_line_is_no_stall(network, &Destination::sftp());
    });
}

/// Or a test that was renamed would pass without having run.
#[test]
#[should_panic(expected = "there is no test network::of_another_name")]
fn a_name_that_is_wrong_is_told() {
    network::own("network::of_another_name", |_| ());
}
