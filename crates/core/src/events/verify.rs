//! Proving that nothing was removed, changed, reordered or put in (FORMAT.md, section 7.4).

mod pages;
mod projection;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use self::pages::{Gaps, PAGE, Pages};
use super::chain::{Chain, Checkpoint, Gap, Head, Link, RecordKind};
use super::database::{Connection, Mode, Opened, Row, Value};
use super::media::hash_all;
use super::model::{Event, EventId, MediaRef, Segment};
use super::store::Store;
use crate::error::{Error, Result, with_causes};

/// So many findings are described; the rest is counted.
const MAX_FINDINGS: usize = 1000;

/// What is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Whether media files are read and hashed; otherwise only their lengths are looked at.
    pub media: bool,
    /// A record that must be in the chain, with its link: the head of an earlier report, kept
    /// elsewhere. Only this finds that the end of the chain was cut off.
    pub expect: Option<(u64, [u8; 32])>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// The database itself is damaged.
    Database,
    /// Records are missing.
    Removed,
    /// A record is not what it was.
    Changed,
    /// A record does not continue the one before it: it was moved, put in, or written anew.
    Broken,
    /// A signature is not the store's, or signs something else.
    Signature,
    /// The list of events does not say what the chain says.
    Projection,
    /// A media file is not there.
    MediaMissing,
    /// A media file is not what it was.
    MediaChanged,
    /// The chain ends before a record that was there, or has another in its place.
    Truncated,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of fault.
    pub kind: FindingKind,
    /// The record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The event or segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// In words.
    pub detail: String,
}

/// What a verification saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Records that are there.
    pub records: u64,
    /// Good signatures.
    pub checkpoints: u64,
    /// Records after the last signature: their order is proven by the next one only.
    pub unsigned: u64,
    /// The last record; 0 if there is none.
    pub head_seq: u64,
    /// Its link. Kept elsewhere, it proves later that the chain was not cut off.
    #[serde(with = "hex::serde")]
    pub head_link: [u8; 32],
    /// The ed25519 public key of the signatures.
    #[serde(with = "hex::serde")]
    pub signer: [u8; 32],
    /// Runs of records that were purged, and signed for.
    pub gaps: u64,
    /// How many records they had.
    pub purged: u64,
    /// Media files that were looked at.
    pub media: u64,
    /// Media files that a crash cut off, as their events say.
    pub incomplete_media: u64,
    /// What is wrong, up to a thousand of them.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more_findings: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(
        &mut self,
        kind: FindingKind,
        seq: impl Into<Option<u64>>,
        id: Option<EventId>,
        detail: impl Into<String>,
    ) {
        if self.findings.len() == MAX_FINDINGS {
            self.more_findings += 1;
            return;
        }
        self.findings.push(Finding {
            kind,
            seq: seq.into(),
            id,
            detail: detail.into(),
        });
    }
}

