#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read};

use proptest::prelude::*;

use super::*;

mod reference;

const BOTH: [ChunkerId; 2] = [ChunkerId::GearKeyed, ChunkerId::Prf];
const SECRET: [u8; 32] = [0x5a; 32];
const SMALL: ChunkerParams = ChunkerParams {
    min: 1 << 10,
    avg: 4 << 10,
    max: 16 << 10,
};

fn random(len: usize, seed: &str) -> Vec<u8> {
    let mut data = vec![0; len];
    let mut stream = blake3::Hasher::new().update(seed.as_bytes()).finalize_xof();
    stream.fill(&mut data);
    data
}

fn chunker(id: ChunkerId, params: ChunkerParams) -> Chunker {
    Chunker::new(id, params, &SECRET).unwrap()
}

fn lengths(chunker: &Chunker, mut data: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while !data.is_empty() {
        let length = chunker.cut(data);
        lengths.push(length);
        data = &data[length..];
    }
    lengths
}

fn fingerprint(lengths: &[usize]) -> String {
    let mut hasher = blake3::Hasher::new();
    for &length in lengths {
        hasher.update(&(length as u32).to_le_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Gives out `data` in reads of the given sizes, in a circle; a size of 0 is an interruption.
struct Dribble<'a> {
    data: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Dribble<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.sizes.next() {
            Some(0) => Err(ErrorKind::Interrupted.into()),
            Some(&size) => {
                let count = size.min(buf.len());
                self.data.read(&mut buf[..count])
            }
            None => Ok(0),
        }
    }
}

fn streamed(buffer: &mut ChunkBuffer, reader: impl Read) -> Vec<Vec<u8>> {
    let mut stream = buffer.stream(reader);
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.next_chunk().unwrap() {
        chunks.push(chunk.to_vec());
    }
    assert!(stream.next_chunk().unwrap().is_none());
    chunks
}

// If one of the next two fails, existing vaults stop deduplicating against new data.

#[test]
fn golden_boundaries_with_default_sizes() {
    let data = random(8 << 20, "golden");
    let cuts = BOTH.map(|id| lengths(&chunker(id, ChunkerParams::default()), &data));
    assert_eq!(
        cuts[0],
        [
            960365, 968967, 1117659, 1354923, 1060300, 1033322, 1161897, 731175
        ]
    );
    assert_eq!(
        cuts[1],
        [
            1794522, 1333145, 700242, 1110460, 1097132, 1322204, 725907, 304996
        ]
    );
}

#[test]
fn golden_boundaries_with_small_sizes() {
    let data = random(8 << 20, "golden");
    let cuts = BOTH.map(|id| lengths(&chunker(id, SMALL), &data));
    assert_eq!(
        cuts[0][..8],
        [4154, 5697, 5210, 4161, 5846, 4419, 4187, 2107]
    );
    assert_eq!(
        cuts[1][..8],
        [4360, 4898, 4228, 4343, 4904, 4184, 5752, 2338]
    );
    assert_eq!(cuts.each_ref().map(|cuts| cuts.len()), [1766, 1787]);
    assert_eq!(
        cuts.each_ref().map(|cuts| fingerprint(cuts)),
        ["55419e44029b1c71", "9767a75aa6df95ca"]
    );
}

#[test]
fn sizes_stay_within_limits_and_near_the_average() {
    let data = random(8 << 20, "sizes");
    for id in BOTH {
        let cuts = lengths(&chunker(id, SMALL), &data);
        let (last, others) = cuts.split_last().unwrap();
        let allowed = SMALL.min as usize..=SMALL.max as usize;
        assert!(others.iter().all(|length| allowed.contains(length)));
        assert!(*last <= SMALL.max as usize);
        assert_eq!(cuts.iter().sum::<usize>(), data.len());
        let mean = data.len() as f64 / cuts.len() as f64 / f64::from(SMALL.avg);
        assert!((0.7..=1.3).contains(&mean), "{id}: {mean}");
    }
}

#[test]
fn zeros_are_cut_at_the_maximum() {
    let data = vec![0; 3 * SMALL.max as usize + 5];
    let max = SMALL.max as usize;
    for id in BOTH {
        assert_eq!(lengths(&chunker(id, SMALL), &data), [max, max, max, 5]);
    }
}

#[test]
fn short_files() {
    for id in BOTH {
        let mut buffer = ChunkBuffer::new(chunker(id, SMALL));
        assert!(streamed(&mut buffer, io::empty()).is_empty());
        for len in [1, 63, 64, 65, 1023, 1024] {
            let data = random(len, "short");
            assert_eq!(streamed(&mut buffer, &data[..]), [data]);
        }
    }
}

#[test]
fn the_secret_decides() {
    let data = random(1 << 20, "secrets");
    for id in BOTH {
        let ends = |secret: [u8; 32]| -> HashSet<usize> {
            let chunker = Chunker::new(id, SMALL, &secret).unwrap();
            let mut end = 0;
            let cuts = lengths(&chunker, &data).into_iter();
            cuts.map(|length| {
                end += length;
                end
            })
            .collect()
        };
        let mut other = SECRET;
        other[31] ^= 1;
        assert_eq!(ends(SECRET), ends(SECRET));
        // The end of the data, and a coincidence or two.
        assert!(ends(SECRET).intersection(&ends(other)).count() < 5);
    }
}

#[test]
fn agrees_with_the_reference() {
    let sizes = [
        (64, 128, 256),
        (64, 1024, 70_000),
        (300, 512, 5000),
        (20_000, 32_768, 50_000),
    ];
    let mut runs = random(100_000, "runs");
    for run in runs.chunk_by_mut(|a, b| a & 0xf0 != b & 0xf0) {
        run.fill(run[0] & 3);
    }
    let inputs = [
        random(100_000, "reference"),
        // Two letters only, then a short period, then long runs.
        random(100_000, "letters").iter().map(|b| b & 1).collect(),
        (0..100_000_u32).map(|i| (i % 77) as u8).collect(),
        runs,
    ];
    for id in BOTH {
        for (min, avg, max) in sizes {
            let params = ChunkerParams { min, avg, max };
            let fast = chunker(id, params);
            let slow = reference::Reference::new(id, params, &SECRET);
            for data in &inputs {
                assert_eq!(lengths(&fast, data), slow.lengths(data), "{id} {params:?}");
            }
        }
    }
}

#[test]
fn a_failed_read_can_be_tried_again() {
    struct FailsOnce<'a>(&'a [u8], bool);
    impl Read for FailsOnce<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.0.len() < 100_000 && !std::mem::replace(&mut self.1, true) {
                return Err(ErrorKind::TimedOut.into());
            }
            let count = buf.len().min(50_000);
            self.0.read(&mut buf[..count])
        }
    }
    let data = random(1 << 20, "errors");
    let mut buffer = ChunkBuffer::new(chunker(ChunkerId::GearKeyed, SMALL));
    let mut stream = buffer.stream(FailsOnce(&data, false));
    let (mut read, mut failures) = (Vec::new(), 0);
    loop {
        match stream.next_chunk() {
            Ok(Some(chunk)) => read.extend_from_slice(chunk),
            Ok(None) => break,
            Err(_) => failures += 1,
        }
    }
    assert_eq!(failures, 1);
    assert!(read == data);
}

