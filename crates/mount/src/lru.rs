//! What was used last, bounded by number and bytes.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Forgets what was not used for the longest time.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    entries: HashMap<K, Slot<V>>,
    /// Keys by when they were used last.
    order: BTreeMap<u64, K>,
    clock: u64,
    bytes: usize,
    max_bytes: usize,
    max_entries: usize,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Lru<K, V> {
    pub fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            bytes: 0,
            max_bytes,
            max_entries,
        }
    }

    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub fn get(&mut self, key: &K) -> Option<V> {
        let slot = self.entries.get_mut(key)?;
        self.clock += 1;
        self.order.remove(&slot.used);
        self.order.insert(self.clock, *key);
        slot.used = self.clock;
        Some(slot.value.clone())
    }

    /// Keeps a value; what is larger than all that may be kept, is not.
    pub fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.remove(&key);
        if bytes > self.max_bytes {
            return;
        }
        self.clock += 1;
        let used = self.clock;
        self.entries.insert(key, Slot { value, bytes, used });
        self.order.insert(used, key);
        self.bytes += bytes;
        while self.bytes > self.max_bytes || self.entries.len() > self.max_entries {
            let Some((_, oldest)) = self.order.first_key_value() else {
                return;
            };
            let oldest = *oldest;
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(slot) = self.entries.remove(key) {
            self.order.remove(&slot.used);
            self.bytes -= slot.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut lru = Lru::new(3, 100);
        for key in 0..3 {
            lru.insert(key, key, 10);
        }
        assert_eq!(lru.get(&0), Some(0));
        lru.insert(3, 3, 10);
        assert!(lru.contains(&0) && !lru.contains(&1));
    }

    #[test]
    fn bytes_are_bounded() {
        let mut lru = Lru::new(100, 100);
        for key in 0..50 {
            lru.insert(key, key, 30);
            assert!(lru.bytes <= 100);
        }
        lru.insert(7, 7, 101);
        assert!(!lru.contains(&7) && lru.contains(&49));
        lru.insert(49, 1, 100);
        assert_eq!(
            (lru.get(&49), lru.entries.len(), lru.bytes),
            (Some(1), 1, 100)
        );
        assert_eq!(lru.order.len(), 1);
    }
}
