//! A blocked Bloom filter over chunk ids.
//!
//! Ids are the output of a keyed hash, so their own bytes serve as hashes. Each id sets 6 bits in
//! one block of a cache line (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom
//! Filters, 2007). The first 8 bytes choose the block: entries are written in order of ids, so the
//! filter is filled from front to back. Ids that are no hashes make it useless, never wrong.

use crate::id::Id;

/// About 1.5 % of the ids that are not there pass.
const BITS_PER_ID: u64 = 10;
const BITS_SET: u32 = 6;
const WORDS_PER_BLOCK: usize = 8;
const BLOCK_BITS: u64 = 512;

/// Says of most ids that are not there that they are not.
pub struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// How many words a filter for so many ids has.
    pub fn words_for(ids: u64) -> u64 {
        (ids * BITS_PER_ID).div_ceil(BLOCK_BITS) * WORDS_PER_BLOCK as u64
    }

    /// An empty filter with room for so many ids.
    pub fn new(ids: u64) -> Self {
        let words = usize::try_from(Self::words_for(ids)).expect("the index fits into memory");
        Self {
            words: vec![0; words],
        }
    }

    /// A filter from its words, a whole number of blocks.
    pub fn from_words(words: Vec<u64>) -> Self {
        debug_assert!(words.len().is_multiple_of(WORDS_PER_BLOCK));
        Self { words }
    }

    pub fn words(&self) -> &[u64] {
        &self.words
    }

    pub fn insert(&mut self, id: &Id) {
        let start = self.block(id);
        let mut bits = bits(id);
        for _ in 0..BITS_SET {
            self.words[start + (bits >> 6 & 7) as usize] |= 1 << (bits & 63);
            bits >>= 9;
        }
    }

    /// Whether the id may be there.
    pub fn contains(&self, id: &Id) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let start = self.block(id);
        let block = &self.words[start..start + WORDS_PER_BLOCK];
        let mut bits = bits(id);
        let mut all = 1;
        for _ in 0..BITS_SET {
            all &= block[(bits >> 6 & 7) as usize] >> (bits & 63);
            bits >>= 9;
        }
        all == 1
    }

    /// Where the block of an id begins.
    fn block(&self, id: &Id) -> usize {
        let blocks = (self.words.len() / WORDS_PER_BLOCK) as u128;
        let block = (u128::from(id_prefix(id)) * blocks) >> 64;
        block as usize * WORDS_PER_BLOCK
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Filter({} words)", self.words.len())
    }
}

/// The first 8 bytes of an id as a number that is ordered as ids are.
pub fn id_prefix(id: &Id) -> u64 {
    let bytes = id.as_bytes();
    u64::from_be_bytes(bytes[..8].try_into().expect("8 bytes"))
}

fn bits(id: &Id) -> u64 {
    let bytes = id.as_bytes();
    u64::from_le_bytes(bytes[16..24].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_all_and_refuses_most_others() {
        let id = |n: u32| Id::of(&n.to_le_bytes());
        let mut filter = Filter::new(10_000);
        for n in 0..10_000 {
            filter.insert(&id(n));
        }
        assert!((0..10_000).all(|n| filter.contains(&id(n))));
        let passed = (10_000..110_000)
            .filter(|n| filter.contains(&id(*n)))
            .count();
        assert!(passed < 2_500, "{passed} of 100000 pass");
        assert!(!Filter::new(0).contains(&id(0)));
    }
}
