//! The keys of many files: each derived once, however many threads ask for it.

use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LegacyKey, NO_SALT, salt_of};
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::passphrase::{Passphrase, SALT_LEN};

/// BackupHandler's own files have a salt each: no more of their keys are worth keeping.
const SALTS: usize = 64;

/// Filled by the first who needs it, while the others wait instead of deriving it too.
type Slot = Arc<Mutex<Option<LegacyKey>>>;

/// What opens the files of a backup: a passphrase, a key file, or both.
pub struct LegacyKeys {
    passphrase: Option<Passphrase>,
    key: Option<Key>,
    slots: Mutex<HashMap<[u8; SALT_LEN], Slot>>,
}

impl LegacyKeys {
    /// The keys of these. Nothing is derived yet.
    pub fn new(passphrase: Option<Passphrase>, key: Option<Key>) -> Self {
        Self {
            passphrase,
            key,
            slots: Mutex::default(),
        }
    }

    /// The passphrase, if there is one.
    pub fn passphrase(&self) -> Option<&Passphrase> {
        self.passphrase.as_ref()
    }

    /// The key file, if there is one.
    pub fn key_file(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The key for the file that `reader` holds, which is then at its beginning. It is not known yet
    /// whether it is the right one.
    ///
    /// # Errors
    /// - [`Error::OtherCredential`] when the file is of the other kind than what is there, or nothing
    ///   is there.
    /// - [`Error::Malformed`] for what is too short to be such a file.
    pub fn for_file(&self, reader: impl Read + Seek) -> Result<LegacyKey> {
        let salt = salt_of(reader)?;
        let credential = self.credential_for(&salt)?;
        let slot = {
            let mut slots = lock(&self.slots);
            if slots.len() == SALTS && !slots.contains_key(&salt) {
                slots.clear();
            }
            slots.entry(salt).or_default().clone()
        };
        let mut slot = lock(&slot);
        if let Some(key) = &*slot {
            return Ok(key.clone());
        }
        let key = LegacyKey::for_salt(&credential, salt)?;
        *slot = Some(key.clone());
        Ok(key)
    }

    fn credential_for(&self, salt: &[u8; SALT_LEN]) -> Result<Credential> {
        let of_key_file = *salt == NO_SALT;
        match (&self.passphrase, &self.key) {
            (Some(passphrase), Some(_)) if !of_key_file => Ok(passphrase.clone().into()),
            (_, Some(key)) => Ok(Credential::KeyFile(key.clone())),
            (Some(passphrase), None) => Ok(passphrase.clone().into()),
            (None, None) => Err(Error::OtherCredential {
                needs: match of_key_file {
                    true => "a key file".to_owned(),
                    false => "a passphrase".to_owned(),
                },
                given: "nothing",
            }),
        }
    }
}

impl fmt::Debug for LegacyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyKeys")
            .field("passphrase", &self.passphrase.is_some())
            .field("key_file", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
