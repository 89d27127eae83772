//! Index objects: their plaintext, byte by byte (FORMAT.md, section 4.6).

use std::collections::HashSet;

use super::{BlobKind, Encoding, IndexError, Location};
use crate::id::Id;

const VERSION: u8 = 1;
/// The largest number of entries in an index object.
const MAX_ENTRIES: usize = 1 << 19;
/// The largest pack.
const MAX_PACK: u64 = 128 << 20;
/// The largest plaintext of a chunk.
const MAX_CHUNK: u32 = 16 << 20;
/// What sealing adds to a chunk: nonce and tag.
const MIN_STORED: u32 = 40;

const PACK_LEN: usize = 40;
const LENGTH_MASK: u32 = (1 << 28) - 1;
const FLAG_TREE: u32 = 1 << 28;
const FLAG_ZSTD: u32 = 1 << 29;

/// One place of one chunk, as index objects and local files hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The chunk.
    pub id: Id,
    /// The pack's number in the table of packs that belongs to this entry.
    pub pack: u32,
    offset: u32,
    stored_len: u32,
    length_and_flags: u32,
}

impl Entry {
    /// The length of an entry in bytes.
    pub(super) const LEN: usize = 48;

    /// An entry for a chunk at `location`, whose pack has this number.
    ///
    /// # Errors
    /// A chunk of more than 16 MiB.
    pub fn new(id: Id, pack_number: u32, location: &Location) -> Result<Self, IndexError> {
        if location.raw_len > MAX_CHUNK {
            return Err(IndexError::ChunkTooLarge {
                len: location.raw_len,
            });
        }
        let mut length_and_flags = location.raw_len;
        if location.kind == BlobKind::Tree {
            length_and_flags |= FLAG_TREE;
        }
        if location.encoding == Encoding::Zstd {
            length_and_flags |= FLAG_ZSTD;
        }
        Ok(Self {
            id,
            pack: pack_number,
            offset: location.offset,
            stored_len: location.stored_len,
            length_and_flags,
        })
    }

    /// How many bytes of plaintext the chunk has.
    pub fn raw_len(&self) -> u32 {
        self.length_and_flags & LENGTH_MASK
    }

    /// How many bytes the chunk takes in the pack.
    pub fn stored_len(&self) -> u32 {
        self.stored_len
    }

    /// The place, given the id of the pack.
    pub fn location(&self, pack: Id) -> Location {
        Location {
            pack,
            offset: self.offset,
            stored_len: self.stored_len,
            raw_len: self.raw_len(),
            kind: if self.length_and_flags & FLAG_TREE == 0 {
                BlobKind::Data
            } else {
                BlobKind::Tree
            },
            encoding: if self.length_and_flags & FLAG_ZSTD == 0 {
                Encoding::Raw
            } else {
                Encoding::Zstd
            },
        }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..32].copy_from_slice(self.id.as_bytes());
        bytes[32..36].copy_from_slice(&self.pack.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.offset.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[44..].copy_from_slice(&self.length_and_flags.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Self {
            id: Id::from_bytes(bytes[..32].try_into().expect("32 bytes")),
            pack: number(32),
            offset: number(36),
            stored_len: number(40),
            length_and_flags: number(44),
        }
    }

    /// What is wrong with the entry in itself, if anything.
    pub(super) fn problem(&self, packs: usize) -> Option<&'static str> {
        if self.pack as usize >= packs {
            return Some("an entry names a pack that is not listed");
        }
        if self.length_and_flags & !(LENGTH_MASK | FLAG_TREE | FLAG_ZSTD) != 0 {
            return Some("an entry has unknown flags");
        }
        if self.raw_len() > MAX_CHUNK {
            return Some("an entry is larger than any chunk");
        }
        if self.stored_len < MIN_STORED {
            return Some("an entry is shorter than its nonce and tag");
        }
        None
    }
}

/// The content of an index object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Snapshots that were made.
    pub published: Vec<Id>,
    /// Snapshots that were removed for good.
    pub forgotten: Vec<Id>,
    /// Packs with their sizes in bytes; entries name them by their place here.
    pub packs: Vec<(Id, u64)>,
    /// Chunks, sorted strictly by id and pack number; at most 524 288.
    pub entries: Vec<Entry>,
}

