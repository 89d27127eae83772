//! A disk that fills up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keepwatch_core::id::Id;
use keepwatch_core::storage::{ObjectKind, ObjectName, Storage, StorageError};

/// A storage that is full from a chosen create on; everything else still works, as on a full
/// disk.
///
/// Removing objects does not make space, [`NoSpaceStorage::free`] does.
#[derive(Debug)]
pub struct NoSpaceStorage {
    inner: Arc<dyn Storage>,
    full_at: AtomicU64,
    creates: AtomicU64,
}

impl NoSpaceStorage {
    /// Lets `creates` creates pass, counting failed ones too, and refuses all later ones.
    pub fn after(inner: Arc<dyn Storage>, creates: u64) -> Self {
        NoSpaceStorage {
            inner,
            full_at: AtomicU64::new(creates),
            creates: AtomicU64::new(0),
        }
    }

    /// Makes space: every later create passes.
    pub fn free(&self) {
        self.full_at.store(u64::MAX, Ordering::SeqCst);
    }
}

impl Storage for NoSpaceStorage {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        let index = self.creates.fetch_add(1, Ordering::SeqCst);
        if index >= self.full_at.load(Ordering::SeqCst) {
            return Err(StorageError::NoSpace {
                object: *name,
                source: io::ErrorKind::StorageFull.into(),
            });
        }
        self.inner.create(name, parts)
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        self.inner.read(name)
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        self.inner.read_range(name, offset, len)
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        self.inner.size(name)
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        self.inner.list(kind, each)
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn settle(&self, kind: ObjectKind) -> Result<(), StorageError> {
        self.inner.settle(kind)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}
