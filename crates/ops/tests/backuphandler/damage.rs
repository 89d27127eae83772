//! Backups that are damaged, or in a state that BackupHandler leaves when something goes wrong.

use std::fs;
use std::os::unix::fs::symlink;

use keepwatch_ops::backuphandler::{Error, FindingKind, Weight};
use keepwatch_testkit::tree::write;
use serde_json::json;

use crate::made::{Made, Told, expect, no_keys, with_key};

const STAMP: &str = "20260102_030405";

fn found(kind: FindingKind, path: &str) -> Told {
    (kind, path.to_owned())
}

#[test]
fn encrypted_files_that_changed_places_are_noticed() {
    let mut made = Made::new();
    made.sealed("a", b"content of a")
        .sealed("b", b"content of b");
    made.sealed("c", b"content of c, longer")
        .manifest(STAMP, &[]);
    let path = |name: &str| made.backup().join(name);
    // Of the same size: BackupHandler's own check sees nothing.
    fs::rename(path("a.enc"), path("x")).unwrap();
    fs::rename(path("b.enc"), path("a.enc")).unwrap();
    fs::rename(path("x"), path("b.enc")).unwrap();
    let (told, contents) = made.both_ways(with_key);
    assert_eq!(
        told,
        [
            found(FindingKind::Changed, "a.enc"),
            found(FindingKind::Changed, "b.enc")
        ]
    );
    assert_eq!(contents, expect([("c", "content of c, longer")]));
    // Once it is in, only what the snapshot says is known.
    let report = made.import(&made.open(with_key()));
    assert_eq!((report.findings.len(), report.runs[0].failed), (0, 2));
    assert_eq!(report.weight(), Some(Weight::Doubt));
}

#[test]
fn truncated_and_changed_files_are_left_out() {
    let mut made = Made::new();
    for name in ["cut", "short", "flipped", "whole"] {
        made.sealed(name, &vec![b'x'; 100_000]);
    }
    made.sealed("small", b"whole");
    made.manifest(STAMP, &[]);
    let path = |name: &str| made.backup().join(name);
    let bytes = fs::read(path("cut.enc")).unwrap();
    fs::write(path("cut.enc"), &bytes[..bytes.len() - 1]).unwrap();
    fs::write(path("short.enc"), &bytes[..43]).unwrap();
    let mut flipped = fs::read(path("flipped.enc")).unwrap();
    flipped[50_000] ^= 1;
    fs::write(path("flipped.enc"), flipped).unwrap();
    let (told, contents) = made.both_ways(with_key);
    assert_eq!(
        told,
        ["cut.enc", "flipped.enc", "short.enc"].map(|name| found(FindingKind::Damaged, name))
    );
    assert_eq!(contents.keys().collect::<Vec<_>>(), ["small", "whole"]);
}

#[test]
fn one_damaged_file_is_not_the_wrong_key() {
    let mut made = Made::new();
    made.sealed("damaged", b"")
        .sealed("good", b"long enough")
        .manifest(STAMP, &[]);
    let path = made.backup().join("damaged.enc");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (told, contents) = made.both_ways(with_key);
    assert_eq!(told, [found(FindingKind::Damaged, "damaged.enc")]);
    assert_eq!(contents, expect([("good", "long enough")]));
    // If it is the only one, nobody can tell.
    fs::remove_file(made.backup().join("good.enc")).unwrap();
    assert!(matches!(made.refused(with_key()), Error::WrongKey { .. }));
}

#[test]
fn a_plain_file_that_changed_is_left_out() {
    let mut made = Made::new();
    made.file("kept", b"as it was").file("rotten", b"as it was");
    made.file("grown", b"as it was").manifest(STAMP, &[]);
    write(&made.backup(), "rotten", b"as it is!");
    write(&made.backup(), "grown", vec![b'x'; 1 << 20]);
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(
        told,
        [
            found(FindingKind::Changed, "grown"),
            found(FindingKind::Changed, "rotten")
        ]
    );
    assert_eq!(contents, expect([("kept", "as it was")]));
}

#[test]
fn plaintext_in_an_encrypted_backup_is_told() {
    let mut made = Made::new();
    made.sealed("sealed", b"one").file("forgotten", b"two");
    made.file(
        "sub/backup_manifest_20260101_000000.json",
        b"a file of the source",
    );
    made.manifest(STAMP, &[]);
    let (told, contents) = made.both_ways(with_key);
    let nested = "sub/backup_manifest_20260101_000000.json";
    assert_eq!(
        told,
        [
            found(FindingKind::Plaintext, "forgotten"),
            found(FindingKind::Plaintext, nested)
        ]
    );
    // BackupHandler does not restore the latter.
    assert_eq!(
        contents,
        expect([
            ("forgotten", "two"),
            ("sealed", "one"),
            (nested, "a file of the source")
        ])
    );
}

