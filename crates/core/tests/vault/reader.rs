//! Reading files of snapshots at any place, and stopping what takes long.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use keepwatch_core::tree::NodeKind;
use keepwatch_core::{
    Error, FilePart, FileReader, Id, Progress, PruneOptions, ReadData, Repository,
};
use keepwatch_testkit::tree::{noise, write};

use crate::fixture::Fixture;
use crate::scene::Scene;

fn open(fixture: Fixture, name: &str) -> (Arc<Repository>, FileReader) {
    let path = fixture.source().join(name);
    let repository = Arc::new(fixture.repository);
    let (_, snapshot) = repository.find_snapshot("latest").unwrap();
    let reader = repository
        .open_file(&snapshot, path.as_os_str().as_bytes())
        .unwrap();
    (repository, reader)
}

#[test]
fn a_file_is_read_at_any_place() {
    let fixture = Fixture::new();
    let content = noise(300_000, 5);
    write(&fixture.source(), "file", &content);
    fixture.backup();
    let (repository, mut reader) = open(fixture, "file");
    assert_eq!(reader.len(), content.len() as u64);

    // Backwards, so that nothing has been looked up before it is needed.
    for start in [299_999_usize, 200_000, 123_456, 1, 0] {
        let mut part = vec![0; 70_000.min(content.len() - start)];
        reader.seek(SeekFrom::Start(start as u64)).unwrap();
        reader.read_exact(&mut part).unwrap();
        assert!(part == content[start..start + part.len()], "{start}");
    }
    let mut whole = Vec::new();
    reader.rewind().unwrap();
    reader.read_to_end(&mut whole).unwrap();
    assert!(whole == content);
    assert_eq!(reader.seek(SeekFrom::End(10)).unwrap(), 300_010);
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
    assert!(reader.seek(SeekFrom::Current(-400_000)).is_err());

    let mut chunks = Vec::new();
    let mut n = 0;
    while let Some(chunk) = reader.chunk(n).unwrap() {
        assert_eq!(chunk.offset, chunks.len() as u64);
        chunks.extend(repository.read_data_chunk(chunk.id).unwrap());
        n += 1;
    }
    assert!(n > 10, "{n}");
    assert!(chunks == content);
}

#[test]
fn holes_are_zeros() {
    let fixture = Fixture::new();
    let path = write(&fixture.source(), "sparse", b"");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&noise(9_000, 1), 1 << 20).unwrap();
    file.write_all_at(&noise(20_000, 2), 3 << 20).unwrap();
    file.set_len(5 << 20).unwrap();
    drop(file);
    let content = fs::read(&path).unwrap();
    fixture.backup();
    let (_repository, mut reader) = open(fixture, "sparse");
    let mut found = Vec::new();
    reader.read_to_end(&mut found).unwrap();
    assert!(found == content);
    for start in [(1 << 20) - 5, (3 << 20) + 19_990, (5 << 20) - 3] {
        let mut part = Vec::new();
        reader.seek(SeekFrom::Start(start)).unwrap();
        reader.by_ref().take(100).read_to_end(&mut part).unwrap();
        let start = start as usize;
        assert!(part == content[start..content.len().min(start + 100)]);
    }
}

#[test]
fn an_empty_file_and_what_is_none() {
    let fixture = Fixture::new();
    write(&fixture.source(), "empty", b"");
    fixture.backup();
    let source = fixture.source();
    let (repository, mut reader) = open(fixture, "empty");
    assert!(reader.is_empty());
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(reader.chunk(0).unwrap(), None);
    let (_, snapshot) = repository.find_snapshot("latest").unwrap();
    let refused = |path: &[u8]| repository.open_file(&snapshot, path).unwrap_err();
    assert!(matches!(refused(b"/nothing"), Error::NoSuchPath { .. }));
    let directory = source.as_os_str().as_bytes();
    assert!(matches!(refused(directory), Error::Invalid { .. }));
}

struct Stopped;

impl Progress for Stopped {
    fn is_stopped(&self) -> bool {
        true
    }
}

