//! XAES-256-GCM, <https://c2sp.org/XAES-256-GCM>: AES-256-GCM under a key derived from the first
//! half of a 24-byte nonce, so that nonces may be random without limit.
//!
//! The names follow the specification.

use aes::Aes256;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes256Gcm;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::key::Key;

/// The part of a key that is the same for all nonces.
pub(crate) struct Xaes {
    aes: Aes256,
    k1: [u8; 16],
}

impl Xaes {
    pub fn new(key: &Key) -> Self {
        let aes = Aes256::new(key.expose().into());
        let mut l = Block::<Aes256>::default();
        aes.encrypt_block(&mut l);
        let mut wide = u128::from_be_bytes(l.into());
        l.zeroize();
        // Doubling in GF(2^128) without a branch on the secret top bit.
        let mut doubled = (wide << 1) ^ ((wide >> 127) * 0x87);
        let k1 = doubled.to_be_bytes();
        wide.zeroize();
        doubled.zeroize();
        Self { aes, k1 }
    }

    /// AES-256-GCM for all nonces that begin with these 12 bytes.
    pub fn derive(&self, prefix: &[u8; 12]) -> Aes256Gcm {
        let mut derived = Zeroizing::new([0; 32]);
        for (counter, half) in (1..).zip(derived.chunks_exact_mut(16)) {
            let mut m = Block::<Aes256>::default();
            m[..4].copy_from_slice(&[0, counter, b'X', 0]);
            m[4..].copy_from_slice(prefix);
            for (byte, k1) in m.iter_mut().zip(&self.k1) {
                *byte ^= k1;
            }
            self.aes.encrypt_block(&mut m);
            half.copy_from_slice(&m);
            m.zeroize();
        }
        Aes256Gcm::new((&*derived).into())
    }
}

impl Drop for Xaes {
    fn drop(&mut self) {
        self.k1.zeroize();
    }
}

// The key schedule wipes itself: `aes` is built with its `zeroize` feature.
impl ZeroizeOnDrop for Xaes where Aes256: ZeroizeOnDrop {}
