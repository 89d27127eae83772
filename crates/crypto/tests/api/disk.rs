//! A disk in memory, for what reads and writes at places.

use std::io;
use std::sync::Mutex;

use keepwatch_crypto::sealed::{SealOptions, open_at, seal_at};
use keepwatch_crypto::{Credential, Lock, Result};

/// One file.
#[derive(Default)]
pub struct Disk(Mutex<Vec<u8>>);

impl Disk {
    pub fn with(content: &[u8]) -> Self {
        Self(Mutex::new(content.to_vec()))
    }

    pub fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        let content = self.0.lock().unwrap();
        let range = at as usize..at as usize + out.len();
        let part = content.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(part);
        Ok(())
    }

    pub fn write_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        let end = at as usize + data.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[at as usize..end].copy_from_slice(data);
        Ok(())
    }

    pub fn content(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// Seals at places; checks the length that is given.
pub fn seal(
    plain: &[u8],
    locks: &[Lock<'_>],
    options: SealOptions,
    threads: usize,
) -> Result<Vec<u8>> {
    let (source, target) = (Disk::with(plain), Disk::default());
    let len = seal_at(
        plain.len() as u64,
        |out, at| source.read_at(out, at),
        |data, at| target.write_at(data, at),
        locks,
        options,
        threads,
    )?;
    let sealed = target.content();
    assert_eq!(len, sealed.len() as u64);
    Ok(sealed)
}

/// Opens at places; checks the length that is given.
pub fn open(sealed: &[u8], credential: &Credential, threads: usize) -> Result<Vec<u8>> {
    let (source, target) = (Disk::with(sealed), Disk::default());
    let len = open_at(
        sealed.len() as u64,
        |out, at| source.read_at(out, at),
        |data, at| target.write_at(data, at),
        credential,
        threads,
    )?;
    let plain = target.content();
    assert_eq!(len, plain.len() as u64);
    Ok(plain)
}
