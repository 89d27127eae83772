//! Symmetric keys and what is derived from them.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::Result;
use crate::random::fill_random;

/// A secret key of 32 bytes, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    /// A new random key.
    ///
    /// # Errors
    /// [`Error::Random`](crate::Error::Random) when the system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let mut key = Self([0; 32]);
        fill_random(&mut key.0)?;
        Ok(key)
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Keyed BLAKE3 of the parts, joined.
    ///
    /// Where one ends and the next begins is not authenticated: all but the last should have a
    /// fixed length.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(part);
        }
        let mac = hasher.finalize();
        hasher.zeroize();
        *mac.as_bytes()
    }

    /// The key that BLAKE3 derives from this one for a purpose.
    ///
    /// `context` is a constant of the program, unique to the purpose.
    pub fn derive(&self, context: &str) -> Key {
        Key(blake3::derive_key(context, &self.0))
    }

    /// A public value that commits to this key: nobody finds two keys that share it.
    ///
    /// It is stored beside what the key seals and compared, with [`ct_eq`](crate::ct_eq), before
    /// opening, because neither suite commits to its key.
    pub fn commitment(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}
