//! The 32-byte identifier of everything the vault stores.
//!
//! An [`Id`] is written as 64 lower-case hex digits wherever it meets a person, a file name or
//! JSON. Upper case is refused when parsing, so that one id has exactly one spelling and an
//! object cannot appear twice in a listing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A 32-byte identifier, in most places a BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Id([u8; 32]);

/// The text is not an [`Id`]: it must be 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an id is 64 lower-case hex digits")]
pub struct ParseIdError;

impl Id {
    /// The id of 32 zero bytes, used where an object has no id of its own.
    pub const ZERO: Id = Id([0; 32]);

    /// Wraps bytes that already are an id.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Id(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The plain (unkeyed) BLAKE3 hash of `data`.
    ///
    /// Never use this on plaintext: an unkeyed hash tells anyone with a copy of the file that
    /// the vault holds it.
    pub fn of(data: &[u8]) -> Self {
        Id(*blake3::hash(data).as_bytes())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ParseIdError);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError)?;
        Ok(Id(bytes))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The empty-input hash from the BLAKE3 reference test vectors.
    const EMPTY: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    #[test]
    fn text_and_json_round_trip() {
        let id = Id::of(b"");
        assert_eq!(id.to_string(), EMPTY);
        assert_eq!(format!("{id:?}"), "af1349b9");
        assert_eq!(EMPTY.parse(), Ok(id));
        let json = serde_json::to_string(&id).expect("an id serialises");
        assert_eq!(json, format!("\"{EMPTY}\""));
        assert_eq!(serde_json::from_str::<Id>(&json).expect("it parses"), id);
    }

    #[test]
    fn one_id_has_one_spelling() {
        for bad in [
            "",
            "af",
            &EMPTY.to_uppercase(),
            &EMPTY[1..],
            &format!("{EMPTY}0"),
            &EMPTY.replace('a', "g"),
            &format!("{}é", &EMPTY[2..]),
        ] {
            assert_eq!(bad.parse::<Id>(), Err(ParseIdError), "{bad:?}");
        }
    }
}
