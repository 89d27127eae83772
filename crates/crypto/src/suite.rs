//! Which authenticated encryption is used (FORMAT.md, section 1.1).

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A cipher suite: 32-byte key, 24-byte random nonce, 16-byte tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// [C2SP XAES-256-GCM](https://c2sp.org/XAES-256-GCM), the fastest where the CPU has AES.
    Xaes256Gcm,
    /// XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03.
    XChaCha20Poly1305,
}

impl Suite {
    /// Every suite there is.
    pub const ALL: [Suite; 2] = [Suite::Xaes256Gcm, Suite::XChaCha20Poly1305];

    /// The suite that is fastest on this machine without leaking through its caches.
    pub fn recommended() -> Self {
        if cpu::has_aes() {
            Suite::Xaes256Gcm
        } else {
            Suite::XChaCha20Poly1305
        }
    }

    /// The byte that stands for the suite in headers.
    pub fn byte(self) -> u8 {
        match self {
            Suite::Xaes256Gcm => 1,
            Suite::XChaCha20Poly1305 => 2,
        }
    }

    /// The suite that a header names.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a byte that stands for none.
    pub fn from_byte(byte: u8) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.byte() == byte)
            .ok_or_else(|| unsupported(byte))
    }

    /// The suite's name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Xaes256Gcm => "xaes-256-gcm",
            Suite::XChaCha20Poly1305 => "xchacha20-poly1305",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Suite {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name() == name)
            .ok_or_else(|| unsupported(name))
    }
}

fn unsupported(value: impl fmt::Display) -> Error {
    Error::Unsupported {
        what: "cipher suite",
        value: value.to_string(),
    }
}

#[cfg(target_arch = "x86_64")]
mod cpu {
    cpufeatures::new!(aes, "aes", "pclmulqdq");

    pub fn has_aes() -> bool {
        aes::get()
    }
}

#[cfg(target_arch = "aarch64")]
mod cpu {
    // Stands for AES and the carry-less multiplication alike.
    cpufeatures::new!(aes, "aes");

    pub fn has_aes() -> bool {
        aes::get()
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod cpu {
    pub fn has_aes() -> bool {
        false
    }
}
