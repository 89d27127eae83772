//! Managing key slots and key epochs.

use jiff::Timestamp;
use keepwatch_crypto::{Credential, Lock};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::keyring::{Keyring, Role};
use crate::keyslot::KeySlot;
use crate::repository::{Repository, key_slots};
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

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

impl Repository {
    /// All key slots that can be read.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> {
        let mut keys: Vec<KeyInfo> = self
            .slots()?
            .iter()
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
        Ok(KeyInfo::of(id, &slot))
    }

    /// Removes a slot and starts a new key epoch, so that its holder cannot read what comes.
    ///
    /// `name` is the label, or the first digits of the slot's or the object's id.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is the last full key, or when several slots answer to the name.
    pub fn remove_key(&self, name: &str) -> Result<KeyInfo> {
        self.needs_full("removing a key")?;
        let slots = self.slots()?;
        let (id, slot) = find(&slots, name)?;
        let others = slots
            .iter()
            .filter(|(other, slot)| other != id && slot.role == Role::Full)
            .count();
        if others == 0 && slot.role == Role::Full {
            return Err(Error::Invalid {
                what: "key",
                problem: "it is the last full key of the repository".to_owned(),
            });
        }
        let info = KeyInfo::of(*id, slot);
        self.remove(ObjectKind::Key, *id)?;
        self.rotate_key()?;
        Ok(info)
    }

    /// Replaces what opens the slot that `old` opens.
    ///
    /// The new slot is there before the old one goes.
    pub fn change_key(&self, old: &Credential, lock: &Lock<'_>, now: Timestamp) -> Result<KeyInfo> {
        self.needs_full("changing a passphrase")?;
        for (id, slot) in self.slots()? {
            if slot.open(old)?.is_some() {
                let info = self.add_key(lock, slot.role, &slot.label, now)?;
                self.remove(ObjectKind::Key, id)?;
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
    pub fn rotate_key(&self) -> Result<u32> {
        self.needs_full("rotating keys")?;
        let mut ring: Keyring = self.ring().clone();
        let number = ring.add_epoch()?;
        let slots = self.slots()?;
        // Every slot is written anew before the first old one goes, so that a crash between
        // leaves each holder a slot; those with the old ring alone are renewed the next time.
        let mut renewed = Vec::new();
        for (id, slot) in &slots {
            if slot.epoch > self.ring().current().number {
                return Err(Error::Busy {
                    what: "a key rotation".to_owned(),
                });
            }
            let new = slot.renewed(&ring)?;
            renewed.push((*id, new));
        }
        for (_, slot) in &renewed {
            self.write_raw(ObjectKind::Key, slot.bytes())?;
        }
        for (id, _) in &renewed {
            self.remove(ObjectKind::Key, *id)?;
        }
        Ok(number)
    }

    fn slots(&self) -> Result<Vec<(Id, KeySlot)>> {
        let mut slots = Vec::new();
        for (id, slot) in key_slots(self.storage(), self.config())? {
            match slot {
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
    let found: Vec<_> = slots.iter().filter(answers).collect();
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
