//! The key slots that a storage has of a repository.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::keyslot::KeySlot;
use crate::parallel::map;
use crate::storage::{ObjectKind, ObjectName, Storage, StorageError};

/// The key slots of a repository.
pub(crate) struct KeySlots {
    /// Those that can be read, and what is wrong with the others. Of one slot the version with the
    /// newest keys comes first.
    pub own: Vec<(Id, Result<KeySlot>)>,
    /// Left by an interrupted `init`; they open nothing.
    pub foreign: Vec<Id>,
}

pub(crate) fn key_slots(storage: &dyn Storage, config: &Config) -> Result<KeySlots> {
    Ok(sort_key_slots(read_key_slots(storage)?, config))
}

/// Key slots as they were read.
pub(crate) type RawSlots = Vec<(Id, std::result::Result<Vec<u8>, StorageError>)>;

pub(crate) fn read_key_slots(storage: &dyn Storage) -> Result<RawSlots> {
    let mut ids = Vec::new();
    storage.list(ObjectKind::Key, &mut |id, _| ids.push(id))?;
    ids.sort();
    let read = map(&ids, storage.parallelism(), |id| {
        storage.read(&ObjectName::new(ObjectKind::Key, *id))
    });
    Ok(ids.into_iter().zip(read).collect())
}

pub(crate) fn sort_key_slots(read: RawSlots, config: &Config) -> KeySlots {
    let mut slots = KeySlots {
        own: Vec::new(),
        foreign: Vec::new(),
    };
    for (id, read) in read {
        let name = ObjectName::new(ObjectKind::Key, id);
        let slot = match read {
            // It has just been renewed or removed.
            Err(StorageError::NotFound { .. }) => continue,
            Err(error) => Err(error.into()),
            Ok(bytes) if Id::of(&bytes) != id => {
                Err(Error::damaged(name, "its content does not fit its name"))
            }
            Ok(bytes) if KeySlot::is_foreign(&bytes, config.id()) => {
                slots.foreign.push(id);
                continue;
            }
            Ok(bytes) => KeySlot::parse(bytes, config.id()),
        };
        slots.own.push((id, slot));
    }
    let epoch = |slot: &Result<KeySlot>| slot.as_ref().map_or(0, |slot| slot.epoch);
    slots
        .own
        .sort_by_key(|(_, slot)| std::cmp::Reverse(epoch(slot)));
    slots
}
