//! Building index segments from packs.

use crate::id::Id;
use crate::index::{Entry, Location, Segment};
use crate::pack::PackedBlob;

/// An index object holds no more entries than this.
pub(crate) const MAX_ENTRIES: usize = 1 << 19;

/// Collects the content of packs for an index object.
#[derive(Debug, Default)]
pub(crate) struct SegmentBuilder {
    packs: Vec<(Id, u64)>,
    entries: Vec<Entry>,
}

impl SegmentBuilder {
    pub fn add(&mut self, pack: Id, size: u64, blobs: &[PackedBlob]) {
        let number = self.packs.len() as u32;
        self.packs.push((pack, size));
        self.entries.extend(blobs.iter().map(|blob| {
            let location = Location {
                pack,
                offset: blob.offset,
                stored_len: blob.stored_len,
                raw_len: blob.info.raw_len,
                kind: blob.info.kind,
                encoding: blob.info.encoding,
            };
            Entry::new(blob.info.id, number, &location).expect("chunks are at most 16 MiB")
        }));
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn build(mut self) -> Segment {
        self.entries.sort_by_key(|entry| (entry.id, entry.pack));
        // A pack may hold a chunk twice if a damaged writer made it so; one place is enough.
        self.entries.dedup_by_key(|entry| (entry.id, entry.pack));
        Segment {
            published: Vec::new(),
            forgotten: Vec::new(),
            packs: self.packs,
            entries: self.entries,
        }
    }
}
