//! Writing a bundle.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use keepwatch_crypto::Credential;
use rusqlite::Connection;
use serde::Serialize;

use super::manifest::{BundlePart, MAX_STEPS, Manifest, PartKind, Step};
use crate::error::{Error, Result};
use crate::events::chain::{Checkpoint, Link, RecordKind};
use crate::events::database::Mode;
use crate::events::media::{MediaReader, hash_all};
use crate::events::model::{Event, EventId};
use crate::events::sqlite::{Store, parse_body};
use crate::events::verify::read_gap;

/// What was exported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportReport {
    /// The event.
    pub event: Event,
    /// The files.
    pub parts: Vec<BundlePart>,
    /// The ed25519 public key that signed it: who verifies it should have it from elsewhere.
    #[serde(with = "hex::serde")]
    pub signer: [u8; 32],
}

/// The last record of an event, and what is before it.
struct Place {
    seq: u64,
    salt: [u8; 32],
    body: String,
    link_before: Link,
}

impl Store {
    /// Writes an event, its recording and picture in clear, and the proof that this store recorded
    /// them, as one file that [`verify_bundle`](super::verify_bundle) checks without the store.
    ///
    /// # Errors
    /// [`Error::NoSuchEvent`]; [`Error::WrongKey`] when the credential does not open its media;
    /// [`Error::Damaged`] when a file or record is not what it was.
    pub fn export_bundle(
        &self,
        id: EventId,
        clip_credential: &Credential,
        out: &mut dyn Write,
    ) -> Result<ExportReport> {
        // So that a signature follows the event.
        self.append(|chain, _| chain.checkpoint())?;
        let (place, steps, checkpoint) = self.proof(id)?;
        let event: Event = parse_body(place.body.as_bytes())?;
        let mut parts = Vec::new();
        for kind in [PartKind::Clip, PartKind::Snapshot] {
            if let Some(media) = kind.of(&event) {
                self.check_file(media, true)?;
                let reader = self.media().open(media, clip_credential)?;
                let (bytes, blake3) = hash_all(reader).map_err(reading(&media.path))?;
                parts.push(BundlePart {
                    kind,
                    bytes,
                    blake3,
                    sealed_blake3: media.blake3,
                });
            }
        }
        let manifest = Manifest {
            store: self.header.id,
            signer: self.header.signer,
            exported_at: Timestamp::now(),
            seq: place.seq,
            salt: place.salt,
            link_before: place.link_before,
            event: place.body,
            steps,
            checkpoint,
            parts,
        };
        let writing = Error::io("write", "the evidence bundle".as_ref());
        let mut write = |bytes: &[u8]| out.write_all(bytes);
        write(&manifest.to_bytes(&self.signing)?).map_err(writing)?;
        for part in &manifest.parts {
            let media = part.kind.of(&event).expect("parts are of the event");
            let reader = self.media().open(media, clip_credential)?;
            copy_part(reader, part, &media.path, &mut write)?;
        }
        Ok(ExportReport {
            event,
            parts: manifest.parts,
            signer: manifest.signer,
        })
    }

    fn proof(&self, id: EventId) -> Result<(Place, Vec<Step>, Checkpoint)> {
        let db = self.database.connect(Mode::Read)?;
        let tx = db.unchecked_transaction().map_err(self.database.failed())?;
        let missing = || Error::damaged("the chain of events", "a record is missing");
        let place = self
            .place(&tx, id)
            .map_err(self.database.failed())?
            .ok_or(Error::NoSuchEvent { id })?;
        let place = place.ok_or_else(missing)?;
        let (steps, checkpoint) = self
            .steps(&tx, place.seq)
            .map_err(self.database.failed())?
            .ok_or_else(missing)?;
        Ok((place, steps, checkpoint))
    }

