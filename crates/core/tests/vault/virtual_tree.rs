//! Trees that are no directories of this machine: backed up, and restored without a repository.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use keepwatch_core::fs::ExcludesBuilder;
use keepwatch_core::tree::{Metadata, Time};
use keepwatch_core::{
    BackupOptions, BackupReport, Error, Overwrite, ReadData, RestoreOptions, RestoreReport, Silent,
    Source, VirtualContent, VirtualEntry, VirtualKind, VirtualTree, restore_tree,
};
use keepwatch_testkit::tree::{assert_same_tree, describe, noise, write};
use keepwatch_testkit::vault;

use crate::fixture::Fixture;

fn meta(mode: u32, secs: i64) -> Metadata {
    Metadata {
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: Time { secs, nanos: 123 },
        ..Metadata::default()
    }
}

fn entry(path: &str, mode: u32, kind: VirtualKind) -> VirtualEntry {
    VirtualEntry {
        path: path.as_bytes().to_vec(),
        meta: meta(mode, 1_000_000_000 + path.len() as i64),
        kind,
    }
}

fn file(path: &str, mode: u32, content: Vec<u8>) -> VirtualEntry {
    let content = Arc::new(content);
    let size = content.len() as u64;
    let content = VirtualContent::new(size, move || {
        Ok(Box::new(io::Cursor::new(content.to_vec())))
    });
    entry(path, mode, VirtualKind::File(content))
}

fn tree(entries: Vec<VirtualEntry>) -> VirtualTree {
    VirtualTree::new(meta(0o750, 999_999_999), entries).unwrap()
}

fn varied() -> VirtualTree {
    let mut first = file("linked/one", 0o640, b"two names".to_vec());
    first.meta.hardlink = Some((7, 1));
    let mut second = first.clone();
    second.path = b"other".to_vec();
    let link = VirtualKind::Symlink {
        target: b"../no/where".to_vec(),
    };
    tree(vec![
        file("large", 0o600, noise(300_000, 1)),
        file("empty", 0o444, Vec::new()),
        entry("deep/down", 0o1777, VirtualKind::Dir),
        file("deep.txt", 0o644, b"after deep/".to_vec()),
        file("deep/down/\u{65e5}\n", 0o755, b"content".to_vec()),
        entry("a link", 0o777, link),
        entry("nothing in it", 0o700, VirtualKind::Dir),
        first,
        second,
    ])
}

fn backup_with(fixture: &Fixture, tree: &VirtualTree, options: &BackupOptions) -> BackupReport {
    let sources = vec![Source::Tree(tree.clone(), "/far/away".into())];
    fixture
        .repository
        .backup(sources, options, &Silent)
        .unwrap()
}

fn backup(fixture: &Fixture, tree: &VirtualTree) -> BackupReport {
    backup_with(fixture, tree, &vault::backup_options())
}

fn restored(fixture: &Fixture) -> PathBuf {
    let target = fixture.dir.path().join("restored");
    let far = Path::new("/far/away");
    let report = vault::restore(&fixture.repository, "latest", far, &target).unwrap();
    assert_eq!(report.errors, []);
    target
}

fn directly(tree: &VirtualTree, target: &Path, options: &RestoreOptions) -> RestoreReport {
    restore_tree(tree, target, options, &Silent).unwrap()
}

#[test]
fn entries_come_back_with_their_metadata_either_way() {
    let fixture = Fixture::new();
    let report = backup(&fixture, &varied());
    assert_eq!(report.errors, []);
    assert_eq!((report.files.new, report.files.failed), (6, 0));
    let there = restored(&fixture);
    let mode = |path: &str| fs::metadata(there.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode("large"), mode("deep/down"), mode("linked")),
        (0o600, 0o1777, 0o750)
    );
    assert_eq!(fs::read(there.join("large")).unwrap(), noise(300_000, 1));
    let inode = |path: &str| fs::metadata(there.join(path)).unwrap().ino();
    assert_eq!(inode("linked/one"), inode("other"));
    assert_eq!(
        fs::symlink_metadata(there.join("a link")).unwrap().mtime(),
        1_000_000_006
    );
    assert_eq!(fs::metadata(&there).unwrap().mtime(), 999_999_999);

    let report = directly(&varied(), &fixture.target(), &RestoreOptions::default());
    assert_eq!(report.errors, []);
    assert_eq!(report.files, 7);
    assert_same_tree(&there, &fixture.target());
    let check = fixture.repository.check(ReadData::All, &Silent).unwrap();
    assert_eq!(check.errors, []);
}

#[test]
fn the_same_tree_again_stores_nothing_new() {
    let fixture = Fixture::new();
    backup(&fixture, &varied());
    let again = backup(&fixture, &varied());
    assert!(again.parent.is_some());
    assert!(again.bytes.new < 10_000, "{:?}", again.bytes);
}

/// Fails after some bytes.
struct Breaking(u64);

impl Read for Breaking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.0 as usize);
        self.0 -= len as u64;
        match len {
            0 => Err(io::Error::other("the tape tore")),
            len => Ok(len),
        }
    }
}

fn with_failures() -> VirtualTree {
    let breaking = VirtualContent::new(90_000, || Ok(Box::new(Breaking(50_000))));
    let closed = VirtualContent::new(9, || Err(io::Error::other("it is locked")));
    tree(vec![
        file("good", 0o644, b"here".to_vec()),
        entry("in/breaking", 0o644, VirtualKind::File(breaking)),
        entry("in/closed", 0o644, VirtualKind::File(closed)),
        file("in/good", 0o644, b"here too".to_vec()),
    ])
}

