#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

fn id(n: u64) -> Id {
    Id::of(&n.to_le_bytes())
}

fn file(name: &[u8], size: u64, ids: usize) -> Node {
    Node {
        name: name.to_vec(),
        meta: Metadata::default(),
        kind: NodeKind::File {
            size,
            content: Content {
                level: 0,
                ids: (0..ids as u64).map(|n| id(size ^ n)).collect(),
            },
            extents: None,
            changed: false,
        },
    }
}

fn encode<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Vec<Vec<u8>> {
    let mut writer = TreeWriter::new();
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    for node in nodes {
        chunks.extend(writer.push(node).unwrap());
    }
    chunks.extend(writer.finish());
    chunks
}

fn decode(chunks: &[Vec<u8>]) -> Result<Vec<Node>, TreeError> {
    let mut decoder = TreeDecoder::new();
    let mut nodes = Vec::new();
    for chunk in chunks {
        nodes.extend(decoder.decode_chunk(chunk)?);
    }
    Ok(nodes)
}

/// One entry of each type, with all flags among them.
fn every_type() -> Vec<Node> {
    let node = |name: &[u8], kind| Node {
        name: name.to_vec(),
        meta: Metadata::default(),
        kind,
    };
    let full = Node {
        name: b"a".to_vec(),
        meta: Metadata {
            mode: 0o4755,
            uid: 1000,
            gid: 100,
            mtime: Time {
                secs: -2,
                nanos: 999_999_999,
            },
            user: Some(b"ann".to_vec()),
            group: Some(Vec::new()),
            hardlink: Some((0x1_0000, u64::MAX)),
            xattrs: vec![
                (b"user.a".to_vec(), b"1".to_vec()),
                (b"user.b".to_vec(), Vec::new()),
            ],
        },
        kind: NodeKind::File {
            size: 5000,
            content: Content {
                level: 1,
                ids: vec![Id::from_bytes([0xee; 32])],
            },
            extents: Some(vec![(0, 300), (4096, 904)]),
            changed: true,
        },
    };
    let dir = Content {
        level: 0,
        ids: vec![Id::from_bytes([0xdd; 32])],
    };
    let target = b"../a".to_vec();
    vec![
        full,
        node(
            b"b",
            NodeKind::Dir {
                content: dir,
                partial: true,
            },
        ),
        node(b"c\xff", NodeKind::Symlink { target }),
        node(b"d", NodeKind::CharDevice { major: 1, minor: 3 }),
        node(
            b"e",
            NodeKind::BlockDevice {
                major: 8,
                minor: 300,
            },
        ),
        node(b"f", NodeKind::Fifo),
        node(b"g", NodeKind::Socket),
    ]
}

#[test]
fn a_chunk_has_the_bytes_of_the_format() {
    let golden = [
        "01",                   // version
        "5f",                   // body length
        "0161",                 // name
        "01",                   // file
        "3f",                   // all flags
        "ed13",                 // mode
        "e807",                 // uid
        "64",                   // gid
        "03",                   // -2 s
        "ff93ebdc03",           // nanoseconds
        "03616e6e",             // user
        "00",                   // group
        "808004",               // device
        "ffffffffffffffffff01", // inode
        "02",                   // attributes
        "06757365722e610131",
        "06757365722e6200",
        "8827", // size
        "01",   // level
        "01",   // ids
        &"ee".repeat(32),
        "02", // extents
        "00ac02",
        "80208807",
        "2b",           // body length
        "0162",         // name
        "02",           // directory
        "200000000000", // flags: not all of it is there; mode, uid, gid, time
        "0001",         // level, ids
        &"dd".repeat(32),
        "0f", // body length
        "0263ff",
        "03", // symlink
        "000000000000",
        "042e2e2f61",
        "0b0164",
        "04", // character device
        "0000000000000103",
        "0c0165",
        "05", // block device
        "00000000000008ac02",
        "090166",
        "06", // FIFO
        "000000000000",
        "090167",
        "07", // socket
        "000000000000",
    ]
    .concat();
    let nodes = every_type();
    let chunks = encode(&nodes);
    assert_eq!(chunks.len(), 1);
    assert_eq!(hex::encode(&chunks[0]), golden);
    assert_eq!(decode(&chunks).unwrap(), nodes);
}

#[test]
fn an_empty_directory_has_no_chunk() {
    assert_eq!(TreeWriter::new().finish(), None);
    assert_eq!(decode(&[]).unwrap(), []);
}

