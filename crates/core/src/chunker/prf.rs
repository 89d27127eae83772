//! The pseudorandom function as judge of cuts.
//!
//! The Rabin fingerprint of the last 64 bytes, modulo a secret polynomial, is one AES-128 block;
//! the low bits of its encryption decide. Windows collide with negligible probability for whoever
//! does not know the polynomial, so over distinct windows the decisions look independent and
//! random, and their sum, the chunk sizes, gives no equation about the secret. Every position is
//! encrypted: a cheap test beforehand would bring such equations back.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use zeroize::Zeroize;

use super::WINDOW;
use super::rabin::Rabin;

const CONTEXT: &str = "keepwatch v1 chunker prf";

/// Stretches fingerprinted side by side: each step of one fingerprint waits for a table look-up
/// of the step before.
const LANES: usize = 4;

/// Positions per lane in one round. Longer spends less on warming lanes up, shorter wastes less
/// when a round holds a cut.
const SPAN: usize = 2048;

const ROUND: usize = LANES * SPAN;

/// Positions per lane between two calls of AES.
const STEP: usize = 64;

/// Blocks given to AES at once: several times what any implementation works on in parallel.
const BATCH: usize = LANES * STEP;

/// Bytes that enter the fingerprint before the first position is tested.
const WARM: usize = WINDOW - 1;

/// The low `bits` bits.
pub(super) fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The secret key and polynomial.
pub(super) struct Prf {
    rabin: Rabin,
    aes: Aes128Enc,
}

impl Prf {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let mut stream = blake3::Hasher::new_derive_key(CONTEXT)
            .update(secret)
            .finalize_xof();
        let mut key = [0; 16];
        stream.fill(&mut key);
        let aes = Aes128Enc::new(&key.into());
        key.zeroize();
        let rabin = Rabin::new(|| {
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        });
        Self { rabin, aes }
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
        let (warm, newest) = data[from - WINDOW..to].split_at_checked(WARM)?;
        let mut print = self.rabin.of(warm);
        let mut blocks = [Block::default(); BATCH];
        let mut oldest = &data[from - WINDOW..];
        let mut at = from;
        for newest in newest.chunks(BATCH) {
            let blocks = &mut blocks[..newest.len()];
            for ((block, &new), &old) in blocks.iter_mut().zip(newest).zip(oldest) {
                print = self.rabin.append(print, new);
                *block = to_block(print);
                print = self.rabin.drop_oldest(print, old);
            }
            self.aes.encrypt_blocks(blocks);
            if let Some(i) = blocks.iter().position(|block| low(block) & mask == 0) {
                return Some(at + i);
            }
            oldest = &oldest[newest.len()..];
            at += newest.len();
        }
        None
    }

    /// Whether any position of a round is a cut; which is first, a second pass tells.
    fn round_has_cut(&self, round: &[u8; WARM + ROUND], mask: u64) -> bool {
        let mut prints: [u64; LANES] =
            std::array::from_fn(|lane| self.rabin.of(&round[lane * SPAN..][..WARM]));
        let mut blocks = [Block::default(); BATCH];
        for step in (0..SPAN).step_by(STEP) {
            let lanes: [(&[u8; STEP], &[u8; STEP]); LANES] = std::array::from_fn(|lane| {
                let oldest = &round[lane * SPAN + step..];
                let newest = oldest[WARM..].first_chunk();
                oldest
                    .first_chunk()
                    .zip(newest)
                    .expect("every step lies inside the round")
            });
            let (rows, _) = blocks.as_chunks_mut::<LANES>();
            for (i, row) in rows.iter_mut().enumerate().take(STEP) {
                for ((block, print), (oldest, newest)) in
                    row.iter_mut().zip(&mut prints).zip(&lanes)
                {
                    let full = self.rabin.append(*print, newest[i]);
                    *block = to_block(full);
                    *print = self.rabin.drop_oldest(full, oldest[i]);
                }
            }
            self.aes.encrypt_blocks(&mut blocks);
            // No early exit, so that the comparison is not one branch per block.
            if blocks
                .iter()
                .fold(false, |cut, block| cut | (low(block) & mask == 0))
            {
                return true;
            }
        }
        false
    }
}

fn to_block(print: u64) -> Block {
    u128::from(print).to_le_bytes().into()
}

fn low(block: &Block) -> u64 {
    u128::from_le_bytes((*block).into()) as u64
}
