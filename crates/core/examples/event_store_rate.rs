//! How fast the event store is, beside what the disk can do.
//!
//! `cargo run --release -p keepwatch-core --example event_store_rate [FOLDER [EVENTS [ADDRESS]]]`
//!
//! With the feature `postgres` the address of an empty database may be given.

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
const EVENTS: usize = 100_000;
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
            // One in a hundred is a plate of its own.
            label: match index % 100 {
                0 => format!("B-AB {index}"),
                _ => "person".to_owned(),
            },
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

fn create(
    dir: &Path,
    locks: &[(Lock<'_>, StoreRole)],
) -> Result<Store, Box<dyn std::error::Error>> {
    let options = StoreOptions::default();
    #[cfg(feature = "postgres")]
    if let Some(address) = std::env::args().nth(3) {
        let url = address.parse()?;
        return Ok(Store::create_on_server(&url, dir, locks, &options)?);
    }
    Ok(Store::create(dir, locks, &options)?)
}

/// How long after a put whoever waits for it goes on.
fn woken(store: &Store) -> Result<(), keepwatch_core::Error> {
    let mut times = Vec::new();
    for index in 0..200 {
        let seen = store.head()?;
        let (put, woken) = std::thread::scope(|scope| {
            let waits = scope.spawn(|| store.wait(seen, LEAST).map(|_| Instant::now()));
            // So that it waits indeed.
            std::thread::sleep(Duration::from_millis(5));
            let put = store.put(&[event(index)?]).map(|()| Instant::now());
            Ok::<_, keepwatch_core::Error>((put?, waits.join().expect("it does not panic")?))
        })?;
        times.push(woken.saturating_duration_since(put));
    }
    times.sort();
    println!(
        "woken after a put:    {:.1?} (median), {:.1?} (95 of 100)",
        times[100], times[190]
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = parent.join(format!("event-store-rate-{}", std::process::id()));
    let key = Key::generate()?;
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    let store = create(&dir, &locks)?;

    let events = match std::env::args().nth(2) {
        Some(number) => number.parse()?,
        None => EVENTS,
    };
    let (mut time, mut put) = (Duration::ZERO, 0);
    while put < events {
        let batch: Vec<Event> = (put..put + BATCH).map(event).collect::<Result<_, _>>()?;
        let start = Instant::now();
        store.put(&batch)?;
        time += start.elapsed();
        put += BATCH;
    }
    let rate = put as f64 / time.as_secs_f64();
    println!("batches of {BATCH}:      {rate:.0} events/s");

    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < LEAST {
        store.put(&[event(count)?])?;
        count += 1;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("single durable puts:  {rate:.0} events/s");
    println!("fdatasync of 4 KiB:   {:.0} /s", fsync_rate(&dir)?);

    let page = || EventFilter {
        limit: Some(50),
        ..EventFilter::default()
    };
    let text = |text: &str| vec![text.to_owned()];
    for (name, filter) in [
        ("of all", page()),
        (
            "by camera",
            EventFilter {
                cameras: text("yard"),
                ..page()
            },
        ),
        (
            "by two kinds",
            EventFilter {
                kinds: vec![EventKind::Object, EventKind::Motion],
                ..page()
            },
        ),
        (
            "by label",
            EventFilter {
                labels: text("Person"),
                ..page()
            },
        ),
        (
            "by plate",
            EventFilter {
                labels: text("bab100"),
                ..page()
            },
        ),
        (
            "by prefix",
            EventFilter {
                label_prefix: Some("p".to_owned()),
                ..page()
            },
        ),
        (
            "by rare prefix",
            EventFilter {
                label_prefix: Some("b ab 10".to_owned()),
                ..page()
            },
        ),
    ] {
        let (start, mut count, mut found) = (Instant::now(), 0, 0);
        while start.elapsed() < LEAST / 3 {
            found = store.list(&filter)?.len();
            count += 1;
        }
        let each = start.elapsed() / count;
        println!("page {name:16} {each:>10.1?} for {found} events");
    }
    let start = Instant::now();
    let counts = store.count(&EventFilter::default())?;
    println!("count {counts:?}: {:.1?}", start.elapsed());
    woken(&store)?;

    let start = Instant::now();
    let report = store.verify(&VerifyOptions::default())?;
    let rate = report.records as f64 / start.elapsed().as_secs_f64();
    println!("verified:             {rate:.0} records/s");
    drop(store);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}
