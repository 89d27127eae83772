//! Sealed files as they are: headers and all ways of reading them.
#![no_main]

use std::io::{self, Cursor};

use keepwatch_crypto::sealed::{
    Info, SealedReader, StreamReader, is_sealed, open_at, open_stream,
};
use keepwatch_crypto::{Credential, Key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let credential = Credential::KeyFile(Key::from_bytes([1; 32]));
    let _ = is_sealed(bytes);
    if let Ok(info) = Info::read(bytes) {
        let _ = info.plaintext_len(bytes.len() as u64);
    }
    assert!(open_stream(bytes, io::sink(), &credential, 1).is_err());
    assert!(SealedReader::open(Cursor::new(bytes), &credential).is_err());
    assert!(StreamReader::open(bytes, &credential).is_err());
    let read_at = |out: &mut [u8], at: u64| {
        let part = bytes.get(at as usize..at as usize + out.len());
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    };
    let len = bytes.len() as u64;
    assert!(open_at(len, read_at, |_, _| Ok(()), &credential, 1).is_err());
});
