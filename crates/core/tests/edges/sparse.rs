//! Files with holes come back with holes.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use keepwatch_core::{Overwrite, RestoreOptions};
use keepwatch_testkit::tree::{assert_same_tree, noise};

use crate::fixture::Fixture;

const GIB: u64 = 1 << 30;

#[test]
fn holes_stay_holes() {
    let fixture = Fixture::new();
    let make = |name: &str, size: u64, data: &[(u64, usize)]| {
        let file = File::create(fixture.source().join(name)).unwrap();
        for (seed, (at, len)) in data.iter().enumerate() {
            file.write_all_at(&noise(*len, seed as u64), *at).unwrap();
        }
        file.set_len(size).unwrap();
    };
    make("all hole", GIB, &[]);
    make(
        "beyond 4 GiB",
        5 * GIB,
        &[(0, 4096), (2 * GIB, 100_000), (5 * GIB - 4096, 4096)],
    );
    make("hole at the end", 10 << 20, &[(0, 50_000)]);
    make("hole at the start", 10 << 20, &[((10 << 20) - 8192, 8192)]);
    make("dense", 200_000, &[(0, 200_000)]);
    let report = fixture.backup();
    // The data alone, in whole blocks, is what is stored.
    assert!(report.bytes.new < 600_000, "{:?}", report.bytes);
    fixture.restore("latest", &fixture.target());
    for name in [
        "all hole",
        "beyond 4 GiB",
        "hole at the end",
        "hole at the start",
        "dense",
    ] {
        let (was, is) = (fixture.source().join(name), fixture.target().join(name));
        let (was, is) = (fs::metadata(was).unwrap(), fs::metadata(is).unwrap());
        assert_eq!(was.size(), is.size(), "{name}");
        assert!(
            is.blocks() <= was.blocks() + 16,
            "{name}: {} blocks became {}",
            was.blocks(),
            is.blocks()
        );
    }
    // The large ones compared where they have data; the small ones wholly.
    let (was, is) = (
        File::open(fixture.source().join("beyond 4 GiB")).unwrap(),
        File::open(fixture.target().join("beyond 4 GiB")).unwrap(),
    );
    for at in [0, 2 * GIB - 4096, 2 * GIB, 5 * GIB - 200_000] {
        let (mut a, mut b) = (vec![0; 200_000], vec![1; 200_000]);
        was.read_exact_at(&mut a, at).unwrap();
        is.read_exact_at(&mut b, at).unwrap();
        assert!(a == b, "at {at}");
    }
    for dir in [fixture.source(), fixture.target()] {
        fs::remove_file(dir.join("beyond 4 GiB")).unwrap();
        fs::remove_file(dir.join("all hole")).unwrap();
    }
    assert_same_tree(&fixture.source(), &fixture.target());
}

#[test]
fn a_sparse_file_is_mended_in_place() {
    let fixture = Fixture::new();
    let path = fixture.source().join("file");
    let file = File::create(&path).unwrap();
    file.set_len(4 << 20).unwrap();
    file.write_all_at(&noise(100_000, 1), 1 << 20).unwrap();
    fixture.backup();
    fixture.restore("latest", &fixture.target());
    let damaged = fixture.target().join("file");
    File::options()
        .write(true)
        .open(&damaged)
        .unwrap()
        .write_all_at(b"damage", 3 << 20)
        .unwrap();
    let options = RestoreOptions {
        overwrite: Some(Overwrite::Always),
        ..RestoreOptions::default()
    };
    fixture.restore_over(&options);
    assert_same_tree(&fixture.source(), &fixture.target());
}

#[test]
fn dump_gives_zeros_for_holes() {
    let fixture = Fixture::new();
    let path = fixture.source().join("file");
    let file = File::create(&path).unwrap();
    file.write_all_at(&noise(10_000, 1), 1 << 20).unwrap();
    file.set_len(3 << 20).unwrap();
    fixture.backup();
    let (_, snapshot) = fixture.repository.find_snapshot("latest").unwrap();
    let mut out = Vec::new();
    fixture
        .repository
        .dump(
            &snapshot,
            std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()),
            &mut out,
        )
        .unwrap();
    assert!(out == fs::read(path).unwrap());
}
