//! Making a new index from the packs alone.

use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::check::CheckError;
use crate::error::{Error, Result, with_causes};
use crate::id::Id;
use crate::pack::{PackedBlob, parse_pack};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::segment::{MAX_ENTRIES, SegmentBuilder};
use crate::snapshot::{GcRecord, Pending};
use crate::storage::{ObjectKind, ObjectName};

impl Repository {
    /// Writes a new index from what the packs say themselves.
    ///
    /// Gives how many packs and chunks it names, and which packs could not be read. Index objects
    /// that cannot be read are removed, the others stay; so it is with pending and gc objects. No
    /// backup and no `prune` should run meanwhile.
    pub fn repair_index(&self, progress: &dyn Progress) -> Result<RepairReport> {
        let mut report = RepairReport::default();
        let damaged = self.refresh_index()?;
        let mut present = HashMap::new();
        self.storage().list(ObjectKind::Pack, &mut |id, size| {
            present.insert(id, size);
        })?;
        let mut known: HashMap<Id, u64> = HashMap::new();
        {
            let index = self.index()?;
            known.extend(index.packs());
        }
        let missing: Vec<_> = present
            .iter()
            .filter(|(id, size)| known.get(id) != Some(size))
            .map(|(id, size)| (*id, *size))
            .collect();
        progress.total(
            missing.len() as u64,
            missing.iter().map(|(_, size)| size).sum(),
        );
        let mut builder = SegmentBuilder::default();
        for (id, size) in missing {
            let name = ObjectName::new(ObjectKind::Pack, id);
            match self.read_trailer(&name, size) {
                Ok(blobs) => {
                    report.packs += 1;
                    report.chunks += blobs.len() as u64;
                    builder.add(id, size, &blobs);
                }
                Err(error) => report.errors.push(CheckError {
                    object: name.to_string(),
                    error: with_causes(&error),
                }),
            }
            if builder.len() >= MAX_ENTRIES / 2 {
                self.publish_index(&std::mem::take(&mut builder).build())?;
            }
            progress.advance(1, size);
        }
        let mut segment = builder.build();
        // Snapshots that are there were published, whatever became of the object that said so.
        segment.published = self.unpublished()?;
        if !segment.entries.is_empty() || !segment.published.is_empty() {
            self.publish_index(&segment)?;
        }
        for (name, error) in damaged {
            if matches!(error, Error::Damaged { .. }) {
                self.remove(ObjectKind::Index, name.id)?;
                report.index_objects_removed += 1;
            }
        }
        self.remove_damaged_records::<Pending>(ObjectKind::Pending, &mut report)?;
        self.remove_damaged_records::<GcRecord>(ObjectKind::Gc, &mut report)?;
        progress.finish();
        Ok(report)
    }

    /// Removes pending and gc objects that say nothing any more. Backups and `prune` refuse to work
    /// beside them, because they cannot know what they said.
    fn remove_damaged_records<T: DeserializeOwned + Send>(
        &self,
        kind: ObjectKind,
        report: &mut RepairReport,
    ) -> Result<()> {
        for (name, error) in self.read_records::<T>(kind)?.1 {
            // A later version may understand what this one does not.
            if matches!(error, Error::Damaged { .. }) {
                self.remove(kind, name.id)?;
                report.records_removed += 1;
            }
        }
        Ok(())
    }

    fn unpublished(&self) -> Result<Vec<Id>> {
        let published = self.index()?.published();
        let mut ids = self.list(ObjectKind::Snapshot)?;
        ids.retain(|id| !published.contains(id));
        ids.sort();
        Ok(ids)
    }

    fn read_trailer(&self, name: &ObjectName, size: u64) -> Result<Vec<PackedBlob>> {
        // The whole pack is read: its name is the only proof that the trailer belongs to it.
        let bytes = self.read_raw(name)?;
        debug_assert_eq!(bytes.len() as u64, size);
        let object = name.to_string();
        Ok(parse_pack(&bytes, self.config().id(), self.ring(), &object)?.1)
    }
}

/// What `repair-index` did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RepairReport {
    /// Packs that are in the index again.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Index objects that could not be read and were removed.
    pub index_objects_removed: u64,
    /// Pending and gc objects that could not be read and were removed.
    pub records_removed: u64,
    /// Packs that could not be read.
    pub errors: Vec<CheckError>,
}
