//! The hash chain and its signed checkpoints (FORMAT.md, section 5.4).

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use jiff::Timestamp;
use keepwatch_crypto::{Key, random_bytes};

use crate::error::Result;

const DIGEST_CONTEXT: &str = "keepwatch v1 event record";
const LINK_CONTEXT: &str = "keepwatch v1 event chain";
const CHECKPOINT_CONTEXT: &[u8] = b"keepwatch v1 checkpoint\0";
const GAP_CONTEXT: &[u8] = b"keepwatch v1 gap\0";

/// The link before the first record.
pub(super) const START: [u8; 32] = [0; 32];

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    Event = 1,
    Segment = 2,
    Audit = 3,
}

impl RecordKind {
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(RecordKind::Event),
            2 => Some(RecordKind::Segment),
            3 => Some(RecordKind::Audit),
            _ => None,
        }
    }
}

/// Computes digests and links of one store. Its keys are made of the store's id: whoever has a
/// record and its salt can check them, and a chain of one store is none of another.
#[derive(Clone)]
pub(super) struct Chain {
    digests: Key,
    links: Key,
}

impl Chain {
    pub fn new(store: &[u8; 16]) -> Self {
        let mut id = [0; 32];
        id[..16].copy_from_slice(store);
        let id = Key::from_bytes(id);
        Self {
            digests: id.derive(DIGEST_CONTEXT),
            links: id.derive(LINK_CONTEXT),
        }
    }

    /// A salt for a new record: without it, nobody can guess what a digest is of.
    pub fn salt() -> Result<[u8; 32]> {
        Ok(random_bytes()?)
    }

    /// The digest of a record.
    pub fn digest(&self, kind: RecordKind, salt: &[u8; 32], body: &[u8]) -> [u8; 32] {
        self.digests.mac(&[salt, &[kind as u8], body])
    }

    /// The link of record `seq`, after the link before it.
    pub fn link(&self, before: &[u8; 32], seq: u64, digest: &[u8; 32]) -> [u8; 32] {
        self.links.mac(&[before, &seq.to_le_bytes(), digest])
    }
}

/// The key that a store signs with (Ed25519, RFC 8032).
pub struct Signer {
    key: SigningKey,
    public: [u8; 32],
}

impl Signer {
    pub(super) fn new(seed: &Key) -> Self {
        let key = SigningKey::from_bytes(seed.expose());
        Self {
            public: key.verifying_key().to_bytes(),
            key,
        }
    }

    /// Its public half.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(super) fn sign(&self, statement: &[u8]) -> [u8; 64] {
        self.key.sign(statement).to_bytes()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", hex::encode(self.public))
    }
}

/// Whether `signature` of `statement` is by the holder of `public`.
pub(super) fn is_signed(public: &[u8; 32], statement: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(public) else {
        return false;
    };
    key.verify_strict(statement, &Signature::from_bytes(signature))
        .is_ok()
}

/// What a checkpoint signs: record `seq` had this link at this time.
pub(super) fn checkpoint(store: &[u8; 16], seq: u64, link: &[u8; 32], at: Timestamp) -> Vec<u8> {
    let mut statement = CHECKPOINT_CONTEXT.to_vec();
    statement.extend_from_slice(store);
    statement.extend_from_slice(&seq.to_le_bytes());
    statement.extend_from_slice(link);
    statement.extend_from_slice(&at.as_microsecond().to_le_bytes());
    statement
}

/// A run of records that was deleted on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub first: u64,
    pub last: u64,
    pub link_before: [u8; 32],
    pub link_after: [u8; 32],
}

impl Gap {
    /// What the store signs about it.
    pub fn statement(&self, store: &[u8; 16]) -> Vec<u8> {
        let mut statement = GAP_CONTEXT.to_vec();
        statement.extend_from_slice(store);
        statement.extend_from_slice(&self.first.to_le_bytes());
        statement.extend_from_slice(&self.last.to_le_bytes());
        statement.extend_from_slice(&self.link_before);
        statement.extend_from_slice(&self.link_after);
        statement
    }
}
