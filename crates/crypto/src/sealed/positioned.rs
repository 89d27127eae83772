//! Sealing and opening what lies at known places, as in files: every worker reads, works and writes
//! for itself, so that no bytes are handed between threads and nobody waits for an order.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::SealOptions;
use super::batch::{Batch, Direction};
use super::chunk::{ChunkCipher, Layout};
use super::header::Header;
use super::stream::{PARALLEL_BATCH, new_batch, workers};
use crate::credential::{Credential, Lock};
use crate::error::{Error, Result};

/// Seals `len` bytes, which `read_at` reads at any place, to where `write_at` writes them; gives the
/// length of the sealed file.
///
/// Both are called with a buffer and the place of its first byte, by several threads at once, and
/// read or write all of it. `threads` and the memory needed are those of
/// [`seal_stream`](super::seal_stream).
///
/// # Errors
/// [`Error::Invalid`] for options or locks out of range, [`Error::Io`] from either function. What was
/// written until then does not open.
pub fn seal_at(
    len: u64,
    read_at: impl Fn(&mut [u8], u64) -> io::Result<()> + Sync,
    write_at: impl Fn(&[u8], u64) -> io::Result<()> + Sync,
    locks: &[Lock<'_>],
    options: SealOptions,
    threads: usize,
) -> Result<u64> {
    let (header, cipher) = Header::create(locks, options)?;
    write_at(header.bytes(), 0).map_err(Error::writing)?;
    let layout = Layout::for_plaintext(len, cipher.chunk_size);
    let work = Work {
        cipher: &cipher,
        layout,
        header_len: header.bytes().len() as u64,
        direction: Direction::Seal,
        read_at,
        write_at,
    };
    work.run(threads)?;
    Ok(work.header_len + layout.body())
}

/// Opens a sealed file of `file_len` bytes, which `read_at` reads at any place, to where `write_at`
/// writes the plaintext; gives its length.
///
/// The functions are called as by [`seal_at`].
///
/// # Errors
/// As [`open_stream`](super::open_stream); any part of the plaintext may have been written then, and
/// is to be thrown away.
pub fn open_at(
    file_len: u64,
    read_at: impl Fn(&mut [u8], u64) -> io::Result<()> + Sync,
    write_at: impl Fn(&[u8], u64) -> io::Result<()> + Sync,
    credential: &Credential,
    threads: usize,
) -> Result<u64> {
    let header = Header::read(InOrder {
        read_at: &read_at,
        at: 0,
        end: file_len,
    })?;
    let cipher = header.unlock(credential)?;
    let header_len = header.bytes().len() as u64;
    let body = file_len.checked_sub(header_len).ok_or(Error::Open)?;
    let layout = Layout::of(body, cipher.chunk_size).ok_or(Error::Open)?;
    let work = Work {
        cipher: &cipher,
        layout,
        header_len,
        direction: Direction::Open,
        read_at,
        write_at,
    };
    work.run(threads)?;
    Ok(layout.plaintext)
}

/// Reads from the beginning.
struct InOrder<'a, R> {
    read_at: &'a R,
    at: u64,
    end: u64,
}

impl<R: Fn(&mut [u8], u64) -> io::Result<()>> Read for InOrder<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = left.min(buf.len());
        (self.read_at)(&mut buf[..len], self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

struct Work<'a, R, W> {
    cipher: &'a ChunkCipher,
    layout: Layout,
    header_len: u64,
    direction: Direction,
    read_at: R,
    write_at: W,
}

impl<R, W> Work<'_, R, W>
where
    R: Fn(&mut [u8], u64) -> io::Result<()> + Sync,
    W: Fn(&[u8], u64) -> io::Result<()> + Sync,
{
    fn run(&self, threads: usize) -> Result<()> {
        let next = AtomicU64::new(0);
        let failed = AtomicBool::new(false);
        let work = || {
            let result = self.batches(&next, &failed);
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            result
        };
        let batches = self.layout.chunks.div_ceil(self.batch_chunks());
        let threads = workers(threads).min(usize::try_from(batches).unwrap_or(usize::MAX));
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            others
                .into_iter()
                .map(|other| other.join().expect("a worker does not panic"))
                .fold(own, Result::and)
        })
    }

    fn batch_chunks(&self) -> u64 {
        (PARALLEL_BATCH / self.cipher.chunk_size).max(1) as u64
    }

    /// Takes batches until there is none any more, or somebody has failed.
    fn batches(&self, next: &AtomicU64, failed: &AtomicBool) -> Result<()> {
        let mut batch = new_batch(PARALLEL_BATCH, self.cipher);
        let step = self.batch_chunks();
        while !failed.load(Ordering::Relaxed) {
            let first = next.fetch_add(step, Ordering::Relaxed);
            if first >= self.layout.chunks {
                break;
            }
            self.batch(&mut batch, first)?;
        }
        Ok(())
    }

    fn batch(&self, batch: &mut Batch, first: u64) -> Result<()> {
        let (plain, sealed) = (self.cipher.chunk_size as u64, self.cipher.stride() as u64);
        batch.place(first, self.layout);
        match self.direction {
            Direction::Seal => {
                batch.for_each_plaintext_mut(|number, chunk| (self.read_at)(chunk, number * plain))
            }
            Direction::Open => (self.read_at)(batch.sealed_mut(), self.header_len + first * sealed),
        }
        .map_err(Error::reading)?;
        batch.process(self.cipher, self.direction)?;
        match self.direction {
            Direction::Seal => {
                (self.write_at)(batch.sealed_mut(), self.header_len + first * sealed)
            }
            Direction::Open => {
                batch.for_each_plaintext_mut(|number, chunk| (self.write_at)(chunk, number * plain))
            }
        }
        .map_err(Error::writing)
    }
}
