//! Slots: a payload wrapped for one credential (FORMAT.md, section 1.3).
//!
//! A container (a sealed file, a repository key) holds one or more slots and binds its own header
//! into each as associated data. [`write()`] makes a slot, [`parse`] reads one and
//! [`Wrapped::open`] opens it.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::cipher::{Cipher, NONCE_LEN, TAG_LEN};
use crate::credential::{Credential, Lock};
use crate::error::{Error, Result};
use crate::identity::{PublicKey, SecretKey};
use crate::key::Key;
pub use crate::passphrase::MAX_WORK;
use crate::passphrase::{Kdf, Passphrase, SALT_LEN};
use crate::random::{ct_eq, fill_random, random_bytes};
use crate::recipient::{decapsulate, encapsulate, open_once, seal_once};
use crate::suite::Suite;

const HEAD_LEN: usize = 3;
const COMMITMENT_LEN: usize = 32;
const COMMITMENT_CONTEXT: &str = "keepwatch v1 slot commitment";
const KEY_FILE_CONTEXT: &[u8] = b"keepwatch v1 key file";
const RECIPIENT_CONTEXT: &str = "keepwatch v1 slot";

/// What kind of credential a slot is for: the first byte of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Argon2id = 1,
    Pbkdf2 = 2,
    KeyFile = 3,
    Recipient = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            1 => Ok(Kind::Argon2id),
            2 => Ok(Kind::Pbkdf2),
            3 => Ok(Kind::KeyFile),
            4 => Ok(Kind::Recipient),
            _ => Err(Error::Unsupported {
                what: "slot kind",
                value: byte.to_string(),
            }),
        }
    }

    /// The length of what stands before the commitment.
    fn parameters_len(self) -> usize {
        match self {
            Kind::Argon2id => 12 + SALT_LEN,
            Kind::Pbkdf2 => 4 + SALT_LEN,
            Kind::KeyFile => SALT_LEN,
            Kind::Recipient => 32,
        }
    }

    fn nonce_len(self) -> usize {
        match self {
            Kind::Recipient => 0,
            _ => NONCE_LEN,
        }
    }
}

