//! The public interface, as other crates use it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests: a failure is a panic, and the counts show what was run"
)]

mod backuphandler;
mod cipher;
mod disk;
mod errors;
mod fixtures;
mod format;
mod keys;
mod sealed;
mod sealed_damage;
mod slot;

use keepwatch_crypto::sealed::SealOptions;
use keepwatch_crypto::{Credential, Kdf, Key, Lock, Suite};

/// Argon2id as cheap as it can be.
const CHEAP: Kdf = Kdf::argon2id(64, 1, 1);

fn key(byte: u8) -> Key {
    Key::from_bytes([byte; 32])
}

fn small_chunks(suite: Suite) -> SealOptions {
    SealOptions {
        suite,
        chunk_size_log2: 12,
    }
}

/// Bytes that tell where they are.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at % 251) as u8 ^ (at >> 8) as u8)
        .collect()
}

fn seal(plain: &[u8], lock: &Key, options: SealOptions) -> Vec<u8> {
    let mut out = Vec::new();
    let locks = [Lock::KeyFile(lock)];
    let len = keepwatch_crypto::sealed::seal_stream(plain, &mut out, &locks, options, 1).unwrap();
    assert_eq!(len, plain.len() as u64);
    out
}

fn key_file(byte: u8) -> Credential {
    Credential::KeyFile(key(byte))
}