    /// None when there is no such event; none inside when the chain is damaged.
    fn place(&self, db: &Connection, id: EventId) -> rusqlite::Result<Option<Option<Place>>> {
        let mut statement = db.prepare(
            "SELECT r.seq, r.salt, r.body FROM events e JOIN records r ON r.seq = e.seq
             WHERE e.id = ?",
        )?;
        let mut rows = statement.query([id.as_bytes()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let seq: i64 = row.get(0)?;
        let body: Vec<u8> = row.get(2)?;
        let salt = row.get(1)?;
        let link_before = match seq {
            1 => Some(self.chain.start().link),
            _ => self.link_before(db, seq)?,
        };
        let place = link_before.zip(String::from_utf8(body).ok());
        Ok(Some(place.map(|(link_before, body)| Place {
            seq: seq.cast_unsigned(),
            salt,
            body,
            link_before,
        })))
    }

    /// The link of the record before, or of the gap that is there.
    fn link_before(&self, db: &Connection, seq: i64) -> rusqlite::Result<Option<Link>> {
        let mut statement = db.prepare("SELECT link FROM records WHERE seq = ? - 1")?;
        let mut rows = statement.query([seq])?;
        if let Some(row) = rows.next()? {
            return row.get(0).map(Some);
        }
        let mut statement =
            db.prepare("SELECT * FROM gaps WHERE first_seq < ? ORDER BY first_seq DESC LIMIT 1")?;
        let mut rows = statement.query([seq])?;
        let signer = self.signing.verifying_key();
        let gap = match rows.next()? {
            Some(row) => read_gap(row, &self.chain, &signer),
            None => None,
        };
        let gap = gap.filter(|gap| gap.last_seq + 1 == seq.cast_unsigned());
        Ok(gap.map(|gap| gap.link_after))
    }

    /// What leads from a record to the next checkpoint; none when something is missing.
    fn steps(
        &self,
        db: &Connection,
        from: u64,
    ) -> rusqlite::Result<Option<(Vec<Step>, Checkpoint)>> {
        let signer = self.signing.verifying_key();
        let mut steps = Vec::new();
        let mut at = from;
        let mut gap = db.prepare("SELECT * FROM gaps WHERE first_seq = ?")?;
        let mut statement =
            db.prepare("SELECT seq, kind, digest, body FROM records WHERE seq > ? ORDER BY seq")?;
        let mut rows = statement.query([from.cast_signed()])?;
        while let Some(row) = rows.next()?
            && steps.len() < MAX_STEPS
        {
            let seq = row.get::<_, i64>(0)?.cast_unsigned();
            if seq != at + 1 {
                let mut gaps = gap.query([at.cast_signed() + 1])?;
                let Some(row) = gaps.next()? else {
                    return Ok(None);
                };
                let Some(here) = read_gap(row, &self.chain, &signer) else {
                    return Ok(None);
                };
                if here.last_seq + 1 != seq {
                    return Ok(None);
                }
                let body: Vec<u8> = row.get("body")?;
                steps.push(Step::Gap {
                    body: String::from_utf8(body).expect("a gap that was read is JSON"),
                    signature: row.get("signature")?,
                });
            }
            let (kind, body): (i64, Vec<u8>) = (row.get(1)?, row.get(3)?);
            if kind == RecordKind::Checkpoint as i64 {
                let checkpoint = serde_json::from_slice::<Checkpoint>(&body).ok();
                return Ok(checkpoint.map(|checkpoint| (steps, checkpoint)));
            }
            steps.push(Step::Digest(row.get(2)?));
            at = seq;
        }
        Ok(None)
    }
}

/// Copies what was hashed before, or fails.
fn copy_part(
    mut reader: MediaReader,
    part: &BundlePart,
    path: &str,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    let mut buf = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let count = reader.read(&mut buf).map_err(reading(path))?;
        if count == 0 {
            break;
        }
        hasher.update(&buf[..count]);
        bytes += count as u64;
        write(&buf[..count]).map_err(Error::io("write", "the evidence bundle".as_ref()))?;
    }
    if bytes != part.bytes || *hasher.finalize().as_bytes() != part.blake3 {
        return Err(Error::damaged(path, "it changed while it was exported"));
    }
    Ok(())
}

fn reading(path: &str) -> impl FnOnce(io::Error) -> Error + use<> {
    Error::io("read", path.as_ref())
}
