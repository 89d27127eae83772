//! A target in which somebody puts links where directories were, while it is restored.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use keepwatch_core::{Progress, RestoreOptions};
use keepwatch_testkit::tree::{noise, write};

use crate::fixture::Fixture;

/// Does something once, as soon as the first file has been written.
struct Once<F: Fn() + Sync>(AtomicBool, F);

impl<F: Fn() + Sync> Progress for Once<F> {
    fn advance(&self, _files: u64, _bytes: u64) {
        if !self.0.swap(true, Ordering::Relaxed) {
            (self.1)();
        }
    }
}

#[test]
fn a_link_swapped_in_during_the_restore_leads_nowhere() {
    use std::os::unix::ffi::OsStrExt;

    let fixture = Fixture::new();
    for dir in ["a", "b", "b/c"] {
        for number in 0..150 {
            write(
                &fixture.source(),
                &format!("{dir}/{number:03}"),
                noise(3000, number),
            );
        }
    }
    fs::hard_link(
        fixture.source().join("a/000"),
        fixture.source().join("b/c/linked"),
    )
    .unwrap();
    fixture.backup();
    let (target, outside) = (fixture.target(), fixture.dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    write(&outside, "000", b"untouched");
    let swap = Once(AtomicBool::new(false), || {
        for dir in ["a", "b"] {
            // What is not there yet is put in the way; what is there is moved aside.
            let _ = fs::rename(target.join(dir), target.join(format!("moved {dir}")));
            let _ = symlink(&outside, target.join(dir));
        }
    });
    let (id, snapshot) = fixture.repository.find_snapshot("latest").unwrap();
    let report = fixture
        .repository
        .restore(
            &id,
            &snapshot,
            fixture.source().as_os_str().as_bytes(),
            &target,
            &RestoreOptions::default(),
            &swap,
        )
        .unwrap();
    eprintln!(
        "{} entries could not be restored where they belong",
        report.errors.len()
    );
    assert!(swap.0.load(Ordering::Relaxed));
    assert_eq!(fs::read(outside.join("000")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}
