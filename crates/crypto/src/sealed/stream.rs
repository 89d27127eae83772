//! Sealing and opening whole streams, on one core or several.
//!
//! With several threads it is a pipeline: one thread reads batches, the workers seal or open them in
//! place, the caller's thread writes them in order. A fixed number of batches goes round, which
//! bounds the memory whatever the length of the stream and whoever is slow.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::SealOptions;
use super::batch::{Batch, Batches, Direction};
use super::chunk::ChunkCipher;
use super::header::Header;
use crate::credential::{Credential, Lock};
use crate::error::{Error, Result};

/// A batch on one thread: with its neighbours in the second-level cache.
const SERIAL_BATCH: usize = 128 << 10;
/// A batch that is handed between threads: large enough for the handing over not to be felt.
pub(super) const PARALLEL_BATCH: usize = 512 << 10;

/// Seals everything that `reader` gives into `writer`; gives the length of the plaintext.
///
/// `threads` is the number of workers, 0 for one to each core; with 1, everything happens on the
/// caller's thread. The memory needed does not depend on the length: one MiB a worker and one
/// more, or as many chunks if those are larger. `writer` is flushed.
///
/// # Errors
/// [`Error::Invalid`] for options or locks out of range, [`Error::Io`] from reader or writer. What
/// was written until then does not open.
pub fn seal_stream<R: Read + Send, W: Write>(
    reader: R,
    mut writer: W,
    locks: &[Lock<'_>],
    options: SealOptions,
    threads: usize,
) -> Result<u64> {
    let (header, cipher) = Header::create(locks, options)?;
    writer.write_all(header.bytes()).map_err(Error::writing)?;
    run(reader, writer, &cipher, Direction::Seal, threads)
}

/// Opens the sealed file that `reader` gives into `writer`; gives the length of the plaintext.
///
/// `threads` as for [`seal_stream`].
///
/// # Errors
/// [`Error::Open`] for a wrong key or changed bytes, [`Error::OtherCredential`] when no slot is of
/// the credential's kind. Chunks before the damage may have been written already: what was written
/// is to be thrown away unless the call succeeds.
pub fn open_stream<R: Read + Send, W: Write>(
    mut reader: R,
    writer: W,
    credential: &Credential,
    threads: usize,
) -> Result<u64> {
    let cipher = Header::read(&mut reader)?.unlock(credential)?;
    run(reader, writer, &cipher, Direction::Open, threads)
}

fn run<R: Read + Send, W: Write>(
    reader: R,
    mut writer: W,
    cipher: &ChunkCipher,
    direction: Direction,
    threads: usize,
) -> Result<u64> {
    let threads = workers(threads);
    let batches = Batches::new(reader, direction);
    let plaintext = if threads == 1 {
        serial(batches, &mut writer, cipher, direction)?
    } else {
        parallel(batches, &mut writer, cipher, direction, threads)?
    };
    writer.flush().map_err(Error::writing)?;
    Ok(plaintext)
}

fn serial<R: Read, W: Write>(
    mut batches: Batches<R>,
    writer: &mut W,
    cipher: &ChunkCipher,
    direction: Direction,
) -> Result<u64> {
    let mut batch = new_batch(SERIAL_BATCH, cipher);
    let mut plaintext = 0;
    while !batch.is_last() {
        batches.fill(&mut batch)?;
        batch.process(cipher, direction)?;
        plaintext += batch.write_to(writer, direction).map_err(Error::writing)?;
    }
    Ok(plaintext)
}

/// A batch, or why there is none, with its place in the stream.
type Numbered = (u64, Result<Batch>);

fn parallel<R: Read + Send, W: Write>(
    mut batches: Batches<R>,
    writer: &mut W,
    cipher: &ChunkCipher,
    direction: Direction,
    threads: usize,
) -> Result<u64> {
    let mut first = new_batch(PARALLEL_BATCH, cipher);
    batches.fill(&mut first)?;
    if first.is_last() {
        // Not worth a thread.
        first.process(cipher, direction)?;
        return first.write_to(writer, direction).map_err(Error::writing);
    }
    // One with each worker, one waiting for each, one with the reader and one with the writer.
    let in_flight = 2 * threads + 2;
    let (free_tx, free_rx) = bounded(in_flight);
    let (filled_tx, filled_rx) = bounded(in_flight);
    let (done_tx, done_rx) = bounded(in_flight);
    let more = (1..in_flight).map(|_| new_batch(PARALLEL_BATCH, cipher));
    // When the writer gives up, it drops its ends, and everyone else finds a closed channel.
    thread::scope(|scope| {
        scope.spawn({
            let done_tx = done_tx.clone();
            move || read_batches(batches, first, more, &free_rx, &filled_tx, &done_tx)
        });
        for _ in 0..threads {
            let (filled_rx, done_tx) = (filled_rx.clone(), done_tx.clone());
            scope.spawn(move || {
                for (number, mut batch) in filled_rx {
                    let result = batch.process(cipher, direction).map(|()| batch);
                    if done_tx.send((number, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop((filled_rx, done_tx));
        write_batches(writer, direction, done_rx, free_tx)
    })
}

/// Reads into batches that come back, and into new ones, from `more`, while none has.
fn read_batches<R: Read>(
    mut batches: Batches<R>,
    first: Batch,
    mut more: impl Iterator<Item = Batch>,
    free: &Receiver<Batch>,
    filled: &Sender<(u64, Batch)>,
    done: &Sender<Numbered>,
) {
    let mut batch = first;
    for number in 0.. {
        let last = batch.is_last();
        if filled.send((number, batch)).is_err() || last {
            return;
        }
        let next = free.try_recv().ok().or_else(|| more.next());
        let Some(next) = next.or_else(|| free.recv().ok()) else {
            return;
        };
        batch = next;
        if let Err(error) = batches.fill(&mut batch) {
            // Takes its turn behind the batches before it. Nobody listens any more if the writer
            // failed; then that is the error that counts.
            let _ = done.send((number + 1, Err(error)));
            return;
        }
    }
}

/// Writes batches in order; gives the length of the plaintext.
#[expect(
    clippy::needless_pass_by_value,
    reason = "returning must close the channels"
)]
fn write_batches<W: Write>(
    writer: &mut W,
    direction: Direction,
    done: Receiver<Numbered>,
    free: Sender<Batch>,
) -> Result<u64> {
    let mut early = BTreeMap::new();
    let mut plaintext = 0;
    for next in 0.. {
        let batch = loop {
            if let Some(result) = early.remove(&next) {
                break result?;
            }
            let (number, result) = done.recv().expect("a worker holds the next batch");
            early.insert(number, result);
        };
        plaintext += batch.write_to(writer, direction).map_err(Error::writing)?;
        if batch.is_last() {
            break;
        }
        // The reader is gone once it has seen the end.
        let _ = free.send(batch);
    }
    Ok(plaintext)
}

/// How many workers are meant.
pub(super) fn workers(threads: usize) -> usize {
    match threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

pub(super) fn new_batch(size: usize, cipher: &ChunkCipher) -> Batch {
    Batch::with_room_for((size / cipher.chunk_size).max(1), cipher)
}
