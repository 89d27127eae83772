//! Removing what is older than it may be, and leaving a signed mark of it in the chain.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::audit::AuditEntry;
use super::chain::{Gap, Link, RecordKind};
use super::database::Connection;
use super::event_store::EventStore;
use super::labels;
use super::media::MediaName;
use super::model::{EventFilter, EventId};
use super::query::Conditions;
use super::store::{Store, nanoseconds};
use super::verify::{media_of, read_gap};
use crate::error::{Error, Result};

/// Files that no event names may belong to one that is still to be stored.
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(24);

/// What may be removed. Without limits nothing is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RetentionPolicy {
    /// Events that ended longer ago than this go, with their media.
    pub events_max_age: Option<SignedDuration>,
    /// Segments that ended longer ago than this go.
    pub segments_max_age: Option<SignedDuration>,
    /// The oldest segments go until the rest has no more bytes than this.
    pub segments_max_bytes: Option<u64>,
    /// Only of these events; its cameras and times count for segments as well. Order, page and
    /// limit do not count.
    pub filter: EventFilter,
}

/// What a purge would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PurgePlan {
    /// These events.
    pub events: Vec<EventId>,
    /// These segments.
    pub segments: Vec<EventId>,
    /// The bytes of these segments.
    pub segment_bytes: u64,
}

/// What a purge removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// Events.
    pub events: u64,
    /// Segments.
    pub segments: u64,
    /// Records of the chain, checkpoints among them.
    pub records: u64,
    /// Media files.
    pub files: u64,
    /// Media files that could not be removed; [`Store::sweep_orphans`] removes them later.
    pub left_over: Vec<String>,
}

/// What goes in one transaction.
#[derive(Default)]
struct Doomed {
    records: BTreeSet<u64>,
    files: BTreeSet<String>,
    events: u64,
    segments: u64,
}

