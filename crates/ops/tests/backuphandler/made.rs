//! Backups made for a test, and what is asked of all of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use keepwatch_core::storage::MemoryStorage;
use keepwatch_core::{Compression, Repository, RestoreOptions, Silent};
use keepwatch_crypto::Key;
use keepwatch_crypto::backuphandler::{LegacyKey, LegacyKeys, encrypt};
use keepwatch_ops::backuphandler::{
    Backup, Error, Finding, FindingKind, ImportOptions, ImportReport, OpenOptions, RestoredReport,
};
use keepwatch_testkit::{tree, vault};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A key file.
pub fn key() -> Key {
    Key::from_bytes([9; 32])
}

pub fn with_key() -> LegacyKeys {
    LegacyKeys::new(None, Some(key()))
}

pub fn with_passphrase(text: &str) -> LegacyKeys {
    LegacyKeys::new(Some(text.into()), None)
}

pub fn no_keys() -> LegacyKeys {
    LegacyKeys::new(None, None)
}

pub fn options(keys: LegacyKeys) -> OpenOptions {
    OpenOptions {
        time_zone: TimeZone::UTC,
        keys,
        all_runs: false,
        without_deleted: false,
    }
}

pub fn import_options() -> ImportOptions {
    ImportOptions {
        host: "oldhost".to_owned(),
        user: "tester".to_owned(),
        program: "tests".to_owned(),
        place: None,
        tags: Vec::new(),
        compression: Compression::default(),
        dry_run: false,
        stop: None,
    }
}

/// A place for a backup, a repository and what is restored.
pub struct Made {
    pub dir: TempDir,
    pub repository: Repository,
    copied: Vec<Value>,
}

impl Made {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("backup")).unwrap();
        let storage = Arc::new(MemoryStorage::new());
        let repository = vault::init(storage, &vault::small(), &dir.path().join("cache"));
        Self {
            dir,
            repository,
            copied: Vec::new(),
        }
    }

    pub fn backup(&self) -> PathBuf {
        self.dir.path().join("backup")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that the next manifest names.
    pub fn file(&mut self, path: &str, content: &[u8]) -> &mut Self {
        tree::write(&self.backup(), path, content);
        self.named(path, content)
    }

    /// The same, encrypted with the key file.
    pub fn sealed(&mut self, path: &str, content: &[u8]) -> &mut Self {
        let mut sealed = Vec::new();
        encrypt(content, &mut sealed, &LegacyKey::from_key_file(&key())).unwrap();
        tree::write(&self.backup(), &format!("{path}.enc"), sealed);
        self.named(path, content)
    }

    /// Named by the next manifest, whether it is there or not.
    pub fn named(&mut self, path: &str, content: &[u8]) -> &mut Self {
        self.record(json!({
            "path": format!("/home/old/{path}"),
            "size": content.len(),
            "checksum": hex::encode(Sha256::digest(content)),
        }))
    }

    pub fn record(&mut self, record: Value) -> &mut Self {
        self.copied.push(record);
        self
    }

    /// Writes a manifest of all that was copied since the last one.
    pub fn manifest(&mut self, stamp: &str, skipped: &[&str]) -> &mut Self {
        let skipped: Vec<Value> = skipped
            .iter()
            .map(|path| json!({"path": format!("/home/old/{path}")}))
            .collect();
        let manifest = json!({
            "timestamp": stamp,
            "mode": "full",
            "copied": std::mem::take(&mut self.copied),
            "skipped": skipped,
            "failed": [],
        });
        let name = format!("backup_manifest_{stamp}.json");
        tree::write(&self.backup(), &name, manifest.to_string());
        self
    }

    pub fn open(&self, keys: LegacyKeys) -> Backup {
        Backup::open(&self.backup(), options(keys)).unwrap()
    }

    pub fn refused(&self, keys: LegacyKeys) -> Error {
        Backup::open(&self.backup(), options(keys)).unwrap_err()
    }

    pub fn import(&self, backup: &Backup) -> ImportReport {
        backup
            .import(&self.repository, &import_options(), &Silent)
            .unwrap()
    }

    /// Restores the newest snapshot that was brought in.
    pub fn restored(&self, report: &ImportReport) -> PathBuf {
        let run = report.runs.last().unwrap();
        let target = self.path("from snapshot");
        let place = Path::new(std::ffi::OsStr::from_bytes(&run.path.0));
        let id = run.snapshot.unwrap().to_string();
        let report = vault::restore(&self.repository, &id, place, &target).unwrap();
        assert_eq!(report.errors, []);
        target
    }

    pub fn directly(&self, backup: &Backup) -> (RestoredReport, PathBuf) {
        let target = self.path("directly");
        let report = backup
            .restore(&target, &RestoreOptions::default(), &Silent)
            .unwrap();
        (report, target)
    }

    /// Brings it in and restores it, and restores it directly: what is found must be the same.
    /// Gives the findings, and what is restored.
    pub fn both_ways(&self, keys: impl Fn() -> LegacyKeys) -> (Vec<Told>, Contents) {
        let report = self.import(&self.open(keys()));
        assert_eq!(report.errors, []);
        let (direct, target) = self.directly(&self.open(keys()));
        assert_eq!(direct.report.errors, []);
        assert_eq!(told(&direct.findings), told(&report.findings));
        let contents = contents(&target);
        assert_eq!(described(&self.restored(&report)), described(&target));
        (told(&report.findings), contents)
    }
}

/// The kind of a finding, and its path.
pub type Told = (FindingKind, String);

pub fn told(findings: &[Finding]) -> Vec<Told> {
    let mut told: Vec<Told> = findings
        .iter()
        .map(|finding| (finding.kind, finding.path.to_string()))
        .collect();
    told.sort();
    told
}

/// Files as texts, links with an arrow, by path.
pub type Contents = BTreeMap<String, String>;

pub fn contents(root: &Path) -> Contents {
    let mut found = Contents::new();
    for (path, is) in tree::describe(root) {
        let content = match is.kind {
            "dir" => continue,
            "symlink" => format!("-> {}", String::from_utf8_lossy(&is.content)),
            _ => String::from_utf8_lossy(&fs::read(root.join(&path)).unwrap()).into_owned(),
        };
        found.insert(path.to_string_lossy().into_owned(), content);
    }
    found
}

/// Paths, contents, modes and times.
fn described(root: &Path) -> Vec<(PathBuf, String)> {
    let all = tree::describe(root).into_iter();
    all.map(|(path, is)| {
        let text = format!("{is:?} {}", hex::encode(&is.content));
        (path, text)
    })
    .collect()
}

pub fn expect<const N: usize>(contents: [(&str, &str); N]) -> Contents {
    contents
        .map(|(path, content)| (path.to_owned(), content.to_owned()))
        .into()
}
