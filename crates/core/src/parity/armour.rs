//! A container that survives the damage that it is to mend: sectors that each say what they belong
//! to and whether they are sound (FORMAT.md, section 9.1).

use std::collections::HashMap;

use crate::id::Id;
use crate::parity::code::{SECTOR, decode, encode, recovery_shards};

const MAGIC: &[u8; 4] = b"KWPY";
const HEAD: usize = 80;
const CHECK: usize = 16;
const PAYLOAD: usize = SECTOR - HEAD - CHECK;
/// More content than this is not put into one container, in bytes.
pub(super) const MAX_CONTENT: usize = 32 << 20;
const MAX_BLOCKS: usize = MAX_CONTENT.div_ceil(PAYLOAD);

/// What a parity object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Mends sectors of one pack.
    Pack = 1,
    /// Brings one lost pack of a group back.
    Group = 2,
    /// Copies of small objects.
    Small = 3,
    /// A copy of one key slot.
    Key = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Pack, Kind::Group, Kind::Small, Kind::Key]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What every sector of a container says alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Head {
    pub kind: Kind,
    pub subject: Id,
    data: u16,
    recovery: u16,
    length: u32,
    content: Id,
}

impl Head {
    /// How many sectors of the container stand before the shards.
    pub fn front(&self) -> usize {
        self.blocks().div_ceil(2)
    }

    fn blocks(&self) -> usize {
        usize::from(self.data) + usize::from(self.recovery)
    }
}

/// A container and the shards between its halves.
#[derive(Debug)]
pub(super) struct Opened {
    pub head: Head,
    pub content: Vec<u8>,
}

/// Recovery sectors for a container: a whole half of it may go at once with a burst, unless it is
/// so large that bursts are small against it.
fn recovery_blocks(data: usize, lost: f64) -> usize {
    recovery_shards(data, lost, 1e-9).max(data.min(64) + 2)
}

/// Makes a parity object of `content` and shards, which are whole sectors.
pub(super) fn seal(
    kind: Kind,
    subject: Id,
    content: &[u8],
    shards: &[&[u8]],
    lost: f64,
) -> Vec<u8> {
    debug_assert!(!content.is_empty() && content.len() <= MAX_CONTENT);
    let data = content.len().div_ceil(PAYLOAD);
    let recovery = recovery_blocks(data, lost);
    let head = Head {
        kind,
        subject,
        data: data as u16,
        recovery: recovery as u16,
        length: content.len() as u32,
        content: Id::of(content),
    };
    let mut payload = content.to_vec();
    payload.resize(data * PAYLOAD, 0);
    payload.extend_from_slice(&encode(content, PAYLOAD, recovery));
    let blocks: Vec<Vec<u8>> = payload
        .chunks_exact(PAYLOAD)
        .enumerate()
        .map(|(at, part)| block(&head, at as u16, part))
        .collect();
    let size = shards.iter().map(|part| part.len()).sum::<usize>() + blocks.len() * SECTOR;
    let mut object = Vec::with_capacity(size);
    // Every second one: whatever half is lost, there are data and recovery sectors in the other.
    blocks
        .iter()
        .step_by(2)
        .for_each(|block| object.extend_from_slice(block));
    for part in shards {
        debug_assert_eq!(part.len() % SECTOR, 0);
        object.extend_from_slice(part);
    }
    blocks
        .iter()
        .skip(1)
        .step_by(2)
        .for_each(|block| object.extend_from_slice(block));
    object
}

fn block(head: &Head, number: u16, payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(SECTOR);
    block.extend_from_slice(MAGIC);
    block.extend_from_slice(&[1, head.kind as u8]);
    for field in [number, head.data, head.recovery] {
        block.extend_from_slice(&field.to_le_bytes());
    }
    block.extend_from_slice(&head.length.to_le_bytes());
    block.extend_from_slice(head.subject.as_bytes());
    block.extend_from_slice(head.content.as_bytes());
    debug_assert_eq!(block.len(), HEAD);
    block.extend_from_slice(payload);
    let check = blake3::hash(&block);
    block.extend_from_slice(&check.as_bytes()[..CHECK]);
    block
}

