//! X25519 key pairs in the text forms of age.

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::random::fill_random;

const SECRET_HRP: &str = "age-secret-key-";
const PUBLIC_HRP: &str = "age";

/// An X25519 secret key, wiped when dropped.
///
/// Reads age identities, `AGE-SECRET-KEY-1…`.
#[derive(Clone)]
pub struct SecretKey(StaticSecret);

impl SecretKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`Error::Random`] when the system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill_random(bytes.as_mut_slice())?;
        Ok(Self::from_bytes(*bytes))
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// The secret bytes.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public key that belongs to this one.
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }

    /// The identity as age writes it.
    pub fn to_age_string(&self) -> Zeroizing<String> {
        let hrp = Hrp::parse(SECRET_HRP).expect("the prefix is a valid one");
        let text = bech32::encode_upper::<Bech32>(hrp, self.expose());
        Zeroizing::new(text.expect("32 bytes fit into a Bech32 string"))
    }

    /// The identities in a file as `age-keygen` writes it: one a line, after comments.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a line that is none, and when there is none at all.
    pub fn parse_file(text: &str) -> Result<Vec<Self>> {
        let what = "the identity file";
        let identities = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::parse)
            .collect::<Result<Vec<Self>>>()
            .map_err(|_| Error::malformed(what, "it holds a line that is no age identity"))?;
        match identities.is_empty() {
            true => Err(Error::malformed(what, "it holds no age identity")),
            false => Ok(identities),
        }
    }

    /// The secret shared with `public`, unless it is all zero (RFC 7748, section 6.1).
    pub(crate) fn agree(&self, public: &PublicKey) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self
            .0
            .diffie_hellman(&x25519_dalek::PublicKey::from(public.0));
        shared
            .was_contributory()
            .then(|| Zeroizing::new(shared.to_bytes()))
    }
}

impl FromStr for SecretKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = decode(SECRET_HRP, text)
            .ok_or_else(|| Error::malformed("the identity", "it is not AGE-SECRET-KEY-1…"))?;
        let key = Self::from_bytes(bytes);
        bytes.zeroize();
        Ok(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// An X25519 public key.
///
/// Written and read as an age recipient, `age1…`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hrp = Hrp::parse(PUBLIC_HRP).expect("the prefix is a valid one");
        bech32::encode_lower_to_fmt::<Bech32, _>(f, hrp, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        decode(PUBLIC_HRP, text)
            .map(Self)
            .ok_or_else(|| Error::malformed("the recipient", "it is not age1…"))
    }
}

/// The 32 bytes of a Bech32 string with this prefix.
fn decode(prefix: &str, text: &str) -> Option<[u8; 32]> {
    let hrp = Hrp::parse(prefix).expect("the prefix is a valid one");
    let parsed = CheckedHrpstring::new::<Bech32>(text).ok()?;
    // One key has one text: the padding bits must be zero, as age demands.
    if parsed.hrp() != hrp || parsed.validate_segwit_padding().is_err() {
        return None;
    }
    let mut bytes = [0; 32];
    let mut decoded = parsed.byte_iter();
    for byte in &mut bytes {
        *byte = decoded.next()?;
    }
    decoded.next().is_none().then_some(bytes)
}
