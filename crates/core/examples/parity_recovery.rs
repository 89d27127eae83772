//! Measures parity: how fast it is made, how large it is, and whether a repository that has lost
//! 5 % of all its sectors and one pack comes back whole:
//! `cargo run --release --example parity_recovery [MB] [seeds]`.
//!
//! All of it is in memory: the data, twice, and what parity needs.
#![allow(clippy::print_stdout)] // What this program is for.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName, Storage};
use keepwatch_core::{
    BackupOptions, CachePlace, InitOptions, ParityOptions, ReadData, Repository, Silent, Source,
    Stream,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SECTOR: usize = 4096;
const KEY: [u8; 32] = [7; 32];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let megabytes: usize = arguments.next().map_or(Ok(200), |number| number.parse())?;
    let seeds: u64 = arguments.next().map_or(Ok(5), |number| number.parse())?;
    let storage = MemoryStorage::new();
    let repository = filled(&storage, megabytes)?;
    let started = Instant::now();
    let report = repository.parity_add(&ParityOptions::default(), &Silent)?;
    let seconds = started.elapsed().as_secs_f64();
    let status = repository.parity_status()?;
    let packs: usize = objects(&storage, ObjectKind::Pack)
        .map(|(_, bytes)| bytes.len())
        .sum();
    println!(
        "{} packs, {:.1} MB: parity in {seconds:.2} s, {:.2} GB/s, {:.2} % larger",
        report.packs_read,
        packs as f64 / 1e6,
        packs as f64 / seconds / 1e9,
        status.overhead_percent
    );
    let sound = storage.snapshot_objects();
    for seed in 0..seeds {
        let lost = destroy(&storage, seed);
        let started = Instant::now();
        let credential = Credential::KeyFile(Key::from_bytes(KEY));
        if open(&storage).is_err() {
            Repository::recover_entrance(&storage, &[], &credential)?;
        }
        let report = open(&storage)?.repair(&[], &Silent)?;
        let seconds = started.elapsed().as_secs_f64();
        let check = open(&storage)?.check(ReadData::All, &Silent)?;
        println!(
            "seed {seed}: {lost} sectors and a pack lost; {} objects mended, {} not, in {seconds:.1} s; check {}; byte for byte as before: {}",
            report.mended.len(),
            report.errors.len(),
            if check.ok { "clean" } else { "finds damage" },
            storage.snapshot_objects() == sound
        );
        for (name, bytes) in &sound {
            storage.replace_object(name, bytes.clone());
        }
    }
    Ok(())
}

fn place() -> CachePlace {
    CachePlace::Temporary(std::env::temp_dir())
}

fn open(storage: &MemoryStorage) -> keepwatch_core::Result<Repository> {
    let credential = Credential::KeyFile(Key::from_bytes(KEY));
    Repository::open(Arc::new(storage.clone()), &credential, &place())
}

fn filled(storage: &MemoryStorage, megabytes: usize) -> Result<Repository> {
    let key = Key::from_bytes(KEY);
    let repository = Repository::init(
        Arc::new(storage.clone()),
        &Lock::KeyFile(&key),
        "measuring",
        &InitOptions::default(),
        Timestamp::now(),
        &place(),
    )?;
    let mut data = vec![0; megabytes * 1_000_000];
    noise(1, &mut data);
    let stream = Stream {
        path: "data".into(),
        reader: Box::new(Cursor::new(data)),
        finish: Box::new(|| Ok(())),
    };
    let sources = vec![Source::stream(stream)];
    repository.backup(sources, &BackupOptions::at(Timestamp::now()), &Silent)?;
    Ok(repository)
}

fn objects(
    storage: &MemoryStorage,
    kind: ObjectKind,
) -> impl Iterator<Item = (ObjectName, Arc<[u8]>)> {
    storage
        .snapshot_objects()
        .into_iter()
        .filter(move |(name, _)| name.kind == kind)
}

/// Overwrites 5 % of the sectors of all objects and removes a pack; gives how many sectors.
fn destroy(storage: &MemoryStorage, seed: u64) -> usize {
    let all = storage.snapshot_objects();
    let mut sectors: Vec<(ObjectName, usize)> = Vec::new();
    for (name, bytes) in &all {
        sectors.extend((0..bytes.len().div_ceil(SECTOR)).map(|at| (*name, at)));
    }
    let count = sectors.len() / 20;
    let mut numbers = vec![0; 8 * (count + 1)];
    noise(seed + 2, &mut numbers);
    let mut numbers = numbers
        .chunks_exact(8)
        .map(|part| u64::from_le_bytes(part.try_into().expect("8 bytes")) as usize);
    // The beginning of a shuffle (Fisher and Yates).
    for (at, number) in (0..count).zip(&mut numbers) {
        let other = at + number % (sectors.len() - at);
        sectors.swap(at, other);
    }
    let mut damaged: BTreeMap<ObjectName, Vec<u8>> = BTreeMap::new();
    for (name, sector) in &sectors[..count] {
        let bytes = damaged.entry(*name).or_insert_with(|| all[name].to_vec());
        let end = bytes.len().min((sector + 1) * SECTOR);
        noise(seed ^ *sector as u64, &mut bytes[sector * SECTOR..end]);
    }
    for (name, bytes) in damaged {
        storage.replace_object(&name, bytes);
    }
    let packs: Vec<ObjectName> = objects(storage, ObjectKind::Pack)
        .map(|(name, _)| name)
        .collect();
    let lost = numbers.next().expect("one more was drawn") % packs.len();
    storage.remove(&packs[lost]).expect("memory does not fail");
    count
}

fn noise(seed: u64, bytes: &mut [u8]) {
    // Counted bytes under a mixing function: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for part in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..part.len()]);
    }
}