/// Wraps `payload` so that `lock` opens it, bound to the container's `container_aad`.
///
/// Blocks for as long as the lock's key derivation takes.
///
/// # Errors
/// [`Error::Invalid`] for key derivation parameters out of range or a recipient of low order.
pub fn write(
    lock: &Lock<'_>,
    suite: Suite,
    container_aad: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>> {
    let mut parameters = Vec::new();
    let (kind, kek) = match lock {
        Lock::Passphrase(passphrase, kdf) => {
            kdf.check_for_writing()?;
            let salt = random_bytes()?;
            let kind = match kdf {
                Kdf::Argon2id { m_kib, t, p } => {
                    for number in [m_kib, t, p] {
                        parameters.extend_from_slice(&number.to_le_bytes());
                    }
                    Kind::Argon2id
                }
                Kdf::Pbkdf2 { iterations } => {
                    parameters.extend_from_slice(&iterations.to_le_bytes());
                    Kind::Pbkdf2
                }
            };
            parameters.extend_from_slice(&salt);
            (kind, kdf.derive(passphrase, &salt)?)
        }
        Lock::KeyFile(key) => {
            let salt = random_bytes()?;
            parameters.extend_from_slice(&salt);
            (Kind::KeyFile, key_file_kek(key, &salt))
        }
        Lock::Recipient(public) => {
            let (ephemeral, kek) = encapsulate(public, RECIPIENT_CONTEXT)?;
            parameters.extend_from_slice(ephemeral.as_bytes());
            (Kind::Recipient, kek)
        }
    };
    debug_assert_eq!(parameters.len(), kind.parameters_len());

    let body_len = parameters.len() + COMMITMENT_LEN + kind.nonce_len() + payload.len() + TAG_LEN;
    let body_len_field = u16::try_from(body_len).map_err(|_| Error::TooLong {
        what: "a slot",
        limit: u64::from(u16::MAX) - (body_len - payload.len()) as u64,
    })?;
    let mut slot = Vec::with_capacity(HEAD_LEN + body_len);
    slot.push(kind as u8);
    slot.extend_from_slice(&body_len_field.to_le_bytes());
    slot.extend_from_slice(&parameters);
    slot.extend_from_slice(&kek.commitment(COMMITMENT_CONTEXT));
    let aad = aad(container_aad, kind, &slot[HEAD_LEN..]);
    let nonce_at = slot.len();
    slot.resize(nonce_at + kind.nonce_len(), 0);
    let message_at = slot.len();
    slot.extend_from_slice(payload);
    let tag = if kind == Kind::Recipient {
        seal_once(&kek, &aad, &mut slot[message_at..])?
    } else {
        fill_random(&mut slot[nonce_at..message_at])?;
        let (head, message) = slot.split_at_mut(message_at);
        let nonce = head[nonce_at..]
            .try_into()
            .expect("just made of this length");
        Cipher::new(suite, &kek).seal_detached(nonce, &aad, message)?
    };
    slot.extend_from_slice(&tag);
    Ok(slot)
}

/// Reads the slot at the start of `bytes`, whose payload has `payload_len` bytes; gives it with
/// the number of bytes that it takes.
///
/// # Errors
/// [`Error::Unsupported`] for an unknown kind, [`Error::Malformed`] for wrong lengths and for key
/// derivation parameters beyond the format's bounds.
pub fn parse(bytes: &[u8], payload_len: usize) -> Result<(Wrapped<'_>, usize)> {
    let malformed = |problem| Error::malformed("a key slot", problem);
    let (&[kind, low, high], rest) = bytes
        .split_first_chunk::<HEAD_LEN>()
        .ok_or_else(|| malformed("it is cut off"))?;
    let kind = Kind::from_byte(kind)?;
    let len = usize::from(u16::from_le_bytes([low, high]));
    if len != kind.parameters_len() + COMMITMENT_LEN + kind.nonce_len() + payload_len + TAG_LEN {
        return Err(malformed("its length is wrong"));
    }
    let body = rest.get(..len).ok_or_else(|| malformed("it is cut off"))?;
    let wrapped = Wrapped { kind, body };
    if let Some(kdf) = wrapped.kdf() {
        kdf.check().map_err(malformed)?;
    }
    Ok((wrapped, HEAD_LEN + len))
}

/// What trying a passphrase on a slot made with `lock` will cost; see [`Wrapped::work`].
///
/// # Errors
/// [`Error::Invalid`] for a key derivation that no slot may use.
pub fn work_of(lock: &Lock<'_>) -> Result<u64> {
    match lock {
        Lock::Passphrase(_, kdf) => {
            kdf.check_for_writing()?;
            Ok(kdf.work())
        }
        Lock::KeyFile(_) | Lock::Recipient(_) => Ok(0),
    }
}

/// A slot that was read and not yet opened.
#[derive(Clone, Copy, Debug)]
pub struct Wrapped<'a> {
    kind: Kind,
    /// Of the length that the kind asks for.
    body: &'a [u8],
}

