//! One bit for each entry of the index.

/// A fixed number of bits, all unset at first.
#[derive(Clone, Debug, Default)]
pub struct Bitmap {
    words: Vec<u64>,
    len: u64,
}

impl Bitmap {
    /// `len` unset bits.
    pub fn new(len: u64) -> Self {
        let words =
            usize::try_from(len.div_ceil(64)).expect("an index has far less than 2^32 entries");
        Self {
            words: vec![0; words],
            len,
        }
    }

    /// Sets a bit; whether it was set already.
    ///
    /// # Panics
    /// If there is no such bit.
    pub fn set(&mut self, position: u64) -> bool {
        assert!(position < self.len, "bit {position} of {}", self.len);
        let word = &mut self.words[(position / 64) as usize];
        let mask = 1 << (position % 64);
        let before = *word & mask != 0;
        *word |= mask;
        before
    }

    /// Whether a bit is set; one that does not exist is not.
    pub fn get(&self, position: u64) -> bool {
        position < self.len && self.words[(position / 64) as usize] >> (position % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_independent() {
        let mut bits = Bitmap::new(130);
        for position in [0, 63, 64, 129] {
            assert!(!bits.get(position));
            assert!(!bits.set(position));
            assert!(bits.set(position));
            assert!(bits.get(position));
        }
        let set: Vec<u64> = (0..200).filter(|at| bits.get(*at)).collect();
        assert_eq!(set, [0, 63, 64, 129]);
    }

    #[test]
    #[should_panic(expected = "bit 130 of 130")]
    fn there_is_no_bit_beyond_the_last() {
        Bitmap::new(130).set(130);
    }
}
