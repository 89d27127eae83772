//! Packs: many sealed chunks in one object, with a trailer that lists them (FORMAT.md, section 4.5).

use keepwatch_crypto::{Cipher, Key, NONCE_LEN, OVERHEAD, Suite, TAG_LEN, ct_eq};

use crate::config::{MAX_CHUNK, MAX_PACK, Padding};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::{BlobKind, Encoding};
use crate::keyring::Keyring;
use crate::object::{Header, SESSION_HEADER, commitment};
use crate::storage::ObjectKind;

pub(crate) const TRAILER_CONTEXT: &str = "keepwatch v1 pack trailer";
const BLOB_CONTEXT: &str = "keepwatch v1 blob";
const TRAILER_ENTRY: usize = 41;
const MIN_TRAILER: usize = 32 + OVERHEAD;
const FLAG_TREE: u8 = 1;
const FLAG_ZSTD: u8 = 2;

/// What identifies a chunk beside its content: all of it is bound by the seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobInfo {
    pub id: Id,
    pub kind: BlobKind,
    pub encoding: Encoding,
    pub raw_len: u32,
}

/// A blob's place in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedBlob {
    pub info: BlobInfo,
    pub offset: u32,
    pub stored_len: u32,
}

/// Seals and opens the blobs of one session.
#[derive(Debug)]
pub(crate) struct BlobCipher {
    cipher: Cipher,
    suite: Suite,
    repository: [u8; 16],
    epoch: u32,
}

impl BlobCipher {
    pub fn new(suite: Suite, repository: [u8; 16], epoch: u32, session_key: &Key) -> Self {
        Self {
            cipher: Cipher::new(suite, &session_key.derive(BLOB_CONTEXT)),
            suite,
            repository,
            epoch,
        }
    }

    fn aad(&self, info: &BlobInfo) -> [u8; 64] {
        let mut aad = [0; 64];
        aad[..4].copy_from_slice(b"KWBL");
        aad[4..8].copy_from_slice(&[1, self.suite.byte(), info.kind as u8, info.encoding as u8]);
        aad[8..24].copy_from_slice(&self.repository);
        aad[24..28].copy_from_slice(&self.epoch.to_le_bytes());
        aad[28..60].copy_from_slice(info.id.as_bytes());
        aad[60..].copy_from_slice(&info.raw_len.to_le_bytes());
        aad
    }

    /// Seals `buf[NONCE_LEN..len - TAG_LEN]` in place.
    pub fn seal(&self, info: &BlobInfo, buf: &mut [u8]) -> Result<()> {
        Ok(self.cipher.seal_in_place(&self.aad(info), buf)?)
    }

    /// Opens a blob in place and gives its content as it was stored.
    pub fn open<'a>(&self, info: &BlobInfo, sealed: &'a mut [u8]) -> Result<&'a mut [u8]> {
        self.cipher
            .open_in_place(&self.aad(info), sealed)
            .map_err(|_| {
                Error::damaged(
                    format_args!("chunk {}", info.id),
                    "it does not authenticate",
                )
            })
    }
}

/// The room a blob needs around its content: nonce before, tag after.
pub(crate) const BLOB_HEAD: usize = NONCE_LEN;
/// See [`BLOB_HEAD`].
pub(crate) const BLOB_TAIL: usize = TAG_LEN;

/// A pack being filled.
#[derive(Debug)]
pub(crate) struct PackBuilder {
    bytes: Vec<u8>,
    blobs: Vec<PackedBlob>,
}

impl PackBuilder {
    /// Begins a pack in a buffer that may have been used before.
    pub fn new(header: &[u8], mut bytes: Vec<u8>) -> Self {
        debug_assert_eq!(header.len(), SESSION_HEADER);
        bytes.clear();
        bytes.extend_from_slice(header);
        Self {
            bytes,
            blobs: Vec::new(),
        }
    }

