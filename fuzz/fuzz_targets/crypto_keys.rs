//! age identities and recipients as text.
#![no_main]

use keepwatch_crypto::{PublicKey, SecretKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(identity) = text.parse::<SecretKey>() {
        assert_eq!(identity.to_age_string().to_lowercase(), text.to_lowercase());
    }
    if let Ok(recipient) = text.parse::<PublicKey>() {
        assert_eq!(recipient.to_string().to_lowercase(), text.to_lowercase());
    }
});