#[test]
fn no_cut_and_no_flipped_bit_goes_wrong() {
    let nodes = every_type();
    let chunk = encode(&nodes).remove(0);
    for len in 0..chunk.len() {
        match decode(&[chunk[..len].to_vec()]) {
            // A cut between entries leaves a directory with fewer of them.
            Ok(fewer) => assert_eq!(fewer[..], nodes[..fewer.len()], "cut to {len}"),
            Err(TreeError::Malformed { at, .. }) => assert!(at <= len),
            Err(error) => panic!("cut to {len}: {error}"),
        }
    }
    for bit in 0..chunk.len() * 8 {
        let mut flipped = chunk.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = decode(&[flipped.clone()]) {
            assert_ne!(other, nodes, "bit {bit}");
            assert_eq!(encode(&other), [flipped], "bit {bit}");
        }
    }
}

/// A chunk of one entry with this body.
fn chunk(body: &[u8]) -> Vec<u8> {
    let mut chunk = vec![VERSION];
    varint::put(&mut chunk, body.len() as u64);
    chunk.extend_from_slice(body);
    chunk
}

/// The body of an entry without owner, times and flags but these.
fn body(name: &[u8], kind: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![name.len() as u8];
    body.extend_from_slice(name);
    body.extend_from_slice(&[kind, flags, 0, 0, 0, 0, 0]);
    body.extend_from_slice(rest);
    body
}

fn refusal(chunk: &[u8]) -> String {
    TreeDecoder::new()
        .decode_chunk(chunk)
        .unwrap_err()
        .to_string()
}

#[test]
fn counts_are_compared_with_what_is_there() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let with = |before: &[u8]| [before, &huge].concat();
    for (body, at) in [
        (with(&[]), 12),
        (body(b"x", 1, 0, &with(&[9, 0])), 23),
        (body(b"x", 2, 0, &with(&[0])), 22),
        (body(b"x", 3, 0, &huge), 21),
        (body(b"x", 1, 16, &with(&[9, 0, 0])), 24),
        (body(b"x", 6, 1, &huge), 21),
        (body(b"x", 6, 2, &huge), 21),
        (body(b"x", 6, 8, &huge), 21),
        (body(b"x", 6, 8, &with(&[1])), 22),
        (body(b"x", 6, 8, &with(&[1, 1, b'a'])), 24),
    ] {
        let expected = format!("a tree chunk is malformed at byte {at}: it is cut off");
        assert_eq!(refusal(&chunk(&body)), expected);
    }
    assert_eq!(
        refusal(&with(&[VERSION])),
        "a tree chunk is malformed at byte 11: it is cut off"
    );
}

#[test]
fn what_contradicts_the_format_is_refused() {
    let fifo = |name: &[u8]| refusal(&chunk(&body(name, 6, 0, &[])));
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0"] {
        assert!(fifo(name).contains("its name"), "{name:?}");
    }
    let long = body(b"", 6, 0, &[]);
    let long = [&[0x80, 2][..], &[b'a'; 256], &long[1..]].concat();
    assert!(refusal(&chunk(&long)).contains("longer than 255 bytes"));

    let entry = |kind, flags, rest: &[u8]| refusal(&chunk(&body(b"x", kind, flags, rest)));
    let malformed =
        |at: usize, problem: &str| format!("a tree chunk is malformed at byte {at}: {problem}");
    let unknown = |what: &str| format!("a tree chunk has {what}, which this version does not know");
    assert_eq!(entry(0, 0, &[]), unknown("an entry of type 0"));
    assert_eq!(entry(8, 0, &[]), unknown("an entry of type 8"));
    assert_eq!(entry(1, 64, &[0, 0, 0]), unknown("an entry with flags 64"));
    assert_eq!(entry(2, 16, &[0, 0]), unknown("an entry with flags 16"));
    assert_eq!(entry(6, 32, &[]), unknown("an entry with flags 32"));
    assert_eq!(refusal(&[2]), unknown("version 2"));
    assert_eq!(
        entry(6, 0, &[0]),
        malformed(11, "an entry is longer than what it holds")
    );
    assert_eq!(
        entry(2, 0, &[5, 0]),
        malformed(12, "lists of chunks are nested too deeply")
    );
    assert_eq!(
        entry(2, 0, &[0x80, 0, 0]),
        malformed(11, "a number is longer than it need be")
    );
    let u32_max = [0x80, 0x80, 0x80, 0x80, 0x10, 0];
    assert_eq!(
        entry(4, 0, &u32_max),
        malformed(16, "a number is too large")
    );
    let no_attributes = "an entry has a list of no extended attributes";
    assert_eq!(entry(6, 8, &[0]), malformed(12, no_attributes));
    for attributes in [
        &[2, 1, b'b', 0, 1, b'a', 0][..],
        &[2, 1, b'a', 0, 1, b'a', 1],
        &[1, 0, 1, 0],
    ] {
        assert!(entry(6, 8, attributes).contains("extended attributes are not in order"));
    }
    for (extents, problem) in [
        (&[1, 0, 0][..], "an extent is empty"),
        (&[1, 5, 5], "an extent lies beyond its end"),
        (&[2, 4, 1, 0, 1], "its extents overlap or are not in order"),
        (&[2, 0, 5, 4, 1], "its extents overlap or are not in order"),
        (
            &[
                1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1,
            ],
            "an extent lies beyond its end",
        ),
    ] {
        let rest = [&[9, 0, 0][..], extents].concat();
        assert_eq!(entry(1, 16, &rest), malformed(14 + extents.len(), problem));
    }
    let mode = [1, b'x', 6, 0, 0x80, 0x20, 0, 0, 0, 0];
    assert!(refusal(&chunk(&mode)).contains("a mode has more than 12 bits"));
    let nanos = [1, b'x', 6, 0, 0, 0, 0, 0, 0x80, 0x94, 0xeb, 0xdc, 3];
    assert!(refusal(&chunk(&nanos)).contains("a second or more of nanoseconds"));
    assert!(refusal(&vec![VERSION; MAX_CHUNK + 1]).contains("larger than any chunk"));
}

