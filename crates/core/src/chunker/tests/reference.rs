//! Both chunkers once more, as plainly as possible: no tables except the gear table itself, no
//! rolling, no lanes. Shares no code with the fast ones except the primitives.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::chunker::{ChunkerId, ChunkerParams};

pub(super) struct Reference {
    params: ChunkerParams,
    judge: Judge,
}

enum Judge {
    Gear(Vec<u64>),
    Prf { aes: Box<Aes128>, modulus: u128 },
}

impl Reference {
    pub(super) fn new(id: ChunkerId, params: ChunkerParams, secret: &[u8; 32]) -> Self {
        let xof = |context| {
            blake3::Hasher::new_derive_key(context)
                .update(secret)
                .finalize_xof()
        };
        let judge = match id {
            ChunkerId::GearKeyed => {
                let mut bytes = [0; 2048];
                xof("keepwatch v1 chunker gear").fill(&mut bytes);
                let entries = bytes.as_chunks().0.iter();
                Judge::Gear(entries.map(|entry| u64::from_le_bytes(*entry)).collect())
            }
            ChunkerId::Prf => {
                let mut stream = xof("keepwatch v1 chunker prf");
                let mut key = [0; 16];
                stream.fill(&mut key);
                let modulus = loop {
                    let mut bytes = [0; 8];
                    stream.fill(&mut bytes);
                    let candidate = 1 << 64 | u128::from(u64::from_le_bytes(bytes));
                    if ben_or(candidate) {
                        break candidate;
                    }
                };
                let aes = Box::new(Aes128::new(&key.into()));
                Judge::Prf { aes, modulus }
            }
        };
        Self { params, judge }
    }

    pub(super) fn lengths(&self, data: &[u8]) -> Vec<usize> {
        let (min, max) = (self.params.min as usize, self.params.max as usize);
        // The hash depends on the last 64 bytes only, so one pass serves all chunks.
        let mut lengths = Vec::new();
        let mut start = 0;
        for end in 1..=data.len() {
            let length = end - start;
            let cut = length == max
                || end == data.len()
                || length >= min && self.is_cut(&data[end - 64..end], length);
            if cut {
                lengths.push(length);
                start = end;
            }
        }
        lengths
    }

    fn is_cut(&self, window: &[u8], length: usize) -> bool {
        let avg = self.params.avg;
        let bits = if length <= avg as usize {
            avg.ilog2() + 2
        } else {
            avg.ilog2() - 2
        };
        match &self.judge {
            Judge::Gear(table) => {
                let hash = window.iter().fold(0_u64, |hash, &byte| {
                    hash.wrapping_mul(2).wrapping_add(table[usize::from(byte)])
                });
                let places = [
                    62, 61, 59, 57, 55, 54, 52, 50, 48, 47, 45, 43, 41, 39, 38, 36, 34, 32, 31, 29,
                    27, 25, 24, 22, 20, 18,
                ];
                places[..bits as usize]
                    .iter()
                    .all(|&place| hash >> place & 1 == 0)
            }
            Judge::Prf { aes, modulus } => {
                let print = window.iter().fold(0_u128, |print, &byte| {
                    (0..8).fold(print, |print, _| reduce(print << 1, *modulus)) ^ u128::from(byte)
                });
                let mut block = print.to_le_bytes().into();
                aes.encrypt_block(&mut block);
                u128::from_le_bytes(block.into()).trailing_zeros() >= bits
            }
        }
    }
}

/// Ben-Or's irreducibility test, where the fast chunker uses Rabin's.
fn ben_or(modulus: u128) -> bool {
    let x = 2;
    let mut power = x;
    (1..=32).all(|_| {
        power = square(power, modulus);
        gcd(power ^ x, modulus) == 1
    })
}

fn square(a: u128, modulus: u128) -> u128 {
    (0..64).rev().fold(0, |product, bit| {
        reduce(product << 1, modulus) ^ if a >> bit & 1 == 1 { a } else { 0 }
    })
}

fn gcd(a: u128, b: u128) -> u128 {
    if a == 0 { b } else { gcd(reduce(b, a), a) }
}

fn reduce(mut a: u128, modulus: u128) -> u128 {
    while a != 0 && a.ilog2() >= modulus.ilog2() {
        a ^= modulus << (a.ilog2() - modulus.ilog2());
    }
    a
}
