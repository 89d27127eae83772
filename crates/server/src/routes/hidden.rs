//! Secrets in requests.

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A text that is wiped when it is done with, and shown to nobody.
pub(crate) struct Hidden(Zeroizing<String>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Hidden {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
