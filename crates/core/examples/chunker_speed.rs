//! Measures both chunkers on one core: `cargo run --release --example chunker_speed`.
#![allow(clippy::print_stdout)] // What this program is for.

use std::error::Error;
use std::time::{Duration, Instant};

use keepwatch_core::chunker::{ChunkBuffer, Chunker, ChunkerId, ChunkerParams};

/// Each pass cuts this much; more than fits into any cache.
const BYTES: usize = 512 << 20;

const PASSES: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut data = vec![0; BYTES];
    blake3::Hasher::new().finalize_xof().fill(&mut data);
    for id in [ChunkerId::GearKeyed, ChunkerId::Prf] {
        let chunker = Chunker::new(id, ChunkerParams::default(), &[1; 32])?;
        let mut in_place = Duration::MAX;
        let mut streamed = Duration::MAX;
        let mut chunks = 0;
        for _ in 0..PASSES {
            let start = Instant::now();
            chunks = 0;
            let mut rest = &data[..];
            while !rest.is_empty() {
                rest = &rest[chunker.cut(rest)..];
                chunks += 1;
            }
            in_place = in_place.min(start.elapsed());

            let start = Instant::now();
            let mut buffer = ChunkBuffer::new(chunker.clone());
            let mut stream = buffer.stream(&data[..]);
            while stream.next_chunk()?.is_some() {}
            streamed = streamed.min(start.elapsed());
        }
        let per_second = |time: Duration| BYTES as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{id}: {:.0} MB/s in memory, {:.0} MB/s through a buffer, mean chunk {} KiB",
            per_second(in_place),
            per_second(streamed),
            (BYTES / chunks) >> 10,
        );
    }
    Ok(())
}
