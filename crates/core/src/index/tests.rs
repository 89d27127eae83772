#![allow(clippy::unwrap_used)] // A test may panic.

use proptest::prelude::*;

use super::*;

mod local;

/// An id that is spread like a hash and has this number.
fn id(n: u64) -> Id {
    Id::of(&n.to_le_bytes())
}

fn place(offset: u32, kind: BlobKind, encoding: Encoding) -> Location {
    Location {
        pack: Id::ZERO,
        offset,
        stored_len: 100,
        raw_len: 1000,
        kind,
        encoding,
    }
}

fn entry(chunk: Id, pack: u32, offset: u32) -> Entry {
    Entry::new(chunk, pack, &place(offset, BlobKind::Data, Encoding::Zstd)).unwrap()
}

/// A segment with these packs and chunks as numbers, and the chunk's pack as its place there.
fn segment(packs: &[u64], chunks: impl IntoIterator<Item = (u64, u32)>) -> Segment {
    let mut entries: Vec<Entry> = chunks
        .into_iter()
        .map(|(chunk, pack)| entry(id(chunk), pack, chunk as u32 % 1000))
        .collect();
    entries.sort_by_key(|entry| (entry.id, entry.pack));
    entries.dedup_by_key(|entry| (entry.id, entry.pack));
    Segment {
        packs: packs.iter().map(|pack| (id(*pack), 1 << 20)).collect(),
        entries,
        ..Segment::default()
    }
}

fn small() -> Segment {
    let bytes = |byte| Id::from_bytes([byte; 32]);
    let at = |offset, stored_len, raw_len, kind, encoding| Location {
        pack: Id::ZERO,
        offset,
        stored_len,
        raw_len,
        kind,
        encoding,
    };
    let data = at(0x8d, 0x1234, 0x5678, BlobKind::Data, Encoding::Zstd);
    let tree = at(0x99, 40, 0, BlobKind::Tree, Encoding::Raw);
    let both = at(
        0x0abc_def0 >> 4,
        41,
        16 << 20,
        BlobKind::Tree,
        Encoding::Zstd,
    );
    Segment {
        published: vec![bytes(0xaa)],
        forgotten: vec![bytes(0xbb), bytes(0xcc)],
        packs: vec![(bytes(2), 16 << 20), (bytes(1), 1 << 20)],
        entries: vec![
            Entry::new(bytes(3), 0, &data).unwrap(),
            Entry::new(bytes(3), 1, &tree).unwrap(),
            Entry::new(bytes(4), 0, &both).unwrap(),
        ],
    }
}

#[test]
fn a_segment_has_the_bytes_of_the_format() {
    let golden = [
        "01",                       // version
        "01000000",                 // published
        &"aa".repeat(32),           //
        "02000000",                 // forgotten
        &"bb".repeat(32),           //
        &"cc".repeat(32),           //
        "02000000",                 // packs
        &"02".repeat(32),           //
        "0000000100000000",         // 16 MiB
        &"01".repeat(32),           //
        "0000100000000000",         // 1 MiB
        "03000000",                 // entries
        &"03".repeat(32),           //
        "00000000",                 // pack 0
        "8d000000",                 // offset
        "34120000",                 // stored length
        "78560020",                 // plaintext length, zstd
        &"03".repeat(32),           //
        "010000009900000028000000", // pack 1, offset, stored length
        "00000010",                 // empty, tree
        &"04".repeat(32),           //
        "00000000efcdab0029000000", // pack 0, offset, stored length
        "00000031",                 // 16 MiB, tree, zstd
    ]
    .concat();
    let segment = small();
    assert_eq!(hex::encode(segment.encode()), golden);
    assert_eq!(Segment::decode(&segment.encode()).unwrap(), segment);
    let place = segment.entries[2].location(id(7));
    assert_eq!(
        place,
        Location {
            pack: id(7),
            offset: 0x00ab_cdef,
            stored_len: 41,
            raw_len: 16 << 20,
            kind: BlobKind::Tree,
            encoding: Encoding::Zstd,
        }
    );
}

