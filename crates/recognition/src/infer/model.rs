//! The files of networks.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// The largest file of a network that is read, in bytes.
pub const MAX_MODEL: u64 = 1 << 30;

/// The SHA-256 of a file (FIPS 180-4), written in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// That of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| Error::Setting {
            name: "sha256",
            problem: "a SHA-256 has 64 hexadecimal digits".to_owned(),
        })?;
        Ok(Self(bytes))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A network as a file holds it.
#[derive(Clone)]
pub struct Model {
    name: String,
    bytes: Arc<[u8]>,
    digest: Digest,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({}, {})", self.name, self.digest)
    }
}

impl Model {
    /// Reads a file. If `expected` is given, it is refused unless that is its SHA-256.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Model`] for one that was changed or is larger than [`MAX_MODEL`].
    pub fn read(path: &Path, expected: Option<Digest>) -> Result<Self> {
        let failed = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(MAX_MODEL + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let model = Self::new(&path.display().to_string(), bytes);
        if model.bytes.len() as u64 > MAX_MODEL {
            return Err(model.unfit(format!("it is larger than {MAX_MODEL} bytes")));
        }
        match expected {
            Some(expected) if expected != model.digest => Err(model.unfit(format!(
                "its SHA-256 is {}, and not {expected}: it was changed or is another file",
                model.digest
            ))),
            _ => Ok(model),
        }
    }

    /// Takes what a file holds. `name` is for messages.
    pub fn new(name: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.to_owned(),
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the file holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its SHA-256.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// That it cannot be used.
    pub(crate) fn unfit(&self, problem: impl Into<String>) -> Error {
        Error::Model {
            name: self.name.clone(),
            problem: problem.into(),
        }
    }
}
