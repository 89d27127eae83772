//! What BackupHandler itself has made comes back to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::tz::TimeZone;
use keepwatch_core::{ReadData, RestoreOptions, Silent};
use keepwatch_crypto::Key;
use keepwatch_crypto::backuphandler::LegacyKeys;
use keepwatch_ops::backuphandler::{Backup, Error, FindingKind, OpenOptions, Weight};
use keepwatch_testkit::tree::describe;
use keepwatch_testkit::{testdata, vault};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::made::{Made, Told, import_options, no_keys, options, told, with_passphrase};

fn sample(name: &str) -> PathBuf {
    testdata().join("backuphandler").join(name)
}

/// A copy of a backup with its link, which a copy of the test data may have as a file.
struct Genuine(tempfile::TempDir);

impl Genuine {
    fn copy(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&sample(name), &dir.path().join(name));
        let link = dir.path().join(name).join("links/to-readme");
        if link.exists() && !link.is_symlink() {
            fs::remove_file(&link).unwrap();
            symlink("../readme.txt", &link).unwrap();
        }
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        fs::read_dir(self.0.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &to);
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), &to).unwrap();
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(sample("EXPECTED.json")).unwrap()).unwrap()
}

fn passphrase() -> LegacyKeys {
    with_passphrase(expected()["passphrase"].as_str().unwrap())
}

fn key_file() -> LegacyKeys {
    let bytes = fs::read(sample("backup.key")).unwrap();
    LegacyKeys::new(None, Some(Key::from_bytes(bytes.try_into().unwrap())))
}

/// Files by size and SHA-256, links by their target.
type Listing = BTreeMap<String, (u64, String)>;

fn listing(expected: &Value) -> Listing {
    let files = expected.as_object().unwrap().iter();
    files
        .map(|(path, file)| {
            let is = match file["symlink"].as_str() {
                Some(target) => (0, target.to_owned()),
                None => (
                    file["size"].as_u64().unwrap(),
                    file["sha256"].as_str().unwrap().to_owned(),
                ),
            };
            (path.clone(), is)
        })
        .collect()
}

fn list(root: &Path) -> Listing {
    describe(root)
        .into_iter()
        .filter(|(_, is)| is.kind != "dir")
        .map(|(path, is)| {
            let name = path.to_str().unwrap().to_owned();
            match is.kind {
                "symlink" => (name, (0, String::from_utf8(is.content).unwrap())),
                _ => {
                    let hash = Sha256::digest(fs::read(root.join(&path)).unwrap());
                    (name, (is.size, hex::encode(hash)))
                }
            }
        })
        .collect()
}

/// Brings a sample in and restores it, and restores it directly. Gives what was found.
#[track_caller]
fn both_ways(path: &Path, open: impl Fn() -> OpenOptions, expected: &Listing) -> Vec<Told> {
    let made = Made::new();
    let report = made.import(&Backup::open(path, open()).unwrap());
    assert_eq!(report.errors, []);
    assert_eq!(&list(&made.restored(&report)), expected);
    let (direct, target) = made.directly(&Backup::open(path, open()).unwrap());
    assert_eq!(direct.report.errors, []);
    assert_eq!(&list(&target), expected);
    assert_eq!(told(&direct.findings), told(&report.findings));
    let check = made.repository.check(ReadData::All, &Silent).unwrap();
    assert_eq!(check.errors, []);
    told(&report.findings)
}

const FIRST: &str = "backup_manifest_20261122_011226.json";
const DELETED: &str = "docs/to-be-deleted.txt";
const LINK: &str = "links/to-readme";

#[test]
fn of_files_as_they_were() {
    let expected = listing(&expected()["plain"]["files"]);
    let findings = both_ways(
        &Genuine::copy("plain").path(),
        || options(no_keys()),
        &expected,
    );
    assert_eq!(
        findings,
        [
            (FindingKind::Overwritten, FIRST.to_owned()),
            (FindingKind::Deleted, DELETED.to_owned()),
        ]
    );
}

#[test]
fn without_what_was_deleted_it_is_the_source_at_the_last_run() {
    let expected = listing(&expected()["source_when_incremental_ran"]);
    let open = || OpenOptions {
        without_deleted: true,
        ..options(no_keys())
    };
    let findings = both_ways(&Genuine::copy("plain").path(), open, &expected);
    assert!(findings.contains(&(FindingKind::Deleted, DELETED.to_owned())));
}

