//! What a bundle says about itself, signed.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::events::chain::{Chain, Checkpoint, Gap, Head, Link, MAX_BODY, RecordKind};
use crate::events::model::{Event, MediaRef};

pub(super) const MAGIC: &[u8; 8] = b"\x89KWEVID\n";
/// Magic, version, length of the manifest.
pub(super) const FIXED: usize = 16;
pub(super) const SIGNATURE: usize = 64;
/// No manifest is longer.
pub(super) const MAX_MANIFEST: usize = 16 << 20;
/// No more links lie between an event and the checkpoint that proves it.
pub(super) const MAX_STEPS: usize = 1 << 16;
const CONTEXT: &[u8] = b"keepwatch v1 evidence manifest\0";

/// Which media file of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// The recording.
    Clip,
    /// The picture.
    Snapshot,
}

impl PartKind {
    /// The file's name when it is extracted.
    pub fn file_name(self) -> &'static str {
        match self {
            PartKind::Clip => "clip.mp4",
            PartKind::Snapshot => "snapshot.jpg",
        }
    }

    pub(super) fn of(self, event: &Event) -> Option<&MediaRef> {
        match self {
            PartKind::Clip => event.clip.as_ref(),
            PartKind::Snapshot => event.snapshot.as_ref(),
        }
    }
}

/// A media file in a bundle, in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundlePart {
    /// Which one.
    pub kind: PartKind,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its BLAKE3.
    #[serde(with = "hex::serde")]
    pub blake3: [u8; 32],
    /// The BLAKE3 of the sealed file that it was opened from, as the event names it.
    #[serde(with = "hex::serde")]
    pub sealed_blake3: [u8; 32],
}

/// What comes after a record in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// A record that is not shown.
    Digest(#[serde(with = "hex::serde")] [u8; 32]),
    /// Records that were purged.
    Gap {
        body: String,
        #[serde(with = "hex::serde")]
        signature: [u8; 64],
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    #[serde(with = "hex::serde")]
    pub store: [u8; 16],
    #[serde(with = "hex::serde")]
    pub signer: [u8; 32],
    pub exported_at: Timestamp,
    pub seq: u64,
    #[serde(with = "hex::serde")]
    pub salt: [u8; 32],
    #[serde(with = "hex::serde")]
    pub link_before: Link,
    /// The event as the record has it, byte for byte.
    pub event: String,
    /// From the record after it up to the one that the checkpoint signs.
    pub steps: Vec<Step>,
    pub checkpoint: Checkpoint,
    /// In the order in which they follow.
    pub parts: Vec<BundlePart>,
}

impl Manifest {
    /// The beginning of a bundle: everything before the parts.
    pub fn to_bytes(&self, key: &SigningKey) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self).expect("a manifest is plain JSON");
        if json.len() > MAX_MANIFEST {
            return Err(Error::Invalid {
                what: "evidence",
                problem: "the proof is too long".to_owned(),
            });
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0, 0, 0]);
        bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&json);
        let signature = key.sign(&[CONTEXT, &bytes].concat());
        bytes.extend_from_slice(&signature.to_bytes());
        Ok(bytes)
    }

    /// The length of the manifest that begins so.
    pub fn length(head: &[u8; FIXED]) -> Result<usize> {
        if !head.starts_with(MAGIC) {
            return Err(bad("it is not an evidence bundle"));
        }
        if head[8] != 1 || head[9..12] != [0; 3] {
            return Err(Error::Unsupported {
                what: "evidence bundle version",
                value: head[8].to_string(),
            });
        }
        let len = u32::from_le_bytes(head[12..].try_into().expect("4 bytes")) as usize;
        if len > MAX_MANIFEST {
            return Err(bad("its manifest is too long"));
        }
        Ok(len)
    }

    /// Reads and proves everything but the parts. `bytes` is the head, the manifest and the
    /// signature.
    pub fn verify(bytes: &[u8], expected: Option<[u8; 32]>) -> Result<(Self, Event)> {
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE>()
            .ok_or_else(|| bad("it is cut off"))?;
        let json = signed.get(FIXED..).ok_or_else(|| bad("it is cut off"))?;
        let manifest: Manifest =
            serde_json::from_slice(json).map_err(|_| bad("its manifest is not readable"))?;
        let signer = VerifyingKey::from_bytes(&manifest.signer)
            .map_err(|_| bad("its signer is not a key"))?;
        signer
            .verify_strict(
                &[CONTEXT, signed].concat(),
                &Signature::from_bytes(signature),
            )
            .map_err(|_| bad("its signature does not fit"))?;
        if let Some(expected) = expected
            && expected != manifest.signer
        {
            return Err(Error::WrongSigner {
                expected: hex::encode(expected),
                found: hex::encode(manifest.signer),
            });
        }
        let event = manifest.prove(&signer)?;
        Ok((manifest, event))
    }

    /// Whether the event is where it is said to be in a chain that the store signed.
    fn prove(&self, signer: &VerifyingKey) -> Result<Event> {
        if self.steps.len() > MAX_STEPS || self.event.len() > MAX_BODY {
            return Err(bad("its proof is too long"));
        }
        let chain = Chain::new(self.store);
        let digest = chain.digest(&self.salt, RecordKind::Event, self.event.as_bytes());
        let mut head = Head {
            seq: self.seq,
            link: chain.link(&self.link_before, self.seq, &digest),
        };
        for step in &self.steps {
            head = match step {
                Step::Digest(digest) => {
                    let seq = head.seq.checked_add(1);
                    let seq = seq.ok_or_else(|| bad("its proof is too long"))?;
                    Head {
                        seq,
                        link: chain.link(&head.link, seq, digest),
                    }
                }
                Step::Gap { body, signature } => {
                    let gap = chain
                        .accepts_gap(body.as_bytes(), signature, signer)
                        .then(|| serde_json::from_str::<Gap>(body).ok())
                        .flatten()
                        .filter(|gap| {
                            Some(gap.first_seq) == head.seq.checked_add(1)
                                && gap.link_before == head.link
                                && gap.last_seq >= gap.first_seq
                        });
                    let gap = gap.ok_or_else(|| bad("a gap in its proof does not fit"))?;
                    Head {
                        seq: gap.last_seq,
                        link: gap.link_after,
                    }
                }
            };
        }
        let signed = Head {
            seq: self.checkpoint.seq,
            link: self.checkpoint.link,
        };
        if head != signed || !chain.accepts(&self.checkpoint, signer) {
            return Err(bad("its checkpoint does not prove the event"));
        }
        let event: Event =
            serde_json::from_str(&self.event).map_err(|_| bad("its event is not readable"))?;
        for (index, part) in self.parts.iter().enumerate() {
            let named = part.kind.of(&event).map(|media| media.blake3);
            let twice = self.parts[..index]
                .iter()
                .any(|other| other.kind == part.kind);
            if named != Some(part.sealed_blake3) || twice {
                return Err(bad("it has a file that the event does not name"));
            }
        }
        Ok(event)
    }
}

pub(super) fn bad(problem: &str) -> Error {
    Error::damaged("the evidence bundle", problem)
}
