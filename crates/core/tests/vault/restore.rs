//! What restores do with what is there, and what they never do.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keepwatch_core::fs::ExcludesBuilder;
use keepwatch_core::{BackupOptions, Error, Overwrite, Progress, RestoreOptions, Silent, Source};
use keepwatch_testkit::tree::{assert_same_tree, noise, write};
use keepwatch_testkit::vault;

use crate::fixture::{Fixture, set_mtime};

fn with(overwrite: Overwrite) -> RestoreOptions {
    RestoreOptions {
        overwrite: Some(overwrite),
        ..RestoreOptions::default()
    }
}

#[test]
fn a_target_that_is_not_empty_is_refused() {
    let fixture = Fixture::with_tree();
    fixture.backup();
    let kept = write(&fixture.target(), "mine", b"precious");
    let error = vault::restore(
        &fixture.repository,
        "latest",
        &fixture.source(),
        &fixture.target(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(fs::read(kept).unwrap(), b"precious");
    assert_eq!(fs::read_dir(fixture.target()).unwrap().count(), 1);
}

#[test]
fn overwrite_says_what_becomes_of_files() {
    let fixture = Fixture::with_tree();
    fixture.backup();
    let target = fixture.target();
    fixture.restore("latest", &target);
    write(&target, "small", b"changed");
    write(&target, "extra", b"not in the snapshot");
    let restore = |options: &RestoreOptions| fixture.restore_over(options);
    let report = restore(&with(Overwrite::Never));
    assert_eq!(report.files, 0);
    assert_eq!(fs::read(target.join("small")).unwrap(), b"changed");
    let report = restore(&with(Overwrite::IfChanged));
    assert_eq!(report.errors, []);
    assert_eq!(fs::read(target.join("small")).unwrap(), b"one chunk");
    assert!(target.join("extra").exists());
    // Same size and time, other content: only a comparison finds it.
    let large = target.join("large");
    let mut bytes = fs::read(&large).unwrap();
    bytes[150_000] ^= 1;
    let times = fs::metadata(&large).unwrap().modified().unwrap();
    fs::write(&large, &bytes).unwrap();
    fs::File::options()
        .write(true)
        .open(&large)
        .unwrap()
        .set_modified(times)
        .unwrap();
    restore(&with(Overwrite::IfChanged));
    assert_eq!(fs::read(&large).unwrap(), bytes);
    let options = RestoreOptions {
        delete: true,
        ..with(Overwrite::Always)
    };
    let report = restore(&options);
    assert_eq!(report.deleted, 1);
    assert_same_tree(&fixture.source(), &target);
}

#[test]
fn a_dry_run_changes_nothing() {
    let fixture = Fixture::with_tree();
    fixture.backup();
    let options = RestoreOptions {
        dry_run: true,
        ..RestoreOptions::default()
    };
    let report = fixture.restore_over(&options);
    assert_eq!(report.files, 12);
    assert!(!fixture.target().exists());
}

#[test]
fn links_in_the_target_are_not_followed() {
    let fixture = Fixture::with_tree();
    fixture.backup();
    let (target, outside) = (fixture.target(), fixture.dir.path().join("outside"));
    fs::create_dir_all(&target).unwrap();
    fs::create_dir(&outside).unwrap();
    write(&outside, "victim", b"untouched");
    symlink(&outside, target.join("text")).unwrap();
    symlink(outside.join("victim"), target.join("small")).unwrap();
    fixture.restore_over(&with(Overwrite::Always));
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_same_tree(&fixture.source(), &target);
}

#[test]
fn delete_leaves_what_was_never_backed_up() {
    let fixture = Fixture::new();
    let source = fixture.source();
    write(&source, "logs/kept.txt", b"in the snapshot");
    write(&source, "logs/large.log", b"excluded from it");
    write(&source, "plain/kept.txt", b"in the snapshot");
    let options = BackupOptions {
        excludes: ExcludesBuilder::new()
            .glob("*.log")
            .unwrap()
            .build()
            .unwrap(),
        ..vault::backup_options()
    };
    fixture
        .repository
        .backup(vec![Source::Path(source.clone())], &options, &Silent)
        .unwrap();
    write(&source, "plain/new", b"not in the snapshot");
    write(&source, "logs/new", b"not in the snapshot");
    // In place, as after a mishap.
    let options = RestoreOptions {
        delete: true,
        ..with(Overwrite::Always)
    };
    let report =
        vault::restore_with(&fixture.repository, "latest", &source, &source, &options).unwrap();
    assert_eq!(report.errors, []);
    assert_eq!(report.deleted, 1);
    assert!(!source.join("plain/new").exists());
    assert!(source.join("logs/large.log").exists());
    // Whatever is where something was left out may be what was left out.
    assert!(source.join("logs/new").exists());
}

#[test]
fn delete_does_not_reach_above_what_was_backed_up() {
    let fixture = Fixture::with_tree();
    fixture.backup();
    let target = fixture.target();
    write(&target, "mine", b"beside the snapshot's first directories");
    let options = RestoreOptions {
        delete: true,
        ..with(Overwrite::Always)
    };
    let report = vault::restore_with(
        &fixture.repository,
        "latest",
        "".as_ref(),
        &target,
        &options,
    )
    .unwrap();
    assert_eq!((report.errors.len(), report.deleted), (0, 0));
    assert!(target.join("mine").exists());
}

#[test]
fn a_link_is_never_made_to_a_file_that_was_to_stay() {
    let fixture = Fixture::new();
    let first = write(&fixture.source(), "a", b"from the snapshot");
    fs::hard_link(&first, fixture.source().join("b")).unwrap();
    fixture.backup();
    let target = fixture.target();
    write(&target, "a", b"somebody else's");
    fixture.restore_over(&with(Overwrite::Never));
    assert_eq!(fs::read(target.join("a")).unwrap(), b"somebody else's");
    assert_eq!(fs::read(target.join("b")).unwrap(), b"from the snapshot");
}

#[test]
fn odd_things_with_names_of_ours_are_left_alone() {
    let fixture = Fixture::with_tree();
    fixture.backup();
    let target = fixture.target();
    let mine = write(&target, ".keepwatch-tmp-mine", b"a user's file");
    let fifo = target.join(".keepwatch-restore");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    fixture.restore_over(&with(Overwrite::Never));
    assert_eq!(fs::read(mine).unwrap(), b"a user's file");
}

#[test]
fn a_new_target_is_as_private_as_what_it_holds() {
    let fixture = Fixture::with_tree();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    fs::set_permissions(fixture.source(), fs::Permissions::from_mode(0o510)).unwrap();
    set_mtime(&fixture.source(), 1_000_000_000, 5);
    fixture.backup();
    fixture.restore("latest", &fixture.target());
    assert_eq!(mode(&fixture.target()), 0o510);
    let modified = |path| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(modified(fixture.target()), modified(fixture.source()));
    let whole = fixture.dir.path().join("whole");
    vault::restore(&fixture.repository, "latest", "".as_ref(), &whole).unwrap();
    assert_eq!(mode(&whole), 0o700);
}

/// Asks to stop as soon as something of a file has been written.
struct StopSoon(Arc<AtomicBool>);

impl Progress for StopSoon {
    fn advance(&self, _files: u64, bytes: u64) {
        self.0.fetch_or(bytes > 0, Ordering::Relaxed);
    }
}

#[test]
fn a_restore_stops_in_the_middle_of_a_file_and_is_taken_up_again() {
    let fixture = Fixture::new();
    write(&fixture.source(), "large", noise(1_000_000, 3));
    fixture.backup();
    let (id, snapshot) = fixture.repository.find_snapshot("latest").unwrap();
    let source = fixture.source();
    let restore = |progress: &dyn Progress, stop: Option<Arc<AtomicBool>>| {
        let options = RestoreOptions {
            stop,
            ..RestoreOptions::default()
        };
        let path = source.as_os_str().as_bytes();
        let target = fixture.target();
        fixture
            .repository
            .restore(&id, &snapshot, path, &target, &options, progress)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let error = restore(&StopSoon(stop.clone()), Some(stop)).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error:?}");
    let left: Vec<_> = fs::read_dir(fixture.target())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [".keepwatch-restore"]);
    let report = restore(&Silent, None).unwrap();
    assert_eq!(report.files, 1);
    assert_same_tree(&fixture.source(), &fixture.target());
}