    pub fn push(&mut self, info: BlobInfo, sealed: &[u8]) {
        self.blobs.push(PackedBlob {
            info,
            offset: self.bytes.len() as u32,
            stored_len: sealed.len() as u32,
        });
        self.bytes.extend_from_slice(sealed);
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds padding and trailer; gives the pack's id, bytes and content.
    pub fn finish(
        mut self,
        suite: Suite,
        ring: &Keyring,
        epoch: u32,
        padding: Padding,
    ) -> Result<(Id, Vec<u8>, Vec<PackedBlob>)> {
        if padding == Padding::Padme {
            let padded = padme(self.bytes.len() as u64) as usize;
            let from = self.bytes.len();
            self.bytes.resize(padded, 0);
            random_fill(&mut self.bytes[from..])?;
        }
        let mut list = Vec::with_capacity(self.blobs.len() * TRAILER_ENTRY);
        for blob in &self.blobs {
            list.extend_from_slice(blob.info.id.as_bytes());
            let mut flags = 0;
            if blob.info.kind == BlobKind::Tree {
                flags |= FLAG_TREE;
            }
            if blob.info.encoding == Encoding::Zstd {
                flags |= FLAG_ZSTD;
            }
            list.push(flags);
            list.extend_from_slice(&blob.stored_len.to_le_bytes());
            list.extend_from_slice(&blob.info.raw_len.to_le_bytes());
        }
        let key = ring.epoch(epoch)?.index_key.derive(TRAILER_CONTEXT);
        let sealed = Cipher::new(suite, &key).seal(&self.bytes[..SESSION_HEADER], &list)?;
        self.bytes.extend_from_slice(&commitment(&key));
        self.bytes.extend_from_slice(&sealed);
        self.bytes
            .extend_from_slice(&((sealed.len() + 32) as u32).to_le_bytes());
        let id = Id::of(&self.bytes);
        Ok((id, self.bytes, self.blobs))
    }
}

/// Where the trailer of a pack of `size` bytes begins, from the pack's last four bytes.
pub(crate) fn trailer_range(size: u64, last_four: [u8; 4], object: &str) -> Result<(u64, usize)> {
    let len = u64::from(u32::from_le_bytes(last_four));
    if size > MAX_PACK || len < MIN_TRAILER as u64 || len + 4 + SESSION_HEADER as u64 > size {
        return Err(Error::damaged(object, "its trailer length is wrong"));
    }
    Ok((size - 4 - len, len as usize))
}

/// Reads a trailer; `header` is the pack's, `trailer` everything from [`trailer_range`].
pub(crate) fn parse_trailer(
    header: &Header<'_>,
    trailer: &[u8],
    trailer_at: u64,
    ring: &Keyring,
    object: &str,
) -> Result<Vec<PackedBlob>> {
    let bad = |problem: &str| Error::damaged(object, problem);
    let key = ring.epoch(header.epoch)?.index_key.derive(TRAILER_CONTEXT);
    if trailer.len() < MIN_TRAILER || !ct_eq(&commitment(&key), &trailer[..32]) {
        return Err(bad("the key commitment of its trailer is wrong"));
    }
    let list = Cipher::new(header.suite, &key)
        .open(header.bytes(), &trailer[32..])
        .map_err(|_| bad("its trailer does not authenticate"))?;
    if list.len() % TRAILER_ENTRY != 0 {
        return Err(bad("its trailer is cut off"));
    }
    let mut offset = SESSION_HEADER as u64;
    let mut blobs = Vec::with_capacity(list.len() / TRAILER_ENTRY);
    for entry in list.chunks_exact(TRAILER_ENTRY) {
        let u32_at = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().expect("4 bytes"));
        let (flags, stored_len, raw_len) = (entry[32], u32_at(33), u32_at(37));
        if flags & !(FLAG_TREE | FLAG_ZSTD) != 0 {
            return Err(bad("its trailer has unknown flags"));
        }
        if raw_len > MAX_CHUNK
            || u64::from(stored_len) < OVERHEAD as u64
            || offset + u64::from(stored_len) > trailer_at
        {
            return Err(bad("its trailer names impossible lengths"));
        }
        blobs.push(PackedBlob {
            info: BlobInfo {
                id: Id::from_bytes(entry[..32].try_into().expect("32 bytes")),
                kind: if flags & FLAG_TREE == 0 {
                    BlobKind::Data
                } else {
                    BlobKind::Tree
                },
                encoding: if flags & FLAG_ZSTD == 0 {
                    Encoding::Raw
                } else {
                    Encoding::Zstd
                },
                raw_len,
            },
            offset: offset as u32,
            stored_len,
        });
        offset += u64::from(stored_len);
    }
    Ok(blobs)
}

/// Header and content of a whole pack that is in memory.
pub(crate) fn parse_pack<'a>(
    bytes: &'a [u8],
    repository: &[u8; 16],
    ring: &Keyring,
    object: &str,
) -> Result<(Header<'a>, Vec<PackedBlob>)> {
    let header = Header::parse(bytes, ObjectKind::Pack, repository, object)?;
    let last_four = bytes[bytes.len() - 4..]
        .try_into()
        .expect("longer than a header");
    let (at, len) = trailer_range(bytes.len() as u64, last_four, object)?;
    let trailer = &bytes[at as usize..at as usize + len];
    let blobs = parse_trailer(&header, trailer, at, ring, object)?;
    Ok((header, blobs))
}

/// The Padmé size for `len`: the low bits are rounded up so that the size tells O(log log len) bits.
fn padme(len: u64) -> u64 {
    if len < 2 {
        return len;
    }
    let exponent = u64::from(len.ilog2());
    let kept = u64::from(exponent.max(1).ilog2()) + 1;
    let mask = (1u64 << exponent.saturating_sub(kept)) - 1;
    (len + mask) & !mask
}

fn random_fill(out: &mut [u8]) -> Result<()> {
    // Padding must look like ciphertext; a fresh XOF key gives that without asking the system for megabytes.
    let seed: [u8; 32] = keepwatch_crypto::random_bytes()?;
    blake3::Hasher::new_keyed(&seed).finalize_xof().fill(out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::padme;

    #[test]
    fn padme_rounds_up_by_at_most_an_eighth() {
        for len in [
            0u64,
            1,
            2,
            9,
            100,
            4097,
            1 << 20,
            (16 << 20) + 12_345,
            100_000_001,
        ] {
            let padded = padme(len);
            assert!(
                padded >= len && padded - len <= len / 8,
                "{len} -> {padded}"
            );
            assert_eq!(padme(padded), padded);
        }
    }
}
