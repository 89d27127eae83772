//! The hash chain over all records, and what signs it (FORMAT.md, section 7.4).

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use jiff::Timestamp;
use keepwatch_crypto::random_bytes;
use serde::{Deserialize, Serialize};

use super::database::{Connection, Value};
use super::model::EventId;
use crate::error::{Error, Result};

const RECORD_CONTEXT: &str = "keepwatch v1 event record";
const LINK_CONTEXT: &str = "keepwatch v1 event link";
const START_CONTEXT: &str = "keepwatch v1 event chain";
const CHECKPOINT_CONTEXT: &[u8] = b"keepwatch v1 event checkpoint\0";
const GAP_CONTEXT: &[u8] = b"keepwatch v1 event gap\0";

/// A checkpoint is due after so many records.
pub(crate) const CHECKPOINT_RECORDS: u64 = 64;
/// And after so many seconds.
pub(crate) const CHECKPOINT_SECONDS: i64 = 60;
/// No record is longer.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// A link of the chain: it stands for everything up to its record.
pub(crate) type Link = [u8; 32];

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Event = 1,
    Segment = 2,
    Audit = 3,
    Checkpoint = 4,
}

impl RecordKind {
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(RecordKind::Event),
            2 => Some(RecordKind::Segment),
            3 => Some(RecordKind::Audit),
            4 => Some(RecordKind::Checkpoint),
            _ => None,
        }
    }
}

/// Where the chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub seq: u64,
    pub link: Link,
}

/// How the records of one store are linked.
///
/// The keys come from the public id of the store, so that evidence is verified without any secret;
/// the salts keep what is not shown from being guessed.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub store: [u8; 16],
    record_key: [u8; 32],
    link_key: [u8; 32],
    start: Link,
}

impl Chain {
    pub fn new(store: [u8; 16]) -> Self {
        Self {
            store,
            record_key: blake3::derive_key(RECORD_CONTEXT, &store),
            link_key: blake3::derive_key(LINK_CONTEXT, &store),
            start: blake3::derive_key(START_CONTEXT, &store),
        }
    }

    /// The head of a chain without records.
    pub fn start(&self) -> Head {
        Head {
            seq: 0,
            link: self.start,
        }
    }

    pub fn digest(&self, salt: &[u8; 32], kind: RecordKind, body: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.record_key);
        hasher.update(salt);
        hasher.update(&[kind as u8]);
        hasher.update(body);
        *hasher.finalize().as_bytes()
    }

    pub fn link(&self, before: &Link, seq: u64, digest: &[u8; 32]) -> Link {
        let mut hasher = blake3::Hasher::new_keyed(&self.link_key);
        hasher.update(before);
        hasher.update(&seq.to_le_bytes());
        hasher.update(digest);
        *hasher.finalize().as_bytes()
    }

    fn checkpoint_message(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        let mut message = CHECKPOINT_CONTEXT.to_vec();
        message.extend_from_slice(&self.store);
        message.extend_from_slice(&checkpoint.seq.to_le_bytes());
        message.extend_from_slice(&checkpoint.link);
        message.extend_from_slice(&checkpoint.at.as_nanosecond().to_le_bytes());
        message
    }

    fn gap_message(&self, body: &[u8]) -> Vec<u8> {
        [GAP_CONTEXT, &self.store, body].concat()
    }

    pub fn sign(&self, head: Head, at: Timestamp, key: &SigningKey) -> Checkpoint {
        let mut checkpoint = Checkpoint {
            seq: head.seq,
            link: head.link,
            at,
            signature: [0; 64],
        };
        checkpoint.signature = key.sign(&self.checkpoint_message(&checkpoint)).to_bytes();
        checkpoint
    }

    pub fn sign_gap(&self, body: &[u8], key: &SigningKey) -> [u8; 64] {
        key.sign(&self.gap_message(body)).to_bytes()
    }

    /// Whether `signer` signed a checkpoint of this store.
    pub fn accepts(&self, checkpoint: &Checkpoint, signer: &VerifyingKey) -> bool {
        let signature = Signature::from_bytes(&checkpoint.signature);
        signer
            .verify_strict(&self.checkpoint_message(checkpoint), &signature)
            .is_ok()
    }

    /// Whether `signer` signed a gap of this store.
    pub fn accepts_gap(&self, body: &[u8], signature: &[u8; 64], signer: &VerifyingKey) -> bool {
        signer
            .verify_strict(&self.gap_message(body), &Signature::from_bytes(signature))
            .is_ok()
    }
}

/// A signed link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    pub seq: u64,
    #[serde(with = "hex::serde")]
    pub link: Link,
    pub at: Timestamp,
    #[serde(with = "hex::serde")]
    pub signature: [u8; 64],
}

/// What was purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    pub first_seq: u64,
    pub last_seq: u64,
    #[serde(with = "hex::serde")]
    pub link_before: Link,
    #[serde(with = "hex::serde")]
    pub link_after: Link,
    /// How many records are gone.
    pub records: u64,
    pub why: String,
    pub at: Timestamp,
}