impl Segment {
    /// The plaintext of the index object.
    pub fn encode(&self) -> Vec<u8> {
        debug_assert_eq!(self.problem(), None);
        let ids = self.published.len() + self.forgotten.len();
        let mut out = Vec::with_capacity(
            17 + ids * 32 + self.packs.len() * PACK_LEN + self.entries.len() * Entry::LEN,
        );
        out.push(VERSION);
        for ids in [&self.published, &self.forgotten] {
            put_count(&mut out, ids.len());
            for id in ids {
                out.extend_from_slice(id.as_bytes());
            }
        }
        put_count(&mut out, self.packs.len());
        for (id, size) in &self.packs {
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(&size.to_le_bytes());
        }
        put_count(&mut out, self.entries.len());
        for entry in &self.entries {
            out.extend_from_slice(&entry.to_bytes());
        }
        out
    }

    /// Reads the plaintext of an index object, which need not be honest.
    ///
    /// # Errors
    /// Anything that [`Segment::encode`] would not have written. What is allocated is bounded by
    /// the length of the input.
    pub fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        let (&version, mut rest) = bytes.split_first().ok_or_else(|| malformed(CUT_OFF))?;
        if version != VERSION {
            return Err(IndexError::Unsupported { version });
        }
        let segment = Self {
            published: take_ids(&mut rest)?,
            forgotten: take_ids(&mut rest)?,
            packs: take_items::<PACK_LEN>(&mut rest)?
                .iter()
                .map(|pack| {
                    let (id, size) = pack.split_at(32);
                    (
                        Id::from_bytes(id.try_into().expect("32 bytes")),
                        u64::from_le_bytes(size.try_into().expect("8 bytes")),
                    )
                })
                .collect(),
            entries: take_items::<{ Entry::LEN }>(&mut rest)?
                .iter()
                .map(Entry::from_bytes)
                .collect(),
        };
        if !rest.is_empty() {
            return Err(malformed("something follows its entries"));
        }
        segment.verify()?;
        Ok(segment)
    }

    pub(super) fn verify(&self) -> Result<(), IndexError> {
        self.problem()
            .map_or(Ok(()), |problem| Err(malformed(problem)))
    }

    /// What is wrong with the segment, if anything.
    fn problem(&self) -> Option<&'static str> {
        if self.entries.len() > MAX_ENTRIES {
            return Some("it has more than 524288 entries");
        }
        let mut distinct = HashSet::with_capacity(self.packs.len());
        for (id, size) in &self.packs {
            if *size > MAX_PACK {
                return Some("a pack is larger than any pack");
            }
            // Otherwise a chunk could have two entries for one place.
            if !distinct.insert(id) {
                return Some("a pack is listed twice");
            }
        }
        let mut last: Option<(&Id, u32)> = None;
        for entry in &self.entries {
            if let Some(problem) = entry.problem(self.packs.len()) {
                return Some(problem);
            }
            let size = self.packs[entry.pack as usize].1;
            if u64::from(entry.offset) + u64::from(entry.stored_len) > size {
                return Some("an entry lies beyond the end of its pack");
            }
            let key = Some((&entry.id, entry.pack));
            if key <= last {
                return Some("its entries are not in order");
            }
            last = key;
        }
        None
    }
}

const CUT_OFF: &str = "it is cut off";

fn malformed(problem: &'static str) -> IndexError {
    IndexError::Malformed { problem }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("an index object is at most 64 MiB");
    out.extend_from_slice(&count.to_le_bytes());
}

/// Takes a count and as many items of `N` bytes.
fn take_items<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [[u8; N]], IndexError> {
    let (count, after) = rest.split_first_chunk().ok_or_else(|| malformed(CUT_OFF))?;
    let count = u32::from_le_bytes(*count) as usize;
    let (items, _) = after.as_chunks::<N>();
    let items = items.get(..count).ok_or_else(|| malformed(CUT_OFF))?;
    *rest = &after[count * N..];
    Ok(items)
}

fn take_ids(rest: &mut &[u8]) -> Result<Vec<Id>, IndexError> {
    let ids = take_items::<32>(rest)?;
    Ok(ids.iter().copied().map(Id::from_bytes).collect())
}
