//! Sealed messages: authenticated encryption with random nonces (FORMAT.md, section 1.1).

use std::fmt;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, KeyInit};
use chacha20poly1305::XChaCha20Poly1305;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::Key;
use crate::random::fill_random;
use crate::suite::Suite;
use crate::xaes::Xaes;

/// The length of a nonce, which stands before a sealed message, in bytes.
pub const NONCE_LEN: usize = 24;
/// The length of a tag, which stands after a sealed message, in bytes.
pub const TAG_LEN: usize = 16;
/// What sealing adds to the length of a message, in bytes.
pub const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// The most that one AES-GCM message holds, in bytes (SP 800-38D, section 5.2.1.1).
pub(crate) const GCM_LIMIT: u64 = (1 << 36) - 32;

/// Seals and opens messages under one key.
///
/// Nonces are drawn at random, so one key seals any number of messages. Neither suite commits to
/// its key: store [`Key::commitment`] where an adversary might offer data for several keys.
pub struct Cipher(Inner);

enum Inner {
    Xaes(Box<Xaes>),
    XChaCha(XChaCha20Poly1305),
}

impl Cipher {
    /// The cipher of this suite under this key.
    pub fn new(suite: Suite, key: &Key) -> Self {
        Self(match suite {
            Suite::Xaes256Gcm => Inner::Xaes(Box::new(Xaes::new(key))),
            Suite::XChaCha20Poly1305 => Inner::XChaCha(XChaCha20Poly1305::new(key.expose().into())),
        })
    }

    /// Seals a message: `nonce | ciphertext | tag`.
    ///
    /// # Errors
    /// [`Error::Random`], and [`Error::TooLong`] beyond the suite's limit (64 GiB).
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = vec![0; plaintext.len() + OVERHEAD];
        sealed[NONCE_LEN..NONCE_LEN + plaintext.len()].copy_from_slice(plaintext);
        self.seal_in_place(aad, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens a message that [`Cipher::seal`] made.
    ///
    /// # Errors
    /// [`Error::Open`] for a wrong key or associated data, or changed bytes.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(Error::Open)?;
        let (ciphertext, tag) = sealed.split_last_chunk().ok_or(Error::Open)?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        self.open_detached(nonce, aad, &mut plain, tag)?;
        Ok(plain)
    }

    /// Seals `buf[NONCE_LEN..buf.len() - TAG_LEN]` and fills in the nonce before and the tag after it.
    ///
    /// # Errors
    /// As [`Cipher::seal`].
    ///
    /// # Panics
    /// When `buf` is shorter than [`OVERHEAD`].
    pub fn seal_in_place(&self, aad: &[u8], buf: &mut [u8]) -> Result<()> {
        assert!(
            buf.len() >= OVERHEAD,
            "the buffer has no room for nonce and tag"
        );
        let (nonce, rest) = buf.split_first_chunk_mut().expect("longer than a nonce");
        let (message, tag) = rest.split_last_chunk_mut().expect("longer than a tag");
        fill_random(nonce)?;
        *tag = self.seal_detached(nonce, aad, message)?;
        Ok(())
    }

    /// Opens a sealed message in place and gives the part of `buf` that holds the plaintext.
    ///
    /// # Errors
    /// [`Error::Open`], as [`Cipher::open`]; `buf` then holds no plaintext.
    pub fn open_in_place<'a>(&self, aad: &[u8], buf: &'a mut [u8]) -> Result<&'a mut [u8]> {
        let (nonce, rest) = buf.split_first_chunk_mut().ok_or(Error::Open)?;
        let (message, tag) = rest.split_last_chunk_mut().ok_or(Error::Open)?;
        self.open_detached(nonce, aad, message, tag)?;
        Ok(message)
    }

    /// Seals with a given nonce: only for nonces that the format fixes, and for test vectors.
    pub(crate) fn seal_detached(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        message: &mut [u8],
    ) -> Result<[u8; TAG_LEN]> {
        let message = InOutBuf::from(message);
        match &self.0 {
            Inner::Xaes(xaes) => {
                let (prefix, nonce) = halves(nonce);
                xaes.derive(prefix)
                    .encrypt_inout_detached(nonce.into(), aad, message)
            }
            Inner::XChaCha(cipher) => cipher.encrypt_inout_detached(nonce.into(), aad, message),
        }
        .map(Into::into)
        .map_err(|_| Error::TooLong {
            what: "a sealed message",
            limit: GCM_LIMIT,
        })
    }

    /// Opens what [`Cipher::seal_detached`] made.
    pub(crate) fn open_detached(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        message: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<()> {
        let message = InOutBuf::from(message);
        match &self.0 {
            Inner::Xaes(xaes) => {
                let (prefix, nonce) = halves(nonce);
                xaes.derive(prefix)
                    .decrypt_inout_detached(nonce.into(), aad, message, tag.into())
            }
            Inner::XChaCha(cipher) => {
                cipher.decrypt_inout_detached(nonce.into(), aad, message, tag.into())
            }
        }
        .map_err(|_| Error::Open)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Inner::Xaes(_) => "Cipher(xaes-256-gcm)",
            Inner::XChaCha(_) => "Cipher(xchacha20-poly1305)",
        })
    }
}

fn halves(nonce: &[u8; NONCE_LEN]) -> (&[u8; 12], &[u8; 12]) {
    let (prefix, rest) = nonce.split_first_chunk().expect("24 bytes");
    (prefix, rest.try_into().expect("12 bytes are left"))
}
