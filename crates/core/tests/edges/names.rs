//! Names that are no text, and paths longer than any system call takes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use keepwatch_core::{Overwrite, RestoreOptions};
use keepwatch_testkit::tree::assert_same_tree;
use keepwatch_testkit::vault;
use rustix::fs::{Mode, OFlags, mkdirat, openat};

use crate::fixture::Fixture;

#[test]
fn names_are_bytes() {
    let fixture = Fixture::new();
    let names: [&[u8]; 8] = [
        b"\xff\xfe\x80",
        b"latin\xe9",
        b"line\nbreak",
        b" ",
        b"...",
        b"\\\"'$(true)`*?[",
        b"-rf",
        b"\x01\x1b[31m",
    ];
    for name in names {
        let path = fixture.source().join(OsStr::from_bytes(name));
        fs::create_dir(&path).unwrap();
        fs::write(path.join(OsStr::from_bytes(name)), name).unwrap();
        std::os::unix::fs::symlink(OsStr::from_bytes(name), path.join("link")).unwrap();
    }
    fs::write(fixture.source().join("n".repeat(255)), b"long").unwrap();
    let report = fixture.backup();
    assert_eq!(report.files.new, 9);
    fixture.restore("latest", &fixture.target());
    assert_same_tree(&fixture.source(), &fixture.target());
}

/// Makes a chain of directories and a file at its end, by one component at a time.
fn deep(root: &Path, component: &str, depth: usize) {
    let mut dir: OwnedFd = File::open(root).unwrap().into();
    for _ in 0..depth {
        mkdirat(&dir, component, Mode::RWXU).unwrap();
        dir = openat(
            &dir,
            component,
            OFlags::RDONLY | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .unwrap();
    }
    let flags = OFlags::WRONLY | OFlags::CREATE;
    let file: File = openat(&dir, "file", flags, Mode::RUSR | Mode::WUSR)
        .unwrap()
        .into();
    std::io::Write::write_all(&mut &file, b"at the end of a long way").unwrap();
}

/// The content of the file at the end of such a chain.
fn read_deep(root: &Path, component: &str, depth: usize) -> Vec<u8> {
    let mut dir: OwnedFd = File::open(root).unwrap().into();
    for _ in 0..depth {
        dir = openat(
            &dir,
            component,
            OFlags::RDONLY | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .unwrap();
    }
    let mut file: File = openat(&dir, "file", OFlags::RDONLY, Mode::empty())
        .unwrap()
        .into();
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut content).unwrap();
    content
}

#[test]
fn paths_beyond_the_limit_of_the_system() {
    let fixture = Fixture::new();
    // 30 times 256 bytes: far beyond the 4096 that one call takes.
    let component = "d".repeat(255);
    deep(&fixture.source(), &component, 30);
    deep(&fixture.source(), "x", 200);
    let report = fixture.backup();
    assert_eq!((report.files.new, report.files.failed), (2, 0));
    let report = vault::restore(
        &fixture.repository,
        "latest",
        &fixture.source(),
        &fixture.target(),
    )
    .unwrap();
    assert_eq!(report.errors, []);
    for (component, depth) in [(component.as_str(), 30), ("x", 200)] {
        assert_eq!(
            read_deep(&fixture.target(), component, depth),
            b"at the end of a long way"
        );
    }
    // And they can be removed again.
    let options = RestoreOptions {
        overwrite: Some(Overwrite::IfChanged),
        delete: true,
        ..RestoreOptions::default()
    };
    fs::create_dir(fixture.source().join("only")).unwrap();
    let empty = fixture.source().join("only");
    vault::backup(&fixture.repository, &empty).unwrap();
    let report = vault::restore_with(
        &fixture.repository,
        "latest",
        &empty,
        &fixture.target(),
        &options,
    )
    .unwrap();
    assert_eq!(report.errors, []);
    assert_eq!(report.deleted, 232);
    assert_eq!(fs::read_dir(fixture.target()).unwrap().count(), 0);
}
