//! The envelope of every object but `config` and key slots (FORMAT.md, section 4.1).

use keepwatch_crypto::{
    Cipher, Key, OVERHEAD, PublicKey, SecretKey, Suite, ct_eq, open_from, seal_to,
};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::keyring::{Epoch, Keyring};
use crate::storage::ObjectKind;

const MAGIC: &[u8; 4] = b"KWOB";
const FIXED: usize = 28;
const SEALED_SESSION: usize = 80;
const COMMITMENT: usize = 32;
/// The header of an object under an index key, in bytes.
pub(crate) const INDEX_HEADER: usize = FIXED + COMMITMENT;
/// The header of an object under a session key, in bytes.
pub(crate) const SESSION_HEADER: usize = FIXED + SEALED_SESSION + COMMITMENT;
/// The largest plaintext of an object that is no pack, in bytes.
const MAX_PLAINTEXT: usize = 64 << 20;

const SESSION_CONTEXT: &str = "keepwatch v1 session";
const COMMITMENT_CONTEXT: &str = "keepwatch v1 object commitment";
const OBJECT_CONTEXT: &str = "keepwatch v1 object";

fn type_byte(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::Pack => 1,
        ObjectKind::Index => 2,
        ObjectKind::Snapshot => 3,
        ObjectKind::Pending => 4,
        ObjectKind::Gc => 5,
        ObjectKind::Trash => 6,
        ObjectKind::Config | ObjectKind::Key | ObjectKind::Parity => {
            unreachable!("these have no envelope")
        }
    }
}

fn uses_session_key(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Pack | ObjectKind::Snapshot | ObjectKind::Trash
    )
}

/// The commitment that stands before anything sealed under `key`.
pub(crate) fn commitment(key: &Key) -> [u8; 32] {
    key.commitment(COMMITMENT_CONTEXT)
}

/// The random key of one session, with what is needed to write headers for it.
#[derive(Debug)]
pub(crate) struct Session {
    suite: Suite,
    repository: [u8; 16],
    epoch: u32,
    public: PublicKey,
    key: Key,
}

impl Session {
    pub fn start(suite: Suite, repository: [u8; 16], epoch: &Epoch) -> Result<Self> {
        Ok(Self {
            suite,
            repository,
            epoch: epoch.number,
            public: epoch.public.clone(),
            key: Key::generate()?,
        })
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The header of an object of this session.
    pub fn header(&self, kind: ObjectKind) -> Result<Vec<u8>> {
        let mut header = fixed_header(self.suite, kind, self.epoch, &self.repository);
        let sealed = seal_to(&self.public, SESSION_CONTEXT, &header, self.key.expose())?;
        header.extend_from_slice(&sealed);
        header.extend_from_slice(&commitment(&self.key));
        Ok(header)
    }

    /// Seals a snapshot or trash object.
    pub fn seal(&self, kind: ObjectKind, plaintext: &[u8]) -> Result<Vec<u8>> {
        debug_assert!(uses_session_key(kind) && kind != ObjectKind::Pack);
        seal_body(self.header(kind)?, self.suite, &self.key, plaintext)
    }
}

fn fixed_header(suite: Suite, kind: ObjectKind, epoch: u32, repository: &[u8; 16]) -> Vec<u8> {
    let mut header = Vec::with_capacity(SESSION_HEADER);
    header.extend_from_slice(MAGIC);
    let key_kind = if uses_session_key(kind) { 2 } else { 1 };
    header.extend_from_slice(&[1, suite.byte(), type_byte(kind), key_kind]);
    header.extend_from_slice(&epoch.to_le_bytes());
    header.extend_from_slice(repository);
    header
}

fn seal_body(header: Vec<u8>, suite: Suite, key: &Key, plaintext: &[u8]) -> Result<Vec<u8>> {
    if plaintext.len() > MAX_PLAINTEXT {
        return Err(Error::Invalid {
            what: "object",
            problem: format!("{} bytes are more than an object holds", plaintext.len()),
        });
    }
    let sealed = Cipher::new(suite, &key.derive(OBJECT_CONTEXT)).seal(&header, plaintext)?;
    let mut object = header;
    object.extend_from_slice(&sealed);
    Ok(object)
}

/// Seals an index, pending or gc object under the current epoch's index key.
pub(crate) fn seal_indexed(
    kind: ObjectKind,
    suite: Suite,
    repository: &[u8; 16],
    ring: &Keyring,
    plaintext: &[u8],
) -> Result<Vec<u8>> {
    debug_assert!(!uses_session_key(kind));
    let epoch = ring.current();
    let mut header = fixed_header(suite, kind, epoch.number, repository);
    header.extend_from_slice(&commitment(&epoch.index_key));
    seal_body(header, suite, &epoch.index_key, plaintext)
}

/// A header that was read and belongs to this repository; its key is not yet known.
#[derive(Debug)]
pub(crate) struct Header<'a> {
    pub suite: Suite,
    pub epoch: u32,
    bytes: &'a [u8],
    session: bool,
}

