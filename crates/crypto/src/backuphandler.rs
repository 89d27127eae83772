//! BackupHandler's `.enc` files, both ways (FORMAT.md, section 3).
//!
//! `salt[16] | nonce[12] | AES-256-GCM ciphertext | tag[16]`, the key from PBKDF2-HMAC-SHA-256 with
//! 600 000 iterations, or a key file and then the salt is zero. The whole file is one GCM message of
//! at most 64 GiB, authenticated at its end. [`Decryptor`] therefore reads it twice: first to check
//! the tag, then to release plaintext, so that it needs little memory and never hands out plaintext
//! of a file that was changed.

mod gcm;
mod keys;
mod plaintext;

use std::fmt;
use std::io::{Read, Seek, SeekFrom, Write};

use zeroize::Zeroizing;

use crate::cipher::{GCM_LIMIT, TAG_LEN};
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::passphrase::{Kdf, Passphrase, SALT_LEN};
use crate::random::{ct_eq, random_bytes};
use crate::read_full::read_full;

use gcm::Gcm;
pub use keys::LegacyKeys;
pub use plaintext::Plaintext;

const NONCE_LEN: usize = 12;
const HEAD_LEN: usize = SALT_LEN + NONCE_LEN;
const KDF: Kdf = Kdf::pbkdf2(600_000);
/// Of key-file form.
const NO_SALT: [u8; SALT_LEN] = [0; SALT_LEN];
/// A multiple of the block length; small enough for the second-level cache.
const BUFFER: usize = 64 << 10;
const WHAT: &str = "a BackupHandler file";

/// A key that `.enc` files are written with, and the salt that is stored in them.
///
/// Making one of a passphrase takes the 600 000 iterations; it then writes any number of files.
#[derive(Clone)]
pub struct LegacyKey {
    salt: [u8; SALT_LEN],
    key: Key,
}

impl LegacyKey {
    /// The key of a passphrase under a new salt.
    ///
    /// # Errors
    /// [`Error::Random`] when the system gives no random bytes.
    pub fn from_passphrase(passphrase: &Passphrase) -> Result<Self> {
        Self::with_salt(passphrase, random_bytes()?)
    }

    /// The 32 bytes of a key file.
    pub fn from_key_file(key: &Key) -> Self {
        Self {
            salt: NO_SALT,
            key: key.clone(),
        }
    }

    fn with_salt(passphrase: &Passphrase, salt: [u8; SALT_LEN]) -> Result<Self> {
        let key = KDF.derive(passphrase, &salt)?;
        Ok(Self { salt, key })
    }

    /// The key that opens the file which `reader` holds, and every file with the same salt.
    ///
    /// It is not known yet whether it is the right one.
    ///
    /// # Errors
    /// - [`Error::OtherCredential`] for a passphrase on a file of a key file, or the reverse.
    /// - [`Error::Malformed`] for what is too short to be such a file.
    pub fn of_file(reader: impl Read + Seek, credential: &Credential) -> Result<Self> {
        Self::for_salt(credential, salt_of(reader)?)
    }

    /// Whether it has the salt of the file that `reader` holds.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is too short to be such a file.
    pub fn fits(&self, reader: impl Read + Seek) -> Result<bool> {
        Ok(salt_of(reader)? == self.salt)
    }

    fn for_salt(credential: &Credential, salt: [u8; SALT_LEN]) -> Result<Self> {
        let of_key_file = salt == NO_SALT;
        match credential {
            Credential::Passphrase(passphrase) if !of_key_file => Self::with_salt(passphrase, salt),
            Credential::KeyFile(key) if of_key_file => Ok(Self::from_key_file(key)),
            other => Err(Error::OtherCredential {
                needs: if of_key_file {
                    "a key file".to_owned()
                } else {
                    "a passphrase".to_owned()
                },
                given: other.kind(),
            }),
        }
    }

    fn is_of_key_file(&self) -> bool {
        self.salt == NO_SALT
    }
}

impl fmt::Debug for LegacyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_of_key_file() {
            "LegacyKey(key file)"
        } else {
            "LegacyKey(passphrase)"
        })
    }
}

