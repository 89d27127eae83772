//! Whether everything is as it was written.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::chain::{Gap, RecordKind, START, checkpoint, is_signed};
use super::model::{Event, EventId, MediaRef, Segment};
use super::sqlite::{Store, from_json, head};
use crate::error::{Error, Result};

/// More findings than this are counted and not listed.
const MAX_FINDINGS: usize = 1000;

/// A head of the chain that was noted earlier: record `seq` had this link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The record.
    pub seq: u64,
    /// Its link.
    pub link: [u8; 32],
}

/// What to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Read clips and pictures, too, and compare them with what their events say.
    pub media: bool,
    /// The chain has to hold this: nobody cut off its end since.
    pub expected: Option<Expected>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// A record was changed, put elsewhere or inserted.
    Changed {
        /// Its number.
        seq: u64,
    },
    /// Records are missing, and nobody signed for it.
    Missing {
        /// The first of them.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A checkpoint or gap is not signed by the store, or contradicts the chain.
    BadSignature {
        /// The record that it is about.
        seq: u64,
    },
    /// No checkpoint covers the last records, though enough time has passed to make one.
    Unsigned {
        /// The first record that none covers.
        from: u64,
    },
    /// What is listed is not what the chain says.
    Listing {
        /// The event or segment.
        id: String,
    },
    /// A clip or picture is not there.
    MediaMissing {
        /// Where it should be.
        path: String,
    },
    /// A clip or picture is not what was written.
    MediaChanged {
        /// Where it is.
        path: String,
    },
    /// The chain does not hold what it held earlier.
    NotExpected {
        /// The record.
        seq: u64,
    },
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Records whose links hold.
    pub records: u64,
    /// Checkpoints whose signatures hold.
    pub checkpoints: u64,
    /// Stretches that were deleted on purpose and signed for.
    pub gaps: u64,
    /// Records in them.
    pub purged: u64,
    /// Clips and pictures that were read.
    pub media: u64,
    /// Recordings that a crash cut off.
    pub cut: u64,
    /// The last record.
    pub head_seq: u64,
    /// Its link: noted somewhere else, it proves later that nothing was cut off.
    #[serde(with = "hex::serde")]
    pub head_link: [u8; 32],
    /// The public key that signs.
    #[serde(with = "hex::serde")]
    pub signer: [u8; 32],
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is wrong beyond what is listed.
    pub more_findings: u64,
}

impl VerifyReport {
    /// Whether nothing was found.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, finding: Finding) {
        match self.findings.len() < MAX_FINDINGS {
            true => self.findings.push(finding),
            false => self.more_findings += 1,
        }
    }
}

impl Store {
    /// Checks every record, signature and listing, and if asked every file.
    ///
    /// # Errors
    /// When the database cannot be read. What is not as it should be is no error but a
    /// [`Finding`].
    pub fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        // A transaction of its own: writers go on meanwhile.
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(self.sql())?;
        let mut report = VerifyReport {
            signer: *self.signer(),
            ..VerifyReport::default()
        };
        let mut walk = Walk {
            store: self,
            connection: &transaction,
            report: &mut report,
            expected: options.expected,
            latest: HashMap::new(),
            media: Vec::new(),
        };
        walk.chain()?;
        walk.listings()?;
        let media = std::mem::take(&mut walk.media);
        drop(transaction);
        drop(connection);
        for file in media {
            self.verify_media(&file, options.media, &mut report);
        }
        Ok(report)
    }

    fn verify_media(&self, file: &MediaRef, read: bool, report: &mut VerifyReport) {
        let media = self.media();
        let (path, missing) = match media.path_of(file) {
            Ok(path) => (file.path.clone(), !path.is_file()),
            Err(_) => (file.path.clone(), true),
        };
        report.cut += u64::from(!file.complete);
        if missing {
            return report.find(Finding::MediaMissing { path });
        }
        if !read {
            return;
        }
        match media.hash(file) {
            Ok(found) if found == (file.bytes, file.blake3) => report.media += 1,
            Ok(_) | Err(_) => report.find(Finding::MediaChanged { path }),
        }
    }
}

struct Walk<'a> {
    store: &'a Store,
    connection: &'a Connection,
    report: &'a mut VerifyReport,
    expected: Option<Expected>,
    /// The newest record of each event and segment.
    latest: HashMap<EventId, (RecordKind, u64)>,
    media: Vec<MediaRef>,
}