#[test]
fn names_are_in_order_over_all_chunks() {
    let one = |name: &[u8]| chunk(&body(name, 6, 0, &[]));
    assert!(decode(&[one(b"a"), one(b"b")]).is_ok());
    for second in [&b"b"[..], b"a"] {
        let error = decode(&[one(b"b"), one(second)]).unwrap_err().to_string();
        assert!(error.contains("names are not in order"), "{error}");
    }

    let mut writer = TreeWriter::new();
    writer.push(&file(b"b", 1, 1)).unwrap();
    for name in [&b"b"[..], b"a", b"", b"..", b"c/d"] {
        assert!(writer.push(&file(name, 1, 1)).is_err(), "{name:?}");
    }
    writer.push(&file(b"c", 1, 1)).unwrap();
    let chunk = writer.finish().unwrap();
    assert_eq!(decode(&[chunk]).unwrap().len(), 2);
    // It may be used for another directory then.
    writer.push(&file(b"a", 1, 1)).unwrap();
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let refused = |change: &dyn Fn(&mut Node)| {
        let mut node = every_type().remove(0);
        change(&mut node);
        let error = TreeWriter::new().push(&node).unwrap_err().to_string();
        error
            .strip_prefix("the entry \"a\" cannot be stored: ")
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        refused(&|node| node.meta.mtime.nanos = 1_000_000_000),
        "its time has a second or more of nanoseconds"
    );
    assert_eq!(
        refused(&|node| node.meta.xattrs[1].0 = b"user.a".to_vec()),
        "it has an extended attribute twice"
    );
    assert_eq!(
        refused(&|node| node.meta.xattrs[0].0.clear()),
        "an extended attribute has no name"
    );
    assert_eq!(
        refused(&|node| node.meta.xattrs[0].1 = vec![0; 8 << 20]),
        "it is larger than 8 MiB"
    );
    assert_eq!(
        refused(&|node| {
            if let NodeKind::File { size, .. } = &mut node.kind {
                *size = 4999;
            }
        }),
        "an extent lies beyond its end"
    );
    assert_eq!(
        refused(&|node| {
            if let NodeKind::File { content, .. } = &mut node.kind {
                content.level = 5;
            }
        }),
        "its lists of chunks are nested too deeply"
    );
}

#[test]
fn attributes_are_sorted_and_mode_is_cut() {
    let mut node = every_type().remove(0);
    let sorted = encode([&node]);
    node.meta.xattrs.reverse();
    node.meta.mode |= 0o100_000;
    assert_eq!(encode([&node]), sorted);
}

#[test]
fn an_insertion_into_a_large_directory_changes_few_chunks() {
    // Small entries, and such with long lists of chunks.
    for (count, ids) in [(200_000, 1), (3_000, 700)] {
        let name = |n: u64| format!("img-{n:08}.jpg").into_bytes();
        let mut nodes: Vec<Node> = (0..count).map(|n| file(&name(n * 2), n, ids)).collect();
        let before = encode(&nodes);
        let mean = before.iter().map(Vec::len).sum::<usize>() / before.len();
        assert!(
            (200 << 10..320 << 10).contains(&mean),
            "{mean} bytes on average"
        );
        assert!(before.iter().all(|chunk| chunk.len() <= 1 << 20));
        let last = before.len() - 1;
        assert!(before[..last].iter().all(|chunk| chunk.len() >= 64 << 10));
        assert_eq!(decode(&before).unwrap(), nodes);
        let known: HashSet<&Vec<u8>> = before.iter().collect();
        let (mut most, mut sum) = (0, 0);
        for at in (1..20).map(|part| part * count as usize / 20) {
            let fresh = file(&name(at as u64 * 2 - 1), 7, ids);
            nodes.insert(at, fresh);
            let changed = encode(&nodes)
                .iter()
                .filter(|chunk| !known.contains(chunk))
                .count();
            nodes.remove(at);
            most = most.max(changed);
            sum += changed;
        }
        assert!(most <= 4 && sum <= 19 * 2, "at most {most}, {sum} in 19");
    }
}