impl Store {
    /// Verifies everything, in memory that does not grow with the store. What is written meanwhile
    /// is not seen.
    ///
    /// # Errors
    /// When the store cannot be read; what is wrong with it is in the report.
    pub fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        let db = self.database.connect(Mode::Read)?;
        db.read(|db| self.verify_in(db, options))
    }

    /// Verifies what a transaction sees.
    fn verify_in(&self, tx: &Connection, options: &VerifyOptions) -> Result<VerifyReport> {
        let start = self.chain.start();
        let mut report = VerifyReport {
            records: 0,
            checkpoints: 0,
            unsigned: 0,
            head_seq: start.seq,
            head_link: start.link,
            signer: self.header.signer,
            gaps: 0,
            purged: 0,
            media: 0,
            incomplete_media: 0,
            findings: Vec::new(),
            more_findings: 0,
        };
        let read = |report: &mut VerifyReport| -> Result<()> {
            for problem in tx.problems()? {
                report.find(FindingKind::Database, None, None, problem);
            }
            let signer = self.signing.verifying_key();
            walk_chain(tx, &self.chain, &signer, options.expect, report)?;
            projection::check(tx, report)?;
            self.check_media(tx, options.media, report)
        };
        match read(&mut report) {
            Ok(()) => {}
            Err(Error::Damaged { object, detail }) => {
                let detail = format!("{object}: {detail}");
                report.find(FindingKind::Database, None, None, detail);
            }
            Err(error) => return Err(error),
        }
        Ok(report)
    }

    fn check_media(&self, db: &Connection, hash: bool, report: &mut VerifyReport) -> Result<()> {
        for (table, kind) in [
            ("events", RecordKind::Event),
            ("segments", RecordKind::Segment),
        ] {
            let text = format!(
                "SELECT p.id, r.seq, r.body FROM {table} p JOIN records r ON r.seq = p.seq
                 WHERE p.id {{after}} ? ORDER BY p.id LIMIT {PAGE}"
            );
            let mut pages = Pages::new(Value::Blob(Vec::new()));
            while let Some(page) = pages.next(db, &text)? {
                for mut row in page {
                    let (seq, body) = (row.number(1)?, row.take(2));
                    // What cannot be read is a finding already.
                    let body = db.body(seq, kind, body).unwrap_or_default();
                    for (id, media) in media_of(Some(kind), &body) {
                        self.check_one(seq, id, &media, hash, report);
                    }
                }
            }
        }
        Ok(())
    }

    fn check_one(
        &self,
        seq: u64,
        id: EventId,
        media: &MediaRef,
        hash: bool,
        report: &mut VerifyReport,
    ) {
        report.media += 1;
        report.incomplete_media += u64::from(!media.complete);
        match self.check_file(media, hash) {
            Ok(()) => {}
            Err(error @ Error::Missing { .. }) => {
                let detail = error.to_string();
                report.find(FindingKind::MediaMissing, seq, Some(id), detail);
            }
            Err(error) => {
                let detail = with_causes(&error);
                report.find(FindingKind::MediaChanged, seq, Some(id), detail);
            }
        }
    }

    pub(super) fn check_file(&self, media: &MediaRef, hash: bool) -> Result<()> {
        let file = self.media().file(&media.path)?;
        let failed = || Error::io("read", media.path.as_ref());
        let len = file.metadata().map_err(failed())?.len();
        if len != media.bytes {
            return Err(Error::damaged(
                &media.path,
                format!("it has {len} bytes and had {}", media.bytes),
            ));
        }
        if hash && hash_all(file).map_err(failed())?.1 != media.blake3 {
            return Err(Error::damaged(&media.path, "its content was changed"));
        }
        Ok(())
    }
}