impl Walk<'_> {
    /// Follows the links from the first record to the last.
    fn chain(&mut self) -> Result<()> {
        let gaps = self.gaps()?;
        let checkpoints = self.checkpoints()?;
        let mut gaps = gaps.into_iter().peekable();
        let mut at = (0_u64, START);
        let mut statement = self
            .connection
            .prepare("SELECT seq, kind, object, body, salt, link FROM record ORDER BY seq")
            .map_err(self.store.sql())?;
        let mut rows = statement.query([]).map_err(self.store.sql())?;
        loop {
            let row = rows.next().map_err(self.store.sql())?;
            let next = match row {
                Some(row) => row.get::<_, i64>(0).map_err(self.store.sql())? as u64,
                None => u64::MAX,
            };
            while let Some((gap, signed)) = gaps.next_if(|(gap, _)| gap.first < next) {
                self.pass_gap(&gap, signed, &mut at);
            }
            let Some(row) = row else { break };
            if next != at.0 + 1 {
                self.report.find(Finding::Missing {
                    first: at.0 + 1,
                    last: next.saturating_sub(1),
                });
            }
            let good = self.record(row, &at).map_err(self.store.sql())?;
            let link: [u8; 32] = row.get(5).unwrap_or(START);
            if good {
                self.report.records += 1;
            } else {
                self.report.find(Finding::Changed { seq: next });
            }
            at = (next, link);
            self.compare_checkpoint(&checkpoints, &at);
        }
        drop(rows);
        drop(statement);
        self.end(&checkpoints, &at)
    }

    /// Whether a row is what its link says, after the link before it.
    fn record(&mut self, row: &rusqlite::Row<'_>, at: &(u64, [u8; 32])) -> rusqlite::Result<bool> {
        let seq = row.get::<_, i64>(0)? as u64;
        let fields = || -> rusqlite::Result<_> {
            let kind = RecordKind::from_byte(row.get(1)?);
            let object: Option<[u8; 16]> = row.get(2)?;
            let body: Vec<u8> = row.get(3)?;
            let salt: [u8; 32] = row.get(4)?;
            let link: [u8; 32] = row.get(5)?;
            Ok((kind, object, body, salt, link))
        };
        // A value of another type or length is a change like any other.
        let Ok((Some(kind), object, body, salt, link)) = fields() else {
            return Ok(false);
        };
        let chain = &self.store.chain;
        let digest = chain.digest(kind, &salt, &body);
        if chain.link(&at.1, seq, &digest) != link {
            return Ok(false);
        }
        let object = object.map(EventId::from_bytes);
        let told = match kind {
            RecordKind::Event => from_json::<Event>(&body).map(|event| Some(event.id)),
            RecordKind::Segment => from_json::<Segment>(&body).map(|segment| Some(segment.id)),
            RecordKind::Audit => Ok(None),
        };
        let Ok(told) = told else { return Ok(false) };
        if let Some(id) = told {
            self.latest.insert(id, (kind, seq));
        }
        Ok(told == object)
    }

    fn pass_gap(&mut self, gap: &Gap, signed: bool, at: &mut (u64, [u8; 32])) {
        let fits = gap.first == at.0 + 1 && gap.link_before == at.1 && gap.last >= gap.first;
        match signed && fits {
            true => {
                self.report.gaps += 1;
                self.report.purged += gap.last - gap.first + 1;
            }
            false => self.report.find(Finding::BadSignature { seq: gap.first }),
        }
        if gap.last >= gap.first {
            *at = (gap.last, gap.link_after);
        }
    }

    fn compare_checkpoint(
        &mut self,
        checkpoints: &HashMap<u64, ([u8; 32], bool)>,
        at: &(u64, [u8; 32]),
    ) {
        if let Some((link, signed)) = checkpoints.get(&at.0) {
            match *signed && *link == at.1 {
                true => self.report.checkpoints += 1,
                false => self.report.find(Finding::BadSignature { seq: at.0 }),
            }
        }
        if let Some(expected) = self.expected.filter(|expected| expected.seq == at.0) {
            self.expected = None;
            if expected.link != at.1 {
                self.report.find(Finding::NotExpected { seq: at.0 });
            }
        }
    }

    fn end(
        &mut self,
        checkpoints: &HashMap<u64, ([u8; 32], bool)>,
        at: &(u64, [u8; 32]),
    ) -> Result<()> {
        (self.report.head_seq, self.report.head_link) = *at;
        let told = head(self.connection).map_err(self.store.sql())?;
        if told != *at {
            self.report.find(Finding::Changed { seq: told.0 });
        }
        // Within a gap, what was expected is gone with a signature.
        if let Some(expected) = self.expected.take()
            && !self.is_purged(expected.seq)?
        {
            self.report.find(Finding::NotExpected { seq: expected.seq });
        }
        let last = checkpoints.keys().max().copied().unwrap_or(0);
        if last > at.0 {
            self.report.find(Finding::Missing {
                first: at.0 + 1,
                last,
            });
        }
        if at.0.saturating_sub(last) > super::sqlite::CHECKPOINT_RECORDS {
            self.report.find(Finding::Unsigned { from: last + 1 });
        }
        Ok(())
    }

    fn is_purged(&self, seq: u64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM gap WHERE first <= ?1 AND last >= ?1)";
        self.connection
            .query_row(sql, [seq as i64], |row| row.get(0))
            .map_err(self.store.sql())
    }

    fn gaps(&self) -> Result<Vec<(Gap, bool)>> {
        let sql = "SELECT first, last, link_before, link_after, signature FROM gap ORDER BY first";
        let query = || -> rusqlite::Result<Vec<(Gap, bool)>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let gap = Gap {
                    first: row.get::<_, i64>(0)? as u64,
                    last: row.get::<_, i64>(1)? as u64,
                    link_before: row.get(2).unwrap_or(START),
                    link_after: row.get(3).unwrap_or(START),
                };
                let statement = gap.statement(&self.store.description.id);
                let signature = row.get::<_, [u8; 64]>(4);
                let signed =
                    signature.is_ok_and(|signature| self.is_signed(&statement, &signature));
                Ok((gap, signed))
            })?;
            rows.collect()
        };
        query().map_err(self.store.sql())
    }

    fn checkpoints(&self) -> Result<HashMap<u64, ([u8; 32], bool)>> {
        let sql = "SELECT seq, link, at, signature FROM checkpoint";
        let query = || -> rusqlite::Result<HashMap<u64, ([u8; 32], bool)>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let seq = row.get::<_, i64>(0)? as u64;
                let link = row.get::<_, [u8; 32]>(1).unwrap_or(START);
                let at = row.get::<_, i64>(2).ok();
                let at = at.and_then(|at| Timestamp::from_microsecond(at).ok());
                let signature = row.get::<_, [u8; 64]>(3).ok();
                let signed = at.zip(signature).is_some_and(|(at, signature)| {
                    let statement = checkpoint(&self.store.description.id, seq, &link, at);
                    self.is_signed(&statement, &signature)
                });
                Ok((seq, (link, signed)))
            })?;
            rows.collect()
        };
        query().map_err(self.store.sql())
    }

    fn is_signed(&self, statement: &[u8], signature: &[u8; 64]) -> bool {
        is_signed(&self.store.description.signer, statement, signature)
    }

    /// Compares the tables that are searched with the records they are made of.
    fn listings(&mut self) -> Result<()> {
        let mut latest = std::mem::take(&mut self.latest);
        for (table, kind) in [
            ("event", RecordKind::Event),
            ("segment", RecordKind::Segment),
        ] {
            let sql = format!("SELECT {table}.*, body FROM {table} LEFT JOIN record USING (seq)");
            let mut statement = self.connection.prepare(&sql).map_err(self.store.sql())?;
            let mut rows = statement.query(params![]).map_err(self.store.sql())?;
            while let Some(row) = rows.next().map_err(self.store.sql())? {
                let found = listed(row, kind);
                let id = row.get::<_, [u8; 16]>(0).ok().map(EventId::from_bytes);
                let named = id.map_or_else(|| "?".to_owned(), |id| id.to_string());
                let newest = id.and_then(|id| latest.remove(&id));
                let seq = row.get::<_, i64>(5).ok().map(|seq| (kind, seq as u64));
                match found {
                    Some(media) if newest.is_some() && newest == seq => self.media.extend(media),
                    _ => self.report.find(Finding::Listing { id: named }),
                }
            }
        }
        for id in latest.keys() {
            self.report.find(Finding::Listing { id: id.to_string() });
        }
        Ok(())
    }
}

