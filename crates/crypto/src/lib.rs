//! Keys, key derivation, authenticated encryption and sealed files.
//!
//! Start with [`sealed`] to keep data of any length for one or more holders of a [`Credential`];
//! with [`Cipher`] for messages under a [`Key`] of your own; with [`seal_to`] to give a message to
//! the holder of a [`SecretKey`]; with [`slot`] to let credentials open a container of your own.
//! [`backuphandler`] reads and writes the files of BackupHandler. `docs/FORMAT.md`, sections 1 to 3,
//! has every byte.
//!
//! The crate touches no files, no clock and no network: it takes bytes, readers and writers.
//! Secrets are wiped when dropped and never shown by `Debug`; nonces and salts are never
//! parameters; a wrong key and changed data are one error.
//!
//! ```
//! use keepwatch_crypto::sealed::{SealOptions, open_stream, seal_stream};
//! use keepwatch_crypto::{Credential, Kdf, Lock, Passphrase, SecretKey};
//!
//! # fn main() -> keepwatch_crypto::Result<()> {
//! let (passphrase, identity) = (Passphrase::from("correct horse"), SecretKey::generate()?);
//! let recipient = identity.public();
//!
//! // Either of them opens it.
//! let locks = [
//!     Lock::Passphrase(&passphrase, Kdf::default()),
//!     Lock::Recipient(&recipient),
//! ];
//! let mut file = Vec::new();
//! seal_stream(&b"what the camera saw"[..], &mut file, &locks, SealOptions::default(), 1)?;
//!
//! let mut plain = Vec::new();
//! open_stream(file.as_slice(), &mut plain, &Credential::from(identity), 1)?;
//! assert_eq!(plain, b"what the camera saw");
//! # Ok(())
//! # }
//! ```

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
mod xaes;

#[cfg(test)]
mod tests;

// Keys, and what locks and opens with them.
pub use credential::{Credential, Lock, NewLock};
pub use identity::{PublicKey, SecretKey};
pub use key::Key;
pub use passphrase::{Kdf, Passphrase};

// Messages.
pub use cipher::{Cipher, NONCE_LEN, OVERHEAD, TAG_LEN};
pub use recipient::{open_from, seal_to};
pub use suite::Suite;

// The rest.
pub use error::{Error, Result};
pub use random::{ct_eq, random_bytes};
/// Wiping secrets: what is opened comes as [`zeroize::Zeroizing`].
pub use zeroize;
