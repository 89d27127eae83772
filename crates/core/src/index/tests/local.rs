//! The local index against a plain model, and against damage.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::index::writer::HEADER;

fn open(dir: &TempDir) -> LocalIndex {
    LocalIndex::open(dir.path()).unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|found| found.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Packs that hold a chunk, in order.
fn packs_of(index: &LocalIndex, chunk: Id) -> Vec<Id> {
    let mut packs: Vec<Id> = index
        .lookup_all(&chunk)
        .unwrap()
        .iter()
        .map(|place| place.pack)
        .collect();
    packs.sort();
    packs.dedup();
    packs
}

#[derive(Clone, Debug)]
enum Step {
    Add(Segment),
    /// Every so many objects goes, and what is missing then is added again.
    Retain(usize),
    Merge,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_segment().prop_map(Step::Add),
        1 => (2usize..6).prop_map(Step::Retain),
        1 => Just(Step::Merge),
        1 => Just(Step::Reopen),
    ]
}

/// What the index should hold: objects by id.
type Model = BTreeMap<Id, Segment>;

fn compare(index: &LocalIndex, model: &Model) {
    let covered: BTreeSet<Id> = index.covered().collect();
    assert!(covered.iter().eq(model.keys()));
    let mut places: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    let mut packs = BTreeMap::new();
    let (mut published, mut forgotten) = (HashSet::new(), HashSet::new());
    for segment in model.values() {
        packs.extend(segment.packs.iter().copied());
        published.extend(&segment.published);
        forgotten.extend(&segment.forgotten);
        for entry in &segment.entries {
            let pack = segment.packs[entry.pack as usize].0;
            places.entry(entry.id).or_default().insert(pack);
        }
    }
    assert_eq!(index.packs().collect::<BTreeMap<_, _>>(), packs);
    assert_eq!(index.published(), published);
    assert_eq!(index.forgotten(), forgotten);
    for chunk in (0..70).map(id) {
        let expected: Vec<Id> = places.get(&chunk).into_iter().flatten().copied().collect();
        assert_eq!(packs_of(index, chunk), expected);
        for pack in &expected {
            let found = index
                .lookup_where(&chunk, &|other| other == pack)
                .unwrap()
                .unwrap();
            assert_eq!((found.pack, found.raw_len), (*pack, 1000));
        }
        let other = |pack: &Id| !expected.contains(pack);
        assert_eq!(index.lookup_where(&chunk, &other).unwrap(), None);
    }
    let Ok(frozen) = index.frozen() else {
        return;
    };
    let mut seen = Vec::new();
    let mut next = 0;
    frozen
        .for_each(&mut |position, entry, pack, size| {
            assert_eq!(position, next);
            assert_eq!(packs[pack], size);
            next += 1;
            seen.push((entry.id, *pack));
        })
        .unwrap();
    assert!(seen.is_sorted_by_key(|(chunk, _)| *chunk));
    assert_eq!(frozen.len(), seen.len() as u64);
    for chunk in (0..70).map(id) {
        let first = seen.iter().position(|(other, _)| *other == chunk);
        assert_eq!(frozen.position(&chunk).unwrap(), first.map(|at| at as u64));
    }
    let flat: BTreeSet<(Id, Id)> = seen.iter().copied().collect();
    assert_eq!(flat.len(), seen.len(), "no place comes twice");
    let expected = places
        .iter()
        .flat_map(|(chunk, packs)| packs.iter().map(|pack| (*chunk, *pack)));
    assert!(flat.into_iter().eq(expected));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn it_holds_what_was_added(steps in prop::collection::vec(step(), 1..40)) {
        let dir = TempDir::new().unwrap();
        let mut index = open(&dir);
        let mut model = Model::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Add(segment) => {
                    let object = id(1000 + number as u64);
                    index.add(&[object], &segment).unwrap();
                    model.insert(object, segment);
                }
                Step::Retain(every) => {
                    let mut count = 0;
                    model.retain(|_, _| {
                        count += 1;
                        count % every != 0
                    });
                    index.retain(&|object| model.contains_key(object)).unwrap();
                    let covered: HashSet<Id> = index.covered().collect();
                    for (object, segment) in &model {
                        if !covered.contains(object) {
                            index.add(&[*object], segment).unwrap();
                        }
                    }
                }
                Step::Merge => {
                    index.merge_all().unwrap();
                    prop_assert!(index.frozen().is_ok());
                }
                Step::Reopen => index = open(&dir),
            }
            compare(&index, &model);
        }
        prop_assert!(files(dir.path()).len() < 7);
        index.merge_all().unwrap();
        compare(&index, &model);
        compare(&open(&dir), &model);
    }
}

