//! Which parity objects there are, and what each is for.

use std::collections::{HashMap, HashSet};

use crate::config::MAX_PACK;
use crate::error::Result;
use crate::id::Id;
use crate::parity::armour::{self, Kind, Opened};
use crate::parity::code::SECTOR;
use crate::parity::record::{GroupRecord, PackRecord, parse_small};
use crate::storage::{MAX_READ, ObjectKind, ObjectName, Storage, StorageError};

/// As much of an object as holds the front of the container of most, in bytes.
const FRONT: u64 = 128 << 10;

/// What a parity object is for.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// One pack.
    Pack { pack: Id, percent: u8 },
    /// A group of packs, with their sizes.
    Group {
        members: Vec<(Id, u32)>,
        percent: u8,
    },
    /// Copies of small objects, with the names that they have.
    Small { names: Vec<ObjectName> },
    /// A copy of a key slot.
    Key { slot: Id },
    /// Nothing in it says what it is, or it can no longer be opened.
    Unreadable,
}

/// One parity object.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub id: Id,
    pub size: u64,
    pub what: What,
}

impl Entry {
    pub fn name(&self) -> ObjectName {
        ObjectName::new(ObjectKind::Parity, self.id)
    }
}

/// All parity objects, without the hashes and shards in them.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub entries: Vec<Entry>,
}

impl Catalog {
    pub fn read(storage: &dyn Storage) -> Result<Self> {
        let mut objects = Vec::new();
        storage.list(ObjectKind::Parity, &mut |id, size| {
            objects.push((id, size));
        })?;
        objects.sort();
        let mut entries = Vec::with_capacity(objects.len());
        for (id, size) in objects {
            let what = match read_container(storage, id, size)? {
                Some(opened) => what_of(&opened),
                None => What::Unreadable,
            };
            entries.push(Entry { id, size, what });
        }
        Ok(Self { entries })
    }

    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }

    /// The parity objects of single packs.
    pub fn packs(&self) -> HashMap<Id, Vec<&Entry>> {
        let mut packs: HashMap<Id, Vec<&Entry>> = HashMap::new();
        for entry in &self.entries {
            if let What::Pack { pack, .. } = entry.what {
                packs.entry(pack).or_default().push(entry);
            }
        }
        packs
    }

    /// The groups with their packs, those of many first.
    #[allow(clippy::type_complexity, reason = "callers see what it is")]
    pub fn groups(&self) -> Vec<(&Entry, &[(Id, u32)], u8)> {
        let mut groups: Vec<_> = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Group { members, percent } => Some((entry, members.as_slice(), *percent)),
                _ => None,
            })
            .collect();
        groups.sort_by_key(|(entry, members, _)| (std::cmp::Reverse(members.len()), entry.id));
        groups
    }

    /// The percentage that most of it was made with.
    pub fn percent(&self) -> Option<u8> {
        let mut counts: HashMap<u8, usize> = HashMap::new();
        for entry in &self.entries {
            if let What::Pack { percent, .. } | What::Group { percent, .. } = entry.what {
                *counts.entry(percent).or_default() += 1;
            }
        }
        counts
            .into_iter()
            .max_by_key(|(percent, count)| (*count, *percent))
            .map(|(percent, _)| percent)
    }

    /// Small objects of which there are copies.
    pub fn copied(&self) -> HashSet<ObjectName> {
        let mut copied = HashSet::new();
        for entry in &self.entries {
            match &entry.what {
                What::Small { names } => copied.extend(names.iter().copied()),
                What::Key { slot } => {
                    copied.insert(ObjectName::new(ObjectKind::Key, *slot));
                }
                _ => {}
            }
        }
        copied
    }
}

fn what_of(opened: &Opened) -> What {
    let content = &opened.content;
    let what = match opened.head.kind {
        Kind::Pack => PackRecord::parse(content).map(|record| What::Pack {
            pack: opened.head.subject,
            percent: record.percent,
        }),
        Kind::Group => GroupRecord::parse(content).map(|record| What::Group {
            members: record.members,
            percent: record.percent,
        }),
        Kind::Small => parse_small(content).map(|objects| What::Small {
            names: objects.into_iter().map(|(name, _)| name).collect(),
        }),
        Kind::Key => (Id::of(content) == opened.head.subject).then_some(What::Key {
            slot: opened.head.subject,
        }),
    };
    what.unwrap_or(What::Unreadable)
}

/// The container of a parity object; nothing if it has none that opens, or is gone.
fn read_container(storage: &dyn Storage, id: Id, size: u64) -> Result<Option<Opened>> {
    let name = ObjectName::new(ObjectKind::Parity, id);
    let front = size.min(FRONT) as usize;
    if let Ok(bytes) = storage.read_range(&name, 0, front)
        && let Some(opened) = armour::open(&bytes)
    {
        return Ok(Some(opened));
    }
    match read_leniently(storage, &name)? {
        Some(bytes) => Ok(armour::open(&bytes)),
        None => Ok(None),
    }
}

/// Reads as much of an object as a failing disk gives; what it does not give reads as zeros.
///
/// Nothing if there is no such object, or one larger than any is.
pub(super) fn read_leniently(
    storage: &dyn Storage,
    name: &ObjectName,
) -> Result<Option<Vec<u8>>, StorageError> {
    match storage.read(name) {
        Ok(bytes) => return Ok(Some(bytes)),
        Err(StorageError::NotFound { .. } | StorageError::TooLarge { .. }) => return Ok(None),
        Err(StorageError::Io { .. } | StorageError::Truncated { .. }) => {}
        Err(error) => return Err(error),
    }
    let limit = match name.kind {
        ObjectKind::Pack => MAX_PACK,
        _ => MAX_READ,
    };
    let size = match storage.size(name) {
        Ok(size) if size <= limit => size,
        _ => return Ok(None),
    };
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        let at = bytes.len() as u64;
        let length = (size - at).min(SECTOR as u64) as usize;
        match storage.read_range(name, at, length) {
            Ok(part) => bytes.extend_from_slice(&part),
            Err(_) => bytes.resize(bytes.len() + length, 0),
        }
    }
    Ok(Some(bytes))
}