#[test]
fn what_cannot_be_read_is_counted_and_told_and_the_rest_is_there() {
    let fixture = Fixture::new();
    let report = backup(&fixture, &with_failures());
    assert_eq!((report.files.new, report.files.failed), (2, 2));
    let told: Vec<String> = report
        .errors
        .iter()
        .map(|error| format!("{}: {}", error.path, error.error))
        .collect();
    assert_eq!(
        told,
        [
            "/far/away/in/breaking: the tape tore",
            "/far/away/in/closed: it is locked"
        ]
    );
    let there = restored(&fixture);
    let report = directly(
        &with_failures(),
        &fixture.target(),
        &RestoreOptions::default(),
    );
    let told: Vec<String> = report
        .errors
        .iter()
        .map(|error| format!("{}: {}", error.path, error.error))
        .collect();
    assert_eq!(
        told,
        ["/in/breaking: the tape tore", "/in/closed: it is locked"]
    );
    for root in [there, fixture.target()] {
        let found: Vec<_> = describe(&root).into_keys().collect();
        assert_eq!(found, ["good", "in", "in/good"].map(PathBuf::from));
    }
}

#[test]
fn what_is_excluded_is_not_even_opened() {
    let opened = Arc::new(AtomicU32::new(0));
    let counted = opened.clone();
    let content = VirtualContent::new(4, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(&b"here"[..]))
    });
    let tree = tree(vec![
        entry("cache/deep/file", 0o644, VirtualKind::File(content)),
        file("cache.txt", 0o644, b"stays".to_vec()),
    ]);
    let fixture = Fixture::new();
    let excludes = || {
        ExcludesBuilder::new()
            .glob("cache")
            .unwrap()
            .build()
            .unwrap()
    };
    let options = BackupOptions {
        excludes: excludes(),
        ..vault::backup_options()
    };
    backup_with(&fixture, &tree, &options);
    let only = RestoreOptions {
        exclude: Some(excludes()),
        ..RestoreOptions::default()
    };
    directly(&tree, &fixture.target(), &only);
    for root in [restored(&fixture), fixture.target()] {
        assert_eq!(
            describe(&root).into_keys().collect::<Vec<_>>(),
            [Path::new("cache.txt")]
        );
    }
    assert_eq!(opened.load(Ordering::Relaxed), 0);
}

#[test]
fn nothing_else_can_lie_in_a_virtual_tree() {
    let fixture = Fixture::new();
    let inside = Source::Tree(varied(), "/far/away/deep".into());
    let sources = vec![Source::Tree(varied(), "/far/away".into()), inside];
    let error = fixture
        .repository
        .backup(sources, &vault::backup_options(), &Silent)
        .unwrap_err();
    assert!(error.to_string().contains("/far/away"), "{error}");
}

#[test]
fn what_is_in_the_target_is_treated_as_with_snapshots() {
    let fixture = Fixture::new();
    let target = fixture.target();
    write(&target, "large", b"mine");
    let error = restore_tree(&varied(), &target, &RestoreOptions::default(), &Silent).unwrap_err();
    assert!(matches!(error, Error::Invalid { what: "target", .. }));
    let with = |overwrite| RestoreOptions {
        overwrite: Some(overwrite),
        ..RestoreOptions::default()
    };
    let report = directly(&varied(), &target, &with(Overwrite::Never));
    assert_eq!(report.skipped, 1);
    assert_eq!(fs::read(target.join("large")).unwrap(), b"mine");
    let report = directly(&varied(), &target, &with(Overwrite::IfChanged));
    assert_eq!(report.errors, []);
    assert_eq!(fs::read(target.join("large")).unwrap(), noise(300_000, 1));
    // All but the links is as it was: files by size and time.
    assert_eq!(report.skipped, 5);
    let dry = RestoreOptions {
        dry_run: true,
        ..RestoreOptions::default()
    };
    let elsewhere = fixture.dir.path().join("elsewhere");
    assert_eq!(directly(&varied(), &elsewhere, &dry).files, 7);
    assert!(!elsewhere.exists());
}

#[test]
fn a_link_that_was_put_in_the_way_is_not_followed() {
    let fixture = Fixture::new();
    let (target, outside) = (fixture.target(), fixture.dir.path().join("outside"));
    fs::create_dir_all(&target).unwrap();
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, target.join("deep")).unwrap();
    let options = RestoreOptions {
        overwrite: Some(Overwrite::Always),
        ..RestoreOptions::default()
    };
    let report = directly(&varied(), &target, &options);
    assert_eq!(report.errors, []);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(fs::symlink_metadata(target.join("deep")).unwrap().is_dir());
}

#[test]
fn it_stops_when_asked() {
    let fixture = Fixture::new();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let options = BackupOptions {
        stop: Some(stop.clone()),
        ..vault::backup_options()
    };
    let sources = vec![Source::Tree(varied(), "/far/away".into())];
    let error = fixture
        .repository
        .backup(sources, &options, &Silent)
        .unwrap_err();
    assert!(matches!(error, Error::Interrupted));
    let options = RestoreOptions {
        stop: Some(stop),
        ..RestoreOptions::default()
    };
    let error = restore_tree(&varied(), &fixture.target(), &options, &Silent).unwrap_err();
    assert!(matches!(error, Error::Interrupted));
    // Taken up again without a word, for it is the same tree.
    let report = directly(&varied(), &fixture.target(), &RestoreOptions::default());
    assert_eq!(report.errors, []);
}