#[test]
fn many_chunks_are_found_among_fences() {
    let dir = TempDir::new().unwrap();
    let mut index = open(&dir);
    let (segments, each) = (11, 5000);
    for number in 0..segments {
        let chunks = (number * each..(number + 1) * each).map(|chunk| (chunk, 0));
        index
            .add(
                &[id(1 << 40 | number)],
                &segment(&[1 << 41 | number], chunks),
            )
            .unwrap();
    }
    let check = |index: &LocalIndex| {
        assert_eq!(index.len(), segments * each);
        for chunk in 0..segments * each {
            let place = index.lookup_where(&id(chunk), &|_| true).unwrap().unwrap();
            assert_eq!(place.pack, id(1 << 41 | (chunk / each)));
            assert_eq!(place.offset, chunk as u32 % 1000);
        }
        for chunk in segments * each..2 * segments * each {
            assert_eq!(index.lookup_where(&id(chunk), &|_| true).unwrap(), None);
        }
    };
    check(&index);
    assert!(matches!(index.position(&id(0)), Err(IndexError::NotMerged)));
    index.merge_all().unwrap();
    check(&index);
    let index = open(&dir);
    check(&index);
    let mut ids = Vec::new();
    index
        .for_each(&mut |_, entry, _, _| ids.push(entry.id))
        .unwrap();
    for (at, chunk) in ids.iter().enumerate() {
        assert_eq!(index.position(chunk).unwrap(), Some(at as u64));
    }
}

#[test]
fn ids_need_not_be_random() {
    let dir = TempDir::new().unwrap();
    let mut index = open(&dir);
    // All in one place, and one of them in very many packs.
    let near = |n: u32| {
        let mut bytes = [7; 32];
        bytes[28..].copy_from_slice(&n.to_be_bytes());
        Id::from_bytes(bytes)
    };
    let packs: Vec<(Id, u64)> = (0..3000).map(|pack| (id(pack), 1 << 20)).collect();
    let mut entries: Vec<Entry> = (0..5000).map(|n| entry(near(n * 2), 0, n)).collect();
    entries.extend((1..3000).map(|pack| entry(near(4000), pack, 5)));
    entries.push(entry(Id::ZERO, 0, 0));
    entries.push(entry(Id::from_bytes([0xff; 32]), 0, 0));
    entries.sort_by_key(|entry| (entry.id, entry.pack));
    let segment = Segment {
        packs,
        entries,
        ..Segment::default()
    };
    index.add(&[id(0)], &segment).unwrap();
    for n in 0..5000 {
        let expected = if n == 2000 { 3000 } else { 1 };
        assert_eq!(packs_of(&index, near(n * 2)).len(), expected);
        assert_eq!(index.lookup_all(&near(n * 2 + 1)).unwrap(), []);
    }
    for end in [0, 0xff] {
        assert_eq!(packs_of(&index, Id::from_bytes([end; 32])), [id(0)]);
    }
    assert_eq!(index.position(&near(4000)).unwrap(), Some(2001));
    assert_eq!(index.position(&near(4002)).unwrap(), Some(2001 + 3000));
}

#[test]
fn the_same_place_stays_once_and_packs_are_joined() {
    let dir = TempDir::new().unwrap();
    let mut index = open(&dir);
    let mut other = segment(&[11, 10], [(1, 1), (2, 0), (3, 1)]);
    other.packs[1].1 = 2 << 20;
    index
        .add(&[id(100)], &segment(&[10], [(1, 0), (2, 0)]))
        .unwrap();
    index.add(&[id(101)], &other).unwrap();
    assert_eq!(index.len(), 5);
    index.merge_all().unwrap();
    assert_eq!(index.len(), 4);
    let packs: BTreeSet<(Id, u64)> = index.packs().collect();
    assert_eq!(
        packs,
        BTreeSet::from([(id(10), 2 << 20), (id(11), 1 << 20)])
    );
    assert_eq!(index.packs().count(), 2);
    let before = files(dir.path());
    index.add(&[id(101)], &other).unwrap();
    assert_eq!(files(dir.path()), before, "it was covered already");
}

#[test]
fn a_frozen_index_stays_as_it_is() {
    let dir = TempDir::new().unwrap();
    let mut index = open(&dir);
    assert_eq!(index.frozen().unwrap().len(), 0);
    assert!(index.frozen().unwrap().is_empty());
    index
        .add(&[id(100)], &segment(&[10], [(1, 0), (2, 0)]))
        .unwrap();
    let frozen = index.frozen().unwrap();
    let position = frozen.position(&id(2)).unwrap();
    index
        .add(&[id(101)], &segment(&[11], (3..2000).map(|n| (n, 0))))
        .unwrap();
    assert!(matches!(index.frozen(), Err(IndexError::NotMerged)));
    index.merge_all().unwrap();
    index.retain(&|_| false).unwrap();
    assert!(index.is_empty());
    assert_eq!(files(dir.path()), [] as [PathBuf; 0]);
    assert_eq!(frozen.len(), 2);
    assert_eq!(frozen.position(&id(2)).unwrap(), position);
    assert_eq!(frozen.position(&id(3)).unwrap(), None);
}

#[test]
fn unsorted_segments_are_not_added() {
    let dir = TempDir::new().unwrap();
    let mut index = open(&dir);
    let mut wrong = segment(&[10], [(1, 0), (2, 0)]);
    wrong.entries.reverse();
    assert!(index.add(&[id(100)], &wrong).is_err());
    assert_eq!(index.covered().count(), 0);
    assert_eq!(files(dir.path()), [] as [PathBuf; 0]);
}

