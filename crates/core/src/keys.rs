//! Managing key slots and key epochs.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use keepwatch_crypto::{Credential, Lock, slot};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::keyring::{Keyring, Role};
use crate::keyslot::KeySlot;
use crate::keyslots::key_slots;
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName};

/// A key slot, as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// The object's id; it changes when the slot is renewed.
    pub id: Id,
    /// The slot's own id, which stays.
    pub slot: String,
    /// What it may do.
    pub role: Role,
    /// The name given to it.
    pub label: String,
    /// What opens it.
    pub credential: String,
    /// When it was made.
    pub created: Timestamp,
    /// The newest key epoch it can read.
    pub epoch: u32,
}

impl KeyInfo {
    fn of(id: Id, slot: &KeySlot) -> Self {
        let seconds = i64::try_from(slot.created).unwrap_or(i64::MAX);
        Self {
            id,
            slot: hex_of(&slot.slot_id),
            role: slot.role,
            label: slot.label.clone(),
            credential: slot.credential.clone(),
            created: Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX),
            epoch: slot.epoch,
        }
    }
}

fn busy_rotating() -> Error {
    Error::Busy {
        what: "a key rotation".to_owned(),
    }
}

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

impl Repository {
    /// All key slots that can be read.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> {
        let mut seen = HashSet::new();
        let mut keys: Vec<KeyInfo> = self
            .slots()?
            .iter()
            .filter(|(_, slot)| seen.insert(slot.slot_id))
            .map(|(id, slot)| KeyInfo::of(*id, slot))
            .collect();
        keys.sort_by(|a, b| (a.created, &a.slot).cmp(&(b.created, &b.slot)));
        Ok(keys)
    }

    /// Adds a slot that `lock` opens.
    ///
    /// # Errors
    /// [`Error::NeedsFullKey`] for a writer.
    pub fn add_key(
        &self,
        lock: &Lock<'_>,
        role: Role,
        label: &str,
        now: Timestamp,
    ) -> Result<KeyInfo> {
        self.needs_full("adding a key")?;
        self.add_slot(lock, role, label, now, None)
    }

    /// Adds a slot, to take the place of `replaced` if that is given.
    fn add_slot(
        &self,
        lock: &Lock<'_>,
        role: Role,
        label: &str,
        now: Timestamp,
        replaced: Option<&KeySlot>,
    ) -> Result<KeyInfo> {
        let stays = |slot: &KeySlot| replaced.is_none_or(|old| old.slot_id != slot.slot_id);
        let others = self.slots()?;
        // An interrupted rotation has left slots twice.
        let works: HashMap<_, _> = others
            .iter()
            .filter(|(_, slot)| stays(slot))
            .map(|(_, slot)| (slot.slot_id, slot.work))
            .collect();
        let work: u64 = works.values().sum();
        let own = slot::work_of(lock)?;
        // Slots that cost nothing to try may always be added.
        if own > 0 && work + own > slot::MAX_WORK {
            return Err(Error::Invalid {
                what: "key",
                problem: "trying all passphrases would cost too much: remove a key, or derive this one with less"
                    .to_owned(),
            });
        }
        let created = now.as_second().max(0).unsigned_abs();
        let slot = KeySlot::create(
            lock,
            self.config().suite(),
            self.config().id(),
            role,
            label,
            created,
            self.ring(),
        )?;
        let id = self.write_raw(ObjectKind::Key, slot.bytes())?;
        // A rotation that did not see this slot has written others by now.
        if self.newest_epoch()? > slot.epoch {
            self.remove(ObjectKind::Key, id)?;
            return Err(busy_rotating());
        }
        Ok(KeyInfo::of(id, &slot))
    }

    /// Removes a slot and starts a new key epoch, so that its holder cannot read what comes.
    ///
    /// `name` is the label, or the first digits of the slot's or the object's id. As after
    /// [`Repository::rotate_key`], open the repository anew.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is the last full key, or when several slots answer to the name.
    pub fn remove_key(&self, name: &str) -> Result<KeyInfo> {
        self.needs_full("removing a key")?;
        let slots = self.slots()?;
        let (id, slot) = find(&slots, name)?;
        let others = slots
            .iter()
            .filter(|(_, other)| other.slot_id != slot.slot_id && other.role == Role::Full)
            .count();
        if others == 0 && slot.role == Role::Full {
            return Err(Error::Invalid {
                what: "key",
                problem: "it is the last full key of the repository".to_owned(),
            });
        }
        let info = KeyInfo::of(*id, slot);
        self.rotate_without(Some(&slot.slot_id))?;
        Ok(info)
    }

    /// Replaces what opens the slot that `old` opens.
    ///
    /// The new slot is there before the old one goes.
    pub fn change_key(&self, old: &Credential, lock: &Lock<'_>, now: Timestamp) -> Result<KeyInfo> {
        self.needs_full("changing a passphrase")?;
        let slots = self.slots()?;
        for (_, slot) in &slots {
            if slot.open(old)?.is_some() {
                let info = self.add_slot(lock, slot.role, &slot.label, now, Some(slot))?;
                let old = slots.iter().filter(|(_, s)| s.slot_id == slot.slot_id);
                self.remove_slots(&old.map(|(id, _)| *id).collect::<Vec<_>>())?;
                return Ok(info);
            }
        }
        Err(Error::WrongKey {
            location: self.location(),
        })
    }

    /// Starts a new key epoch; gives its number.
    ///
    /// What is written from now on can be read only with slots that are there now. What was
    /// written before stays as it is until `prune` copies it. Chunks are still found again. This
    /// handle goes on writing under the old epoch: open the repository anew.
    ///
    /// # Errors
    /// [`Error::Busy`] when another rotation runs or came before; then nothing has changed. After any
    /// other error open the repository anew and repeat it.
    pub fn rotate_key(&self) -> Result<u32> {
        self.needs_full("rotating keys")?;
        self.rotate_without(None)
    }

    /// Starts a new key epoch for all slots but one, which goes.
    fn rotate_without(&self, removed: Option<&[u8; 16]>) -> Result<u32> {
        let mut ring: Keyring = self.ring().clone();
        let number = ring.add_epoch()?;
        // Every slot is written anew before the first old one goes, so that a crash between
        // leaves each holder a slot, and of two versions the newer one counts.
        let mut written = HashSet::new();
        let old = match self.renew_slots(&ring, removed, &mut written) {
            Ok(old) => old,
            Err(error) => {
                // Of two rotations the new keys of one only may be used. After any other error the
                // new slots stay: somebody may have opened the repository with them by now.
                if matches!(error, Error::Busy { .. }) {
                    for id in written {
                        self.remove(ObjectKind::Key, id)?;
                    }
                }
                return Err(error);
            }
        };
        self.remove_slots(&old)?;
        Ok(number)
    }

    /// Removes slots for good. Their copies in parity go first: whoever is shut out must not come
    /// back with a repair.
    fn remove_slots(&self, slots: &[Id]) -> Result<()> {
        let copied = self.forget_key_copies(slots)?;
        for id in slots {
            self.remove(ObjectKind::Key, *id)?;
        }
        self.storage().settle(ObjectKind::Key)?;
        if copied {
            self.renew_key_copies()?;
        }
        Ok(())
    }

    /// Writes all slots but one for a keyring with a new epoch; gives the old ones.
    fn renew_slots(
        &self,
        ring: &Keyring,
        removed: Option<&[u8; 16]>,
        written: &mut HashSet<Id>,
    ) -> Result<Vec<Id>> {
        let mut renewed: HashSet<[u8; 16]> = HashSet::new();
        loop {
            let mut slots = self.slots()?;
            slots.retain(|(id, _)| !written.contains(id));
            // The own slot first: whoever repeats this after a crash then has the newest keys.
            slots.sort_by_key(|(_, slot)| slot.slot_id != *self.slot());
            // Rotations write, and then look: of two at least one sees the other here. One that has
            // just removed what we listed is at work as well.
            let overtaken = slots
                .iter()
                .any(|(_, slot)| slot.epoch >= ring.current().number);
            let own = |(_, slot): &(Id, KeySlot)| slot.slot_id == *self.slot();
            if overtaken || (written.is_empty() && !slots.iter().any(own)) {
                return Err(busy_rotating());
            }
            let mut complete = true;
            for (_, slot) in &slots {
                if removed != Some(&slot.slot_id) && renewed.insert(slot.slot_id) {
                    complete = false;
                    let new = slot.renewed(ring)?;
                    written.insert(self.write_raw(ObjectKind::Key, new.bytes())?);
                }
            }
            if complete {
                return Ok(slots.into_iter().map(|(id, _)| id).collect());
            }
        }
    }

    fn newest_epoch(&self) -> Result<u32> {
        let slots = self.slots()?;
        Ok(slots.iter().map(|(_, slot)| slot.epoch).max().unwrap_or(0))
    }

    /// All slots that can be read. Of one slot the version with the newest keys comes first.
    fn slots(&self) -> Result<Vec<(Id, KeySlot)>> {
        let mut slots = Vec::new();
        for (id, slot) in key_slots(self.storage(), self.config())?.own {
            match slot {
                Ok(slot) if self.role() == Role::Full && !slot.is_authentic(self.ring())? => {
                    let object = ObjectName::new(ObjectKind::Key, id);
                    tracing::warn!(%object, "a key slot that no full key has written is left out");
                }
                Ok(slot) => slots.push((id, slot)),
                Err(error) => {
                    let object = ObjectName::new(ObjectKind::Key, id);
                    tracing::warn!(%object, %error, "a key slot is left out");
                }
            }
        }
        Ok(slots)
    }
}

fn find<'a>(slots: &'a [(Id, KeySlot)], name: &str) -> Result<&'a (Id, KeySlot)> {
    let answers = |(id, slot): &&(Id, KeySlot)| {
        slot.label == name
            || (name.len() >= 4
                && (id.to_string().starts_with(name) || hex_of(&slot.slot_id).starts_with(name)))
    };
    let mut seen = HashSet::new();
    let newest = |(_, slot): &&(Id, KeySlot)| seen.insert(slot.slot_id);
    let found: Vec<_> = slots.iter().filter(answers).filter(newest).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Error::Invalid {
            what: "key",
            problem: format!("no key slot is called {name:?}"),
        }),
        several => Err(Error::Invalid {
            what: "key",
            problem: format!("{} key slots answer to {name:?}", several.len()),
        }),
    }
}
