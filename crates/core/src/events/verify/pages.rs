//! Going through tables without holding all of them.

use ed25519_dalek::VerifyingKey;

use super::{FindingKind, VerifyReport, read_gap};
use crate::error::Result;
use crate::events::chain::{Chain, Gap};
use crate::events::database::{Connection, Row, Value};

/// So many rows are held at once.
pub(super) const PAGE: usize = 256;

/// Goes through an answer in parts, so that not all of it is held at once.
pub(super) struct Pages {
    /// What the first column was in the last row.
    pub last: Value,
    first: bool,
    pub done: bool,
}

impl Pages {
    /// From the first row on, which is not before this.
    pub fn new(before: Value) -> Self {
        Self {
            last: before,
            first: true,
            done: false,
        }
    }

    /// The next rows of a statement that gives those `{after}` a value, by the first column, in its
    /// order.
    pub fn next(&mut self, db: &Connection, text: &str) -> Result<Option<Vec<Row>>> {
        if self.done {
            return Ok(None);
        }
        let text = text.replace("{after}", if self.first { ">=" } else { ">" });
        self.first = false;
        let rows = db.query(&text, std::slice::from_ref(&self.last))?;
        self.done = rows.len() < PAGE;
        if let Some(row) = rows.last() {
            self.last = row.0[0].clone();
        }
        Ok(Some(rows))
    }
}

/// The gaps, one after the other.
pub(super) struct Gaps<'a> {
    db: &'a Connection,
    chain: &'a Chain,
    signer: &'a VerifyingKey,
    pages: Pages,
    page: std::vec::IntoIter<Row>,
}

impl<'a> Gaps<'a> {
    pub fn new(db: &'a Connection, chain: &'a Chain, signer: &'a VerifyingKey) -> Self {
        Self {
            db,
            chain,
            signer,
            pages: Pages::new(Value::Integer(i64::MIN)),
            page: Vec::new().into_iter(),
        }
    }

    /// The next one that is signed; others are findings.
    pub fn next(&mut self, report: &mut VerifyReport) -> Result<Option<Gap>> {
        let text = format!(
            "SELECT first_seq, body, signature FROM gaps WHERE first_seq {{after}} ?
             ORDER BY first_seq LIMIT {PAGE}"
        );
        loop {
            for row in self.page.by_ref() {
                match read_gap(&row, self.chain, self.signer) {
                    Some(gap) => return Ok(Some(gap)),
                    None => {
                        let detail = "a gap is not signed by the store";
                        report.find(FindingKind::Signature, row.number(0)?, None, detail);
                    }
                }
            }
            match self.pages.next(self.db, &text)? {
                Some(page) => self.page = page.into_iter(),
                None => return Ok(None),
            }
        }
    }
}
