//! The header: who may open the file, and how its chunks are sealed.

use std::io::{self, Read};

use super::chunk::ChunkCipher;
use super::{Info, SealOptions};
use crate::credential::{Credential, Lock};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::random::{ct_eq, random_bytes};
use crate::slot;
use crate::suite::Suite;

pub(super) const MAGIC: &[u8; 8] = b"\x89KWSEAL\n";
const VERSION: u8 = 1;
const FIXED_LEN: usize = 36;
/// What slots authenticate: everything before the header length.
const AAD_LEN: usize = 28;
const MAX_LEN: usize = 65_536;
const MAX_SLOTS: usize = 64;
const CHUNK_SIZE_LOG2: std::ops::RangeInclusive<u8> = 12..=24;
const COMMITMENT_LEN: usize = 32;
const FILE_KEY_LEN: usize = 32;
const COMMITMENT_CONTEXT: &str = "keepwatch v1 sealed header";
const PAYLOAD_CONTEXT: &str = "keepwatch v1 sealed payload";

/// A header as it stands in a file, its shape checked.
pub(super) struct Header {
    bytes: Vec<u8>,
    suite: Suite,
    chunk_size: usize,
    file_id: [u8; 16],
}

impl Header {
    /// A header for a new file, and what seals its chunks.
    pub fn create(locks: &[Lock<'_>], options: SealOptions) -> Result<(Self, ChunkCipher)> {
        let invalid = |what, problem| Err(Error::Invalid { what, problem });
        if !CHUNK_SIZE_LOG2.contains(&options.chunk_size_log2) {
            return invalid("the chunk size", "it is 4 KiB to 16 MiB");
        }
        if locks.is_empty() || locks.len() > MAX_SLOTS {
            return invalid("the list of keys", "a sealed file has 1 to 64");
        }
        // Before any of them is derived: what asks for more would never be read.
        let mut work = 0;
        for lock in locks {
            work += slot::work_of(lock)?;
        }
        if work > slot::MAX_WORK {
            return invalid("the list of keys", "opening it would take too much work");
        }
        let file_key = Key::generate()?;
        let file_id = random_bytes()?;
        let mut bytes = Vec::with_capacity(FIXED_LEN + locks.len() * 160 + COMMITMENT_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, options.suite.byte(), options.chunk_size_log2, 0]);
        bytes.extend_from_slice(&file_id);
        debug_assert_eq!(bytes.len(), AAD_LEN);
        bytes.resize(FIXED_LEN, 0);
        bytes[32..34].copy_from_slice(&(locks.len() as u16).to_le_bytes());
        for lock in locks {
            let slot = slot::write(lock, options.suite, &bytes[..AAD_LEN], file_key.expose())?;
            bytes.extend_from_slice(&slot);
        }
        let len = bytes.len() + COMMITMENT_LEN;
        debug_assert!(len <= MAX_LEN, "64 slots of at most 163 bytes");
        bytes[28..32].copy_from_slice(&(len as u32).to_le_bytes());
        let commitment = file_key.derive(COMMITMENT_CONTEXT).mac(&[&bytes]);
        bytes.extend_from_slice(&commitment);
        let header = Self {
            bytes,
            suite: options.suite,
            chunk_size: 1 << options.chunk_size_log2,
            file_id,
        };
        let cipher = header.chunk_cipher(&file_key);
        Ok((header, cipher))
    }