#[test]
fn long_work_stops_when_asked_and_leaves_the_repository_whole() {
    let scene = Scene::new();
    let storage = scene.with_versions(&[1, 2]);
    let repository = scene.open(Arc::new(storage.clone())).unwrap();
    let (snapshots, _) = repository.snapshots().unwrap();
    for read in [ReadData::No, ReadData::All] {
        let stopped = repository.check(read, &Stopped).unwrap_err();
        assert!(matches!(stopped, Error::Interrupted), "{stopped:?}");
    }
    let stopped = repository.stats(&snapshots, &Stopped).unwrap_err();
    assert!(matches!(stopped, Error::Interrupted), "{stopped:?}");

    let first = vec![snapshots[0].0];
    repository.forget(&first, Timestamp::now(), false).unwrap();
    let options = PruneOptions {
        max_unused_percent: 0.0,
        stop: Some(Arc::new(AtomicBool::new(true))),
        ..PruneOptions::default()
    };
    let stopped = repository.prune(&options, Timestamp::now()).unwrap_err();
    assert!(matches!(stopped, Error::Interrupted), "{stopped:?}");
    scene.assert_whole(&storage, "after an interrupted prune");
    let again = repository
        .prune(&PruneOptions::default(), Timestamp::now())
        .unwrap();
    assert!(again.bytes_freed > 0);
    scene.assert_whole(&storage, "after the next one");
}

#[test]
fn parts_and_chunks_make_up_a_file_with_holes() {
    let fixture = Fixture::new();
    let path = write(&fixture.source(), "file", noise(100_000, 1));
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&noise(50_000, 2), 1_000_000).unwrap();
    file.set_len(2_000_000).unwrap();
    let expected = fs::read(&path).unwrap();
    fixture.backup();
    let (repository, mut reader) = open(fixture, "file");
    let mut fetcher = repository.chunk_fetcher().unwrap();
    let mut content = Vec::new();
    let mut holes = 0;
    while let Some(part) = reader.part_at(content.len() as u64).unwrap() {
        match part {
            FilePart::Hole { len } => {
                holes += 1;
                content.resize(content.len() + len as usize, 0);
            }
            FilePart::Stored { chunk, from, len } => {
                let data = fetcher.fetch(chunk.id).unwrap();
                assert_eq!(data.len(), chunk.len as usize);
                content.extend_from_slice(&data[from as usize..][..len as usize]);
            }
        }
    }
    assert_eq!(holes, 2);
    assert!(content == expected);
    for nowhere in [2_000_000, u64::MAX] {
        assert_eq!(reader.part_at(nowhere).unwrap(), None);
    }
}

#[test]
fn directories_are_read_in_pieces() {
    let fixture = Fixture::new();
    for n in 0..2000 {
        fs::write(fixture.source().join(format!("file {n:04}")), [1]).unwrap();
    }
    fixture.backup();
    let source = fixture.source();
    let repository = Arc::new(fixture.repository);
    let ids = repository.snapshot_ids().unwrap();
    let snapshot = repository.snapshot(ids[0]).unwrap();
    assert!(repository.snapshot(Id::ZERO).unwrap_err().is_damage());

    let mut content = snapshot.root;
    for component in source.as_os_str().as_bytes().split(|byte| *byte == b'/') {
        if component.is_empty() {
            continue;
        }
        let mut top = repository.open_directory(&content).unwrap();
        let chunk = top.next_chunk().unwrap().unwrap();
        assert_eq!(chunk.nodes.len(), 1);
        assert_eq!(chunk.nodes[0].name, component);
        assert!(repository.open_node(&chunk.nodes[0]).is_err());
        let NodeKind::Dir { content: below, .. } = chunk.nodes[0].kind.clone() else {
            panic!("no directory");
        };
        content = below;
    }
    let mut directory = repository.open_directory(&content).unwrap();
    let (mut chunks, mut names) = (0, Vec::new());
    while let Some(chunk) = directory.next_chunk().unwrap() {
        assert_eq!(repository.directory_chunk(chunk.id).unwrap(), chunk.nodes);
        let mut file = repository.open_node(&chunk.nodes[0]).unwrap();
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!(read, [1]);
        chunks += 1;
        names.extend(chunk.nodes.into_iter().map(|node| node.name));
    }
    assert!(chunks > 1, "{chunks}");
    assert_eq!(names.len(), 2000);
    assert!(names.is_sorted());
}
