//! The numbers that events go by in SecureVision's contract.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepwatch_core::events::{EventId, Store};

/// So many are remembered.
const KEPT: usize = 4096;

/// The numbers of events that were asked for last: clients ask for the newest again and again, and what
/// an event was stored first as never changes.
#[derive(Default)]
pub(crate) struct Numbers {
    known: Mutex<HashMap<EventId, u64>>,
}

impl Numbers {
    /// Those of these events, in their order; 0 for those that are not there.
    pub fn of(&self, store: &Store, ids: &[EventId]) -> keepwatch_core::Result<Vec<u64>> {
        let known = |known: MutexGuard<'_, HashMap<EventId, u64>>| {
            let number = |id| known.get(id).copied();
            ids.iter().map(number).collect::<Vec<_>>()
        };
        let mut numbers = known(self.lock());
        let missing: Vec<EventId> = ids
            .iter()
            .zip(&numbers)
            .filter_map(|(id, number)| number.is_none().then_some(*id))
            .collect();
        if !missing.is_empty() {
            let found = store.first_numbers(&missing)?;
            self.remember(&missing, &found);
            let unknown = numbers.iter_mut().filter(|number| number.is_none());
            unknown.zip(found).for_each(|(to, from)| *to = Some(from));
        }
        Ok(numbers.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn remember(&self, ids: &[EventId], numbers: &[u64]) {
        let mut known = self.lock();
        if known.len() + ids.len() > KEPT {
            known.clear();
        }
        let there = ids.iter().copied().zip(numbers.iter().copied());
        known.extend(there.filter(|(_, number)| *number > 0));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
