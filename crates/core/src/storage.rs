//! Where a vault's objects live: the [`Storage`] seam and its two built-in implementations.
//!
//! A storage holds immutable objects under [`ObjectName`]s. It knows nothing about keys, packs
//! or snapshots beyond their names, so a new backend is the eight methods of [`Storage`] and
//! nothing else; caching, throttling and fault injection are wrappers around one.
//!
//! The order in which the vault writes its objects, and with it crash safety, rests on two
//! promises: [`Storage::create`] is durable when it returns, and [`Storage::list`] shows every
//! object whose `create` returned before the listing began. [`Storage::remove`] promises less,
//! on purpose: after a crash a removed object may be back, unless [`Storage::settle`] came between.

mod error;
mod local;
mod memory;
mod name;

pub use error::{RemoteFault, StorageError};
pub use local::LocalStorage;
pub use memory::MemoryStorage;
pub use name::{ObjectKind, ObjectName};

use std::time::Duration;

use crate::id::Id;

/// The largest object, or part of one, that is read into memory: 512 MiB.
///
/// Packs and indexes are far smaller. The bound keeps a damaged or hostile storage from making
/// a reader allocate whatever size it claims.
pub const MAX_READ: u64 = 512 * 1024 * 1024;

/// A place that keeps immutable objects.
///
/// Implementations are safe to use from many threads, and several processes may use one place
/// at the same time. All methods block.
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Writes a new object made of `parts`, one after the other.
    ///
    /// Atomic: a reader sees the whole object or none. Durable: once this returns `Ok` the
    /// object survives a power failure. Never replaces: of several concurrent creates of one
    /// name exactly one succeeds.
    ///
    /// # Errors
    ///
    /// - [`StorageError::AlreadyExists`] when the name is taken; the object found there is as
    ///   durable as if this call had written it.
    /// - [`StorageError::NoSpace`]: nothing was left behind.
    /// - Any other error: the object may or may not exist, but is never partial.
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError>;

    /// Reads a whole object.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`]; [`StorageError::TooLarge`] above [`MAX_READ`], before
    /// anything is allocated.
    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError>;

    /// Reads exactly `len` bytes from byte `offset` on.
    ///
    /// # Errors
    ///
    /// [`StorageError::Truncated`] when the object ends before the range does (a range of no
    /// bytes is in bounds everywhere); otherwise as [`Storage::read`].
    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError>;

    /// As [`Storage::read`], into a buffer that is used again; what was in it goes.
    ///
    /// # Errors
    ///
    /// As [`Storage::read`]; the buffer then holds anything.
    fn read_into(&self, name: &ObjectName, buffer: &mut Vec<u8>) -> Result<(), StorageError> {
        *buffer = self.read(name)?;
        Ok(())
    }

    /// As [`Storage::read_range`], into a buffer that is used again; what was in it goes.
    ///
    /// # Errors
    ///
    /// As [`Storage::read_range`]; the buffer then holds anything.
    fn read_range_into(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        *buffer = self.read_range(name, offset, len)?;
        Ok(())
    }

    /// The size of an object in bytes.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`] when there is no such object.
    fn size(&self, name: &ObjectName) -> Result<u64, StorageError>;

    /// Calls `each` with the id and size in bytes of every object of one kind, in no promised
    /// order, each object once.
    ///
    /// Shows every object whose `create` returned before this call and that was not removed;
    /// what is created or removed meanwhile may or may not appear. `each` may use the storage.
    /// The configuration, which has no id, is listed under [`Id::ZERO`].
    ///
    /// # Errors
    ///
    /// Fails rather than give a partial list; `each` may have been called by then.
    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError>;

    /// Removes an object. Removing what is not there is `Ok`.
    ///
    /// Takes effect at once but is not durable: after a crash the object may be back.
    ///
    /// # Errors
    ///
    /// The object may or may not be gone.
    fn remove(&self, name: &ObjectName) -> Result<(), StorageError>;

    /// Makes durable what [`Storage::remove`] has removed of one kind: once this returns `Ok` no
    /// object of the kind whose `remove` returned before is back after a crash.
    ///
    /// Whoever removed it: what this storage no longer lists stays gone. Nothing to do where
    /// removing is durable already.
    ///
    /// # Errors
    ///
    /// Some or all of the removed objects may be back after a crash.
    fn settle(&self, kind: ObjectKind) -> Result<(), StorageError>;

    /// Removes what writers that died have left half written, and gives the number of files.
    ///
    /// Only what has not changed for 24 hours is removed: younger files may have a writer. Nothing
    /// to do where an object is written in one step.
    ///
    /// # Errors
    ///
    /// The first file or directory that cannot be read or removed; what was removed until then
    /// stays removed.
    fn sweep_temporaries(&self) -> Result<u64, StorageError> {
        Ok(0)
    }

    /// Holds on to an object that is there for [`Storage::held_for`] from now on, whoever tries to
    /// remove it. Nothing to do where storages cannot.
    ///
    /// # Errors
    /// [`StorageError::NotFound`]; any other error: it is held for as long as it was before, or
    /// longer.
    fn hold(&self, _name: &ObjectName) -> Result<(), StorageError> {
        Ok(())
    }

    /// For how long objects of lasting kinds are held after they were created: until then they can
    /// be had back whatever was done with [`Storage::remove`] or by other means. `None` where nothing
    /// is held.
    fn held_for(&self) -> Option<Duration> {
        None
    }

    /// Where this storage is, for messages. Holds no secrets.
    fn location(&self) -> String;

    /// How many operations at once make the most of it; at least 1.
    ///
    /// More than one is worth it where an operation is mostly waiting for an answer.
    fn parallelism(&self) -> usize {
        1
    }

    /// Whether each operation is a journey over a network: what is small and read often is then
    /// fetched together and kept on this machine.
    fn is_far(&self) -> bool {
        false
    }
}

/// Refuses to read whole objects of sizes that none of their kind has.
///
/// For implementations of [`Storage::read`].
///
/// # Errors
/// [`StorageError::TooLarge`] above [`max_object_size`].
pub fn check_object_size(name: &ObjectName, size: u64) -> Result<(), StorageError> {
    check_read_size(name, size, max_object_size(name.kind))
}

/// The largest object of a kind that is read, in bytes.
pub const fn max_object_size(kind: ObjectKind) -> u64 {
    match kind {
        ObjectKind::Config => 64 << 10,
        ObjectKind::Key => 2 << 20,
        ObjectKind::Pack | ObjectKind::Parity => MAX_READ,
        // Their plaintext is at most 64 MiB.
        _ => 65 << 20,
    }
}

fn check_read_size(name: &ObjectName, size: u64, limit: u64) -> Result<(), StorageError> {
    if size > limit {
        return Err(StorageError::TooLarge {
            object: name.canonical(),
            size,
            limit,
        });
    }
    Ok(())
}

/// Checks a range read against the object's `size` before anything is allocated.
///
/// For implementations of [`Storage::read_range`].
///
/// # Errors
/// [`StorageError::TooLarge`] above [`MAX_READ`], [`StorageError::Truncated`] when the object ends
/// before the range does.
pub fn check_range(
    name: &ObjectName,
    size: u64,
    offset: u64,
    len: usize,
) -> Result<(), StorageError> {
    let wanted = len as u64;
    check_read_size(name, wanted, MAX_READ)?;
    let got = size.saturating_sub(offset);
    if got < wanted {
        return Err(StorageError::Truncated {
            object: name.canonical(),
            offset,
            wanted,
            got,
        });
    }
    Ok(())
}