/// The files of a row, if its columns are what its record says.
fn listed(row: &rusqlite::Row<'_>, kind: RecordKind) -> Option<Vec<MediaRef>> {
    let id = EventId::from_bytes(row.get(0).ok()?);
    let camera: String = row.get(1).ok()?;
    match kind {
        RecordKind::Event => {
            let body: Vec<u8> = row.get(6).ok()?;
            let event: Event = from_json(&body).ok()?;
            let columns: (String, i64, Option<i64>) =
                (row.get(2).ok()?, row.get(3).ok()?, row.get(4).ok()?);
            let told = (
                event.kind.name().to_owned(),
                event.started_at.as_microsecond(),
                event.ended_at.map(|ended| ended.as_microsecond()),
            );
            let same = event.id == id && event.camera == camera && columns == told;
            same.then(|| event.snapshot.into_iter().chain(event.clip).collect())
        }
        RecordKind::Segment => {
            let body: Vec<u8> = row.get(6).ok()?;
            let segment: Segment = from_json(&body).ok()?;
            let columns: (i64, i64, i64) = (row.get(2).ok()?, row.get(3).ok()?, row.get(4).ok()?);
            let told = (
                segment.media.started_at.as_microsecond(),
                segment.ended_at.as_microsecond(),
                i64::try_from(segment.media.bytes).unwrap_or(i64::MAX),
            );
            let same = segment.id == id && segment.camera == camera && columns == told;
            same.then(|| vec![segment.media])
        }
        RecordKind::Audit => None,
    }
}

impl Expected {
    /// Reads what [`VerifyReport`] showed as `SEQ:LINK`.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn parse(text: &str) -> Result<Self> {
        let parse = || {
            let (seq, link) = text.split_once(':')?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(link, &mut bytes).ok()?;
            Some(Self {
                seq: seq.parse().ok()?,
                link: bytes,
            })
        };
        parse().ok_or_else(|| Error::Invalid {
            what: "head of the chain",
            problem: format!("{text:?} is not NUMBER:64 HEXADECIMAL DIGITS"),
        })
    }
}
