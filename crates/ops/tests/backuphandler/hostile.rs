//! Manifests and directories that somebody has prepared.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use keepwatch_ops::backuphandler::FindingKind;
use keepwatch_testkit::tree::write;
use serde_json::json;

use crate::made::{Made, expect, no_keys};

const STAMP: &str = "20260102_030405";

#[test]
fn paths_that_lead_elsewhere_are_only_missing() {
    let mut made = Made::new();
    write(made.dir.path(), "outside", b"secret");
    made.file("inside", b"fine");
    let outside = made.path("outside").to_str().unwrap().to_owned();
    for path in [
        "/home/old/../../outside",
        "../outside",
        "/home/old/sub/../../../outside",
        &outside,
        "/etc/passwd",
        "",
        "/",
        "..",
        "/home/old/a\0b",
    ] {
        made.record(json!({"path": path, "size": 6}));
    }
    made.manifest(STAMP, &[]);
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(contents, expect([("inside", "fine")]));
    assert!(told.iter().all(|(kind, _)| *kind == FindingKind::Missing));
    assert_eq!(told.len(), 9);
}

#[test]
fn links_are_never_followed() {
    let mut made = Made::new();
    let outside = made.path("outside");
    write(&outside, "passwd", b"secret");
    symlink(&outside, made.backup().join("etc")).unwrap();
    symlink("../outside/passwd", made.backup().join("up")).unwrap();
    made.record(json!({"path": "/home/old/etc/passwd", "size": 6}));
    made.record(json!({"path": "/home/old/up", "size": 6}));
    made.record(json!({"path": "/home/old/etc", "size": 6}));
    made.manifest(STAMP, &[]);
    let (told, contents) = made.both_ways(no_keys);
    let to = format!("-> {}", outside.display());
    assert_eq!(
        contents,
        expect([("etc", to.as_str()), ("up", "-> ../outside/passwd")])
    );
    assert_eq!(
        told,
        [
            (FindingKind::LinkOut, "etc".to_owned()),
            (FindingKind::LinkOut, "up".to_owned()),
            (FindingKind::Missing, "/home/old/etc/passwd".to_owned()),
        ]
    );
}

#[test]
fn a_link_that_takes_the_place_of_a_file_is_not_read() {
    let mut made = Made::new();
    write(made.dir.path(), "outside", b"secret");
    made.file("file", b"first")
        .file("sub/file", b"second")
        .manifest(STAMP, &[]);
    let backup = made.open(no_keys());
    // After the look, and before it is read.
    for name in ["file", "sub"] {
        let path = made.backup().join(name);
        fs::rename(&path, made.path(&format!("moved {name}"))).unwrap();
        symlink(made.path(&format!("moved {name}")), &path).unwrap();
    }
    let (report, target) = made.directly(&backup);
    assert_eq!(crate::made::contents(&target), expect([]));
    let told = crate::made::told(&report.findings);
    assert_eq!(
        told,
        ["file", "sub/file"].map(|path| (FindingKind::Unreadable, path.to_owned()))
    );
}

#[test]
fn sizes_that_no_file_has_cost_nothing() {
    let mut made = Made::new();
    made.record(json!({"path": "/home/old/file", "size": u64::MAX, "checksum": "00".repeat(32)}));
    write(&made.backup(), "file", b"small");
    made.file("good", b"good").manifest(STAMP, &[]);
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(told, [(FindingKind::Changed, "file".to_owned())]);
    assert_eq!(contents, expect([("good", "good")]));
}

#[test]
fn files_of_one_name_are_not_taken_for_each_other() {
    let mut made = Made::new();
    made.file("x/config.ini", b"x").file("y/config.ini", b"y");
    made.named("z/config.ini", b"gone")
        .file("a[1]*.txt", b"odd")
        .manifest(STAMP, &[]);
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(
        contents,
        expect([
            ("a[1]*.txt", "odd"),
            ("x/config.ini", "x"),
            ("y/config.ini", "y")
        ])
    );
    assert_eq!(
        told,
        [(FindingKind::Missing, "/home/old/z/config.ini".to_owned())]
    );
}

#[test]
fn names_that_are_no_utf_8_are_found() {
    let made = Made::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(made.backup().join(name), b"latin").unwrap();
    let manifest = format!(
        r#"{{"mode": "full", "copied": [{{"path": "/home/old/caf\udce9", "size": 5, "checksum": "{}"}}]}}"#,
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"latin"))
    );
    write(
        &made.backup(),
        &format!("backup_manifest_{STAMP}.json"),
        manifest,
    );
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(told, []);
    assert_eq!(contents, expect([("caf\u{fffd}", "latin")]));
}
