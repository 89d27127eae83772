//! Files that grow, shrink, change and vanish while they are read.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use keepwatch_core::{BackupReport, Progress, Source};
use keepwatch_testkit::tree::{noise, write};
use keepwatch_testkit::vault;

use crate::fixture::Fixture;

/// Calls a function each time that bytes have been read.
struct Meddler<F: Fn(u64) + Sync> {
    calls: AtomicU64,
    act: F,
}

impl<F: Fn(u64) + Sync> Progress for Meddler<F> {
    fn advance(&self, _files: u64, bytes: u64) {
        if bytes > 0 {
            (self.act)(self.calls.fetch_add(1, Ordering::Relaxed));
        }
    }
}

fn backup_with(fixture: &Fixture, act: impl Fn(u64) + Sync) -> BackupReport {
    let progress = Meddler {
        calls: AtomicU64::new(0),
        act,
    };
    let sources = vec![Source::Path(fixture.source())];
    fixture
        .repository
        .backup(sources, &vault::backup_options(), &progress)
        .unwrap()
}

fn large(fixture: &Fixture) -> PathBuf {
    write(&fixture.source(), "file", noise(100_000, 1))
}

#[test]
fn a_file_that_changes_once_is_read_again() {
    let fixture = Fixture::new();
    let path = large(&fixture);
    let report = backup_with(&fixture, |call| {
        if call == 2 {
            File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(b"more")
                .unwrap();
        }
    });
    assert_eq!(report.errors, []);
    fixture.restore("latest", &fixture.target());
    assert!(fs::read(&path).unwrap() == fs::read(fixture.target().join("file")).unwrap());
}

#[test]
fn a_file_that_never_rests_is_kept_and_marked() {
    let fixture = Fixture::new();
    let path = large(&fixture);
    let report = backup_with(&fixture, |_| {
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(&noise(5000, 2))
            .unwrap();
    });
    assert_eq!(report.errors.len(), 1);
    assert!(
        report.errors[0].error.contains("changed while it was read"),
        "{:?}",
        report.errors
    );
    assert_eq!(report.files.new, 1);
    let (_, snapshot) = fixture.repository.find_snapshot("latest").unwrap();
    let mut marked = 0;
    fixture
        .repository
        .list_tree(&snapshot, b"", true, &mut |entry| {
            marked += u32::from(entry.changed_during_read);
            Ok(())
        })
        .unwrap();
    assert_eq!(marked, 1);
    // The next backup looks at it again.
    assert_eq!(backup_with(&fixture, |_| {}).files.changed, 1);
}

#[test]
fn a_file_that_shrinks_ends_where_it_ended() {
    let fixture = Fixture::new();
    let path = large(&fixture);
    backup_with(&fixture, |call| {
        if call == 2 {
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(3000)
                .unwrap();
        }
    });
    fixture.restore("latest", &fixture.target());
    assert!(noise(100_000, 1)[..3000] == fs::read(fixture.target().join("file")).unwrap());
}

#[test]
fn files_that_vanish_are_no_error() {
    let fixture = Fixture::new();
    for number in 0..300 {
        write(
            &fixture.source(),
            &format!("{number:03}"),
            noise(2000, number),
        );
    }
    // By the time the first one is read, few of the later ones have been.
    let report = backup_with(&fixture, |call| {
        if call == 0 {
            for number in 150..300 {
                let _ = fs::remove_file(fixture.source().join(format!("{number:03}")));
            }
        }
    });
    assert_eq!((report.errors.len(), report.files.failed), (0, 0));
    assert!((150..300).contains(&report.files.new), "{:?}", report.files);
    fixture.restore("latest", &fixture.target());
}
