//! BackupHandler's `.enc` files: nothing is written before all is authenticated.
#![no_main]

use std::io::Cursor;

use keepwatch_crypto::backuphandler::Decryptor;
use keepwatch_crypto::{Credential, Key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decryptor = Decryptor::new(Credential::KeyFile(Key::from_bytes([1; 32])));
    let mut plain = Vec::new();
    let decrypted = decryptor.decrypt(Cursor::new(bytes), &mut plain);
    assert!(decrypted.is_err() && plain.is_empty());
});