impl<'a> Header<'a> {
    /// Reads the header at the start of `bytes`; `object` names it in errors.
    pub fn parse(
        bytes: &'a [u8],
        kind: ObjectKind,
        repository: &[u8; 16],
        object: &str,
    ) -> Result<Self> {
        let bad = |problem: &str| Error::damaged(object, problem);
        let session = uses_session_key(kind);
        let len = if session {
            SESSION_HEADER
        } else {
            INDEX_HEADER
        };
        let bytes = bytes.get(..len).ok_or_else(|| bad("it is cut off"))?;
        if &bytes[..4] != MAGIC {
            return Err(bad("it is not an object of a repository"));
        }
        if bytes[4] != 1 {
            return Err(Error::Unsupported {
                what: "object version",
                value: bytes[4].to_string(),
            });
        }
        let suite = Suite::from_byte(bytes[5])?;
        if bytes[6] != type_byte(kind) || bytes[7] != if session { 2 } else { 1 } {
            return Err(bad("it is an object of another type"));
        }
        if &bytes[12..28] != repository {
            return Err(bad("it belongs to another repository"));
        }
        let epoch = u32::from_le_bytes(bytes[8..12].try_into().expect("4 bytes"));
        Ok(Self {
            suite,
            epoch,
            bytes,
            session,
        })
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The part that is the same for every object of one session and type.
    pub fn sealed_session(&self) -> &'a [u8] {
        debug_assert!(self.session);
        &self.bytes[FIXED..FIXED + SEALED_SESSION]
    }

    /// The key that the header names: the index key of its epoch, or the session key.
    pub fn key(&self, ring: &Keyring, object: &str) -> Result<Key> {
        let epoch = ring.epoch(self.epoch)?;
        let key = if self.session {
            let secret = epoch.secret.as_ref().ok_or(Error::NeedsFullKey {
                operation: "reading backups",
            })?;
            self.open_session(secret)
                .ok_or_else(|| Error::damaged(object, "its session key does not open"))?
        } else {
            epoch.index_key.clone()
        };
        if !ct_eq(
            &commitment(&key),
            &self.bytes[self.bytes.len() - COMMITMENT..],
        ) {
            return Err(Error::damaged(object, "its key commitment is wrong"));
        }
        Ok(key)
    }

    fn open_session(&self, secret: &SecretKey) -> Option<Key> {
        let plain = open_from(
            secret,
            SESSION_CONTEXT,
            &self.bytes[..FIXED],
            self.sealed_session(),
        )
        .ok()?;
        let bytes: [u8; 32] = plain.as_slice().try_into().ok()?;
        Some(Key::from_bytes(bytes))
    }
}

/// Opens an object that is no pack.
pub(crate) fn open(
    bytes: &[u8],
    kind: ObjectKind,
    repository: &[u8; 16],
    ring: &Keyring,
    object: &str,
) -> Result<Zeroizing<Vec<u8>>> {
    let header = Header::parse(bytes, kind, repository, object)?;
    let body = &bytes[header.bytes().len()..];
    if body.len() > MAX_PLAINTEXT + OVERHEAD {
        return Err(Error::damaged(object, "it is too large"));
    }
    let key = header.key(ring, object)?;
    Cipher::new(header.suite, &key.derive(OBJECT_CONTEXT))
        .open(header.bytes(), body)
        .map_err(|_| Error::damaged(object, "it does not authenticate"))
}
