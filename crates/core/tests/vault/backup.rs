//! What backups notice, keep and leave out.

use std::fs;

use keepwatch_core::{BackupOptions, Mode, ReadData, Silent, Source};
use keepwatch_testkit::tree::{assert_same_tree, noise, write};
use keepwatch_testkit::vault;

use crate::fixture::{Fixture, set_mtime};

#[test]
fn what_goes_in_comes_out() {
    let fixture = Fixture::with_tree();
    let report = fixture.backup();
    assert_eq!(report.files.new, 9);
    assert_eq!(report.parent, None);
    fixture.restore("latest", &fixture.target());
    assert_same_tree(&fixture.source(), &fixture.target());
    let check = fixture.repository.check(ReadData::All, &Silent).unwrap();
    assert_eq!(check.errors, []);
    assert_eq!(check.checked.snapshots, 1);
}

#[test]
fn nothing_changed_stores_nothing() {
    let fixture = Fixture::with_tree();
    let first = fixture.backup();
    let second = fixture.backup();
    assert_eq!(second.parent, first.snapshot);
    assert_eq!(second.files.unmodified, 9);
    assert_eq!((second.files.new, second.files.changed), (0, 0));
    // The directories on the way to the source are in the snapshot too, and others change them.
    assert!(second.bytes.new < 10_000, "{:?}", second.bytes);
    assert_eq!(second.bytes.scanned, first.bytes.scanned);
}

#[test]
fn both_versions_are_kept() {
    let fixture = Fixture::with_tree();
    fixture.backup();
    let old = fixture.dir.path().join("old");
    let first = fixture.repository.find_snapshot("latest").unwrap().0;
    fixture.restore("latest", &old);
    write(&fixture.source(), "small", b"other content");
    fs::remove_file(fixture.source().join("empty")).unwrap();
    write(&fixture.source(), "added/new", noise(50_000, 7));
    let report = fixture.backup();
    // Hard links are one file under two names.
    assert_eq!(
        (
            report.files.new,
            report.files.changed,
            report.files.unmodified
        ),
        (1, 2, 6)
    );
    fixture.restore("latest", &fixture.target());
    assert_same_tree(&fixture.source(), &fixture.target());
    let again = fixture.dir.path().join("again");
    fixture.restore(&first.to_string(), &again);
    assert_same_tree(&old, &again);
}

#[test]
fn a_change_that_keeps_size_and_time_is_noticed() {
    let fixture = Fixture::new();
    let file = write(&fixture.source(), "file", b"before");
    set_mtime(&file, 1_000_000, 0);
    fixture.backup();
    fs::write(&file, b"behind").unwrap();
    set_mtime(&file, 1_000_000, 0);
    let report = fixture.backup();
    assert_eq!(report.files.changed, 1);
}

#[test]
fn modes_choose_what_is_compared_with() {
    let fixture = Fixture::new();
    let source = fixture.source();
    write(&source, "a", noise(5000, 1));
    write(&source, "b", noise(5000, 2));
    let run = |mode| {
        let options = BackupOptions {
            mode,
            ..vault::backup_options()
        };
        let sources = vec![Source::Path(source.clone())];
        fixture
            .repository
            .backup(sources, &options, &Silent)
            .unwrap()
    };
    let mode_of = |report: &keepwatch_core::BackupReport| {
        fixture
            .repository
            .find_snapshot(&report.snapshot.unwrap().to_string())
            .unwrap()
            .1
            .mode
    };
    // Without a full backup a differential one is full.
    let first = run(Mode::Differential);
    assert_eq!(mode_of(&first), Mode::Full);
    let second = run(Mode::Incremental);
    assert_eq!(second.parent, first.snapshot);
    let third = run(Mode::Differential);
    assert_eq!(third.parent, first.snapshot);
    assert_eq!(third.files.unmodified, 2);
    let fourth = run(Mode::Full);
    assert_eq!(mode_of(&fourth), Mode::Full);
    assert_eq!(fourth.files.unmodified, 2);
    assert_eq!(run(Mode::Differential).parent, fourth.snapshot);
}

