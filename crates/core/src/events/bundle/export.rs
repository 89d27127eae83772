//! Writing a bundle.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use keepwatch_crypto::Credential;
use serde::Serialize;

use super::manifest::{BundlePart, MAX_STEPS, Manifest, PartKind, Step};
use crate::error::{Error, Result};
use crate::events::chain::{Checkpoint, Link, RecordKind};
use crate::events::database::{Connection, Mode};
use crate::events::media::{MediaReader, hash_all};
use crate::events::model::{Event, EventId};
use crate::events::store::{Store, parse_body};
use crate::events::verify::read_gap;

/// So many records are held at once: a signature comes within 64.
const PAGE: usize = 64;

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
        db.read(|db| {
            let place = self.place(db, id)?;
            let (steps, checkpoint) = self.steps(db, place.seq)?;
            Ok((place, steps, checkpoint))
        })
    }

    fn place(&self, db: &Connection, id: EventId) -> Result<Place> {
        let row = db.first(
            "SELECT r.seq, r.salt, r.body FROM events e JOIN records r ON r.seq = e.seq
             WHERE e.id = ?",
            &[id.as_bytes().to_vec().into()],
        )?;
        let mut row = row.ok_or(Error::NoSuchEvent { id })?;
        let (seq, salt, body) = (row.number(0)?, row.take(1), row.take(2));
        let opened = db.open(seq, RecordKind::Event, salt, body);
        let opened = opened.ok_or_else(missing)?;
        Ok(Place {
            seq,
            salt: opened.salt,
            body: String::from_utf8(opened.body).map_err(|_| missing())?,
            link_before: match seq {
                1 => self.chain.start().link,
                _ => self.link_before(db, seq)?,
            },
        })
    }

    /// The link of the record before, or of the gap that is there.
    fn link_before(&self, db: &Connection, seq: u64) -> Result<Link> {
        let text = "SELECT link FROM records WHERE seq = ?";
        if let Some(row) = db.first(text, &[(seq - 1).cast_signed().into()])? {
            return row.bytes(0);
        }
        let row = db.first(
            "SELECT first_seq, body, signature FROM gaps WHERE first_seq < ?
             ORDER BY first_seq DESC LIMIT 1",
            &[seq.cast_signed().into()],
        )?;
        let signer = self.signing.verifying_key();
        let gap = row.and_then(|row| read_gap(&row, &self.chain, &signer));
        let gap = gap.filter(|gap| gap.last_seq + 1 == seq);
        gap.map(|gap| gap.link_after).ok_or_else(missing)
    }

    /// What leads from a record to the next checkpoint.
    fn steps(&self, db: &Connection, from: u64) -> Result<(Vec<Step>, Checkpoint)> {
        let signer = self.signing.verifying_key();
        let mut steps = Vec::new();
        let mut at = from;
        let gap = "SELECT first_seq, body, signature FROM gaps WHERE first_seq = ?";
        let text = format!(
            "SELECT seq, kind, digest, body FROM records WHERE seq > ? ORDER BY seq LIMIT {PAGE}"
        );
        while steps.len() < MAX_STEPS {
            let page = db.query(&text, &[at.cast_signed().into()])?;
            let done = page.len() < PAGE;
            for mut row in page {
                let seq = row.number(0)?;
                if seq != at + 1 {
                    let row = db.first(gap, &[(at + 1).cast_signed().into()])?;
                    let row = row.ok_or_else(missing)?;
                    let here = read_gap(&row, &self.chain, &signer).ok_or_else(missing)?;
                    if here.last_seq + 1 != seq {
                        return Err(missing());
                    }
                    let body = row.blob(1)?.to_vec();
                    steps.push(Step::Gap {
                        body: String::from_utf8(body).expect("a gap that was read is JSON"),
                        signature: row.bytes(2)?,
                    });
                }
                if row.integer(1)? == RecordKind::Checkpoint as i64 {
                    let body = row.take(3);
                    let body = db.body(seq, RecordKind::Checkpoint, body)?;
                    let checkpoint = serde_json::from_slice(&body).map_err(|_| missing())?;
                    return Ok((steps, checkpoint));
                }
                steps.push(Step::Digest(row.bytes(2)?));
                at = seq;
            }
            if done {
                break;
            }
        }
        Err(missing())
    }
}

fn missing() -> Error {
    Error::damaged("the chain of events", "a record is missing")
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
