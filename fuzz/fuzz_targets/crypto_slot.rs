//! Slots, and what may be said of them before they are opened.
#![no_main]

use keepwatch_crypto::slot;
use keepwatch_crypto::{Credential, Key, SecretKey, Suite};
use libfuzzer_sys::fuzz_target;

// Passphrases would derive keys at the cost that the bytes name; `parse` is what bounds it.
fuzz_target!(|bytes: &[u8]| {
    for payload_len in [32, 64] {
        let Ok((wrapped, used)) = slot::parse(bytes, payload_len) else {
            continue;
        };
        assert!(used <= bytes.len());
        let _ = wrapped.describe();
        for credential in [
            Credential::KeyFile(Key::from_bytes([1; 32])),
            Credential::from(SecretKey::from_bytes([2; 32])),
        ] {
            let opened = wrapped.open(&credential, Suite::Xaes256Gcm, b"container");
            assert!(
                !matches!(opened, Ok(Some(_))),
                "nobody made a slot for this key"
            );
        }
    }
});
