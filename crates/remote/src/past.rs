//! A bucket as it was at a time: what was removed since, or written over, is there.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::SystemTime;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use keepwatch_core::id::Id;
use keepwatch_core::storage::{
    ObjectKind, ObjectName, Storage, StorageError, check_object_size, check_range, max_object_size,
};

use crate::cloud::{CloudStorage, not_found, object_at};

/// Reads versions that a bucket keeps. It cannot be written.
#[derive(Debug)]
pub(crate) struct PastStorage {
    now: CloudStorage,
    at: Timestamp,
    /// What there was, by path. It does not change any more.
    then: OnceLock<HashMap<String, Version>>,
}

#[derive(Debug)]
struct Version {
    /// What the bucket calls it; nothing when it is the only one it keeps.
    id: Option<String>,
    /// In bytes.
    size: u64,
}

/// The last that happened to an object by then.
struct Last {
    time: Timestamp,
    version: Option<Version>,
}

impl PastStorage {
    pub fn new(now: CloudStorage, at: Timestamp) -> Self {
        Self {
            now,
            at,
            then: OnceLock::new(),
        }
    }

    fn then(&self) -> Result<&HashMap<String, Version>, StorageError> {
        if let Some(then) = self.then.get() {
            return Ok(then);
        }
        let found = self
            .now
            .run("list the versions of", "what there was", |_| self.listed())?;
        let there = found
            .into_iter()
            .filter_map(|(path, last)| Some((path, last.version?)))
            .collect();
        Ok(self.then.get_or_init(|| there))
    }

    async fn listed(&self) -> opendal::Result<HashMap<String, Last>> {
        let operator = self.now.operator();
        let mut entries = operator
            .lister_with("")
            .recursive(true)
            .versions(true)
            .deleted(true)
            .await?;
        let mut found: HashMap<String, Last> = HashMap::new();
        while let Some(entry) = entries.try_next().await? {
            let (path, metadata) = entry.into_parts();
            let time = metadata.last_modified().map(SystemTime::from);
            let Some(time) = time.and_then(|time| Timestamp::try_from(time).ok()) else {
                continue;
            };
            if time > self.at || metadata.is_dir() {
                continue;
            }
            let version = (!metadata.is_deleted()).then(|| Version {
                id: metadata.version().map(str::to_owned),
                size: metadata.content_length(),
            });
            // Versions come before removals. What was written and removed in one second counts as
            // there: too much harms less than too little.
            match found.get(&path) {
                Some(known) if known.time >= time => {}
                _ => {
                    found.insert(path, Last { time, version });
                }
            }
        }
        Ok(found)
    }

    fn version(&self, name: &ObjectName) -> Result<&Version, StorageError> {
        self.then()?
            .get(&name.path())
            .ok_or_else(|| not_found(name))
    }

    fn unwritable(&self, operation: &'static str, name: &ObjectName) -> StorageError {
        let problem = format!("the repository is read as it was at {}", self.at);
        self.now.refused(operation, &name.path(), &problem)
    }
}

impl Storage for PastStorage {
    fn create(&self, name: &ObjectName, _parts: &[&[u8]]) -> Result<(), StorageError> {
        Err(self.unwritable("write", name))
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        let Version { id, size } = self.version(name)?;
        check_object_size(name, *size)?;
        let path = name.path();
        let limit = max_object_size(name.kind);
        self.now.run("read", &path, |_| {
            self.now.get_once(&path, id.as_deref(), limit)
        })
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        let Version { id, size } = self.version(name)?;
        check_range(name, *size, offset, len)?;
        if len == 0 {
            return Ok(Vec::new());
        }
        let path = name.path();
        let range = offset..offset + len as u64;
        let bytes = self.now.run("read", &path, |_| {
            let reading = self.now.operator().read_with(&path).range(range.clone());
            match id {
                Some(id) => reading.version(id).into_future(),
                None => reading.into_future(),
            }
        })?;
        Ok(bytes.to_vec())
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        Ok(self.version(name)?.size)
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        let config = ObjectName::config().path();
        for (path, version) in self.then()? {
            let id = match kind {
                ObjectKind::Config => (*path == config).then_some(Id::ZERO),
                _ => object_at(kind, path),
            };
            if let Some(id) = id {
                each(id, version.size);
            }
        }
        Ok(())
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        Err(self.unwritable("remove", name))
    }

    fn settle(&self, _kind: ObjectKind) -> Result<(), StorageError> {
        Ok(())
    }

    fn location(&self) -> String {
        self.now.location()
    }

    fn parallelism(&self) -> usize {
        self.now.parallelism()
    }

    fn is_far(&self) -> bool {
        true
    }
}
