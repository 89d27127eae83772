//! The audit log: who did what, in the same chain as the events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::RecordKind;
use super::store::{Store, parse_body};
use crate::error::{Error, Result};

const MAX_NAME: usize = 256;
/// So many entries are held at once.
const PAGE: usize = 256;

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// The details.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

/// Which entries to list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Store {
    /// Writes down who did what; durable when it returns.
    ///
    /// # Errors
    /// [`Error::Invalid`] for names longer than 256 bytes.
    pub fn audit(&self, actor: &str, action: &str, detail: serde_json::Value) -> Result<()> {
        if actor.len() > MAX_NAME || action.len() > MAX_NAME {
            return Err(Error::Invalid {
                what: "audit entry",
                problem: format!("a name is longer than {MAX_NAME} bytes"),
            });
        }
        let entry = AuditEntry {
            at: Timestamp::now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            detail,
        };
        let body = entry.body();
        self.append(|chain, _| chain.append(RecordKind::Audit, None, &body).map(|_| ()))
    }

    /// What was written down, newest first.
    pub fn audit_log(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>> {
        let entries = self.audit_log_before(filter, None)?;
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The same with the numbers of the entries, of those whose number is smaller than `before`: for
    /// the next page.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn audit_log_before(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
    ) -> Result<Vec<(u64, AuditEntry)>> {
        let before = before.and_then(|number| i64::try_from(number).ok());
        let db = self.reader()?;
        let mut entries = Vec::new();
        let limit = filter.limit.unwrap_or(usize::MAX);
        let mut before = before.unwrap_or(i64::MAX);
        while entries.len() < limit {
            let page = db.query(
                &format!(
                    "SELECT seq, body FROM records WHERE kind = 3 AND seq < ?
                     ORDER BY seq DESC LIMIT {PAGE}"
                ),
                &[before.into()],
            )?;
            let done = page.len() < PAGE;
            for mut row in page {
                before = row.integer(0)?;
                let body = row.take(1);
                let body = db.body(before.cast_unsigned(), RecordKind::Audit, body)?;
                let entry: AuditEntry = parse_body(&body)?;
                if filter.wants(&entry) && entries.len() < limit {
                    entries.push((before.cast_unsigned(), entry));
                }
            }
            if done {
                break;
            }
        }
        Ok(entries)
    }
}

impl AuditEntry {
    pub(super) fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry is plain JSON")
    }
}

impl AuditFilter {
    fn wants(&self, entry: &AuditEntry) -> bool {
        self.actor
            .as_ref()
            .is_none_or(|actor| *actor == entry.actor)
            && self
                .action
                .as_ref()
                .is_none_or(|action| *action == entry.action)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}
