//! Zips that somebody has prepared, and such without a password.

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use keepwatch_ops::backuphandler::{Backup, Error, FindingKind};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::made::{Made, Told, expect, no_keys, options, with_passphrase};

const NAME: &str = "backup_20260102_030405.zip";

fn packed(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Puts other bytes in the place of some, wherever they stand.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut at = 0;
    let mut count = 0;
    while let Some(next) = bytes[at..]
        .windows(from.len())
        .position(|part| part == from)
    {
        bytes[at + next..at + next + to.len()].copy_from_slice(to);
        at += next + to.len();
        count += 1;
    }
    assert!(count > 0);
    bytes
}

fn put(made: &Made, bytes: &[u8]) -> PathBuf {
    let path = made.backup().join(NAME);
    fs::write(&path, bytes).unwrap();
    path
}

fn found(kind: FindingKind, path: &str) -> Told {
    (kind, path.to_owned())
}

#[test]
fn folders_are_kept_where_a_zip_has_them() {
    let made = Made::new();
    put(
        &made,
        &packed(&[("docs/a.txt", b"a"), ("docs/sub/b.txt", b"b"), ("c", b"")]),
    );
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(told, []);
    assert_eq!(
        contents,
        expect([("c", ""), ("docs/a.txt", "a"), ("docs/sub/b.txt", "b")])
    );
}

#[test]
fn names_that_lead_elsewhere_are_left_out() {
    let made = Made::new();
    let bytes = packed(&[
        ("xx/up", b"1"),
        ("Xtc/passwd", b"2"),
        ("in/XX/XX/deep", b"3"),
        ("fine", b"4"),
        ("fine/below", b"5"),
        ("null?byte", b"6"),
    ]);
    let bytes = replaced(bytes, b"xx/up", b"../up");
    let bytes = replaced(bytes, b"Xtc/passwd", b"/tc/passwd");
    let bytes = replaced(bytes, b"in/XX/XX/deep", b"in/../../deep");
    put(&made, &replaced(bytes, b"null?byte", b"null\0byte"));
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(contents, expect([("fine", "4")]));
    let bad = [
        "../up",
        "/tc/passwd",
        "fine/below",
        "in/../../deep",
        "null\0byte",
    ];
    assert_eq!(told, bad.map(|path| found(FindingKind::BadName, path)));
    assert!(!made.path("up").exists());
}

#[test]
fn what_is_larger_than_it_can_be_is_not_unpacked() {
    let made = Made::new();
    let bytes = packed(&[("bomb", b"a few bytes"), ("fine", b"4")]);
    // The size of the first entry, as its two headers have it.
    let size = 11_u32.to_le_bytes();
    put(
        &made,
        &replaced(bytes, &size, &u32::MAX.wrapping_sub(1).to_le_bytes()),
    );
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(told, [found(FindingKind::Damaged, "bomb")]);
    assert_eq!(contents, expect([("fine", "4")]));
}

#[test]
fn an_entry_that_is_longer_than_it_says_is_cut_off() {
    let made = Made::new();
    let zeros = vec![0; 1_000_003];
    let bytes = packed(&[("longer", &zeros), ("fine", b"4")]);
    let size = 1_000_003_u32.to_le_bytes();
    put(&made, &replaced(bytes, &size, &1000_u32.to_le_bytes()));
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(told, [found(FindingKind::Damaged, "longer")]);
    assert_eq!(contents, expect([("fine", "4")]));
}

#[test]
fn entries_that_share_bytes_are_refused() {
    let made = Made::new();
    let noise = keepwatch_testkit::tree::noise(10_000, 1);
    let bytes = packed(&[("one", &noise), ("two", b"2"), ("tri", b"3")]);
    let size = |len: u32| len.to_le_bytes();
    let len = u32::try_from(bytes.len()).unwrap();
    // The packed sizes of the small ones are three bytes.
    let bytes = replaced(
        bytes,
        &[size(3), size(1)].concat(),
        &[size(len), size(1)].concat(),
    );
    put(&made, &bytes);
    let error = made.refused(no_keys());
    assert!(matches!(error, Error::Archive { .. }), "{error}");
}

#[test]
fn a_damaged_entry_is_told_and_the_others_come_back() {
    let made = Made::new();
    let noise = keepwatch_testkit::tree::noise(10_000, 1);
    let mut bytes = packed(&[("noise", &noise), ("fine", b"4")]);
    bytes[5000] ^= 1;
    put(&made, &bytes);
    let (told, contents) = made.both_ways(no_keys);
    assert_eq!(told, [found(FindingKind::Damaged, "noise")]);
    assert_eq!(contents, expect([("fine", "4")]));
}

#[test]
fn what_is_cut_off_anywhere_is_no_zip() {
    let bytes = packed(&[("a", b"content"), ("b", b"content")]);
    for len in 0..bytes.len() {
        let made = tempfile::tempdir().unwrap();
        let path = made.path().join(NAME);
        fs::write(&path, &bytes[..len]).unwrap();
        let error = Backup::open(&path, options(no_keys())).unwrap_err();
        assert!(matches!(error, Error::Archive { .. }), "{len}: {error}");
    }
}

#[test]
fn a_zip_that_is_locked_does_not_keep_the_directory_back() {
    let mut made = Made::new();
    made.file("file", b"content")
        .manifest("20260102_030405", &[]);
    // The flag that an entry is encrypted.
    let mut bytes = packed(&[("a", b"content")]);
    bytes[6] |= 1;
    let at = bytes
        .windows(4)
        .position(|part| part == b"PK\x01\x02")
        .unwrap();
    bytes[at + 8] |= 1;
    put(&made, &bytes);
    for keys in [no_keys, || with_passphrase("wrong")] {
        let backup = made.open(keys());
        let told = crate::made::told(&backup.findings());
        assert_eq!(told, [found(FindingKind::Locked, NAME)]);
        assert_eq!(backup.runs.len(), 1);
    }
}
