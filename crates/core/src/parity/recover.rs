//! Getting the bytes of a pack back: from its own parity, from its group, from elsewhere.

use std::collections::HashMap;

use crate::error::Result;
use crate::id::Id;
use crate::parity::add::add_to;
use crate::parity::armour;
use crate::parity::catalog::{Catalog, Entry, read_leniently};
use crate::parity::code::SECTOR;
use crate::parity::coded::Coded;
use crate::parity::mend::Remedy;
use crate::parity::record::{GroupRecord, PackRecord};
use crate::storage::{ObjectKind, ObjectName, Storage};

/// So many damaged packs of one group are held in memory at once. With more of them hardly any
/// sector is lost in one alone.
const MAX_FAILED: usize = 8;

/// Brings bytes back. It changes nothing.
pub(super) struct Recovery<'a> {
    pub storage: &'a dyn Storage,
    pub others: &'a [&'a dyn Storage],
    pub catalog: &'a Catalog,
    packs: HashMap<Id, Vec<&'a Entry>>,
}

/// One of the packs of a group that cannot be mended alone, or the group's sum.
struct Failed {
    /// Nothing for the sum.
    member: Option<(Id, u32)>,
    /// Whole sectors.
    bytes: Vec<u8>,
    have: Vec<bool>,
    code: Option<(Coded, Vec<u8>)>,
}

impl Failed {
    fn mend(&mut self) {
        if let Some((coded, parity)) = &self.code
            && self.have.iter().any(|have| !have)
        {
            coded.mend(&mut self.bytes, &mut self.have, parity);
        }
    }

    fn lacks(&self, at: usize) -> bool {
        self.have.get(at).is_some_and(|have| !have)
    }
}