impl Store {
    /// Finds what a policy would remove. Events that have not ended stay.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn plan_purge(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<PurgePlan> {
        let mut plan = PurgePlan::default();
        let before = |age: SignedDuration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let db = self.reader()?;
        if let Some(age) = policy.events_max_age {
            let mut conditions = Conditions::of(&db, &policy.filter);
            conditions.add("ended < ?", [nanoseconds(before(age)).into()]);
            let clause = conditions.where_clause();
            let text = format!("SELECT id FROM events e{clause} ORDER BY started, id");
            let rows = db.query(&text, &conditions.values)?;
            plan.events = rows.iter().map(|row| row.id(0)).collect::<Result<_>>()?;
        }
        if policy.segments_max_age.is_none() && policy.segments_max_bytes.is_none() {
            return Ok(plan);
        }
        let conditions = Conditions::of_segments(&policy.filter);
        let clause = conditions.where_clause();
        // Newest first: what comes after the allowed bytes goes.
        let text = format!(
            "SELECT id, ended, bytes FROM segments e{clause} ORDER BY started DESC, id DESC"
        );
        let oldest = policy.segments_max_age.map(|age| nanoseconds(before(age)));
        let allowed = policy.segments_max_bytes.unwrap_or(u64::MAX);
        let mut kept = 0_u64;
        let mut full = false;
        for row in db.query(&text, &conditions.values)? {
            let (ended, bytes) = (row.integer(1)?, row.number(2)?);
            full |= kept.saturating_add(bytes) > allowed;
            if full || oldest.is_some_and(|oldest| ended < oldest) {
                plan.segments.push(row.id(0)?);
                plan.segment_bytes = plan.segment_bytes.saturating_add(bytes);
            } else {
                kept += bytes;
            }
        }
        plan.segments.reverse();
        Ok(plan)
    }

    /// Removes what a plan names, and writes down that it was done.
    ///
    /// The chain keeps a signed mark in place of each run of records that went. Files go after the
    /// database has forgotten them, so that a crash leaves files too many and none too few.
    ///
    /// # Errors
    /// When the database cannot be written; then nothing was removed.
    pub fn purge(&self, plan: &PurgePlan, actor: &str, why: &str) -> Result<PurgeReport> {
        let mut report = PurgeReport::default();
        if plan.events.is_empty() && plan.segments.is_empty() {
            return Ok(report);
        }
        let now = Timestamp::now();
        let doomed = self.append(|chain, tx| {
            let mut doomed = Doomed::default();
            for id in &plan.events {
                // An event that was begun anew since the plan was made stays.
                let sql = "DELETE FROM events WHERE id = ? AND ended IS NOT NULL";
                if doomed.take(tx, *id, RecordKind::Event, sql)? {
                    labels::remove(tx, id.as_bytes())?;
                    doomed.events += 1;
                }
            }
            for id in &plan.segments {
                let sql = "DELETE FROM segments WHERE id = ?";
                if doomed.take(tx, *id, RecordKind::Segment, sql)? {
                    doomed.segments += 1;
                }
            }
            if doomed.records.is_empty() {
                return Ok(doomed);
            }
            // Before anything goes: after it there is a signature of all that was.
            chain.checkpoint()?;
            doomed.take_checkpoints(tx)?;
            self.cut_out(tx, &doomed.records, why, now)?;
            let entry = AuditEntry {
                at: now,
                actor: actor.to_owned(),
                action: "purge".to_owned(),
                detail: serde_json::json!({
                    "events": doomed.events,
                    "segments": doomed.segments,
                    "why": why,
                }),
            };
            chain.append(RecordKind::Audit, None, &entry.body())?;
            chain.checkpoint()?;
            Ok(doomed)
        })?;
        report.events = doomed.events;
        report.segments = doomed.segments;
        report.records = doomed.records.len() as u64;
        let media = self.media();
        for path in doomed.files {
            match media.remove(&path) {
                Ok(removed) => report.files += u64::from(removed),
                Err(error) => {
                    tracing::warn!(path, %error, "a purged file is left over");
                    report.left_over.push(path);
                }
            }
        }
        Ok(report)
    }

    /// Removes what a policy does not let stay; `actor` is who does so.
    ///
    /// # Errors
    /// As [`Store::plan_purge`] and [`Store::purge`].
    pub fn retain(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
        actor: &str,
    ) -> Result<PurgeReport> {
        let plan = self.plan_purge(policy, now)?;
        self.purge(&plan, actor, "retention")
    }

    /// Removes finished media files of events that are not there, as a purge that was interrupted
    /// leaves them; gives their number.
    ///
    /// What is younger than a day, or than the oldest event that has not ended, stays, and so does
    /// what is being written.
    pub fn sweep_orphans(&self, now: Timestamp) -> Result<u64> {
        let mut limit = now.checked_sub(ORPHAN_AGE).unwrap_or(Timestamp::MIN);
        if let Some(open) = self.open_events()?.first() {
            limit = limit.min(open.started_at);
        }
        let media = self.media();
        let mut orphans = Vec::new();
        media.walk(&mut |path, metadata| {
            let modified = metadata.modified().ok();
            let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
            if let Some(name) = MediaName::parse(path)
                && modified.is_some_and(|time| time < limit)
                && name.started_at < limit
                && !self.knows(name.id)?
            {
                orphans.push(path.to_owned());
            }
            Ok(())
        })?;
        let mut removed = 0;
        for path in orphans {
            removed += u64::from(media.remove(&path)?);
        }
        Ok(removed)
    }

    fn knows(&self, id: EventId) -> Result<bool> {
        if self.get(id)?.is_some() {
            return Ok(true);
        }
        let text = "SELECT 1 FROM segments WHERE id = ?";
        let row = self
            .reader()?
            .first(text, &[id.as_bytes().to_vec().into()])?;
        Ok(row.is_some())
    }

    /// Removes records and puts signed gaps in their places; gaps that touch become one.
    fn cut_out(
        &self,
        tx: &Connection,
        records: &BTreeSet<u64>,
        why: &str,
        now: Timestamp,
    ) -> Result<()> {
        for (first, last) in runs(records) {
            let mut gap = Gap {
                first_seq: first,
                last_seq: last,
                link_before: self.chain.start().link,
                link_after: link_of(tx, last)?,
                records: last - first + 1,
                why: why.to_owned(),
                at: now,
            };
            let (before, after) = (self.gap_before(tx, first)?, self.gap_after(tx, last)?);
            if first > 1 {
                gap.link_before = match &before {
                    Some(before) => before.link_after,
                    None => link_of(tx, first - 1)?,
                };
            }
            if let Some(before) = before {
                gap.first_seq = before.first_seq;
                gap.link_before = before.link_before;
                gap.records += before.records;
            }
            if let Some(after) = after {
                gap.last_seq = after.last_seq;
                gap.link_after = after.link_after;
                gap.records += after.records;
            }
            let range = [gap.first_seq, gap.last_seq].map(|seq| seq.cast_signed().into());
            tx.execute("DELETE FROM records WHERE seq BETWEEN ? AND ?", &range)?;
            tx.execute("DELETE FROM gaps WHERE first_seq BETWEEN ? AND ?", &range)?;
            let body = serde_json::to_vec(&gap).expect("a gap is plain JSON");
            let signature = self.chain.sign_gap(&body, &self.signing);
            tx.execute(
                "INSERT INTO gaps (first_seq, body, signature) VALUES (?, ?, ?)",
                &[
                    gap.first_seq.cast_signed().into(),
                    body.into(),
                    signature.to_vec().into(),
                ],
            )?;
        }
        Ok(())
    }

    /// The gap that ends just before a record.
    fn gap_before(&self, tx: &Connection, seq: u64) -> Result<Option<Gap>> {
        let text = "SELECT first_seq, body, signature FROM gaps WHERE first_seq < ?
                    ORDER BY first_seq DESC LIMIT 1";
        let gap = self.gap(tx, text, seq)?;
        Ok(gap.filter(|gap| gap.last_seq + 1 == seq))
    }

    /// The gap that begins just after a record.
    fn gap_after(&self, tx: &Connection, seq: u64) -> Result<Option<Gap>> {
        let text = "SELECT first_seq, body, signature FROM gaps WHERE first_seq = ?";
        self.gap(tx, text, seq + 1)
    }

    fn gap(&self, tx: &Connection, text: &str, seq: u64) -> Result<Option<Gap>> {
        let Some(row) = tx.first(text, &[seq.cast_signed().into()])? else {
            return Ok(None);
        };
        // A mark that the store has not signed must not be signed now.
        let signer = self.signing.verifying_key();
        match read_gap(&row, &self.chain, &signer) {
            Some(gap) => Ok(Some(gap)),
            None => Err(Error::damaged(
                "a gap in the chain of events",
                "the store has not signed it",
            )),
        }
    }
}

