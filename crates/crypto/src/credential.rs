//! What locks and what opens a slot.

use crate::identity::{PublicKey, SecretKey};
use crate::key::Key;
use crate::passphrase::{Kdf, Passphrase};

/// What a new slot will open with.
#[derive(Clone, Copy, Debug)]
pub enum Lock<'a> {
    /// A passphrase, and how a key is made of it.
    Passphrase(&'a Passphrase, Kdf),
    /// A key file of 32 random bytes.
    KeyFile(&'a Key),
    /// The holder of a secret key.
    Recipient(&'a PublicKey),
}

/// What a new slot will open with, with the secret itself.
#[derive(Clone, Debug)]
pub enum NewLock {
    /// A passphrase.
    Passphrase(Passphrase),
    /// A key file.
    KeyFile(Key),
    /// A public key.
    Recipient(PublicKey),
}

impl NewLock {
    /// The lock; `kdf` makes a key of a passphrase.
    pub fn lock(&self, kdf: Kdf) -> Lock<'_> {
        match self {
            NewLock::Passphrase(passphrase) => Lock::Passphrase(passphrase, kdf),
            NewLock::KeyFile(key) => Lock::KeyFile(key),
            NewLock::Recipient(recipient) => Lock::Recipient(recipient),
        }
    }
}

/// What opens slots.
///
/// Nothing is remembered: a passphrase is derived anew for every slot that it is tried on.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A passphrase.
    Passphrase(Passphrase),
    /// The 32 bytes of a key file.
    KeyFile(Key),
    /// Secret keys, tried in order.
    Identities(Vec<SecretKey>),
}

impl Credential {
    /// The kind of credential, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Credential::Passphrase(_) => "a passphrase",
            Credential::KeyFile(_) => "a key file",
            Credential::Identities(_) => "an identity",
        }
    }
}

impl From<Passphrase> for Credential {
    fn from(passphrase: Passphrase) -> Self {
        Credential::Passphrase(passphrase)
    }
}

impl From<SecretKey> for Credential {
    fn from(identity: SecretKey) -> Self {
        Credential::Identities(vec![identity])
    }
}
