//! The newest state of each entity, between whoever shows it and the thread that tells it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::entity::Entity;
use super::publisher::Shown;

/// More entities are not shown: nothing that is added from outside may fill the memory.
const MAX_ENTITIES: usize = 4096;

/// What is to be seen of an entity.
#[derive(Clone)]
pub(super) enum Wanted {
    Shown(Option<Shown>),
    Nothing,
}

#[derive(Clone)]
pub(super) struct Slot {
    pub entity: Entity,
    pub wanted: Wanted,
    /// Grows with each state.
    version: u64,
    /// Whether the broker knows what it is.
    pub is_described: bool,
    /// Whether the broker has the state.
    is_told: bool,
    /// How often the connection broke at this state.
    pub breaks: u8,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd)]
pub(super) enum Stop {
    #[default]
    No,
    /// When the last states are told.
    Soon,
    /// At once.
    Now,
}

#[derive(Default)]
pub(super) struct Board {
    slots: Mutex<Slots>,
    changed: Condvar,
}

#[derive(Default)]
struct Slots {
    by_id: BTreeMap<String, Slot>,
    stop: Stop,
    is_full: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, entity: &Entity, wanted: Wanted) {
        let mut slots = self.lock();
        let known = slots.by_id.get(&entity.id);
        if known.is_none() && slots.by_id.len() >= MAX_ENTITIES {
            if !std::mem::replace(&mut slots.is_full, true) {
                tracing::warn!("there are too many entities: some are not shown");
            }
            return;
        }
        let slot = Slot {
            entity: entity.clone(),
            wanted,
            version: known.map_or(0, |slot| slot.version + 1),
            is_described: known.is_some_and(|slot| slot.is_described && slot.entity == *entity),
            is_told: false,
            breaks: 0,
        };
        slots.by_id.insert(entity.id.clone(), slot);
        drop(slots);
        self.changed.notify_all();
    }

    pub fn stop(&self, stop: Stop) {
        self.lock().stop = stop;
        self.changed.notify_all();
    }

    pub fn stopping(&self) -> Stop {
        self.lock().stop
    }

    pub fn is_empty(&self) -> bool {
        self.lock().by_id.is_empty()
    }

    /// Waits so long, or until this is to stop.
    pub fn pause(&self, time: Duration) {
        let slots = self.lock();
        let going = |slots: &mut Slots| slots.stop == Stop::No;
        let waited = self.changed.wait_timeout_while(slots, time, going);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits so long, or until there is something to tell or to stop.
    pub fn wait(&self, time: Duration) {
        let slots = self.lock();
        let idle = |slots: &mut Slots| {
            slots.stop == Stop::No && slots.by_id.values().all(|slot| slot.is_told)
        };
        let waited = self.changed.wait_timeout_while(slots, time, idle);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// The broker may have forgotten all of it.
    pub fn forget(&self) {
        for slot in self.lock().by_id.values_mut() {
            slot.is_described = false;
            slot.is_told = false;
        }
    }

    /// What is to be told at this moment.
    pub fn untold(&self) -> Vec<String> {
        let slots = self.lock();
        let untold = slots.by_id.iter().filter(|(_, slot)| !slot.is_told);
        untold.map(|(id, _)| id.clone()).collect()
    }

    pub fn get(&self, id: &str) -> Option<Slot> {
        self.lock().by_id.get(id).cloned()
    }

    /// The broker has it. A state that came meanwhile is still to be told.
    pub fn told(&self, id: &str, told: &Slot) {
        let mut slots = self.lock();
        let Some(slot) = slots.by_id.get_mut(id) else {
            return;
        };
        if slot.version == told.version {
            slot.is_told = true;
            slot.is_described = true;
            if matches!(slot.wanted, Wanted::Nothing) {
                slots.by_id.remove(id);
            }
        }
    }

    pub fn broke(&self, id: &str, at: &Slot) {
        let mut slots = self.lock();
        let slot = slots.by_id.get_mut(id);
        if let Some(slot) = slot.filter(|slot| slot.version == at.version) {
            slot.breaks = slot.breaks.saturating_add(1);
        }
    }
}
