//! Random secrets, and what is kept of them.

use std::fmt;

use keepwatch_core::crypto::{Error, ct_eq, random_bytes};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const DIGEST_CONTEXT: &str = "keepwatch v1 server secret";
const CSRF_CONTEXT: &str = "keepwatch v1 server csrf";

/// A random text that lets somebody in.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

/// The BLAKE3 of a secret: 256 random bits need no slow hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Digest(#[serde(with = "hex::serde")] [u8; 32]);

impl Secret {
    /// A new one of 256 bits.
    pub fn random() -> Result<Self, Error> {
        let bytes = Zeroizing::new(random_bytes::<32>()?);
        Ok(Self(Zeroizing::new(hex::encode(bytes.as_slice()))))
    }

    /// A new one that is typed by hand: 80 bits, in groups.
    pub fn code() -> Result<Self, Error> {
        // No letters and digits that look alike (Crockford's base 32).
        const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let bytes = Zeroizing::new(random_bytes::<16>()?);
        let mut code = Zeroizing::new(String::with_capacity(19));
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 && at % 4 == 0 {
                code.push('-');
            }
            code.push(char::from(LETTERS[usize::from(byte & 31)]));
        }
        Ok(Self(code))
    }

    /// What somebody has sent.
    pub fn given(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// For the one whose it is.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether somebody sent this one.
    pub fn is(&self, text: &str) -> bool {
        ct_eq(self.digest().0.as_slice(), &Self::given(text).digest().0)
    }

    pub fn digest(&self) -> Digest {
        Digest(blake3::derive_key(DIGEST_CONTEXT, self.0.as_bytes()))
    }

    /// What a page of the session sends along, and no other page knows.
    pub fn csrf(&self) -> String {
        hex::encode(blake3::derive_key(CSRF_CONTEXT, self.0.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// A name for a session or token, which says nothing.
pub(crate) fn id() -> Result<String, Error> {
    Ok(hex::encode(random_bytes::<8>()?))
}