/// A sector of a container, if it is one and sound.
fn parse_block(sector: &[u8]) -> Option<(Head, u16, &[u8])> {
    if sector.len() != SECTOR || &sector[..4] != MAGIC || sector[4] != 1 {
        return None;
    }
    let check = blake3::hash(&sector[..SECTOR - CHECK]);
    if check.as_bytes()[..CHECK] != sector[SECTOR - CHECK..] {
        return None;
    }
    let u16_at = |at: usize| u16::from_le_bytes([sector[at], sector[at + 1]]);
    let id_at = |at: usize| Id::from_bytes(sector[at..at + 32].try_into().expect("32 bytes"));
    let head = Head {
        kind: Kind::from_byte(sector[5])?,
        data: u16_at(8),
        recovery: u16_at(10),
        length: u32::from_le_bytes(sector[12..16].try_into().expect("4 bytes")),
        subject: id_at(16),
        content: id_at(48),
    };
    let data = usize::from(head.data);
    let number = u16_at(6);
    // Before anything is allocated for it.
    let sound = (1..=MAX_BLOCKS).contains(&data)
        && head.length as usize <= data * PAYLOAD
        && head.length as usize > (data - 1) * PAYLOAD
        && head.recovery > 0
        && head.recovery as usize <= 2 * data + 64
        && usize::from(number) < head.blocks();
    sound.then_some((head, number, &sector[HEAD..SECTOR - CHECK]))
}

/// Opens the container in a parity object, or in as much of one as there is.
pub(super) fn open(object: &[u8]) -> Option<Opened> {
    let mut found: HashMap<Head, Vec<(u16, &[u8])>> = HashMap::new();
    for sector in object.chunks_exact(SECTOR) {
        if let Some((head, number, payload)) = parse_block(sector) {
            found.entry(head).or_default().push((number, payload));
        }
    }
    // The one that most sectors tell of; a few that say otherwise were put there by somebody.
    let (head, mut blocks) = found.into_iter().max_by_key(|(_, blocks)| blocks.len())?;
    blocks.sort_by_key(|(number, _)| *number);
    blocks.dedup_by_key(|(number, _)| *number);
    let data = usize::from(head.data);
    if blocks.len() < data {
        return None;
    }
    let mut content = vec![0; data * PAYLOAD];
    let mut have = vec![false; data];
    let mut recovery = Vec::new();
    for (number, payload) in blocks {
        match usize::from(number) {
            at if at < data => {
                content[at * PAYLOAD..][..PAYLOAD].copy_from_slice(payload);
                have[at] = true;
            }
            at => recovery.push((at - data, payload)),
        }
    }
    let count = usize::from(head.recovery);
    if !decode(&mut content, &have, PAYLOAD, &recovery, count) {
        return None;
    }
    content.truncate(head.length as usize);
    (Id::of(&content) == head.content).then_some(Opened { head, content })
}

/// What an object is for, if any of its sectors says so.
pub(super) fn heads(object: &[u8]) -> impl Iterator<Item = Head> {
    object
        .chunks_exact(SECTOR)
        .filter_map(|sector| parse_block(sector).map(|(head, ..)| head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new_keyed(&[7; 32])
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }

    #[test]
    fn content_of_any_size_comes_back() {
        for length in [1, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, 10 * PAYLOAD, 300_000] {
            let content = sample(length);
            let object = seal(Kind::Small, Id::ZERO, &content, &[], 0.05);
            assert_eq!(object.len() % SECTOR, 0);
            assert_eq!(open(&object).expect("enough is left").content, content);
        }
    }

    #[test]
    fn either_half_is_enough() {
        let content = sample(9 * PAYLOAD);
        let shards = vec![9; 50 * SECTOR];
        let object = seal(Kind::Pack, Id::of(b"x"), &content, &[&shards], 0.05);
        let front = open(&object).expect("enough is left").head.front() * SECTOR;
        let mut damaged = object.clone();
        damaged[..front].fill(0);
        assert_eq!(open(&damaged).expect("enough is left").content, content);
        let mut damaged = object.clone();
        damaged.truncate(front);
        assert_eq!(open(&damaged).expect("enough is left").content, content);
        damaged[..front].fill(0);
        assert!(open(&damaged).is_none());
    }

    #[test]
    fn what_others_put_between_changes_nothing() {
        let content = sample(3 * PAYLOAD);
        let mut object = seal(Kind::Pack, Id::ZERO, &content, &[], 0.05);
        let other = seal(Kind::Key, Id::ZERO, &sample(10), &[], 0.05);
        object[..SECTOR].copy_from_slice(&other[..SECTOR]);
        assert_eq!(open(&object).expect("enough is left").content, content);
        assert!(open(&[]).is_none());
        assert!(open(&object[..100]).is_none());
    }
}
