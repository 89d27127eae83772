//! Copies of key slots, which go when the slots do: who was shut out stays shut out.

use crate::error::Result;
use crate::id::Id;
use crate::parity::armour::{self, Kind};
use crate::parity::catalog::read_leniently;
use crate::parity::coded::lost_share;
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName, StorageError};

/// No copy of a key slot is larger, in bytes.
const MAX_COPY: u64 = 4 << 20;

impl Repository {
    /// Writes copies of all sound key slots; gives their names and how many bytes are new.
    pub(super) fn protect_key_slots(&self, percent: u8) -> Result<Vec<(Id, u64)>> {
        let mut copies = Vec::new();
        for slot in self.list(ObjectKind::Key)? {
            let name = ObjectName::new(ObjectKind::Key, slot);
            let Ok(bytes) = self.read_raw(&name) else {
                continue;
            };
            let copy = armour::seal(Kind::Key, slot, &bytes, &[], lost_share(percent));
            let id = Id::of(&copy);
            let name = ObjectName::new(ObjectKind::Parity, id);
            let size = match self.storage().create(&name, &[&copy]) {
                Ok(()) => copy.len() as u64,
                Err(StorageError::AlreadyExists { .. }) => 0,
                Err(error) => return Err(error.into()),
            };
            copies.push((id, size));
        }
        Ok(copies)
    }

    /// Removes the copies of key slots that are about to be removed, and does it for good. Gives
    /// whether there were any.
    ///
    /// Also what is too damaged to say what it is goes, for it could be such a copy, and is of no
    /// other use.
    pub(crate) fn forget_key_copies(&self, slots: &[Id]) -> Result<bool> {
        let mut objects = Vec::new();
        self.storage().list(ObjectKind::Parity, &mut |id, size| {
            objects.push((id, size));
        })?;
        let (mut any, mut removed) = (false, false);
        for (id, _) in objects.into_iter().filter(|(_, size)| *size <= MAX_COPY) {
            let name = ObjectName::new(ObjectKind::Parity, id);
            let Some(bytes) = read_leniently(self.storage(), &name)? else {
                continue;
            };
            let mut heads = armour::heads(&bytes).peekable();
            let unknown = heads.peek().is_none() && Id::of(&bytes) != id;
            let copy = heads.any(|head| head.kind == Kind::Key && slots.contains(&head.subject));
            any |= copy;
            if copy || unknown {
                self.storage().remove(&name)?;
                removed = true;
            }
        }
        if removed {
            self.storage().settle(ObjectKind::Parity)?;
        }
        Ok(any)
    }

    /// Copies the key slots that there are now, in the place of copies that have gone.
    pub(crate) fn renew_key_copies(&self) -> Result<()> {
        self.protect_key_slots(super::DEFAULT_PERCENT).map(drop)
    }
}