#[test]
fn of_an_earlier_run_there_is_what_nobody_has_overwritten() {
    let made = Made::new();
    let open = OpenOptions {
        all_runs: true,
        time_zone: TimeZone::get("America/New_York").unwrap(),
        ..options(no_keys())
    };
    let genuine = Genuine::copy("plain");
    let report = made.import(&Backup::open(&genuine.path(), open).unwrap());
    let runs: Vec<_> = report
        .runs
        .iter()
        .map(|run| (run.time.to_string(), run.is_partial, run.files, run.failed))
        .collect();
    assert_eq!(
        runs,
        [
            ("2026-11-22T06:12:26Z".to_owned(), true, 18, 0),
            ("2026-11-22T06:15:12Z".to_owned(), false, 24, 0),
        ]
    );
    let lost = ["docs/notes.md", "empty.dat", "events/2026-01.csv"];
    let told = told(&report.findings);
    for path in lost {
        let path = format!("source/{path}");
        assert!(told.contains(&(FindingKind::Overwritten, path)), "{told:?}");
    }
    let (snapshots, _) = made.repository.snapshots().unwrap();
    let tags: Vec<_> = snapshots
        .iter()
        .map(|(_, snapshot)| snapshot.tags.clone())
        .collect();
    assert_eq!(
        tags,
        [vec!["backuphandler", "partial"], vec!["backuphandler"]]
    );
    let first = snapshots[0].0.to_string();
    let target = made.path("first");
    vault::restore(&made.repository, &first, Path::new("source"), &target).unwrap();
    let mut then = listing(&expected()["source"]);
    then.retain(|path, _| !lost.contains(&path.as_str()));
    assert_eq!(list(&target), then);
}

#[test]
fn of_a_passphrase() {
    let expected = listing(&expected()["source"]);
    let findings = both_ways(
        &Genuine::copy("enc_passphrase").path(),
        || options(passphrase()),
        &expected,
    );
    // The link leads nowhere in the backup, and where it should when it is restored.
    assert_eq!(findings, [(FindingKind::Broken, LINK.to_owned())]);
    assert_eq!(FindingKind::Broken.weight(), Weight::Note);
}

#[test]
fn of_a_key_file_with_absolute_paths() {
    let expected = listing(&expected()["source"]);
    let genuine = Genuine::copy("enc_keyfile");
    let path = genuine.path();
    let findings = both_ways(&path, || options(key_file()), &expected);
    assert_eq!(findings, [(FindingKind::Broken, LINK.to_owned())]);
    let backup = Backup::open(&path, options(key_file())).unwrap();
    assert_eq!(backup.latest().place, Path::new("/home/sample/documents"));
    let made = Made::new();
    made.import(&backup);
    let (_, snapshot) = made.repository.find_snapshot("latest").unwrap();
    assert_eq!(snapshot.time.to_string(), "2026-11-22T01:14:28Z");
    assert_eq!(snapshot.host, "oldhost");
    assert_eq!(snapshot.paths[0].to_string(), "/home/sample/documents");
}

#[test]
fn encrypted_files_are_for_their_owner_only() {
    let made = Made::new();
    let genuine = Genuine::copy("enc_keyfile");
    let backup = Backup::open(&genuine.path(), options(key_file())).unwrap();
    let (_, target) = made.directly(&backup);
    let files = describe(&target)
        .into_values()
        .filter(|is| is.kind == "file");
    // Nobody knows what modes they had: one was 0600.
    assert!(files.map(|is| is.mode).all(|mode| mode == 0o600));
}

#[test]
fn with_the_wrong_key_nothing_begins() {
    let wrong = |name: &str, keys| Backup::open(&sample(name), options(keys)).unwrap_err();
    let error = wrong("enc_passphrase", with_passphrase("wrong"));
    assert!(matches!(error, Error::WrongKey { .. }), "{error}");
    let error = wrong("enc_passphrase", no_keys());
    assert!(matches!(error, Error::NeedsKey { more: 20, .. }), "{error}");
    let error = wrong("enc_passphrase", key_file());
    assert!(matches!(error, Error::OtherKey { .. }), "{error}");
    let error = wrong("enc_keyfile", passphrase());
    assert!(matches!(error, Error::OtherKey { .. }), "{error}");
    let error = wrong("zip_pw", with_passphrase("wrong"));
    assert!(matches!(error, Error::WrongKey { .. }), "{error}");
    let error = wrong("zip_pw", no_keys());
    assert!(matches!(error, Error::NeedsKey { .. }), "{error}");
}

