//! Sealing and opening whole files, on all cores.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use keepwatch_crypto::sealed::{SealOptions, open_at, open_stream, seal_at, seal_stream};
use keepwatch_crypto::{Credential, Error as CryptoError, Lock};

use crate::error::{Error, Result};
use crate::fs::AtomicFile;
use crate::progress::Progress;

/// Seals what a file holds, or what a pipe gives, into a file to be committed; gives the number of
/// bytes sealed.
///
/// A file is read from its beginning, whatever its position, and up to the length that it has now.
///
/// # Errors
/// [`Error::Crypto`], and [`Error::Interrupted`] when `progress` says to stop.
pub fn seal_file(
    source: &File,
    target: &mut AtomicFile,
    locks: &[Lock<'_>],
    options: SealOptions,
    progress: &dyn Progress,
) -> Result<u64> {
    match length(source)? {
        Some(len) => {
            let (read_at, write_at) = at_places(source, target, progress);
            seal_at(len, read_at, write_at, locks, options, 0).map(|_| len)
        }
        None => seal_stream(Watched(source, progress), target, locks, options, 0),
    }
    .map_err(own)
}

/// Opens what a sealed file holds, or a pipe gives, into a file to be committed; gives the number of
/// bytes of plaintext.
///
/// # Errors
/// As [`seal_file`].
pub fn unseal_file(
    source: &File,
    target: &mut AtomicFile,
    credential: &Credential,
    progress: &dyn Progress,
) -> Result<u64> {
    match length(source)? {
        Some(len) => {
            let (read_at, write_at) = at_places(source, target, progress);
            open_at(len, read_at, write_at, credential, 0)
        }
        None => open_stream(Watched(source, progress), target, credential, 0),
    }
    .map_err(own)
}

/// The length of a file; none of a pipe.
fn length(source: &File) -> Result<Option<u64>> {
    let metadata = source
        .metadata()
        .map_err(Error::io("read", "a file".as_ref()))?;
    Ok(metadata.is_file().then_some(metadata.len()))
}

#[expect(clippy::type_complexity, reason = "closures have no other type")]
fn at_places<'a>(
    source: &'a File,
    target: &'a AtomicFile,
    progress: &'a dyn Progress,
) -> (
    impl Fn(&mut [u8], u64) -> io::Result<()> + Sync + 'a,
    impl Fn(&[u8], u64) -> io::Result<()> + Sync + 'a,
) {
    let read = move |out: &mut [u8], at: u64| {
        go_on(progress)?;
        source
            .read_exact_at(out, at)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::other("it became shorter meanwhile"),
                _ => error,
            })?;
        progress.advance(0, out.len() as u64);
        Ok(())
    };
    (read, |data: &[u8], at: u64| {
        target.file().write_all_at(data, at)
    })
}

fn go_on(progress: &dyn Progress) -> io::Result<()> {
    match progress.is_stopped() {
        true => Err(io::Error::other(Error::Interrupted)),
        false => Ok(()),
    }
}

/// An error of ours that passed through `io::Error` comes back as it was.
fn own(error: CryptoError) -> Error {
    match error {
        CryptoError::Io { action, source } => match source.downcast::<Error>() {
            Ok(error) => error,
            Err(source) => CryptoError::Io { action, source }.into(),
        },
        error => error.into(),
    }
}

/// A pipe that tells what is read from it.
struct Watched<'a>(&'a File, &'a dyn Progress);

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        go_on(self.1)?;
        let count = self.0.read(buf)?;
        self.1.advance(0, count as u64);
        Ok(count)
    }
}