/// Where the chain in `db` ends.
pub(crate) fn head(db: &Connection, chain: &Chain) -> Result<Head> {
    let last = db.first(
        "SELECT seq, link FROM records ORDER BY seq DESC LIMIT 1",
        &[],
    )?;
    match last {
        None => Ok(chain.start()),
        Some(row) => Ok(Head {
            seq: row.number(0)?,
            link: row.bytes(1)?,
        }),
    }
}

/// Extends the chain inside a transaction.
pub(crate) struct Appender<'a> {
    db: &'a Connection,
    chain: &'a Chain,
    key: &'a SigningKey,
    now: Timestamp,
    head: Head,
    /// The sequence number of the last checkpoint record, and when it was made.
    signed: (u64, Option<Timestamp>),
    /// Records that are linked and not yet in the database.
    pending: Vec<[Value; 7]>,
}

impl<'a> Appender<'a> {
    /// To be called inside a transaction that may write.
    pub fn new(
        db: &'a Connection,
        chain: &'a Chain,
        key: &'a SigningKey,
        now: Timestamp,
    ) -> Result<Self> {
        let last = db.first(
            "SELECT seq, body FROM records WHERE kind = 4 ORDER BY seq DESC LIMIT 1",
            &[],
        )?;
        let signed = match last {
            None => (0, None),
            Some(mut row) => {
                let (seq, body) = (row.number(0)?, row.take(1));
                let body = db.body(seq, RecordKind::Checkpoint, body)?;
                let checkpoint = serde_json::from_slice::<Checkpoint>(&body).ok();
                (seq, checkpoint.map(|checkpoint| checkpoint.at))
            }
        };
        Ok(Self {
            head: head(db, chain)?,
            db,
            chain,
            key,
            now,
            signed,
            pending: Vec::new(),
        })
    }

    /// The last number.
    pub fn last(&self) -> u64 {
        self.head.seq
    }

    /// Adds a record, and gives its sequence number.
    pub fn append(
        &mut self,
        kind: RecordKind,
        subject: Option<EventId>,
        body: &[u8],
    ) -> Result<u64> {
        let seq = self.link(kind, subject, body)?;
        self.flush()?;
        Ok(seq)
    }

    /// Adds the records of events, and gives their sequence numbers.
    pub fn append_events(&mut self, events: &[(EventId, Vec<u8>)]) -> Result<Vec<u64>> {
        let link = |(id, body): &(EventId, Vec<u8>)| self.link(RecordKind::Event, Some(*id), body);
        let seqs = events.iter().map(link).collect::<Result<_>>()?;
        self.flush()?;
        Ok(seqs)
    }

    fn link(&mut self, kind: RecordKind, subject: Option<EventId>, body: &[u8]) -> Result<u64> {
        if body.len() > MAX_BODY {
            return Err(Error::Invalid {
                what: "record",
                problem: format!("it is longer than {MAX_BODY} bytes"),
            });
        }
        let seq = self.add(kind, subject, body)?;
        if self.head.seq - self.signed.0 >= CHECKPOINT_RECORDS {
            self.sign()?;
        }
        Ok(seq)
    }

    fn add(&mut self, kind: RecordKind, subject: Option<EventId>, body: &[u8]) -> Result<u64> {
        let salt: [u8; 32] = random_bytes()?;
        let digest = self.chain.digest(&salt, kind, body);
        let seq = self.head.seq + 1;
        let link = self.chain.link(&self.head.link, seq, &digest);
        let subject = subject.map_or(Value::Null, |id| id.as_bytes().to_vec().into());
        let (stored_salt, stored_body) = self.db.seal(seq, kind, &salt, body)?;
        self.pending.push([
            seq.cast_signed().into(),
            (kind as i64).into(),
            subject,
            stored_salt,
            digest.to_vec().into(),
            link.to_vec().into(),
            stored_body,
        ]);
        self.head = Head { seq, link };
        Ok(seq)
    }

    fn flush(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let into = "records (seq, kind, subject, salt, digest, link, body)";
        self.db.insert(into, pending, "")
    }

    /// Signs the chain as it is now, unless that was done.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.sign()?;
        self.flush()
    }

    fn sign(&mut self) -> Result<()> {
        if self.head.seq == self.signed.0 {
            return Ok(());
        }
        let checkpoint = self.chain.sign(self.head, self.now, self.key);
        let body = serde_json::to_vec(&checkpoint).expect("a checkpoint is plain JSON");
        let seq = self.add(RecordKind::Checkpoint, None, &body)?;
        self.signed = (seq, Some(self.now));
        Ok(())
    }

    /// Signs the chain if the last signature is old, and gives its last number.
    pub fn finish(mut self) -> Result<u64> {
        let due = self.signed.1.is_none_or(|at| {
            // A clock that went back does not keep checkpoints away.
            (self.now.as_second() - at.as_second()).abs() >= CHECKPOINT_SECONDS
        });
        if due {
            self.checkpoint()?;
        }
        Ok(self.head.seq)
    }
}
