//! Keys, key derivation, authenticated encryption and sealed files.

#![forbid(unsafe_code)]
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod backuphandler;
mod cipher;
mod credential;
mod error;
mod identity;
mod key;
mod passphrase;
mod random;
mod read_full;
mod recipient;
pub mod sealed;
pub mod slot;
mod suite;
#[cfg(test)]
mod tests;
mod xaes;

pub use cipher::{Cipher, NONCE_LEN, OVERHEAD, TAG_LEN};
pub use credential::{Credential, Lock};
pub use error::{Error, Result};
pub use identity::{PublicKey, SecretKey};
pub use key::Key;
pub use passphrase::{Kdf, Passphrase};
pub use random::{ct_eq, random_bytes};
pub use recipient::{open_from, seal_to};
pub use suite::Suite;
pub use zeroize;
