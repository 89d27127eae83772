//! Damage to the objects of a [`MemoryStorage`], as failing disks and attackers do it.
//!
//! Everything here panics when the object is missing or too short, because a test that damages
//! nothing proves nothing.

use keepwatch_core::storage::{MemoryStorage, ObjectName, Storage};

/// Flips one bit; bit 0 is the lowest of the first byte.
///
/// # Panics
///
/// When the object does not exist or has no such bit.
pub fn flip_bit(storage: &MemoryStorage, name: &ObjectName, bit: usize) {
    let mut bytes = read(storage, name);
    bytes[bit / 8] ^= 1 << (bit % 8);
    storage.replace_object(name, bytes);
}

/// Cuts an object down to its first `len` bytes.
///
/// # Panics
///
/// When the object does not exist or is not longer than `len`.
pub fn truncate(storage: &MemoryStorage, name: &ObjectName, len: usize) {
    let mut bytes = read(storage, name);
    assert!(bytes.len() > len, "{name} has only {} bytes", bytes.len());
    bytes.truncate(len);
    storage.replace_object(name, bytes);
}

/// Exchanges the content of two objects.
///
/// # Panics
///
/// When one does not exist or both are equal.
pub fn swap(storage: &MemoryStorage, a: &ObjectName, b: &ObjectName) {
    let (bytes_a, bytes_b) = (read(storage, a), read(storage, b));
    assert_ne!(bytes_a, bytes_b, "{a} and {b} hold the same");
    storage.replace_object(a, bytes_b);
    storage.replace_object(b, bytes_a);
}

fn read(storage: &MemoryStorage, name: &ObjectName) -> Vec<u8> {
    storage
        .read(name)
        .unwrap_or_else(|e| panic!("nothing to damage: {e}"))
}
