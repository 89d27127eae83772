//! What the server is not to read: the bodies of records, and labels.

use std::fmt;

use keepwatch_crypto::{Cipher, Key, Suite};

use crate::error::Result;
use crate::events::chain::RecordKind;
use crate::events::database::Opened;
use crate::events::labels::MAX_PREFIX;

const BODY_CONTEXT: &str = "keepwatch v1 event record body";
const LABEL_CONTEXT: &str = "keepwatch v1 event label";
const SALT: usize = 32;
/// Of its hash so many bytes stand for a label.
const TERM: usize = 16;

/// The keys to it.
pub(crate) struct Sealing {
    store: [u8; 16],
    suite: Suite,
    bodies: Key,
    cipher: Cipher,
    labels: Key,
}

/// What is hashed.
#[derive(Clone, Copy)]
enum Term {
    Whole = 0,
    Prefix = 1,
}

impl Sealing {
    pub fn new(store: [u8; 16], suite: Suite, store_key: &Key) -> Self {
        let bodies = store_key.derive(BODY_CONTEXT);
        Self {
            store,
            suite,
            cipher: Cipher::new(suite, &bodies),
            bodies,
            labels: store_key.derive(LABEL_CONTEXT),
        }
    }

    fn aad(&self, suite: u8, seq: u64, kind: RecordKind) -> Vec<u8> {
        [&[suite], &self.store[..], &seq.to_le_bytes(), &[kind as u8]].concat()
    }

    pub fn seal(
        &self,
        seq: u64,
        kind: RecordKind,
        salt: &[u8; SALT],
        body: &[u8],
    ) -> Result<Vec<u8>> {
        let suite = self.suite.byte();
        let aad = self.aad(suite, seq, kind);
        let sealed = self.cipher.seal(&aad, &[salt, body].concat())?;
        Ok([&[suite], &sealed[..]].concat())
    }

    /// None when it was changed, or is that of another record.
    pub fn open(&self, seq: u64, kind: RecordKind, stored: &[u8]) -> Option<Opened> {
        let (&byte, sealed) = stored.split_first()?;
        let aad = self.aad(byte, seq, kind);
        let opened = match byte == self.suite.byte() {
            true => self.cipher.open(&aad, sealed),
            false => {
                let suite = Suite::from_byte(byte).ok()?;
                Cipher::new(suite, &self.bodies).open(&aad, sealed)
            }
        };
        let opened = opened.ok()?;
        let (salt, body) = opened.split_first_chunk::<SALT>()?;
        Some(Opened {
            salt: *salt,
            body: body.to_vec(),
        })
    }

    fn hash(&self, term: Term, text: &str) -> Vec<u8> {
        let hash = self.labels.mac(&[&[term as u8], text.as_bytes()]);
        hash[..TERM].to_vec()
    }

    /// What stands for a whole label.
    pub fn label(&self, label: &str) -> Vec<u8> {
        self.hash(Term::Whole, label)
    }

    /// What stands for the beginning of labels.
    pub fn prefix(&self, prefix: &str) -> Vec<u8> {
        self.hash(Term::Prefix, prefix)
    }

    /// Everything that a label is found by: itself, and each of its beginnings.
    pub fn terms(&self, label: &str) -> Vec<Vec<u8>> {
        let ends = label.char_indices().map(|(at, char)| at + char.len_utf8());
        let prefixes = ends.take(MAX_PREFIX).map(|end| self.prefix(&label[..end]));
        [self.label(label)].into_iter().chain(prefixes).collect()
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(…)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sealing(store: u8, key: u8) -> Sealing {
        let suite = Suite::recommended();
        Sealing::new([store; 16], suite, &Key::from_bytes([key; 32]))
    }

    #[test]
    fn a_body_opens_in_its_place_only() {
        let sealing_1 = sealing(1, 1);
        let stored = sealing_1
            .seal(7, RecordKind::Event, &[3; 32], b"a person")
            .unwrap();
        let opened = sealing_1.open(7, RecordKind::Event, &stored).unwrap();
        assert_eq!((opened.salt, &opened.body[..]), ([3; 32], &b"a person"[..]));
        assert!(!stored.windows(6).any(|window| window == b"person"));
        assert!(sealing_1.open(8, RecordKind::Event, &stored).is_none());
        assert!(sealing_1.open(7, RecordKind::Audit, &stored).is_none());
        for other in [sealing(2, 1), sealing(1, 2)] {
            assert!(other.open(7, RecordKind::Event, &stored).is_none());
        }
        for at in 0..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            assert!(sealing_1.open(7, RecordKind::Event, &changed).is_none());
            let cut = &stored[..at];
            assert!(sealing_1.open(7, RecordKind::Event, cut).is_none());
        }
    }

    #[test]
    fn a_label_is_found_whole_and_by_each_beginning() {
        let sealing_1 = sealing(1, 1);
        let terms = sealing_1.terms("zoë");
        let expected = [
            sealing_1.label("zoë"),
            sealing_1.prefix("z"),
            sealing_1.prefix("zo"),
            sealing_1.prefix("zoë"),
        ];
        assert_eq!(terms, expected);
        assert_ne!(sealing_1.label("z"), sealing_1.prefix("z"));
        assert_ne!(sealing_1.label("z"), sealing(1, 2).label("z"));
        assert_eq!(sealing_1.terms(&"x".repeat(100)).len(), 1 + MAX_PREFIX);
    }
}
