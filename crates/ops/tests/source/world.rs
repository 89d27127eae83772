//! A repository, and what goes from databases into it.

use std::io::{Read, Write, pipe};
use std::path::Path;
use std::sync::Arc;

use keepwatch_core::storage::MemoryStorage;
use keepwatch_core::{BackupReport, Error, Repository, Silent, Snapshot};
use keepwatch_ops::hook::Environment;
use keepwatch_ops::source::{DatabaseSettings, Rehearsed, RestoreTarget, SourceError};
use keepwatch_testkit::vault;

pub struct World {
    pub dir: tempfile::TempDir,
    storage: MemoryStorage,
}

pub fn settings(json: serde_json::Value) -> DatabaseSettings {
    serde_json::from_value(json).unwrap()
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = MemoryStorage::new();
        let cache = dir.path().join("cache");
        vault::init(Arc::new(storage.clone()), &vault::small(), &cache);
        Self { dir, storage }
    }

    pub fn open(&self) -> Repository {
        vault::open(
            Arc::new(self.storage.clone()),
            &self.dir.path().join("cache"),
        )
        .unwrap()
    }

    pub fn environment(&self) -> Environment {
        let path = std::env::var_os("PATH").unwrap();
        let home = self.dir.path().into();
        Environment::new([("PATH".into(), path), ("HOME".into(), home)])
    }

    pub fn backup(&self, settings: &DatabaseSettings) -> Result<BackupReport, Error> {
        let streams = settings.streams("db", &self.environment(), self.dir.path());
        self.open()
            .backup(streams.unwrap(), &vault::backup_options(), &Silent)
    }

    pub fn latest(&self) -> Snapshot {
        self.open().latest(&Default::default()).unwrap().1
    }

    /// Names of what is in the latest snapshot, with sizes.
    pub fn listed(&self) -> Vec<(String, u64)> {
        let mut listed = Vec::new();
        let snapshot = self.latest();
        let path = b"/databases/db";
        self.open()
            .list_tree(&snapshot, path, true, &mut |entry| {
                if entry.kind == "file" {
                    let name = Path::new(std::str::from_utf8(&entry.path.0).unwrap());
                    let name = name.file_name().unwrap().to_str().unwrap().to_owned();
                    listed.push((name, entry.size));
                }
                Ok(())
            })
            .unwrap();
        listed
    }

    pub fn dump(&self, name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let path = format!("/databases/db/{name}");
        self.open()
            .dump(&self.latest(), path.as_bytes(), &mut out)
            .unwrap();
        out
    }

    /// Brings a dump of the latest snapshot back, as it comes out of the vault.
    pub fn restore(
        &self,
        settings: &DatabaseSettings,
        name: &str,
        into: Option<&str>,
        force: bool,
    ) -> Result<(), SourceError> {
        let target = RestoreTarget {
            into: into.map(str::to_owned),
            force,
        };
        let (reader, writer) = pipe().unwrap();
        let dump = self.dump(name);
        let poured = std::thread::spawn(move || {
            let mut writer = writer;
            // Nobody may want all of it.
            let _ = writer.write_all(&dump);
        });
        let reader: Box<dyn Read + Send> = Box::new(reader);
        let result = settings.restore(name, reader, &target, &self.environment());
        poured.join().unwrap();
        result
    }

    /// Tries a dump, for a moment.
    pub fn rehearse(
        &self,
        settings: &DatabaseSettings,
        name: &str,
        dump: Vec<u8>,
    ) -> Result<Option<Rehearsed>, SourceError> {
        let dump = Box::new(std::io::Cursor::new(dump));
        settings.rehearse(name, dump, self.dir.path(), &self.environment())
    }
}
