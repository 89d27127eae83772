//! Dumps of databases in snapshots, on their way back.

use std::io::{self, PipeReader, Read, pipe};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use keepwatch_core::{Error, Repository, Snapshot, with_causes};
use keepwatch_ops::source::FOLDER;

/// The names of the dumps that a snapshot has of a database of the configuration.
///
/// # Errors
/// When the snapshot cannot be read.
pub fn dumps_of(
    repository: &Repository,
    snapshot: &Snapshot,
    database: &str,
) -> Result<Vec<String>, Error> {
    let folder = format!("{FOLDER}/{database}");
    let mut all = Vec::new();
    repository.list_tree(snapshot, folder.as_bytes(), false, &mut |entry| {
        if entry.kind == "file" {
            let path = String::from_utf8_lossy(&entry.path.0).into_owned();
            all.push(path.rsplit('/').next().unwrap_or_default().to_owned());
        }
        Ok(())
    })?;
    Ok(all)
}

/// Reads a dump out of the vault for somebody who takes it as a stream. Its end is told only when all
/// of it was there.
///
/// # Errors
/// What `take` says.
pub fn with_dump<T, E: From<io::Error>>(
    repository: &Repository,
    snapshot: &Snapshot,
    database: &str,
    dump: &str,
    take: impl FnOnce(Box<dyn Read + Send>) -> Result<T, E>,
) -> Result<T, E> {
    let path = format!("{FOLDER}/{database}/{dump}");
    let (reader, mut writer) = pipe()?;
    let (told, ended) = channel();
    let reader = Dump {
        pipe: reader,
        ended,
    };
    thread::scope(|scope| {
        let path = &path;
        scope.spawn(move || {
            let read = repository.dump(snapshot, path.as_bytes(), &mut writer);
            // Told before the pipe ends: nobody is to take half of it for all.
            let _ = told.send(read.map(drop).map_err(|error| with_causes(&error)));
            drop(writer);
        });
        take(Box::new(reader))
    })
}

/// What comes out of the vault.
struct Dump {
    pipe: PipeReader,
    ended: Receiver<Result<(), String>>,
}

impl Read for Dump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.pipe.read(buffer)? {
            0 if !buffer.is_empty() => match self.ended.recv() {
                Ok(Ok(())) => Ok(0),
                Ok(Err(error)) => Err(io::Error::other(error)),
                // It was told already.
                Err(_) => Ok(0),
            },
            length => Ok(length),
        }
    }
}