#[test]
fn of_deduplicated_files_each_is_one_again() {
    let made = Made::new();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(sample("dedup.tar"))
        .arg("-C")
        .arg(made.dir.path())
        .status()
        .unwrap();
    assert!(unpacked.success());
    let path = made.path("dedup");
    let expected = expected();
    let names = expected["dedup_tar"]["hardlinked"].as_array().unwrap();
    for name in names {
        let name = name.as_str().unwrap();
        assert_eq!(fs::metadata(path.join(name)).unwrap().nlink(), 3);
    }
    let files = listing(&expected["dedup_tar"]["files"]);
    let findings = both_ways(&path, || options(no_keys()), &files);
    assert_eq!(findings, []);
    let (_, target) = made.directly(&Backup::open(&path, options(no_keys())).unwrap());
    for name in names {
        let is = fs::metadata(target.join(name.as_str().unwrap())).unwrap();
        assert_eq!(is.nlink(), 1, "a change of one would change the others");
    }
    // Modes and times are kept in this form.
    let is = fs::metadata(target.join("config/cameras.json")).unwrap();
    assert_eq!((is.mode() & 0o7777, is.mtime()), (0o600, 1_767_312_000));
}

fn zip_password() -> LegacyKeys {
    with_passphrase(expected()["zip_password"].as_str().unwrap())
}

#[test]
fn of_a_zip_with_a_password() {
    let expected = expected();
    let mut files = Listing::new();
    for entry in expected["zip_pw"]["entries"].as_array().unwrap() {
        let is = (
            entry["size"].as_u64().unwrap(),
            entry["sha256"].as_str().unwrap().to_owned(),
        );
        let name = entry["name_utf8"].as_str().unwrap();
        if let Some(second) = files.insert(name.to_owned(), is.clone()) {
            files.insert(name.to_owned(), second);
            files.insert("notes (2).md".to_owned(), is);
        }
    }
    assert_eq!(files.len(), 22);
    let renamed = [(FindingKind::Renamed, "notes.md".to_owned())];
    let file = sample("zip_pw/backup_20261122_011432.zip");
    for path in [sample("zip_pw"), file] {
        assert_eq!(
            both_ways(&path, || options(zip_password()), &files),
            renamed
        );
    }
    let backup = Backup::open(&sample("zip_pw"), options(zip_password())).unwrap();
    assert_eq!(backup.latest().time.to_string(), "2026-11-22T01:14:32Z");
    assert_eq!(backup.latest().place, Path::new("zip_pw"));
}

#[test]
fn the_same_import_again_makes_nothing() {
    let made = Made::new();
    let genuine = Genuine::copy("plain");
    let open = || Backup::open(&genuine.path(), options(no_keys())).unwrap();
    let first = made.import(&open());
    let again = made.import(&open());
    assert_eq!(again.runs[0].snapshot, first.runs[0].snapshot);
    assert!(again.runs[0].is_old);
    assert_eq!(made.repository.snapshots().unwrap().0.len(), 1);
    // Of another machine it is another backup.
    let mut elsewhere = import_options();
    elsewhere.host = "elsewhere".to_owned();
    let report = open()
        .import(&made.repository, &elsewhere, &Silent)
        .unwrap();
    assert!(!report.runs[0].is_old);
    let mut dry = import_options();
    (dry.host, dry.dry_run) = ("third".to_owned(), true);
    let report = open().import(&made.repository, &dry, &Silent).unwrap();
    assert_eq!((report.runs[0].snapshot, report.runs[0].files), (None, 24));
    assert_eq!(made.repository.snapshots().unwrap().0.len(), 2);
}

#[test]
fn a_part_can_be_restored_directly() {
    let made = Made::new();
    let backup = Backup::open(&sample("plain"), options(no_keys())).unwrap();
    let only = keepwatch_core::fs::ExcludesBuilder::new()
        .glob("*.md")
        .unwrap();
    let wanted = RestoreOptions {
        include: Some(only.build().unwrap()),
        ..RestoreOptions::default()
    };
    let target = made.path("part");
    backup.restore(&target, &wanted, &Silent).unwrap();
    let paths: Vec<String> = list(&target).into_keys().collect();
    assert_eq!(paths, ["docs/deep/a/notes.md", "docs/notes.md"]);
}