    /// Reads a header and nothing beyond it.
    pub fn read(mut reader: impl Read) -> Result<Self> {
        let mut bytes = vec![0; FIXED_LEN];
        read_exact(&mut reader, &mut bytes)?;
        let malformed = |problem| Error::malformed("a sealed file", problem);
        let unsupported = |what, value: u64| Error::Unsupported {
            what,
            value: value.to_string(),
        };
        if !bytes.starts_with(MAGIC) {
            return Err(malformed("it does not begin like one"));
        }
        if bytes[8] != VERSION {
            return Err(unsupported("version of sealed files", bytes[8].into()));
        }
        let suite = Suite::from_byte(bytes[9])?;
        if !CHUNK_SIZE_LOG2.contains(&bytes[10]) {
            return Err(malformed("its chunk size is out of range"));
        }
        let chunk_size = 1 << bytes[10];
        if bytes[11] != 0 || bytes[34..36] != [0, 0] {
            let flags = u64::from(bytes[11]) << 16 | u64::from(bytes[34]) << 8;
            return Err(unsupported(
                "flags of a sealed file",
                flags | u64::from(bytes[35]),
            ));
        }
        let file_id = bytes[12..28].try_into().expect("16 bytes");
        let len = u32::from_le_bytes(bytes[28..32].try_into().expect("4 bytes"));
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if !(FIXED_LEN + COMMITMENT_LEN..=MAX_LEN).contains(&len) {
            return Err(malformed("the length of its header is out of range"));
        }
        let count = usize::from(u16::from_le_bytes([bytes[32], bytes[33]]));
        if !(1..=MAX_SLOTS).contains(&count) {
            return Err(malformed("its number of key slots is out of range"));
        }
        bytes.resize(len, 0);
        read_exact(&mut reader, &mut bytes[FIXED_LEN..])?;
        let mut slots = &bytes[FIXED_LEN..len - COMMITMENT_LEN];
        let mut work = 0;
        for _ in 0..count {
            let (wrapped, used) = slot::parse(slots, FILE_KEY_LEN)?;
            work += wrapped.work();
            slots = &slots[used..];
        }
        if work > slot::MAX_WORK {
            return Err(malformed("its key slots ask for too much work"));
        }
        if !slots.is_empty() {
            return Err(malformed("its key slots do not fill the header"));
        }
        Ok(Self {
            bytes,
            suite,
            chunk_size,
            file_id,
        })
    }

    /// What opens the chunks, if the credential opens one of the slots.
    pub fn unlock(&self, credential: &Credential) -> Result<ChunkCipher> {
        let file_key = self.file_key(credential)?;
        let (covered, commitment) = self.bytes.split_at(self.bytes.len() - COMMITMENT_LEN);
        let expected = file_key.derive(COMMITMENT_CONTEXT).mac(&[covered]);
        if !ct_eq(&expected, commitment) {
            return Err(Error::Open);
        }
        Ok(self.chunk_cipher(&file_key))
    }

    pub fn info(&self) -> Info {
        Info {
            suite: self.suite,
            chunk_size: self.chunk_size as u32,
            slots: self.slots().map(|slot| slot.describe()).collect(),
            header_len: self.bytes.len() as u32,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn file_key(&self, credential: &Credential) -> Result<Key> {
        if !self.slots().any(|slot| slot.is_for(credential)) {
            let mut needs: Vec<_> = self.slots().map(|slot| slot.describe()).collect();
            needs.sort();
            needs.dedup();
            return Err(Error::OtherCredential {
                needs: needs.join(" or "),
                given: credential.kind(),
            });
        }
        for slot in self.slots() {
            if let Some(payload) = slot.open(credential, self.suite, &self.bytes[..AAD_LEN])? {
                let key = payload
                    .as_slice()
                    .try_into()
                    .expect("parsed with this length");
                return Ok(Key::from_bytes(key));
            }
        }
        Err(Error::Open)
    }

    fn slots(&self) -> impl Iterator<Item = slot::Wrapped<'_>> {
        let mut rest = &self.bytes[FIXED_LEN..self.bytes.len() - COMMITMENT_LEN];
        std::iter::from_fn(move || {
            let (slot, used) = slot::parse(rest, FILE_KEY_LEN).ok()?;
            rest = &rest[used..];
            Some(slot)
        })
    }

    fn chunk_cipher(&self, file_key: &Key) -> ChunkCipher {
        let commitment = self.bytes.last_chunk().expect("longer than its commitment");
        let key = file_key.derive(PAYLOAD_CONTEXT);
        ChunkCipher::new(
            self.suite,
            &key,
            &self.file_id,
            *commitment,
            self.chunk_size,
        )
    }
}

fn read_exact(reader: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    reader
        .read_exact(bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::malformed("a sealed file", "its header is cut off")
            }
            _ => Error::reading(error),
        })
}