#[test]
fn no_cut_and_no_flipped_bit_goes_wrong() {
    let bytes = small().encode();
    for len in 0..bytes.len() {
        assert!(Segment::decode(&bytes[..len]).is_err(), "cut to {len}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Segment::decode(&longer).is_err());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(segment) = Segment::decode(&flipped) {
            assert_ne!(segment, small(), "bit {bit}");
            assert_eq!(segment.encode(), flipped, "bit {bit}");
        }
    }
}

#[test]
fn counts_are_compared_with_what_is_there() {
    for tables in 0..4 {
        let mut bytes = vec![1];
        bytes.extend(std::iter::repeat_n(0, 4 * tables));
        bytes.extend([0xff; 4]);
        bytes.extend([0; 40]);
        let error = Segment::decode(&bytes).unwrap_err();
        assert!(matches!(error, IndexError::Malformed { .. }), "{error}");
    }
}

#[test]
fn what_contradicts_the_format_is_refused() {
    let refused = |change: &dyn Fn(&mut Segment)| {
        let mut segment = small();
        change(&mut segment);
        segment.verify().unwrap_err().to_string()
    };
    let end = "an index object is malformed: an entry lies beyond the end of its pack";
    assert_eq!(refused(&|segment| segment.packs[1].1 = 0xc0), end);
    let order = "an index object is malformed: its entries are not in order";
    assert_eq!(refused(&|segment| segment.entries.swap(0, 1)), order);
    assert_eq!(
        refused(&|segment| segment.entries[1] = segment.entries[0]),
        order
    );
    let pack = "an index object is malformed: an entry names a pack that is not listed";
    assert_eq!(refused(&|segment| segment.packs.truncate(1)), pack);
    let twice = "an index object is malformed: a pack is listed twice";
    assert_eq!(
        refused(&|segment| segment.packs[1].0 = segment.packs[0].0),
        twice
    );
    let large = "an index object is malformed: a pack is larger than any pack";
    assert_eq!(
        refused(&|segment| segment.packs[1].1 = (128 << 20) + 1),
        large
    );

    let mut bytes = small().encode();
    let last = bytes.len() - 1;
    bytes[last] |= 0x40;
    let error = Segment::decode(&bytes).unwrap_err().to_string();
    assert_eq!(
        error,
        "an index object is malformed: an entry has unknown flags"
    );
    bytes[0] = 2;
    let error = Segment::decode(&bytes).unwrap_err().to_string();
    assert_eq!(
        error,
        "an index object has version 2, which this version does not know"
    );

    let location = Location {
        raw_len: (16 << 20) + 1,
        ..place(0, BlobKind::Data, Encoding::Raw)
    };
    assert!(matches!(
        Entry::new(id(0), 0, &location),
        Err(IndexError::ChunkTooLarge { len }) if len == (16 << 20) + 1
    ));
}

#[test]
fn an_object_has_a_largest_number_of_entries() {
    let full = segment(&[0], (0..1 << 19).map(|n| (n, 0)));
    assert_eq!(Segment::decode(&full.encode()).unwrap(), full);
    let more = segment(&[0], (0..(1 << 19) + 1).map(|n| (n, 0)));
    let error = more.verify().unwrap_err().to_string();
    assert_eq!(
        error,
        "an index object is malformed: it has more than 524288 entries"
    );
}

prop_compose! {
    fn any_segment()(
        published in prop::collection::vec(any::<u64>(), 0..4),
        forgotten in prop::collection::vec(any::<u64>(), 0..4),
        packs in prop::collection::btree_set(0u64..40, 1..6),
        chunks in prop::collection::vec((0u64..60, any::<u32>()), 0..40),
    ) -> Segment {
        let packs: Vec<u64> = packs.into_iter().collect();
        let count = packs.len() as u32;
        Segment {
            published: published.into_iter().map(id).collect(),
            forgotten: forgotten.into_iter().map(id).collect(),
            ..segment(&packs, chunks.into_iter().map(|(chunk, pack)| (chunk, pack % count)))
        }
    }
}

proptest! {
    #[test]
    fn segments_round_trip(segment in any_segment()) {
        prop_assert_eq!(Segment::decode(&segment.encode()).unwrap(), segment);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Segment::decode(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        if let Ok(segment) = Segment::decode(&bytes) {
            prop_assert_eq!(segment.encode(), bytes);
        }
    }
}
