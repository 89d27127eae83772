//! AES-256-GCM in parts (SP 800-38D), without associated data: the `aes-gcm` crate wants the whole
//! message in memory.

use aes::Aes256;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher};
use ctr::Ctr32BE;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use zeroize::Zeroize;

use crate::cipher::TAG_LEN;
use crate::key::Key;

/// One message. Every part but the last is of whole blocks; the caller minds the length limit.
pub(super) struct Gcm {
    ctr: Ctr32BE<Aes256>,
    ghash: GHash,
    /// What the hash is masked with to make the tag.
    mask: [u8; TAG_LEN],
    len: u64,
}

impl Gcm {
    pub fn new(key: &Key, nonce: &[u8; 12]) -> Self {
        let aes = Aes256::new(key.expose().into());
        let mut h = Block::<Aes256>::default();
        aes.encrypt_block(&mut h);
        let ghash = GHash::new(&h);
        h.zeroize();
        let mut counter = Block::<Aes256>::default();
        counter[..12].copy_from_slice(nonce);
        counter[15] = 1;
        let mut mask = counter;
        aes.encrypt_block(&mut mask);
        counter[15] = 2;
        Self {
            ctr: Ctr32BE::new(key.expose().into(), &counter),
            ghash,
            mask: mask.into(),
            len: 0,
        }
    }

    pub fn encrypt(&mut self, part: &mut [u8]) {
        self.ctr.apply_keystream(part);
        self.authenticate(part);
    }

    pub fn decrypt(&mut self, part: &mut [u8]) {
        self.authenticate(part);
        self.ctr.apply_keystream(part);
    }

    /// Takes in a part of the ciphertext without decrypting it.
    pub fn authenticate(&mut self, ciphertext: &[u8]) {
        debug_assert!(self.len.is_multiple_of(16), "a part after a broken block");
        self.ghash.update_padded(ciphertext);
        self.len += ciphertext.len() as u64;
    }

    /// The tag of everything so far.
    pub fn tag(&self) -> [u8; TAG_LEN] {
        let mut ghash = self.ghash.clone();
        let mut lengths = ghash::Block::default();
        lengths[8..].copy_from_slice(&(self.len * 8).to_be_bytes());
        ghash.update(&[lengths]);
        let mut tag: [u8; TAG_LEN] = ghash.finalize().into();
        for (byte, mask) in tag.iter_mut().zip(&self.mask) {
            *byte ^= mask;
        }
        tag
    }
}

impl Drop for Gcm {
    fn drop(&mut self) {
        self.mask.zeroize();
    }
}