/// Encrypts everything that `reader` gives, as BackupHandler would; gives the length of the
/// plaintext.
///
/// # Errors
/// [`Error::TooLong`] after 64 GiB, [`Error::Io`] from reader or writer. What was written until
/// then does not open.
pub fn encrypt(mut reader: impl Read, mut writer: impl Write, key: &LegacyKey) -> Result<u64> {
    let nonce: [u8; NONCE_LEN] = random_bytes()?;
    let mut gcm = Gcm::new(&key.key, &nonce);
    writer.write_all(&key.salt).map_err(Error::writing)?;
    writer.write_all(&nonce).map_err(Error::writing)?;
    let mut buf = Zeroizing::new(vec![0; BUFFER]);
    let mut total = 0;
    loop {
        let len = read_full(&mut reader, &mut buf).map_err(Error::reading)?;
        total += len as u64;
        check_length(total)?;
        gcm.encrypt(&mut buf[..len]);
        writer.write_all(&buf[..len]).map_err(Error::writing)?;
        if len < BUFFER {
            break;
        }
    }
    writer.write_all(&gcm.tag()).map_err(Error::writing)?;
    writer.flush().map_err(Error::writing)?;
    Ok(total)
}

/// Decrypts `.enc` files with one credential.
///
/// The key of the last file is kept for the next one with the same salt.
pub struct Decryptor {
    credential: Credential,
    last: Option<LegacyKey>,
}

impl Decryptor {
    /// A decryptor for files that this passphrase or key file opens.
    pub fn new(credential: Credential) -> Self {
        Self {
            credential,
            last: None,
        }
    }

    /// Decrypts the file that `reader` holds from its beginning to its end; gives the length of the
    /// plaintext. The reader is read twice.
    ///
    /// # Errors
    /// - [`Error::Open`] for a wrong key or changed bytes: nothing was written. Only if the file is
    ///   changed between the two readings does it come after something was written.
    /// - [`Error::OtherCredential`] for a passphrase on a file of a key file, or the reverse.
    pub fn decrypt(&mut self, mut reader: impl Read + Seek, mut writer: impl Write) -> Result<u64> {
        let salt = salt_of(&mut reader)?;
        if self.last.as_ref().is_none_or(|key| key.salt != salt) {
            self.last = None;
            self.last = Some(LegacyKey::for_salt(&self.credential, salt)?);
        }
        let key = self.last.as_ref().expect("just made sure of");
        decrypt(reader, &mut writer, key)
    }
}

/// Decrypts the file that `reader` holds from its beginning to its end, with the key that
/// [`LegacyKey::of_file`] gave for it or for another file with the same salt; gives the length of
/// the plaintext. The reader is read twice.
///
/// # Errors
/// [`Error::Open`] for a key of another salt, a wrong one or changed bytes: nothing was written. Only
/// if the file is changed between the two readings does it come after something was written.
pub fn decrypt(reader: impl Read + Seek, mut writer: impl Write, key: &LegacyKey) -> Result<u64> {
    let mut plaintext = Plaintext::of_file(reader, key)?;
    let len = plaintext.len();
    while let Some(part) = plaintext.next_part()? {
        writer.write_all(part).map_err(Error::writing)?;
    }
    writer.flush().map_err(Error::writing)?;
    Ok(len)
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryptor")
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

/// The length of the plaintext; leaves the reader at its beginning.
fn plain_len(reader: &mut (impl Read + Seek)) -> Result<u64> {
    let len = reader.seek(SeekFrom::End(0)).map_err(Error::reading)?;
    let len = len
        .checked_sub((HEAD_LEN + TAG_LEN) as u64)
        .ok_or_else(|| Error::malformed(WHAT, "it is too short"))?;
    check_length(len)?;
    reader.rewind().map_err(Error::reading)?;
    Ok(len)
}

fn salt_of(mut reader: impl Read + Seek) -> Result<[u8; SALT_LEN]> {
    plain_len(&mut reader)?;
    let mut salt = [0; SALT_LEN];
    reader.read_exact(&mut salt).map_err(Error::reading)?;
    reader.rewind().map_err(Error::reading)?;
    Ok(salt)
}

fn check_length(len: u64) -> Result<()> {
    if len > GCM_LIMIT {
        return Err(Error::TooLong {
            what: WHAT,
            limit: GCM_LIMIT,
        });
    }
    Ok(())
}

/// Hands the next `len` bytes to `each` in parts, all but the last of whole blocks.
fn for_each_part(
    reader: &mut impl Read,
    len: u64,
    mut each: impl FnMut(&mut [u8]) -> Result<()>,
) -> Result<()> {
    let mut buf = Zeroizing::new(vec![0; BUFFER]);
    let mut left = len;
    while left > 0 {
        let part = &mut buf[..left.min(BUFFER as u64) as usize];
        reader.read_exact(part).map_err(Error::reading)?;
        left -= part.len() as u64;
        each(part)?;
    }
    Ok(())
}

fn check_tag(reader: &mut impl Read, gcm: &Gcm) -> Result<()> {
    let mut tag = [0; TAG_LEN];
    reader.read_exact(&mut tag).map_err(Error::reading)?;
    if ct_eq(&tag, &gcm.tag()) {
        Ok(())
    } else {
        Err(Error::Open)
    }
}
