//! Passphrases and the functions that make keys of them.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::Key;

pub(crate) const SALT_LEN: usize = 16;
/// Below this a new slot is refused (OWASP's figure of 2023).
const PBKDF2_MIN_WRITE: u32 = 600_000;
const PBKDF2_MAX: u32 = 10_000_000;
const ARGON2_MAX_M_KIB: u32 = 2 << 20;
const ARGON2_MAX_T: u32 = 64;
const ARGON2_MAX_P: u32 = 64;
/// The most that m·t may be, in KiB: it bounds the time that a hostile header can cost.
const ARGON2_MAX_WORK_KIB: u64 = 16 << 20;

/// The most that all slots of one container may cost together, in the unit of `Wrapped::work`.
pub const MAX_WORK: u64 = 1_000_000;

/// A passphrase, wiped when dropped.
///
/// Its bytes are UTF-8 exactly as typed, without normalisation.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// The secret text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Passphrase {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<Zeroizing<String>> for Passphrase {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl From<&str> for Passphrase {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// How a key is derived from a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// Argon2id (RFC 9106).
    Argon2id {
        /// Memory in KiB, from `8 * p` to 2 GiB.
        m_kib: u32,
        /// Passes over the memory, 1 to 64.
        t: u32,
        /// Lanes, 1 to 64; computed in parallel.
        p: u32,
    },
    /// PBKDF2-HMAC-SHA-256 (RFC 8018), for those who must.
    Pbkdf2 {
        /// Iterations, 600 000 to 10 000 000; fewer are accepted when reading only.
        iterations: u32,
    },
}

impl Default for Kdf {
    /// Argon2id with 64 MiB, three passes and four lanes, the second choice of RFC 9106.
    fn default() -> Self {
        Self::argon2id(64 << 10, 3, 4)
    }
}

impl Kdf {
    /// Argon2id with these parameters; they are checked when used.
    pub const fn argon2id(m_kib: u32, t: u32, p: u32) -> Self {
        Kdf::Argon2id { m_kib, t, p }
    }

    /// PBKDF2-HMAC-SHA-256 with so many iterations; they are checked when used.
    pub const fn pbkdf2(iterations: u32) -> Self {
        Kdf::Pbkdf2 { iterations }
    }

    /// What it costs, in millionths of the most that one slot may ask for.
    pub(crate) fn work(self) -> u64 {
        match self {
            Kdf::Argon2id { m_kib, t, .. } => {
                (u64::from(m_kib) * u64::from(t) * MAX_WORK).div_ceil(ARGON2_MAX_WORK_KIB)
            }
            Kdf::Pbkdf2 { iterations } => {
                (u64::from(iterations) * MAX_WORK).div_ceil(u64::from(PBKDF2_MAX))
            }
        }
    }

    /// Whether a new slot may use it.
    pub(crate) fn check_for_writing(self) -> Result<()> {
        match self {
            Kdf::Pbkdf2 { iterations } if iterations < PBKDF2_MIN_WRITE => Err(Error::Invalid {
                what: "PBKDF2",
                problem: "600 000 iterations are the least",
            }),
            _ => self.check().map_err(|problem| Error::Invalid {
                what: "the key derivation",
                problem,
            }),
        }
    }

    /// Whether it may be computed at all: the bounds of FORMAT.md, section 1.3.
    pub(crate) fn check(self) -> Result<(), &'static str> {
        match self {
            Kdf::Argon2id { m_kib, t, p } => {
                if !(1..=ARGON2_MAX_P).contains(&p) {
                    Err("Argon2id takes 1 to 64 lanes")
                } else if !(1..=ARGON2_MAX_T).contains(&t) {
                    Err("Argon2id takes 1 to 64 passes")
                } else if !(8 * p..=ARGON2_MAX_M_KIB).contains(&m_kib) {
                    Err("Argon2id takes from 8 KiB a lane to 2 GiB of memory")
                } else if u64::from(m_kib) * u64::from(t) > ARGON2_MAX_WORK_KIB {
                    Err("Argon2id passes over 16 GiB at most")
                } else {
                    Ok(())
                }
            }
            Kdf::Pbkdf2 { iterations } => {
                if (1..=PBKDF2_MAX).contains(&iterations) {
                    Ok(())
                } else {
                    Err("PBKDF2 takes 1 to 10 000 000 iterations")
                }
            }
        }
    }

    /// The key for a passphrase and salt. Takes as long as the parameters say.
    pub(crate) fn derive(self, passphrase: &Passphrase, salt: &[u8; SALT_LEN]) -> Result<Key> {
        let mut key = Zeroizing::new([0; 32]);
        let password = passphrase.expose().as_bytes();
        match self {
            Kdf::Argon2id { m_kib, t, p } => {
                let params = Params::new(m_kib, t, p, Some(32)).map_err(|_| Error::Invalid {
                    what: "the key derivation",
                    problem: "its parameters do not go together",
                })?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(password, salt, key.as_mut_slice())
                    .map_err(|error| match error {
                        argon2::Error::OutOfMemory => Error::Memory { mib: m_kib >> 10 },
                        _ => Error::Invalid {
                            what: "the passphrase",
                            problem: "it is longer than 4 GiB",
                        },
                    })?;
            }
            Kdf::Pbkdf2 { iterations } => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, key.as_mut_slice());
            }
        }
        Ok(Key::from_bytes(*key))
    }
}

impl fmt::Display for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kdf::Argon2id { m_kib, t, p } if m_kib % 1024 == 0 => {
                write!(f, "argon2id, {} MiB, t={t}, p={p}", m_kib / 1024)
            }
            Kdf::Argon2id { m_kib, t, p } => write!(f, "argon2id, {m_kib} KiB, t={t}, p={p}"),
            Kdf::Pbkdf2 { iterations } => write!(f, "pbkdf2, {iterations} iterations"),
        }
    }
}