impl Doomed {
    /// Takes an event or segment out of its list and all its records with it.
    fn take(&mut self, tx: &Connection, id: EventId, kind: RecordKind, sql: &str) -> Result<bool> {
        let subject = || id.as_bytes().to_vec().into();
        if tx.execute(sql, &[subject()])? == 0 {
            return Ok(false);
        }
        let text = "SELECT seq, body FROM records WHERE subject = ? AND kind = ?";
        for mut row in tx.query(text, &[subject(), (kind as i64).into()])? {
            let (seq, body) = (row.number(0)?, row.take(1));
            self.records.insert(seq);
            // What cannot be read names no files; its event goes all the same.
            let body = tx.body(seq, kind, body).unwrap_or_default();
            let media = media_of(Some(kind), &body).into_iter();
            self.files.extend(media.map(|(_, media)| media.path));
        }
        Ok(true)
    }

    /// Checkpoints whose record goes would keep gaps apart; the last one stays.
    fn take_checkpoints(&mut self, tx: &Connection) -> Result<()> {
        let rows = tx.query(
            "SELECT c.seq, b.seq FROM records c LEFT JOIN records b ON b.seq = c.seq - 1
             WHERE c.kind = 4 AND c.seq < (SELECT max(seq) FROM records WHERE kind = 4)
             ORDER BY c.seq",
            &[],
        )?;
        for row in rows {
            let seq = row.number(0)?;
            if self.records.contains(&(seq - 1)) || row.optional_integer(1)?.is_none() {
                self.records.insert(seq);
            }
        }
        Ok(())
    }
}

fn link_of(tx: &Connection, seq: u64) -> Result<Link> {
    let text = "SELECT link FROM records WHERE seq = ?";
    let row = tx.first(text, &[seq.cast_signed().into()])?;
    let missing = || Error::damaged("the chain of events", format!("record {seq} is missing"));
    row.ok_or_else(missing)?.bytes(0)
}

/// Runs of numbers that follow each other.
fn runs(numbers: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}
