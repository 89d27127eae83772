//! Fills an event store with recognised faces and plates, or adds some one by one and says when.
//!
//! `event_flood fill FOLDER KEY_FILE COUNT FIRST_MS` makes a store with so many events, a second apart,
//! the first at a time in milliseconds since 1970.
//!
//! `event_flood append FOLDER KEY_FILE COUNT EVERY_MS` adds so many to a store, and prints for each its
//! track and when it was stored, in nanoseconds since 1970. The pauses between them are of all
//! lengths up to twice the mean: whoever looks at intervals is met at all distances.
//!
//! `scripts/bench_server.py` knows what the events say: the program that Keepwatch's server is
//! compared with gets the same ones.

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{
    Event, EventId, EventKind, EventStore, Observation, Region, Store, StoreOptions, StoreRole,
};
use keepwatch_core::jiff::{SignedDuration, Timestamp};
use serde_json::json;

const BATCH: usize = 1000;
const USAGE: &str = "event_flood fill|append FOLDER KEY_FILE COUNT FIRST_MS|EVERY_MS";

fn event(index: usize, at: Timestamp) -> Result<Event, keepwatch_core::Error> {
    // All of them binary fractions, which every program writes alike.
    let score = 0.5 + (index % 32) as f32 / 64.0;
    let picture = json!([1280, 720]);
    let (kind, label, details) = match index % 2 {
        0 => {
            let person = format!("Person {}", index % 50);
            let quality = json!({ "score": 0.75, "size": 1.0, "sharpness": 0.5, "turn": 0.25 });
            let details = json!({
                "person": person, "similarity": score, "quality": quality, "picture": picture,
            });
            (EventKind::FaceMatch, person, details)
        }
        _ => {
            let number = index % 10_000;
            let text = format!("BAB{number:04}");
            let verdict = ["unlisted", "allow", "deny"][index % 3];
            let details = json!({
                "text_clean": text, "text_raw": format!("B AB {number:04}"), "confidence": score,
                "agreement": 1.0, "readings": 5, "fits": true, "regular": true,
                "verdict": verdict, "entry": null, "picture": picture,
            });
            (EventKind::PlateRead, text, details)
        }
    };
    Ok(Event {
        id: EventId::new(at)?,
        camera: ["door", "yard", "garage"][index % 3].to_owned(),
        kind,
        started_at: at,
        ended_at: Some(at),
        observations: vec![Observation {
            at,
            label,
            score,
            region: Some(Region {
                x: (index % 8) as f32 / 16.0,
                y: (index % 4) as f32 / 16.0,
                w: 0.25,
                h: 0.25,
            }),
            track: Some(index as u64),
        }],
        snapshot: None,
        clip: None,
        reason: None,
        details: Some(Box::new(details)),
    })
}

fn fill(dir: &Path, key: &Key, count: usize, first_ms: i64) -> Result<(), Box<dyn Error>> {
    let locks = [(Lock::KeyFile(key), StoreRole::Full)];
    let store = Store::create(dir, &locks, &StoreOptions::default())?;
    let first = Timestamp::from_millisecond(first_ms)?;
    let mut put = 0;
    while put < count {
        let batch: Vec<Event> = (put..count.min(put + BATCH))
            .map(|index| event(index, first + SignedDuration::from_secs(index as i64)))
            .collect::<Result<_, _>>()?;
        store.put(&batch)?;
        put += batch.len();
    }
    Ok(store.close()?)
}

fn append(dir: &Path, key: Key, count: usize, every: Duration) -> Result<(), Box<dyn Error>> {
    let store = Store::open(dir, &Credential::KeyFile(key))?;
    for index in 0..count {
        // Multiples of the golden ratio: the fractions of any number of them are spread evenly.
        std::thread::sleep(every.mul_f64(2.0 * (index as f64 * 0.618_034).fract()));
        store.put(&[event(index, Timestamp::now())?])?;
        println!("{index} {}", Timestamp::now().as_nanosecond());
    }
    Ok(store.close()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, dir, key, count, number] = &words[..] else {
        return Err(USAGE.into());
    };
    let bytes: [u8; 32] = std::fs::read(key)?
        .try_into()
        .map_err(|_| "a key file has 32 bytes")?;
    let (dir, key, count) = (Path::new(dir), Key::from_bytes(bytes), count.parse()?);
    match &what[..] {
        "fill" => fill(dir, &key, count, number.parse()?),
        "append" => append(dir, key, count, Duration::from_millis(number.parse()?)),
        _ => Err(USAGE.into()),
    }
}
