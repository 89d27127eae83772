//! Contents of files: opened when they are read, decrypted, and compared with their manifest.

use std::io::{self, Read};
use std::sync::Arc;

use keepwatch_core::{VirtualContent, with_causes};
use keepwatch_crypto::Error as CryptoError;
use keepwatch_crypto::backuphandler::{LegacyKeys, Plaintext};
use sha2::{Digest, Sha256};

use super::finding::{FindingKind, Log};
use super::manifest::Version;
use super::scan::Root;

/// What files are read with.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub root: Arc<Root>,
    pub keys: Arc<LegacyKeys>,
}

/// A file to be read.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Beneath the root.
    pub path: Vec<u8>,
    pub is_sealed: bool,
    /// What it may be; anything, if nothing is known.
    pub versions: Vec<Version>,
}

impl Reading {
    /// The content of a file. What is wrong with it is found when it is read, and told in the log.
    pub fn content(&self, wanted: Wanted, size: u64, log: &Arc<Log>) -> VirtualContent {
        let (reading, wanted, log) = (self.clone(), Arc::new(wanted), log.clone());
        VirtualContent::new(size, move || reading.open(&wanted, &log))
    }

    fn open(&self, wanted: &Arc<Wanted>, log: &Arc<Log>) -> io::Result<Box<dyn Read + Send>> {
        let told = |kind, error: io::Error| {
            log.add(&wanted.path, kind, with_causes(&error));
            error
        };
        let file = self
            .root
            .file(&wanted.path)
            .map_err(|error| told(FindingKind::Unreadable, error))?;
        let verified = |reader: Box<dyn Read + Send>| Verified {
            reader,
            hash: Sha256::new(),
            len: 0,
            ended: false,
            wanted: wanted.clone(),
            log: log.clone(),
        };
        if !wanted.is_sealed {
            return Ok(Box::new(verified(Box::new(file))));
        }
        let opened = self
            .keys
            .for_file(&file)
            .and_then(|key| Plaintext::of_file(file, &key));
        match opened {
            Ok(plaintext) => Ok(Box::new(verified(Box::new(plaintext)))),
            Err(CryptoError::Io { source, .. }) => Err(told(FindingKind::Unreadable, source)),
            Err(error) => Err(told(FindingKind::Damaged, error.into())),
        }
    }
}

/// Ends in an error if what passed through it is not what was to come.
struct Verified {
    reader: Box<dyn Read + Send>,
    hash: Sha256,
    len: u64,
    /// Whether the end was reached, and all was right.
    ended: bool,
    wanted: Arc<Wanted>,
    log: Arc<Log>,
}

impl Verified {
    fn fits(&mut self) -> bool {
        let hash: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        let mut versions = self.wanted.versions.iter();
        self.wanted.versions.is_empty()
            || versions.any(|version| {
                version.size == self.len && version.checksum.is_none_or(|is| is == hash)
            })
    }

    fn changed(&self) -> io::Error {
        let problem = "its content is not what the manifest says";
        self.log
            .add(&self.wanted.path, FindingKind::Changed, problem);
        io::Error::new(io::ErrorKind::InvalidData, problem)
    }
}

impl Read for Verified {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.ended {
            return Ok(0);
        }
        let len = match self.reader.read(buf) {
            Ok(0) => {
                self.ended = self.fits();
                return match self.ended {
                    true => Ok(0),
                    false => Err(self.changed()),
                };
            }
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let kind = match error
                    .get_ref()
                    .is_some_and(|inner| inner.is::<CryptoError>())
                {
                    true => FindingKind::Damaged,
                    false => FindingKind::Unreadable,
                };
                self.log.add(&self.wanted.path, kind, with_causes(&error));
                return Err(error);
            }
        };
        self.hash.update(&buf[..len]);
        self.len += len as u64;
        let longest = self
            .wanted
            .versions
            .iter()
            .map(|version| version.size)
            .max();
        match longest.is_some_and(|longest| self.len > longest) {
            true => Err(self.changed()),
            false => Ok(len),
        }
    }
}

/// Whether a file, as it is, is one of these.
pub(super) fn is_one_of(root: &Root, path: &[u8], versions: &[Version]) -> bool {
    let Ok(mut file) = root.file(path) else {
        return false;
    };
    let mut hash = Sha256::new();
    if io::copy(&mut file, &mut HashWriter(&mut hash)).is_err() {
        return false;
    }
    let hash: [u8; 32] = hash.finalize().into();
    versions
        .iter()
        .any(|version| version.checksum == Some(hash))
}

struct HashWriter<'h>(&'h mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
