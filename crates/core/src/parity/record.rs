//! What the containers of parity objects hold (FORMAT.md, sections 9.2 to 9.4).

use crate::config::MAX_PACK;
use crate::id::Id;
use crate::parity::MAX_PERCENT;
use crate::parity::armour::{self, Kind};
use crate::parity::code::SECTOR;
use crate::parity::coded::{Coded, lost_share};
use crate::storage::{ObjectKind, ObjectName};

/// A group never has more packs.
const MAX_MEMBERS: usize = 1024;

/// The code of one pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackRecord {
    pub percent: u8,
    pub coded: Coded,
}

impl PackRecord {
    /// The parity object of a pack.
    pub fn seal(pack: Id, bytes: &[u8], percent: u8) -> Vec<u8> {
        let (coded, parity) = Coded::of(bytes, percent);
        let mut content = vec![percent, 0, 0, 0];
        coded.write(&mut content);
        armour::seal(Kind::Pack, pack, &content, &[&parity], lost_share(percent))
    }

    pub fn parse(content: &[u8]) -> Option<Self> {
        let (percent, rest) = percent_of(content)?;
        Some(Self {
            percent,
            coded: Coded::parse(rest)?,
        })
    }
}

fn percent_of(content: &[u8]) -> Option<(u8, &[u8])> {
    match content {
        [percent @ 1..=MAX_PERCENT, 0, 0, 0, rest @ ..] => Some((*percent, rest)),
        _ => None,
    }
}

/// A group of packs, and the code of their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRecord {
    pub percent: u8,
    /// Packs with their sizes in bytes.
    pub members: Vec<(Id, u32)>,
    pub coded: Coded,
}

impl GroupRecord {
    /// The parity object of a group whose sum is `sum`.
    pub fn seal(members: &[(Id, u32)], mut sum: Vec<u8>, percent: u8) -> Vec<u8> {
        debug_assert!(members.len() <= MAX_MEMBERS);
        sum.resize(sum.len().div_ceil(SECTOR) * SECTOR, 0);
        let (coded, parity) = Coded::of(&sum, percent);
        let mut content = vec![percent, 0, 0, 0];
        content.extend_from_slice(&(members.len() as u32).to_le_bytes());
        for (id, size) in members {
            content.extend_from_slice(id.as_bytes());
            content.extend_from_slice(&size.to_le_bytes());
        }
        coded.write(&mut content);
        let lost = lost_share(percent);
        armour::seal(Kind::Group, Id::ZERO, &content, &[&sum, &parity], lost)
    }

    pub fn parse(content: &[u8]) -> Option<Self> {
        let (percent, rest) = percent_of(content)?;
        let count = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        if !(1..=MAX_MEMBERS).contains(&count) {
            return None;
        }
        let members: Vec<(Id, u32)> = rest
            .get(4..4 + 36 * count)?
            .chunks_exact(36)
            .map(|member| {
                let size = u32::from_le_bytes(member[32..].try_into().expect("4 bytes"));
                (
                    Id::from_bytes(member[..32].try_into().expect("32 bytes")),
                    size,
                )
            })
            .collect();
        let coded = Coded::parse(&rest[4 + 36 * count..])?;
        let fits = |(_, size): &(Id, u32)| {
            *size > 0 && u64::from(*size) <= MAX_PACK && size.div_ceil(4096) * 4096 <= coded.length
        };
        members.iter().all(fits).then_some(Self {
            percent,
            members,
            coded,
        })
    }
}

/// Small objects as they are copied, with their names.
pub(super) type SmallObjects = Vec<(ObjectName, Vec<u8>)>;

/// The content of a container of small objects.
pub(super) fn write_small(objects: &[(ObjectName, Vec<u8>)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (name, bytes) in objects {
        content.push(small_kind(name.kind).expect("only small objects are copied"));
        content.extend_from_slice(name.id.as_bytes());
        content.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        content.extend_from_slice(bytes);
    }
    content
}

/// Reads a container of small objects. Those that do not fit their names are left out.
pub(super) fn parse_small(mut content: &[u8]) -> Option<SmallObjects> {
    let mut objects = Vec::new();
    while let [kind, rest @ ..] = content {
        let kind = SMALL.into_iter().find(|k| small_kind(*k) == Some(*kind))?;
        let id = Id::from_bytes(rest.get(..32)?.try_into().ok()?);
        let length = u32::from_le_bytes(rest.get(32..36)?.try_into().ok()?) as usize;
        let bytes = rest.get(36..)?.get(..length)?;
        content = &rest[36 + length..];
        if Id::of(bytes) == id {
            objects.push((ObjectName::new(kind, id), bytes.to_vec()));
        }
    }
    Some(objects)
}

/// The kinds of objects that are copied together. `config` goes under the hash of its bytes.
pub(super) const SMALL: [ObjectKind; 6] = [
    ObjectKind::Config,
    ObjectKind::Index,
    ObjectKind::Snapshot,
    ObjectKind::Pending,
    ObjectKind::Gc,
    ObjectKind::Trash,
];

fn small_kind(kind: ObjectKind) -> Option<u8> {
    match kind {
        ObjectKind::Config => Some(0),
        ObjectKind::Index => Some(2),
        ObjectKind::Snapshot => Some(3),
        ObjectKind::Pending => Some(4),
        ObjectKind::Gc => Some(5),
        ObjectKind::Trash => Some(6),
        ObjectKind::Key | ObjectKind::Pack | ObjectKind::Parity => None,
    }
}