/// The media files that a record names.
pub(super) fn media_of(kind: Option<RecordKind>, body: &[u8]) -> Vec<(EventId, MediaRef)> {
    match kind {
        Some(RecordKind::Event) => serde_json::from_slice::<Event>(body)
            .map(|event| {
                let media = event.snapshot.into_iter().chain(event.clip);
                media.map(|media| (event.id, media)).collect()
            })
            .unwrap_or_default(),
        Some(RecordKind::Segment) => serde_json::from_slice::<Segment>(body)
            .map(|segment| vec![(segment.id, segment.media)])
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// A record as it is stored; what has the wrong type or length is not one.
struct Stored {
    kind: RecordKind,
    subject: Option<EventId>,
    digest: [u8; 32],
    link: Link,
    /// None when it does not open.
    opened: Option<Opened>,
}

impl Stored {
    const COLUMNS: &str = "seq, kind, subject, digest, link, salt, body";

    fn read(db: &Connection, seq: u64, row: &mut Row) -> Option<Self> {
        let kind = RecordKind::from_number(row.integer(1).ok()?)?;
        let (salt, body) = (row.take(5), row.take(6));
        Some(Self {
            kind,
            subject: row.optional_id(2).ok()?,
            digest: row.bytes(3).ok()?,
            link: row.bytes(4).ok()?,
            opened: db.open(seq, kind, salt, body),
        })
    }

    fn body(&self) -> &[u8] {
        self.opened.as_ref().map_or(&[], |opened| &opened.body)
    }

    /// Whether it is what it was when it was linked.
    fn is_whole(&self, chain: &Chain) -> bool {
        self.opened.as_ref().is_some_and(|Opened { salt, body }| {
            chain.digest(salt, self.kind, body) == self.digest
                && self.subject == subject_of(self.kind, body)
        })
    }
}

/// Reads a gap from its first number, body and signature, if the store signed it and they say the
/// same.
pub(super) fn read_gap(row: &Row, chain: &Chain, signer: &VerifyingKey) -> Option<Gap> {
    let first = row.number(0).ok()?;
    let body = row.blob(1).ok()?;
    if !chain.accepts_gap(body, &row.bytes(2).ok()?, signer) {
        return None;
    }
    let gap: Gap = serde_json::from_slice(body).ok()?;
    (gap.first_seq == first && gap.first_seq <= gap.last_seq).then_some(gap)
}

fn walk_chain(
    db: &Connection,
    chain: &Chain,
    signer: &VerifyingKey,
    expect: Option<(u64, Link)>,
    report: &mut VerifyReport,
) -> Result<()> {
    let mut gaps = Gaps::new(db, chain, signer);
    let mut gap = gaps.next(report)?;
    let text = format!(
        "SELECT {} FROM records WHERE seq {{after}} ? ORDER BY seq LIMIT {PAGE}",
        Stored::COLUMNS
    );
    let mut pages = Pages::new(Value::Integer(i64::MIN));
    let mut page = Vec::new().into_iter();
    let mut head = chain.start();
    let mut last_signed = 0;
    let mut expected = expect.is_none_or(|(seq, link)| Head { seq, link } == head);
    loop {
        let Some(mut row) = page.next() else {
            match pages.next(db, &text)? {
                Some(rows) => page = rows.into_iter(),
                None => break,
            }
            continue;
        };
        let seq = row.number(0)?;
        while let Some(here) = gap.take_if(|gap| gap.first_seq <= seq) {
            if here.first_seq != head.seq + 1 || here.link_before != head.link {
                let detail = "a gap does not continue what is before it";
                report.find(FindingKind::Broken, here.first_seq, None, detail);
            }
            report.gaps += 1;
            report.purged += here.records;
            head = Head {
                seq: here.last_seq,
                link: here.link_after,
            };
            // What was expected may have been purged since, and that was signed for.
            expected |= expect
                .is_some_and(|(seq, _)| (here.first_seq..here.last_seq).contains(&seq))
                || expect.is_some_and(|(seq, link)| Head { seq, link } == head);
            gap = gaps.next(report)?;
        }
        if seq <= head.seq {
            report.find(
                FindingKind::Broken,
                seq,
                None,
                "a record is where none can be",
            );
            continue;
        }
        if seq != head.seq + 1 {
            let detail = match seq - head.seq {
                2 => format!("record {} is missing", head.seq + 1),
                _ => format!("records {} to {} are missing", head.seq + 1, seq - 1),
            };
            report.find(FindingKind::Removed, seq, None, detail);
        }
        report.records += 1;
        let Some(stored) = Stored::read(db, seq, &mut row) else {
            report.find(FindingKind::Changed, seq, None, "it is not a record");
            head.seq = seq;
            continue;
        };
        if !stored.is_whole(chain) {
            let detail = "its content was changed";
            report.find(FindingKind::Changed, seq, stored.subject, detail);
        }
        if chain.link(&head.link, seq, &stored.digest) != stored.link {
            let detail = "it does not continue the record before it";
            report.find(FindingKind::Broken, seq, stored.subject, detail);
        }
        if stored.kind == RecordKind::Checkpoint {
            let checkpoint = serde_json::from_slice::<Checkpoint>(stored.body()).ok();
            let good = checkpoint.is_some_and(|checkpoint| {
                checkpoint.seq == head.seq
                    && checkpoint.link == head.link
                    && chain.accepts(&checkpoint, signer)
            });
            match good {
                true => report.checkpoints += 1,
                false => {
                    let detail = "a checkpoint does not sign what is before it";
                    report.find(FindingKind::Signature, seq, None, detail);
                }
            }
            last_signed = seq;
        }
        // Each fault is found once: what follows is held against what is stored.
        head = Head {
            seq,
            link: stored.link,
        };
        expected |= expect.is_some_and(|(seq, link)| Head { seq, link } == head);
    }
    if let Some(gap) = gap {
        let detail = "a gap is where no records follow";
        report.find(FindingKind::Broken, gap.first_seq, None, detail);
    }
    if !expected {
        let seq = expect.map(|(seq, _)| seq);
        let detail = "the chain does not contain the expected record";
        report.find(FindingKind::Truncated, seq, None, detail);
    }
    report.unsigned = head.seq - last_signed;
    report.head_seq = head.seq;
    report.head_link = head.link;
    Ok(())
}

fn subject_of(kind: RecordKind, body: &[u8]) -> Option<EventId> {
    #[derive(Deserialize)]
    struct Subject {
        id: EventId,
    }
    match kind {
        RecordKind::Event | RecordKind::Segment => {
            Some(serde_json::from_slice::<Subject>(body).ok()?.id)
        }
        RecordKind::Audit | RecordKind::Checkpoint => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
