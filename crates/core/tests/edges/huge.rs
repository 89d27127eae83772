//! Things that do not fit into memory, or into 32 bits.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use keepwatch_core::{InitOptions, Silent, Source, Stream};
use keepwatch_testkit::vault;

use crate::fixture::Fixture;

const GIB: u64 = 1 << 30;

/// A pattern that is different in every block of 4 KiB, and cheap to make.
struct Pattern {
    at: u64,
    size: u64,
}

fn block(number: u64) -> [u8; 4096] {
    let mut block = [0; 4096];
    block[..8].copy_from_slice(&number.to_le_bytes());
    block
}

impl Read for Pattern {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let within = (self.at % 4096) as usize;
        let len = buf
            .len()
            .min(4096 - within)
            .min((self.size - self.at) as usize);
        buf[..len].copy_from_slice(&block(self.at / 4096)[within..within + len]);
        self.at += len as u64;
        Ok(len)
    }
}

/// Compares what is written with the pattern.
struct Compare(Pattern);

impl Write for Compare {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut expected = [0; 4096];
        let len = self.0.read(&mut expected[..buf.len().min(4096)])?;
        if len == 0 || buf[..len] != expected[..len] {
            return Err(io::Error::other(format!("different before {}", self.0.at)));
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn five_gib_in_one_file() {
    let size = 5 * GIB + 12_345;
    let fixture = Fixture::new();
    let storage = std::sync::Arc::new(keepwatch_core::storage::MemoryStorage::new());
    let cache = fixture.dir.path().join("other cache");
    let repository = vault::init(storage, &InitOptions::default(), &cache);
    let stream = Stream {
        path: PathBuf::from("/dumps/huge"),
        reader: Box::new(Pattern { at: 0, size }),
        finish: Box::new(|| Ok(())),
    };
    let report = repository
        .backup(
            vec![Source::stream(stream)],
            &vault::backup_options(),
            &Silent,
        )
        .unwrap();
    assert_eq!(report.bytes.scanned, size);
    let (_, snapshot) = repository.find_snapshot("latest").unwrap();
    let mut compare = Compare(Pattern { at: 0, size });
    repository
        .dump(&snapshot, b"/dumps/huge", &mut compare)
        .unwrap();
    assert_eq!(compare.0.at, size);
}

#[test]
fn a_directory_of_200_000_entries() {
    const ENTRIES: usize = 200_000;
    let fixture = Fixture::new();
    let many = fixture.source().join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..ENTRIES {
        File::create(many.join(format!("file {number}"))).unwrap();
    }
    let first = fixture.backup();
    assert_eq!(first.files.new, ENTRIES as u64);
    File::create(many.join("file 100000 and one more")).unwrap();
    let second = fixture.backup();
    // One entry more changes few of the chunks that the directory is kept in.
    assert!(
        second.bytes.new < first.bytes.new / 5,
        "{} {}",
        first.bytes.new,
        second.bytes.new
    );
    fixture.restore("latest", &fixture.target());
    let mut names: Vec<_> = fs::read_dir(fixture.target().join("many"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), ENTRIES + 1);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), ENTRIES + 1);
}