#[test]
fn sizes_are_checked() {
    let check = |min, avg, max| ChunkerParams { min, avg, max }.validate();
    assert_eq!(ChunkerParams::default().validate(), Ok(()));
    assert_eq!(check(64, 128, 129), Ok(()));
    assert_eq!(check(64, 8 << 20, 16 << 20), Ok(()));
    let errors = [
        check(63, 128, 256),
        check(64, 128, (16 << 20) + 1),
        check(64, 129, 256),
        check(64, 0, 256),
        check(128, 128, 256),
        check(64, 256, 256),
    ];
    let messages = errors.map(|result| result.unwrap_err().to_string());
    insta::assert_snapshot!(messages.join("\n"), @r"
    the minimum chunk size is 63 bytes; at least 64 are needed
    the maximum chunk size is 16777217 bytes; 16777216 are allowed
    the average chunk size is 129 bytes, not a power of two
    the average chunk size is 0 bytes, not a power of two
    chunk sizes must grow from minimum to average to maximum, not 128, 128, 256
    chunk sizes must grow from minimum to average to maximum, not 64, 256, 256
    ");
}

#[test]
fn names_in_the_configuration() {
    for id in BOTH {
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    }
    assert_eq!(BOTH.map(ChunkerId::as_str), ["gear-keyed", "prf"]);
    let json = serde_json::to_string(&ChunkerParams::default()).unwrap();
    assert_eq!(json, r#"{"min":524288,"avg":1048576,"max":4194304}"#);
}

#[test]
fn debug_output_holds_no_secret() {
    let text = format!("{:?}", chunker(ChunkerId::Prf, SMALL));
    assert_eq!(
        text,
        "Chunker { id: Prf, params: ChunkerParams { min: 1024, avg: 4096, max: 16384 }, .. }"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn boundaries_do_not_depend_on_read_sizes(
        mut sizes in prop::collection::vec(prop_oneof![Just(0_usize), 1..40_usize, 1..90_000_usize], 0..20),
        len in 0..1_500_000_usize,
        id in prop::sample::select(&BOTH),
    ) {
        sizes.push(3000); // Interruptions alone would never end.
        let data = random(len, "reads");
        let chunker = chunker(id, SMALL);
        let whole = lengths(&chunker, &data);
        let reader = Dribble { data: &data, sizes: sizes.iter().cycle() };
        let chunks = streamed(&mut ChunkBuffer::new(chunker), reader);
        prop_assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), whole);
        prop_assert!(chunks.concat() == data);
    }

    #[test]
    fn an_inserted_byte_changes_few_chunks(
        at in 0..5000_usize,
        byte: u8,
        seed: u32,
        id in prop::sample::select(&BOTH),
    ) {
        let data = random(1 << 20, &seed.to_string());
        let mut longer = data.clone();
        longer.insert(at, byte);
        let mut buffer = ChunkBuffer::new(chunker(id, SMALL));
        let before: HashSet<_> = streamed(&mut buffer, &data[..]).into_iter().collect();
        let after = streamed(&mut buffer, &longer[..]);
        let new = after.iter().filter(|chunk| !before.contains(*chunk)).count();
        // Of some 230. Without content-defined cuts all would be new.
        prop_assert!(new <= 60, "{} of {}", new, after.len());
    }
}
