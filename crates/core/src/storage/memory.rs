//! Objects in memory: the storage of tests and of anything short-lived.

use std::collections::BTreeMap;
use std::ops::Bound::Included;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{ObjectKind, ObjectName, Storage, StorageError, check_object_size, check_range};
use crate::id::Id;

type Objects = BTreeMap<ObjectName, Arc<[u8]>>;

/// A [`Storage`] in memory. Clones share their content; [`MemoryStorage::fork`] does not.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    objects: Arc<Mutex<Objects>>,
}

impl MemoryStorage {
    /// An empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// A storage that holds the given objects.
    pub fn from_objects(objects: BTreeMap<ObjectName, Arc<[u8]>>) -> Self {
        let objects = objects
            .into_iter()
            .map(|(name, bytes)| (name.canonical(), bytes))
            .collect();
        MemoryStorage {
            objects: Arc::new(Mutex::new(objects)),
        }
    }

    /// An independent storage with the same content. Cheap: object bytes are shared.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::from_objects(self.snapshot_objects())
    }

    /// All objects as they are now. For tests: compare two moments, pick objects to damage.
    pub fn snapshot_objects(&self) -> BTreeMap<ObjectName, Arc<[u8]>> {
        self.lock().clone()
    }

    /// Puts `bytes` under `name` whatever is there, which [`Storage`] never does; gives what
    /// was there. For tests: damage an object.
    pub fn replace_object(
        &self,
        name: &ObjectName,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Option<Arc<[u8]>> {
        self.lock().insert(name.canonical(), bytes.into())
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        // No code panics half-way through a change of the map, so it is whole even when a
        // thread that held the lock panicked.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, name: &ObjectName) -> Result<Arc<[u8]>, StorageError> {
        let object = name.canonical();
        let found = self.lock().get(&object).cloned();
        found.ok_or(StorageError::NotFound { object })
    }
}

impl Storage for MemoryStorage {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        let object = name.canonical();
        let bytes: Arc<[u8]> = parts.concat().into();
        let mut objects = self.lock();
        if objects.contains_key(&object) {
            return Err(StorageError::AlreadyExists { object });
        }
        objects.insert(object, bytes);
        Ok(())
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        let bytes = self.object(name)?;
        check_object_size(name, bytes.len() as u64)?;
        Ok(bytes.to_vec())
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        let bytes = self.object(name)?;
        check_range(name, bytes.len() as u64, offset, len)?;
        if len == 0 {
            return Ok(Vec::new());
        }
        let start = usize::try_from(offset).expect("the range was checked to be in memory");
        Ok(bytes[start..start + len].to_vec())
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        Ok(self.object(name)?.len() as u64)
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        let first = ObjectName::new(kind, Id::ZERO);
        let last = ObjectName::new(kind, Id::from_bytes([0xff; 32]));
        // Collected first: `each` may use the storage, so the lock must be free by then.
        let found: Vec<_> = self
            .lock()
            .range((Included(first), Included(last)))
            .map(|(name, bytes)| (name.id, bytes.len() as u64))
            .collect();
        for (id, size) in found {
            each(id, size);
        }
        Ok(())
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.lock().remove(&name.canonical());
        Ok(())
    }

    fn settle(&self, _: ObjectKind) -> Result<(), StorageError> {
        Ok(())
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}