impl<'a> Recovery<'a> {
    pub fn new(
        storage: &'a dyn Storage,
        others: &'a [&'a dyn Storage],
        catalog: &'a Catalog,
    ) -> Self {
        Self {
            storage,
            others,
            catalog,
            packs: catalog.packs(),
        }
    }

    /// A sound copy of an object that is named by its hash: as it was put aside by an interrupted
    /// repair, or from another storage.
    pub fn copy(&self, name: &ObjectName) -> Result<Option<(Vec<u8>, Remedy)>> {
        let spare = ObjectName::new(ObjectKind::Parity, name.id);
        if let Some(bytes) = sound(self.storage, &spare)? {
            return Ok(Some((bytes, Remedy::Parity)));
        }
        for other in self.others {
            // One that cannot be read helps no more than one that has nothing.
            if let Ok(Some(bytes)) = sound(*other, name) {
                return Ok(Some((bytes, Remedy::OtherRepository)));
            }
        }
        Ok(None)
    }

    /// A pack as it was, from itself, its own parity or a copy.
    pub fn alone(&self, pack: Id) -> Result<Option<(Vec<u8>, Remedy)>> {
        let name = ObjectName::new(ObjectKind::Pack, pack);
        if let Some(bytes) = sound(self.storage, &name)? {
            return Ok(Some((bytes, Remedy::Parity)));
        }
        if let Some(mut failed) = self.examine(pack, 0)? {
            failed.mend();
            let length = failed.code.as_ref().map_or(0, |(coded, _)| coded.length);
            failed.bytes.truncate(length as usize);
            if Id::of(&failed.bytes) == pack {
                return Ok(Some((failed.bytes, Remedy::Parity)));
            }
        }
        self.copy(&name)
    }

    /// What is left of a pack and of its parity. `size` is that of a pack without parity.
    fn examine(&self, pack: Id, size: u32) -> Result<Option<Failed>> {
        let name = ObjectName::new(ObjectKind::Pack, pack);
        for entry in self.packs.get(&pack).into_iter().flatten() {
            let Some(object) = read_leniently(self.storage, &entry.name())? else {
                continue;
            };
            let Some(opened) = armour::open(&object) else {
                continue;
            };
            let Some(record) = PackRecord::parse(&opened.content) else {
                continue;
            };
            let mut bytes = read_leniently(self.storage, &name)?.unwrap_or_default();
            let have = record.coded.examine(&mut bytes);
            let parity = object.get(opened.head.front() * SECTOR..);
            return Ok(Some(Failed {
                member: Some((pack, record.coded.length)),
                bytes,
                have,
                code: Some((record.coded, parity.unwrap_or_default().to_vec())),
            }));
        }
        if size == 0 {
            return Ok(None);
        }
        let shards = size.div_ceil(SECTOR as u32) as usize;
        Ok(Some(Failed {
            member: Some((pack, size)),
            bytes: vec![0; shards * SECTOR],
            have: vec![false; shards],
            code: None,
        }))
    }

    /// The packs of a group that cannot be mended alone, as they were.
    ///
    /// Rows are packs and the sum of all of them, columns are sectors: a row is mended by its own
    /// code, a column in which one row alone lacks its sector by the sum, and so on in turns.
    pub fn together(&self, entry: &Entry) -> Result<Vec<(Id, Vec<u8>)>> {
        let nothing = Ok(Vec::new());
        let Some(object) = read_leniently(self.storage, &entry.name())? else {
            return nothing;
        };
        let Some(opened) = armour::open(&object) else {
            return nothing;
        };
        let Some(record) = GroupRecord::parse(&opened.content) else {
            return nothing;
        };
        let from = opened.head.front() * SECTOR;
        let length = record.coded.length as usize;
        let mut sum = object.get(from..).unwrap_or_default().to_vec();
        let parity = sum.get(length..).unwrap_or_default().to_vec();
        let have = record.coded.examine(&mut sum);
        drop(object);
        let mut sum = Failed {
            member: None,
            bytes: sum,
            have,
            code: Some((record.coded, parity)),
        };
        sum.mend();
        // What the rows must add up to.
        let mut rest = vec![0; sum.bytes.len()];
        let mut failed = vec![sum];
        for (pack, size) in record.members {
            if let Some((bytes, _)) = self.alone(pack)? {
                add_to(&mut rest, &bytes);
            } else if failed.len() > MAX_FAILED {
                return nothing;
            } else if let Some(row) = self.examine(pack, size)? {
                failed.push(row);
            }
        }
        solve(&mut failed, &rest);
        Ok(failed
            .into_iter()
            .filter_map(|row| {
                let (pack, size) = row.member?;
                let mut bytes = row.bytes;
                bytes.truncate(size as usize);
                (Id::of(&bytes) == pack).then_some((pack, bytes))
            })
            .collect())
    }
}

fn solve(rows: &mut [Failed], rest: &[u8]) {
    let columns = rest.len() / SECTOR;
    loop {
        let mut progress = false;
        for column in 0..columns {
            let mut lacking = (0..rows.len()).filter(|row| rows[*row].lacks(column));
            let (Some(row), None) = (lacking.next(), lacking.next()) else {
                continue;
            };
            let range = column * SECTOR..(column + 1) * SECTOR;
            let mut sector = rest[range.clone()].to_vec();
            for (at, other) in rows.iter().enumerate() {
                // A shorter pack is zeros from its end on.
                if at != row
                    && let Some(bytes) = other.bytes.get(range.clone())
                {
                    add_to(&mut sector, bytes);
                }
            }
            rows[row].bytes[range].copy_from_slice(&sector);
            rows[row].have[column] = true;
            progress = true;
        }
        for row in rows.iter_mut() {
            let before = row.have.iter().filter(|have| **have).count();
            row.mend();
            progress |= row.have.iter().filter(|have| **have).count() > before;
        }
        if !progress {
            return;
        }
    }
}

/// The bytes of an object if their hash is its name.
pub(super) fn sound(storage: &dyn Storage, name: &ObjectName) -> Result<Option<Vec<u8>>> {
    let bytes = read_leniently(storage, name)?;
    Ok(bytes.filter(|bytes| Id::of(bytes) == name.id))
}
