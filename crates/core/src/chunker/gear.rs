//! The keyed gear hash.
//!
//! FastCDC as in Xia et al. (IEEE TPDS 2020), with the whole gear table secret and with one
//! change: the hash covers the 64 bytes before a position even at the start of a chunk. It is
//! then a function of those bytes alone, which lets several stretches be hashed at once.

use zeroize::Zeroize;

use super::WINDOW;

const CONTEXT: &str = "keepwatch v1 chunker gear";

/// Stretches hashed side by side: each step of one hash waits for the step before, so one alone
/// leaves most of the processor idle.
const LANES: usize = 4;

/// Positions per lane in one round. Longer spends less on warming lanes up, shorter wastes less
/// when a round holds a cut.
const SPAN: usize = 2048;

const ROUND: usize = LANES * SPAN;

/// Bytes that enter the hash before the first position is tested.
const WARM: usize = WINDOW - 1;

/// The first `bits` of 26 bits spread over 18 to 62, from above: fewer bits are a subset of more.
///
/// Bit k of the hash depends on the last k + 1 bytes, so the lowest would judge by few of them.
/// Bit 63 stays free because the two-byte step tests a hash shifted by one. No chunk size that is
/// accepted needs more than 25 bits.
pub(super) fn mask(bits: u32) -> u64 {
    (0..bits).fold(0, |mask, i| mask | 1 << (62 - i * 46 / 26))
}

/// The secret tables.
pub(super) struct Gear {
    table: [u64; 256],
    /// `table` shifted left by one, for the first byte of a two-byte step.
    doubled: [u64; 256],
}

impl Gear {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let mut stream = blake3::Hasher::new_derive_key(CONTEXT)
            .update(secret)
            .finalize_xof();
        let mut table = [0; 256];
        for entry in &mut table {
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            *entry = u64::from_le_bytes(bytes);
        }
        Self {
            table,
            doubled: table.map(|entry| entry << 1),
        }
    }

    /// See `Chunker::find`.
    pub(super) fn find(&self, data: &[u8], mut from: usize, to: usize, mask: u64) -> Option<usize> {
        while to + 1 - from >= ROUND {
            let round = data[from - WINDOW..].first_chunk::<{ WARM + ROUND }>()?;
            if self.round_has_cut(round, mask) {
                return self.find_in_order(data, from, from + ROUND - 1, mask);
            }
            from += ROUND;
        }
        self.find_in_order(data, from, to, mask)
    }

    fn find_in_order(&self, data: &[u8], from: usize, to: usize, mask: u64) -> Option<usize> {
        let (warm, tested) = data[from - WINDOW..to].split_at_checked(WARM)?;
        let mut hash = self.warm_up(warm);
        let (pairs, last) = tested.as_chunks::<2>();
        for (i, &[first, second]) in pairs.iter().enumerate() {
            hash = (hash << 2).wrapping_add(self.doubled[usize::from(first)]);
            if hash & (mask << 1) == 0 {
                return Some(from + 2 * i);
            }
            hash = hash.wrapping_add(self.table[usize::from(second)]);
            if hash & mask == 0 {
                return Some(from + 2 * i + 1);
            }
        }
        let &last = last.first()?;
        (self.absorb(hash, last) & mask == 0).then_some(to)
    }

    /// Whether any position of a round is a cut; which is first, a second pass tells.
    fn round_has_cut(&self, round: &[u8; WARM + ROUND], mask: u64) -> bool {
        let mask_first = mask << 1;
        let lanes: [&[u8; SPAN]; LANES] = std::array::from_fn(|lane| {
            round[WARM + lane * SPAN..]
                .first_chunk()
                .expect("every lane lies inside the round")
        });
        let mut hashes: [u64; LANES] =
            std::array::from_fn(|lane| self.warm_up(&round[lane * SPAN..][..WARM]));
        let mut i = 0;
        while i + 1 < SPAN {
            for (hash, lane) in hashes.iter_mut().zip(&lanes) {
                *hash = (*hash << 2).wrapping_add(self.doubled[usize::from(lane[i])]);
                if *hash & mask_first == 0 {
                    return true;
                }
                *hash = hash.wrapping_add(self.table[usize::from(lane[i + 1])]);
                if *hash & mask == 0 {
                    return true;
                }
            }
            i += 2;
        }
        false
    }

    fn warm_up(&self, bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |hash, &byte| self.absorb(hash, byte))
    }

    fn absorb(&self, hash: u64, byte: u8) -> u64 {
        (hash << 1).wrapping_add(self.table[usize::from(byte)])
    }
}

impl Drop for Gear {
    fn drop(&mut self) {
        self.table.zeroize();
        self.doubled.zeroize();
    }
}
