//! One chunk: its nonce, its seal, its place in the file.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use chacha20poly1305::XChaCha20Poly1305;

use crate::cipher::{NONCE_LEN, TAG_LEN};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::suite::Suite;
use crate::xaes::Xaes;

/// Which chunk it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub number: u64,
    pub last: bool,
}

/// Seals and opens the chunks of one file.
pub(super) struct ChunkCipher {
    aead: Aead,
    /// What the nonces of all chunks begin with.
    prefix: [u8; 12],
    aad: [u8; 32],
    pub chunk_size: usize,
}

enum Aead {
    /// XAES-256-GCM, whose key derivation sees only the prefix and hence is done once a file.
    Gcm(Box<Aes256Gcm>),
    XChaCha(XChaCha20Poly1305),
}

impl ChunkCipher {
    pub fn new(
        suite: Suite,
        key: &Key,
        file_id: &[u8; 16],
        commitment: [u8; 32],
        chunk_size: usize,
    ) -> Self {
        let prefix = *file_id.first_chunk().expect("12 of 16 bytes");
        let aead = match suite {
            Suite::Xaes256Gcm => Aead::Gcm(Box::new(Xaes::new(key).derive(&prefix))),
            Suite::XChaCha20Poly1305 => Aead::XChaCha(XChaCha20Poly1305::new(key.expose().into())),
        };
        Self {
            aead,
            prefix,
            aad: commitment,
            chunk_size,
        }
    }

    /// The length of a full sealed chunk.
    pub fn stride(&self) -> usize {
        self.chunk_size + TAG_LEN
    }

    /// Seals `chunk`, plaintext and then room for the tag, in place.
    pub fn seal(&self, place: Place, chunk: &mut [u8]) {
        let nonce = self.nonce(place);
        let (message, tag) = chunk
            .split_last_chunk_mut::<TAG_LEN>()
            .expect("the caller leaves room for the tag");
        debug_assert!(message.len() <= self.chunk_size);
        let message = InOutBuf::from(message);
        let sealed = match &self.aead {
            Aead::Gcm(aead) => {
                aead.encrypt_inout_detached(gcm_nonce(&nonce).into(), &self.aad, message)
            }
            Aead::XChaCha(aead) => aead.encrypt_inout_detached((&nonce).into(), &self.aad, message),
        };
        *tag = sealed.expect("a chunk is shorter than either limit").into();
    }

    /// Opens `chunk` in place and gives its plaintext.
    pub fn open<'a>(&self, place: Place, chunk: &'a mut [u8]) -> Result<&'a mut [u8]> {
        let nonce = self.nonce(place);
        let (message, tag) = chunk.split_last_chunk_mut::<TAG_LEN>().ok_or(Error::Open)?;
        // Only an empty file has an empty chunk.
        if message.is_empty() && place.number != 0 {
            return Err(Error::Open);
        }
        let (tag, buf) = (&*tag, InOutBuf::from(&mut *message));
        match &self.aead {
            Aead::Gcm(aead) => {
                let nonce = gcm_nonce(&nonce).into();
                aead.decrypt_inout_detached(nonce, &self.aad, buf, tag.into())
            }
            Aead::XChaCha(aead) => {
                aead.decrypt_inout_detached((&nonce).into(), &self.aad, buf, tag.into())
            }
        }
        .map_err(|_| Error::Open)?;
        Ok(message)
    }

    fn nonce(&self, place: Place) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[..12].copy_from_slice(&self.prefix);
        nonce[15..23].copy_from_slice(&place.number.to_be_bytes());
        nonce[23] = place.last.into();
        nonce
    }
}

fn gcm_nonce(nonce: &[u8; NONCE_LEN]) -> &[u8; 12] {
    nonce.last_chunk().expect("12 of 24 bytes")
}

/// How the chunks of a file lie, by its length alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub chunks: u64,
    pub plaintext: u64,
}

impl Layout {
    /// The layout of `body` bytes after the header; none if no file has that length.
    pub fn of(body: u64, chunk_size: usize) -> Option<Self> {
        let tag = TAG_LEN as u64;
        let stride = chunk_size as u64 + tag;
        let chunks = body.div_ceil(stride);
        let tail = body - chunks.checked_sub(1)? * stride;
        let shortest = if chunks == 1 { tag } else { tag + 1 };
        (tail >= shortest).then(|| Self {
            chunks,
            plaintext: body - chunks * tag,
        })
    }

    /// The layout of a file with this much plaintext.
    pub fn for_plaintext(plaintext: u64, chunk_size: usize) -> Self {
        Self {
            chunks: plaintext.div_ceil(chunk_size as u64).max(1),
            plaintext,
        }
    }

    /// How many bytes follow the header.
    pub fn body(&self) -> u64 {
        self.plaintext + self.chunks * TAG_LEN as u64
    }

    /// The sealed length of the last chunk; `stride` is that of the others.
    pub fn tail(&self, stride: usize) -> usize {
        let others = (self.chunks - 1) * stride as u64;
        usize::try_from(self.body() - others).expect("a chunk is no longer than the others")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_knows_which_lengths_exist() {
        let plaintext = |body| Layout::of(body, 4096).map(|layout| layout.plaintext);
        for body in [0, 1, 15, 4112 + 1, 4112 + 16, 2 * 4112 + 16] {
            assert_eq!(plaintext(body), None, "{body}");
        }
        for (body, expected) in [(16, 0), (17, 1), (4112, 4096), (4112 + 17, 4097)] {
            assert_eq!(plaintext(body), Some(expected), "{body}");
        }
        assert!(Layout::of(u64::MAX, 4096).is_some());
    }
}
