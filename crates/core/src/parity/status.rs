//! What parity there is, and what it protects against.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::error::Result;
use crate::id::Id;
use crate::parity::catalog::{Catalog, What};
use crate::parity::coded::lost_share;
use crate::parity::record::SMALL;
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName};

/// What parity a repository has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ParityStatus {
    /// The percentage that it was made with; nothing if there is none.
    pub percent: Option<u8>,
    /// Parity objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their bytes in percent of those of all packs: more than `percent` where packs are few or
    /// small.
    pub overhead_percent: f64,
    /// Packs that the index names.
    pub packs: u64,
    /// Those of them that come back when damage is scattered over them.
    pub packs_against_damage: u64,
    /// How many percent of their sectors may then be lost at random.
    pub damage_percent: f64,
    /// Packs that come back when they are lost as a whole, one of each group.
    pub packs_against_loss: u64,
    /// Groups of such packs.
    pub groups: u64,
    /// The most packs in one of them.
    pub largest_group: u64,
    /// Index objects, snapshots and the like, `config` and key slots.
    pub small_objects: u64,
    /// Those of them that there are copies of.
    pub small_objects_copied: u64,
    /// Parity objects of no use, because they are damaged or what they were for has gone.
    pub useless: u64,
}

impl ParityStatus {
    /// Whether all that is there is protected from damage and loss.
    pub fn is_complete(&self) -> bool {
        self.objects > 0
            && self.packs_against_damage == self.packs
            && self.packs_against_loss == self.packs
            && self.small_objects_copied == self.small_objects
    }
}

/// What `parity remove` removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ParityRemoved {
    /// Parity objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Repository {
    /// What parity there is. Reads the beginning of each parity object.
    pub fn parity_status(&self) -> Result<ParityStatus> {
        let catalog = Catalog::read(self.storage())?;
        self.status_of(&catalog)
    }

    fn status_of(&self, catalog: &Catalog) -> Result<ParityStatus> {
        let present = self.list_packs()?;
        let packs: HashMap<Id, u64> = self.index()?.packs().collect();
        let pack_bytes: u64 = packs.values().sum();
        let percent = catalog.percent();
        let mut status = ParityStatus {
            percent,
            objects: catalog.entries.len() as u64,
            bytes: catalog.bytes(),
            packs: packs.len() as u64,
            damage_percent: percent.map_or(0.0, |percent| 100.0 * lost_share(percent)),
            ..ParityStatus::default()
        };
        if pack_bytes > 0 {
            status.overhead_percent = 100.0 * status.bytes as f64 / pack_bytes as f64;
        }
        let mut against_damage = HashSet::new();
        let mut against_loss = HashSet::new();
        for entry in &catalog.entries {
            match &entry.what {
                What::Pack { pack, .. } if packs.contains_key(pack) => {
                    against_damage.insert(*pack);
                }
                What::Group { members, .. }
                    if members.iter().all(|(id, _)| packs.contains_key(id))
                        // One that has lost two packs has nothing left to give.
                        && members.iter().filter(|(id, _)| !present.contains_key(id)).count() <= 1 =>
                {
                    status.groups += 1;
                    status.largest_group = status.largest_group.max(members.len() as u64);
                    against_loss.extend(members.iter().map(|(id, _)| *id));
                }
                What::Pack { .. } | What::Group { .. } | What::Unreadable => status.useless += 1,
                What::Small { .. } | What::Key { .. } => {}
            }
        }
        status.packs_against_damage = against_damage.len() as u64;
        status.packs_against_loss = against_loss.len() as u64;
        let copied = catalog.copied();
        for kind in SMALL.into_iter().chain([ObjectKind::Key]) {
            for id in self.list(kind)? {
                let id = match kind {
                    ObjectKind::Config => self.ring().config,
                    _ => id,
                };
                status.small_objects += 1;
                status.small_objects_copied +=
                    u64::from(copied.contains(&ObjectName::new(kind, id)));
            }
        }
        Ok(status)
    }

    /// Removes all parity.
    pub fn parity_remove(&self) -> Result<ParityRemoved> {
        let mut objects = Vec::new();
        self.storage().list(ObjectKind::Parity, &mut |id, size| {
            objects.push((id, size));
        })?;
        let mut removed = ParityRemoved::default();
        for (id, size) in objects {
            self.remove(ObjectKind::Parity, id)?;
            removed.objects += 1;
            removed.bytes += size;
        }
        self.storage().settle(ObjectKind::Parity)?;
        Ok(removed)
    }
}