#[test]
fn a_repository_in_its_own_source_is_left_out() {
    let fixture = Fixture::with_tree();
    let inside = fixture.source().join("backups");
    fs::create_dir(&inside).unwrap();
    write(&inside, "pack", noise(1000, 3));
    let options = BackupOptions {
        skip: vec![inside],
        ..vault::backup_options()
    };
    let report = fixture
        .repository
        .backup(vec![Source::Path(fixture.source())], &options, &Silent)
        .unwrap();
    assert_eq!(report.files.new, 9);
}

#[test]
fn a_source_that_is_missing_is_an_error_and_one_of_several_is_reported() {
    let fixture = Fixture::with_tree();
    let missing = fixture.dir.path().join("missing");
    let error = vault::backup(&fixture.repository, &missing).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    // Nothing was written for it.
    let report = fixture.repository.check(ReadData::No, &Silent).unwrap();
    assert_eq!(report.checked.packs, 0);
    let sources = vec![Source::Path(missing), Source::Path(fixture.source())];
    let report = fixture
        .repository
        .backup(sources, &vault::backup_options(), &Silent)
        .unwrap();
    assert!(report.snapshot.is_some());
    assert_eq!(report.files.failed, 1);
    assert!(report.errors[0].path.to_string().ends_with("/missing"));
}

#[test]
fn files_that_the_kernel_makes_up_are_not_empty() {
    let fixture = Fixture::new();
    let path = std::path::Path::new("/proc/version");
    assert_eq!(fs::metadata(path).unwrap().len(), 0);
    vault::backup(&fixture.repository, path).unwrap();
    let (_, snapshot) = fixture.repository.find_snapshot("latest").unwrap();
    let mut content = Vec::new();
    fixture
        .repository
        .dump(&snapshot, b"/proc/version", &mut content)
        .unwrap();
    assert_eq!(content, fs::read(path).unwrap());
}

/// A snapshot of a file system is elsewhere than what it is of, but has its files.
#[test]
fn what_is_read_elsewhere_is_kept_as_if_it_was_read_in_its_place() {
    let fixture = Fixture::with_tree();
    let (live, held) = (fixture.source(), fixture.dir.path().join("held/moment"));
    // Each a minute later: of two at the same time either may be the latest.
    let mut now: jiff::Timestamp = "2026-11-05T12:00:00Z".parse().unwrap();
    let mut backup = |sources| {
        now += jiff::SignedDuration::from_mins(1);
        let options = BackupOptions::at(now);
        let report = fixture.repository.backup(sources, &options, &Silent);
        report.unwrap()
    };
    let first = backup(vec![Source::at(&live).unwrap()]);
    // The inodes are the same, as in a snapshot; their name and directory are others.
    fs::create_dir(held.parent().unwrap()).unwrap();
    fs::rename(&live, &held).unwrap();
    write(&live, "small", b"after the moment");
    let placed = || vec![Source::read_from(&live, &held).unwrap()];
    let second = backup(placed());
    assert_eq!(second.errors, []);
    assert_eq!(second.parent, first.snapshot);
    assert_eq!(second.files.unmodified, first.files.new);
    fixture.restore("latest", &fixture.target());
    assert_same_tree(&held, &fixture.target());
    let (_, snapshot) = fixture.repository.find_snapshot("latest").unwrap();
    assert_eq!(snapshot.paths[0].to_string(), live.to_str().unwrap());
    // One that lies in another keeps its own place.
    let inner = fixture.dir.path().join("held/inner");
    write(&inner, "from elsewhere", b"inner");
    fs::create_dir(held.join("home")).unwrap();
    let mut sources = placed();
    sources.push(Source::read_from(&live.join("home"), &inner).unwrap());
    assert_eq!(backup(sources).errors, []);
    let again = fixture.dir.path().join("again");
    fixture.restore("latest", &again);
    assert_eq!(
        fs::read(again.join("home/from elsewhere")).unwrap(),
        b"inner"
    );
    // A file may have another name there.
    let file = fixture.dir.path().join("one file");
    let report = backup(vec![
        Source::read_from(&file, &inner.join("from elsewhere")).unwrap(),
    ]);
    assert_eq!((report.files.new, report.errors), (1, vec![]));
    assert!(Source::read_from(&file, "relative".as_ref()).is_err());
    assert!(Source::read_from(&file, "/".as_ref()).is_err());
}
