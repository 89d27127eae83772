//! Measures the local index at a size where it must not be held in memory:
//! `cargo run --release --example index_scale [millions of chunks] [folder]`.
//!
//! Takes 50 bytes of disk for each chunk, and as much again while it merges.
#![allow(clippy::print_stdout)] // What this program is for.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use keepwatch_core::id::Id;
use keepwatch_core::index::{BlobKind, Encoding, Entry, LocalIndex, Location, Segment};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CHUNKS_PER_SEGMENT: u64 = 500_000;
const CHUNKS_PER_PACK: u64 = 1_000;
const STORED_LEN: u64 = 16_000;
const LOOKUPS: u64 = 1_000_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("measure") {
        let dir = arguments.next().ok_or("a folder is missing")?;
        let segments = arguments.next().ok_or("a number is missing")?.parse()?;
        return measure(dir.as_ref(), segments);
    }
    let millions: u64 = first.map_or(Ok(20), |number| number.parse())?;
    let dir = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let dir = dir.join(format!("index-scale-{}", std::process::id()));
    let segments = (millions * 1_000_000).div_ceil(CHUNKS_PER_SEGMENT);
    let result = run(&dir, segments);
    std::fs::remove_dir_all(&dir)?;
    result
}

fn run(dir: &Path, segments: u64) -> Result<()> {
    let mut index = LocalIndex::open(dir)?;
    let (mut making, start) = (Duration::ZERO, Instant::now());
    let mut before = 0;
    for number in 0..segments {
        let begin = Instant::now();
        let segment = segment(number);
        making += begin.elapsed();
        if number == 0 {
            before = memory("VmHWM")?;
        }
        index.add(&[Id::of(&number.to_le_bytes())], &segment)?;
    }
    println!(
        "added {} chunks in {segments} segments in {:.1} s; peak memory {} MB, {} of them one segment",
        index.len(),
        (start.elapsed() - making).as_secs_f64(),
        memory("VmHWM")? >> 20,
        before >> 20,
    );
    drop(index);
    // Another process, so that its memory is that of lookups alone.
    let status = Command::new(std::env::current_exe()?)
        .arg("measure")
        .arg(dir)
        .arg(segments.to_string())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("the measurement failed".into())
    }
}

fn measure(dir: &Path, segments: u64) -> Result<()> {
    let hits: Vec<Id> = (0..LOOKUPS)
        .map(|n| chunk(n % segments, n.wrapping_mul(7919) % CHUNKS_PER_SEGMENT))
        .collect();
    let misses: Vec<Id> = (0..LOOKUPS).map(|n| chunk(segments, n)).collect();
    let before = memory("VmHWM")?;
    let start = Instant::now();
    let mut index = LocalIndex::open(dir)?;
    println!(
        "{} files, opened in {:.2} s",
        std::fs::read_dir(dir)?.count(),
        start.elapsed().as_secs_f64()
    );
    lookups(&index, &hits, &misses)?;
    report_memory(&index, before)?;

    let start = Instant::now();
    index.merge_all()?;
    println!("merged in {:.1} s", start.elapsed().as_secs_f64());
    lookups(&index, &hits, &misses)?;
    report_memory(&index, before)?;

    let start = Instant::now();
    let mut bytes = 0;
    index.for_each(&mut |_, entry, _, _| bytes += u64::from(entry.stored_len()))?;
    println!(
        "all entries seen in {:.1} s, {} GB of chunks",
        start.elapsed().as_secs_f64(),
        bytes / 1_000_000_000
    );
    let start = Instant::now();
    for id in &hits {
        index.position(id)?.ok_or("a chunk has no position")?;
    }
    let each = start.elapsed() / LOOKUPS as u32;
    println!("position in {each:?}");
    Ok(())
}

fn lookups(index: &LocalIndex, hits: &[Id], misses: &[Id]) -> Result<()> {
    for (what, ids, expected) in [("hits", hits, LOOKUPS), ("misses", misses, 0)] {
        for threads in [1, 2] {
            let start = Instant::now();
            let found = std::thread::scope(|scope| {
                let workers: Vec<_> = ids
                    .chunks(ids.len() / threads)
                    .map(|ids| scope.spawn(move || count(index, ids)))
                    .collect();
                workers
                    .into_iter()
                    .map(|worker| worker.join().expect("a lookup does not panic"))
                    .sum::<std::result::Result<u64, _>>()
            })?;
            assert_eq!(found, expected);
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "{what}, {threads} threads: {:.0} lookups/s, {:.2} µs each",
                LOOKUPS as f64 / seconds,
                seconds * threads as f64 * 1e6 / LOOKUPS as f64
            );
        }
    }
    Ok(())
}

fn count(
    index: &LocalIndex,
    ids: &[Id],
) -> std::result::Result<u64, keepwatch_core::index::IndexError> {
    let mut found = 0;
    for id in ids {
        found += u64::from(index.lookup_where(id, &|_| true)?.is_some());
    }
    Ok(found)
}

fn report_memory(index: &LocalIndex, before: u64) -> Result<()> {
    let peak = memory("VmHWM")?;
    println!(
        "peak memory {} MB, {:.2} bytes per chunk over what the program took before",
        peak >> 20,
        (peak - before) as f64 / index.len() as f64
    );
    Ok(())
}

/// The id of a chunk of a segment.
fn chunk(segment: u64, number: u64) -> Id {
    let mut id = [0; 32];
    let mut stream = blake3::Hasher::new()
        .update(&segment.to_le_bytes())
        .finalize_xof();
    stream.set_position(number * 32);
    stream.fill(&mut id);
    Id::from_bytes(id)
}

fn segment(number: u64) -> Segment {
    let mut bytes = vec![0; CHUNKS_PER_SEGMENT as usize * 32];
    let mut stream = blake3::Hasher::new()
        .update(&number.to_le_bytes())
        .finalize_xof();
    stream.fill(&mut bytes);
    let packs: Vec<(Id, u64)> = (0..CHUNKS_PER_SEGMENT / CHUNKS_PER_PACK)
        .map(|pack| (Id::of(&(number << 32 | pack).to_le_bytes()), 17 << 20))
        .collect();
    let mut entries: Vec<Entry> = bytes
        .chunks_exact(32)
        .zip(0..)
        .map(|(id, place)| {
            let pack = place / CHUNKS_PER_PACK;
            let location = Location {
                pack: packs[pack as usize].0,
                offset: (200 + place % CHUNKS_PER_PACK * STORED_LEN) as u32,
                stored_len: STORED_LEN as u32,
                raw_len: 32_000,
                kind: BlobKind::Data,
                encoding: Encoding::Zstd,
            };
            let id = Id::from_bytes(id.try_into().expect("32 bytes"));
            Entry::new(id, pack as u32, &location).expect("the chunk is small")
        })
        .collect();
    entries.sort_unstable_by_key(|entry| entry.id);
    Segment {
        packs,
        entries,
        ..Segment::default()
    }
}

/// A figure about this process's memory, in bytes.
fn memory(field: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with(field))
        .ok_or("the system does not say")?;
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .ok_or("the system does not say")?
        .parse()?;
    Ok(kib << 10)
}