#[test]
fn files_are_for_the_owner_only() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("a/b");
    let mut index = LocalIndex::open(&inner).unwrap();
    index.add(&[id(100)], &segment(&[10], [(1, 0)])).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&files(&inner)[0]), 0o600);
}

/// An index of one file, its bytes, and where they lie.
fn one_file(dir: &TempDir, chunks: u64) -> (PathBuf, Vec<u8>) {
    let mut content = segment(
        &[10, 11],
        (0..chunks).map(|chunk| (chunk, chunk as u32 % 2)),
    );
    content.published = vec![id(50)];
    content.forgotten = vec![id(51)];
    open(dir).add(&[id(100)], &content).unwrap();
    let path = files(dir.path()).remove(0);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn torn_files_are_dropped() {
    let dir = TempDir::new().unwrap();
    let (path, bytes) = one_file(&dir, 20);
    for len in (0..bytes.len()).chain([bytes.len() + 1]) {
        let mut torn = bytes.clone();
        torn.resize(len, 0);
        fs::write(&path, torn).unwrap();
        assert_eq!(open(&dir).covered().count(), 0, "cut to {len}");
        assert_eq!(files(dir.path()), [] as [PathBuf; 0]);
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(open(&dir).len(), 20);
}

#[test]
fn no_flipped_bit_is_believed() {
    let dir = TempDir::new().unwrap();
    let (path, bytes) = one_file(&dir, 20);
    let entries = HEADER..HEADER + 20 * Entry::LEN;
    // The last bytes of the header mean nothing.
    for at in (0..104).chain(HEADER..bytes.len()) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, flipped).unwrap();
        let mut index = open(&dir);
        if !entries.contains(&at) {
            assert_eq!(index.covered().count(), 0, "byte {at}");
            continue;
        }
        // Lookups may not see it, reading everything does.
        for chunk in 0..20 {
            let _ = index.lookup_all(&id(chunk));
        }
        let error = index.for_each(&mut |_, _, _, _| {}).unwrap_err();
        assert!(
            matches!(error, IndexError::Damaged { .. }),
            "byte {at}: {error}"
        );
        assert_eq!(files(dir.path()), [] as [PathBuf; 0]);
        index.add(&[id(101)], &segment(&[12], [(7, 0)])).unwrap();
        assert!(matches!(index.merge_all(), Err(IndexError::Damaged { .. })));
        assert!(index.covered().eq([id(101)]));
        index.merge_all().unwrap();
        assert_eq!(index.len(), 1);
        index.retain(&|_| false).unwrap();
    }
}

#[test]
fn tiers_are_merged_without_damaged_files() {
    let dir = TempDir::new().unwrap();
    let (path, mut bytes) = one_file(&dir, 20);
    bytes[HEADER + 3 * Entry::LEN + 36] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut index = open(&dir);
    for number in 0..4 {
        index
            .add(&[id(101 + number)], &segment(&[12], [(1000 + number, 0)]))
            .unwrap();
    }
    let covered: BTreeSet<Id> = index.covered().collect();
    assert_eq!(covered, (101..105).map(id).collect());
    assert_eq!(index.len(), 4);
}

#[test]
fn pages_that_never_reached_the_disk_are_noticed() {
    let dir = TempDir::new().unwrap();
    let (path, bytes) = one_file(&dir, 4000);
    for page in 0..(4000 * Entry::LEN / 4096) {
        let mut torn = bytes.clone();
        torn[HEADER..][page * 4096..(page + 1) * 4096].fill(0);
        fs::write(&path, torn).unwrap();
        let index = open(&dir);
        for chunk in 0..4000 {
            match index.lookup_all(&id(chunk)) {
                Ok(places) => {
                    let [place] = places[..] else {
                        panic!("chunk {chunk} is lost with page {page}");
                    };
                    assert_eq!(place.offset, chunk as u32 % 1000);
                }
                Err(error) => assert!(matches!(error, IndexError::Damaged { .. }), "{error}"),
            }
        }
        assert_eq!(open(&dir).len(), 0);
    }
}

#[test]
fn what_a_crash_leaves_is_cleared_away() {
    let dir = TempDir::new().unwrap();
    let mut index = open(&dir);
    for number in 0..3 {
        index
            .add(&[id(100 + number)], &segment(&[10], [(number, 0)]))
            .unwrap();
    }
    let inputs: Vec<(PathBuf, Vec<u8>)> = files(dir.path())
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    index.merge_all().unwrap();
    let merged = files(dir.path());
    // The merged file was there before those that it was made of were removed.
    for (path, bytes) in inputs {
        fs::write(path, bytes).unwrap();
    }
    fs::write(dir.path().join("0000000000000009.tmp"), b"half").unwrap();
    fs::write(dir.path().join("notes.txt"), b"not ours").unwrap();
    let mut index = open(&dir);
    assert_eq!((index.len(), index.covered().count()), (3, 3));
    index.add(&[id(103)], &segment(&[10], [(9, 0)])).unwrap();
    let left = files(dir.path());
    assert!(left.contains(&merged[0]) && left.contains(&dir.path().join("notes.txt")));
    assert_eq!(left.len(), 3);
}
