//! The keys of BackupHandler's files: derived once, not once for every file.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepwatch_core::crypto::backuphandler::{LegacyKey, LegacyKeys};
use keepwatch_core::crypto::{Error as CryptoError, Key, Passphrase, ct_eq};

use crate::errors::{Raise, Result};

/// Nonces are random: far fewer messages than the 2^32 that one key may have.
const FILES_PER_KEY: u64 = 1 << 24;
/// Of passphrases that this process remembers keys of.
const REMEMBERED: usize = 4;

/// What a passphrase, a key file, or both, open and write.
pub struct Keys {
    writing: Mutex<Option<(LegacyKey, u64)>>,
    reading: LegacyKeys,
}

impl Keys {
    /// The keys of these, as remembered from earlier in this process.
    pub fn of(passphrase: Option<Passphrase>, key: Option<Key>) -> Arc<Self> {
        static KEPT: Mutex<Vec<Arc<Keys>>> = Mutex::new(Vec::new());
        let mut kept = lock(&KEPT);
        if let Some(at) = kept.iter().position(|keys| keys.are_of(&passphrase, &key)) {
            let keys = kept.remove(at);
            kept.push(keys.clone());
            return keys;
        }
        let keys = Arc::new(Self {
            writing: Mutex::default(),
            reading: LegacyKeys::new(passphrase, key),
        });
        if kept.len() == REMEMBERED {
            kept.remove(0);
        }
        kept.push(keys.clone());
        keys
    }

    fn are_of(&self, passphrase: &Option<Passphrase>, key: &Option<Key>) -> bool {
        let passphrases = match (self.reading.passphrase(), passphrase) {
            (Some(one), Some(other)) => {
                let (one, other) = (one.expose().as_bytes(), other.expose().as_bytes());
                one.len() == other.len() && ct_eq(one, other)
            }
            (one, other) => one.is_none() && other.is_none(),
        };
        let keys = match (self.reading.key_file(), key) {
            (Some(one), Some(other)) => ct_eq(one.expose(), other.expose()),
            (one, other) => one.is_none() && other.is_none(),
        };
        passphrases && keys
    }

    /// The key to write with: of the key file, if there are both.
    pub fn writing(&self) -> Result<LegacyKey> {
        if let Some(key) = self.reading.key_file() {
            return Ok(LegacyKey::from_key_file(key));
        }
        let mut writing = lock(&self.writing);
        if let Some((key, used)) = &mut *writing
            && *used < FILES_PER_KEY
        {
            *used += 1;
            return Ok(key.clone());
        }
        let passphrase = self.reading.passphrase().ok_or_else(neither)?;
        let key = LegacyKey::from_passphrase(passphrase)?;
        *writing = Some((key.clone(), 1));
        Ok(key)
    }

    /// The key that a file is written with, if it is one of these.
    pub fn reading(&self, path: &Path, file: &File) -> Result<LegacyKey> {
        let written = lock(&self.writing).as_ref().map(|(key, _)| key.clone());
        if let Some(key) = written
            && key.fits(file)?
        {
            return Ok(key);
        }
        if self.reading.passphrase().is_none() && self.reading.key_file().is_none() {
            return Err(neither());
        }
        self.reading.for_file(file).map_err(|error| at(path, error))
    }
}

/// An I/O error of the crypto crate knows no path.
pub fn at(path: &Path, error: CryptoError) -> Raise {
    match error {
        CryptoError::Io { action, source } => {
            let action = match action {
                "reading" => "read",
                _ => "write",
            };
            Raise::File(action, path.to_owned(), source)
        }
        error => Raise::Crypto(error),
    }
}

fn neither() -> Raise {
    Raise::value("passphrase", "give it or a key file")
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