#[test]
fn large_entries_have_chunks_of_their_own() {
    let large = |name: &[u8], len: usize| {
        let mut node = file(name, 1, 1);
        node.meta.xattrs = vec![(b"user.blob".to_vec(), vec![1; len])];
        node
    };
    let nodes = [
        large(b"a", 100),
        large(b"b", (8 << 20) - 100),
        large(b"c", (8 << 20) - 100),
        large(b"d", 900 << 10),
        large(b"e", 900 << 10),
        large(b"f", 100),
    ];
    let chunks = encode(&nodes);
    assert!(chunks.iter().all(|chunk| chunk.len() <= 8 << 20));
    assert!(chunks.len() >= 5);
    assert_eq!(decode(&chunks).unwrap(), nodes);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..12)
}

fn content() -> impl Strategy<Value = Content> {
    let ids = prop::collection::vec(any::<u64>().prop_map(id), 0..4);
    (0..=MAX_LEVEL, ids).prop_map(|(level, ids)| Content { level, ids })
}

prop_compose! {
    fn metadata()(
        mode in 0u32..=MODE_MASK,
        (uid, gid) in any::<(u32, u32)>(),
        secs in any::<i64>(),
        nanos in 0..NANOS_PER_SEC,
        user in prop::option::of(bytes()),
        group in prop::option::of(bytes()),
        hardlink in prop::option::of(any::<(u64, u64)>()),
        xattrs in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..9), bytes(), 0..3),
    ) -> Metadata {
        let mtime = Time { secs, nanos };
        let xattrs = xattrs.into_iter().collect();
        Metadata { mode, uid, gid, mtime, user, group, hardlink, xattrs }
    }
}

fn extents() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0u64..1 << 50, 1u64..1 << 50), 0..4).prop_map(|gaps| {
        let mut end = 0;
        let next = |(gap, len)| {
            let start = end + gap;
            end = start + len;
            (start, len)
        };
        gaps.into_iter().map(next).collect()
    })
}

fn kind() -> impl Strategy<Value = NodeKind> {
    prop_oneof![
        4 => (content(), prop::option::of(extents()), any::<(bool, u32)>()).prop_map(
            |(content, extents, (changed, rest))| {
                let last = extents.as_ref().and_then(|list| list.last().copied()).unwrap_or_default();
                let size = last.0 + last.1 + u64::from(rest);
                NodeKind::File { size, content, extents, changed }
            }
        ),
        1 => (content(), any::<bool>()).prop_map(|(content, partial)| NodeKind::Dir { content, partial }),
        1 => bytes().prop_map(|target| NodeKind::Symlink { target }),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| NodeKind::CharDevice { major, minor }),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| NodeKind::BlockDevice { major, minor }),
        1 => Just(NodeKind::Fifo),
        1 => Just(NodeKind::Socket),
    ]
}

fn directory() -> impl Strategy<Value = Vec<Node>> {
    let name = prop::collection::vec(any::<u8>(), 1..20)
        .prop_filter("it must be a name", |name| name_problem(name).is_none());
    prop::collection::btree_map(name, (metadata(), kind()), 0..12).prop_map(
        |entries: BTreeMap<Vec<u8>, (Metadata, NodeKind)>| {
            let node = |(name, (meta, kind))| Node { name, meta, kind };
            entries.into_iter().map(node).collect()
        },
    )
}

proptest! {
    #[test]
    fn directories_round_trip(nodes in directory()) {
        prop_assert_eq!(decode(&encode(&nodes)).unwrap(), nodes);
    }

    #[test]
    fn damage_is_noticed_or_another_directory(
        nodes in directory(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut chunks = encode(&nodes);
        if let Some(chunk) = chunks.first_mut() {
            let at = at.index(chunk.len());
            if chunk[at] != value {
                chunk[at] = value;
                if let Ok(other) = decode(&chunks) {
                    prop_assert_ne!(&other, &nodes);
                    prop_assert_eq!(encode(&other), chunks);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut chunk in prop::collection::vec(any::<u8>(), 1..100)) {
        let _ = TreeDecoder::new().decode_chunk(&chunk);
        chunk[0] = VERSION;
        if let Ok(nodes) = TreeDecoder::new().decode_chunk(&chunk)
            && !nodes.is_empty()
        {
            prop_assert_eq!(encode(&nodes), [chunk]);
        }
    }
}