impl Wrapped<'_> {
    /// What opens the slot, in words: "passphrase (argon2id, 64 MiB, t=3, p=4)", "key file",
    /// "recipient".
    pub fn describe(&self) -> String {
        match self.kdf() {
            Some(kdf) => {
                let mut text = "passphrase (".to_owned();
                write!(text, "{kdf})").expect("a String takes everything");
                text
            }
            None if self.kind == Kind::KeyFile => "key file".to_owned(),
            None => "recipient".to_owned(),
        }
    }

    /// What trying a passphrase on it costs, in millionths of the most that one slot may ask for.
    ///
    /// A container may hold many slots, and whoever opens it tries one after the other: their sum
    /// is to be held against [`MAX_WORK`].
    pub fn work(&self) -> u64 {
        self.kdf().map_or(0, Kdf::work)
    }

    /// Whether this kind of credential can open the slot.
    pub fn is_for(&self, credential: &Credential) -> bool {
        match credential {
            Credential::Passphrase(_) => matches!(self.kind, Kind::Argon2id | Kind::Pbkdf2),
            Credential::KeyFile(_) => self.kind == Kind::KeyFile,
            Credential::Identities(_) => self.kind == Kind::Recipient,
        }
    }

    /// The payload, or `None` when the credential is not what opens this slot.
    ///
    /// Blocks for as long as the slot's key derivation takes, once.
    ///
    /// # Errors
    /// [`Error::Open`] when the credential is right and the slot or its container was changed;
    /// [`Error::Memory`] when the key derivation asks for more memory than there is.
    pub fn open(
        &self,
        credential: &Credential,
        suite: Suite,
        container_aad: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let kek = match (credential, self.kdf()) {
            (Credential::Passphrase(passphrase), Some(kdf)) => {
                self.matching(self.passphrase_kek(passphrase, kdf)?)
            }
            (Credential::KeyFile(key), None) if self.kind == Kind::KeyFile => {
                self.matching(key_file_kek(key, self.salt()))
            }
            (Credential::Identities(identities), None) if self.kind == Kind::Recipient => {
                identities
                    .iter()
                    .find_map(|identity| self.recipient_kek(identity))
            }
            _ => None,
        };
        let Some(kek) = kek else { return Ok(None) };
        let committed = self.kind.parameters_len() + COMMITMENT_LEN;
        let aad = aad(container_aad, self.kind, &self.body[..committed]);
        let sealed = &self.body[committed..];
        if self.kind == Kind::Recipient {
            open_once(&kek, &aad, sealed).map(Some)
        } else {
            Cipher::new(suite, &kek).open(&aad, sealed).map(Some)
        }
    }

    fn kdf(&self) -> Option<Kdf> {
        let number = |at: usize| {
            let bytes = self.body[at..at + 4].try_into().expect("4 bytes");
            u32::from_le_bytes(bytes)
        };
        match self.kind {
            Kind::Argon2id => Some(Kdf::argon2id(number(0), number(4), number(8))),
            Kind::Pbkdf2 => Some(Kdf::pbkdf2(number(0))),
            Kind::KeyFile | Kind::Recipient => None,
        }
    }

    /// The salt of every kind but recipients.
    fn salt(&self) -> &[u8; SALT_LEN] {
        self.body[..self.kind.parameters_len()]
            .last_chunk()
            .expect("the parameters end with a salt")
    }

    fn passphrase_kek(&self, passphrase: &Passphrase, kdf: Kdf) -> Result<Key> {
        kdf.derive(passphrase, self.salt())
    }

    fn recipient_kek(&self, identity: &SecretKey) -> Option<Key> {
        let ephemeral = self.body.first_chunk().expect("a public key comes first");
        let ephemeral = PublicKey::from_bytes(*ephemeral);
        self.matching(decapsulate(identity, &ephemeral, RECIPIENT_CONTEXT)?)
    }

    /// The key, if the slot commits to it.
    fn matching(&self, kek: Key) -> Option<Key> {
        let at = self.kind.parameters_len();
        let commitment = &self.body[at..at + COMMITMENT_LEN];
        ct_eq(&kek.commitment(COMMITMENT_CONTEXT), commitment).then_some(kek)
    }
}

fn key_file_kek(key: &Key, salt: &[u8; SALT_LEN]) -> Key {
    Key::from_bytes(key.mac(&[KEY_FILE_CONTEXT, salt]))
}

fn aad(container_aad: &[u8], kind: Kind, committed: &[u8]) -> Vec<u8> {
    let mut aad = Vec::with_capacity(container_aad.len() + 1 + committed.len());
    aad.extend_from_slice(container_aad);
    aad.push(kind as u8);
    aad.extend_from_slice(committed);
    aad
}