#[test]
fn the_newer_of_two_forms_is_taken() {
    let mut made = Made::new();
    made.sealed("file", b"old")
        .sealed("other", b"x")
        .manifest("20260101_000000", &[]);
    made.file("file", b"new").manifest(STAMP, &["other"]);
    let (told, contents) = made.both_ways(with_key);
    assert_eq!(contents, expect([("file", "new"), ("other", "x")]));
    assert_eq!(
        told,
        [
            found(FindingKind::Plaintext, "file"),
            found(
                FindingKind::Overwritten,
                "backup_manifest_20260101_000000.json"
            ),
            found(FindingKind::Superseded, "file.enc"),
        ]
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
}

#[test]
fn files_of_the_source_that_end_so_are_what_they_are() {
    let mut made = Made::new();
    made.sealed("sealed", b"one")
        .file("own.enc", b"not encrypted by anybody");
    // `taken.enc` was there, and was overwritten by the encrypted form of `taken`.
    made.sealed("taken", b"two").named("taken.enc", b"lost");
    // `gone` is missing, and what looks like its encrypted form is a file of the source.
    made.named("gone", b"lost, too")
        .file("gone.enc", b"of the source");
    made.manifest(STAMP, &[]);
    let (told, contents) = made.both_ways(with_key);
    assert_eq!(
        contents,
        expect([
            ("gone.enc", "of the source"),
            ("own.enc", "not encrypted by anybody"),
            ("sealed", "one"),
            ("taken", "two"),
        ])
    );
    assert_eq!(
        told,
        [
            found(FindingKind::Plaintext, "gone.enc"),
            found(FindingKind::Plaintext, "own.enc"),
            found(FindingKind::Missing, "/home/old/gone"),
            found(FindingKind::Missing, "/home/old/taken.enc"),
        ]
    );
}

#[test]
fn what_manifests_and_the_directory_do_not_share_is_told() {
    let mut made = Made::new();
    made.file("here", b"1").named("gone", b"2");
    made.record(json!({"path": "/home/old/no checksum", "size": 3}));
    write(&made.backup(), "no checksum", b"abc");
    write(&made.backup(), "nobody knows it", b"4");
    symlink("nowhere", made.backup().join("dangling")).unwrap();
    made.record(json!({"path": "/home/old/dangling", "size": 0}));
    made.manifest(STAMP, &["skipped and gone"]);
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        made.backup().join("fifo"),
        rustix::fs::Mode::RUSR,
    )
    .unwrap();
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(
        contents,
        expect([
            ("dangling", "-> nowhere"),
            ("here", "1"),
            ("no checksum", "abc"),
            ("nobody knows it", "4"),
        ])
    );
    let mut all = vec![
        found(FindingKind::Dangling, "dangling"),
        found(FindingKind::Unnamed, "nobody knows it"),
        found(FindingKind::Unverified, "no checksum"),
        found(FindingKind::Missing, "/home/old/gone"),
        found(FindingKind::Missing, "/home/old/skipped and gone"),
        found(FindingKind::Special, "fifo"),
    ];
    all.sort();
    assert_eq!(told, all);
}

#[test]
fn a_run_that_failed_for_a_file_says_so() {
    let made = Made::new();
    write(&made.backup(), "file", b"of before");
    let manifest = json!({
        "mode": "incremental", "copied": [], "skipped": [],
        "failed": [{"path": "/home/old/file", "reason": "permission denied"}],
    });
    let name = format!("backup_manifest_{STAMP}.json");
    write(&made.backup(), &name, manifest.to_string());
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(
        told,
        [
            found(FindingKind::Unverified, "file"),
            found(FindingKind::NotCopied, "/home/old/file"),
        ]
    );
    assert_eq!(contents, expect([("file", "of before")]));
}

#[test]
fn without_a_manifest_that_can_be_read_it_is_told() {
    let made = Made::new();
    write(&made.backup(), "file", b"content");
    write(
        &made.backup(),
        &format!("backup_manifest_{STAMP}.json"),
        b"{\"copied\": [",
    );
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(
        told,
        [
            found(FindingKind::NoManifest, ""),
            found(
                FindingKind::BadManifest,
                &format!("backup_manifest_{STAMP}.json")
            ),
        ]
    );
    assert_eq!(contents, expect([("file", "content")]));
}

#[test]
fn nothing_is_no_backup() {
    let made = Made::new();
    assert!(matches!(made.refused(no_keys()), Error::NoBackup { .. }));
    fs::create_dir(made.backup().join("empty")).unwrap();
    assert!(matches!(made.refused(no_keys()), Error::NoBackup { .. }));
    fs::remove_dir_all(made.backup()).unwrap();
    assert!(matches!(made.refused(no_keys()), Error::Io { .. }));
    fs::write(made.backup(), b"a file").unwrap();
    assert!(matches!(made.refused(no_keys()), Error::NoBackup { .. }));
}
