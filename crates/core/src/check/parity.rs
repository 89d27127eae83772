//! What a check says about parity.

use std::collections::HashSet;

use crate::check::findings::Findings;
use crate::check::{ParityCheck, ReadData};
use crate::error::{Error, Result, with_causes};
use crate::id::Id;
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName, StorageError};

impl Repository {
    /// Looks at parity: at its bytes if all data is read, and whether it mends what was found.
    pub(super) fn check_parity(&self, read: ReadData, findings: &Findings) -> Result<ParityCheck> {
        let ids = self.list(ObjectKind::Parity)?;
        let mut check = ParityCheck {
            objects: ids.len() as u64,
            ..ParityCheck::default()
        };
        if ids.is_empty() {
            return Ok(check);
        }
        let damaged = self.damaged_objects(findings)?;
        check.mendable = self
            .mendable(&damaged)?
            .iter()
            .map(ToString::to_string)
            .collect();
        let status = self.parity_status()?;
        let protected = status.packs_against_damage.min(status.packs_against_loss);
        check.packs_unprotected = status.packs - protected;
        if read == ReadData::All {
            for id in ids {
                let name = ObjectName::new(ObjectKind::Parity, id);
                match self.read_raw(&name) {
                    // Something else has just replaced it.
                    Ok(_) | Err(Error::Storage(StorageError::NotFound { .. })) => {}
                    Err(error) => findings.add(name, with_causes(&error)),
                }
            }
        }
        Ok(check)
    }

    /// The objects that something is wrong with.
    fn damaged_objects(&self, findings: &Findings) -> Result<Vec<ObjectName>> {
        let found = findings.objects();
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for kind in ObjectKind::ALL {
            let mut ids: HashSet<Id> = self.list(kind)?.into_iter().collect();
            // Those that are missing.
            match kind {
                ObjectKind::Pack => ids.extend(self.index()?.packs().map(|(id, _)| id)),
                ObjectKind::Snapshot => ids.extend(self.index()?.published()),
                _ => {}
            }
            names.extend(ids.into_iter().map(|id| ObjectName::new(kind, id)));
        }
        names.retain(|name| found.contains(&name.to_string()));
        names.sort();
        Ok(names)
    }
}
