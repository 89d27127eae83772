//! How fast the event store is, beside what the disk can do.
//!
//! `cargo run --release -p keepwatch-core --example event_store_rate [FOLDER]`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keepwatch_core::crypto::{Key, Lock};
use keepwatch_core::events::{
    Event, EventFilter, EventId, EventKind, EventStore, Observation, Region, Store, StoreOptions,
    StoreRole, VerifyOptions,
};
use keepwatch_core::jiff::Timestamp;

const BATCH: usize = 1000;
const BATCHES: usize = 100;
const LEAST: Duration = Duration::from_secs(3);

fn event(index: usize) -> Result<Event, keepwatch_core::Error> {
    let at = Timestamp::now();
    Ok(Event {
        id: EventId::new(at)?,
        camera: ["door", "yard", "garage"][index % 3].to_owned(),
        kind: EventKind::Object,
        started_at: at,
        ended_at: Some(at),
        observations: vec![Observation {
            at,
            label: "person".to_owned(),
            score: 0.5,
            region: Some(Region::default()),
            track: Some(index as u64),
        }],
        snapshot: None,
        clip: None,
        reason: None,
        details: None,
    })
}

/// Appends and syncs of one page of a database: what a durable put cannot be faster than.
fn fsync_rate(dir: &Path) -> std::io::Result<f64> {
    let path = dir.join("fsync-rate");
    let mut file = File::create(&path)?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < LEAST {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    std::fs::remove_file(path)?;
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = parent.join(format!("event-store-rate-{}", std::process::id()));
    let key = Key::generate()?;
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    let store = Store::create(&dir, &locks, &StoreOptions::default())?;

    let batches: Vec<Vec<Event>> = (0..BATCHES)
        .map(|_| (0..BATCH).map(event).collect())
        .collect::<Result<_, _>>()?;
    let start = Instant::now();
    for batch in &batches {
        store.put(batch)?;
    }
    let rate = (BATCH * BATCHES) as f64 / start.elapsed().as_secs_f64();
    println!("batches of {BATCH}:      {rate:.0} events/s");

    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < LEAST {
        store.put(&[event(count)?])?;
        count += 1;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("single durable puts:  {rate:.0} events/s");
    println!("fdatasync of 4 KiB:   {:.0} /s", fsync_rate(&dir)?);

    let start = Instant::now();
    let page = EventFilter {
        cameras: vec!["yard".to_owned()],
        limit: Some(50),
        ..EventFilter::default()
    };
    for _ in 0..1000 {
        store.list(&page)?;
    }
    let rate = 1000.0 / start.elapsed().as_secs_f64();
    println!("pages of 50 listed:   {rate:.0} /s");

    let start = Instant::now();
    let report = store.verify(&VerifyOptions::default())?;
    let rate = report.records as f64 / start.elapsed().as_secs_f64();
    println!("verified:             {rate:.0} records/s");
    drop(store);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}
