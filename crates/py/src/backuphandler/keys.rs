//! The keys of BackupHandler's files: derived once, not once for every file.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepwatch_core::crypto::backuphandler::LegacyKey;
use keepwatch_core::crypto::{Credential, Error as CryptoError, Key, Passphrase, ct_eq};

use crate::errors::{Raise, Result};

/// Nonces are random: far fewer messages than the 2^32 that one key may have.
const FILES_PER_KEY: u64 = 1 << 24;
/// Of passphrases that this process remembers keys of.
const REMEMBERED: usize = 4;
/// The original's files have a salt each: their keys are not worth keeping.
const SALTS: usize = 64;

/// Filled by the first who needs it, while the others wait instead of deriving it too.
type Slot = Arc<Mutex<Option<LegacyKey>>>;

/// What a passphrase, a key file, or both, open and write.
pub struct Keys {
    passphrase: Option<Passphrase>,
    key: Option<Key>,
    writing: Mutex<Option<(LegacyKey, u64)>>,
    reading: Mutex<HashMap<[u8; 16], Slot>>,
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
            passphrase,
            key,
            writing: Mutex::default(),
            reading: Mutex::default(),
        });
        if kept.len() == REMEMBERED {
            kept.remove(0);
        }
        kept.push(keys.clone());
        keys
    }

    fn are_of(&self, passphrase: &Option<Passphrase>, key: &Option<Key>) -> bool {
        let passphrases = match (&self.passphrase, passphrase) {
            (Some(one), Some(other)) => {
                let (one, other) = (one.expose().as_bytes(), other.expose().as_bytes());
                one.len() == other.len() && ct_eq(one, other)
            }
            (one, other) => one.is_none() && other.is_none(),
        };
        let keys = match (&self.key, key) {
            (Some(one), Some(other)) => ct_eq(one.expose(), other.expose()),
            (one, other) => one.is_none() && other.is_none(),
        };
        passphrases && keys
    }

    /// The key to write with: of the key file, if there are both.
    pub fn writing(&self) -> Result<LegacyKey> {
        if let Some(key) = &self.key {
            return Ok(LegacyKey::from_key_file(key));
        }
        let mut writing = lock(&self.writing);
        if let Some((key, used)) = &mut *writing
            && *used < FILES_PER_KEY
        {
            *used += 1;
            return Ok(key.clone());
        }
        let passphrase = self.passphrase.as_ref().ok_or_else(neither)?;
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
        let mut salt = [0; 16];
        // `fits` and `of_file` find the file at any place and leave it at its beginning.
        if (&mut &*file).read_exact(&mut salt).is_err() {
            // Too short: said by the one that reads it as such a file.
            return Ok(LegacyKey::of_file(file, &self.credential_for(&salt)?)?);
        }
        let slot = {
            let mut reading = lock(&self.reading);
            if reading.len() == SALTS && !reading.contains_key(&salt) {
                reading.clear();
            }
            reading.entry(salt).or_default().clone()
        };
        let mut slot = lock(&slot);
        if let Some(key) = &*slot {
            return Ok(key.clone());
        }
        let key = LegacyKey::of_file(file, &self.credential_for(&salt)?)
            .map_err(|error| at(path, error))?;
        *slot = Some(key.clone());
        Ok(key)
    }

    fn credential_for(&self, salt: &[u8; 16]) -> Result<Credential> {
        let of_key_file = *salt == [0; 16];
        match (&self.passphrase, &self.key) {
            (Some(passphrase), Some(_)) if !of_key_file => {
                Ok(Credential::Passphrase(passphrase.clone()))
            }
            (_, Some(key)) => Ok(Credential::KeyFile(key.clone())),
            (Some(passphrase), None) => Ok(Credential::Passphrase(passphrase.clone())),
            (None, None) => Err(neither()),
        }
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
