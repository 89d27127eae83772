//! What restores do with what is there, and what they never do.

use std::fs;
use std::os::unix::fs::symlink;

use keepwatch_core::{Overwrite, RestoreOptions};
use keepwatch_testkit::tree::{assert_same_tree, write};
use keepwatch_testkit::vault;

use crate::fixture::Fixture;

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
    let restore = |options: &RestoreOptions| {
        vault::restore_with(
            &fixture.repository,
            "latest",
            &fixture.source(),
            &target,
            options,
        )
        .unwrap()
    };
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
    let report = vault::restore_with(
        &fixture.repository,
        "latest",
        &fixture.source(),
        &fixture.target(),
        &options,
    )
    .unwrap();
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
    let report = vault::restore_with(
        &fixture.repository,
        "latest",
        &fixture.source(),
        &target,
        &with(Overwrite::Always),
    )
    .unwrap();
    assert_eq!(report.errors, []);
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_same_tree(&fixture.source(), &target);
}
