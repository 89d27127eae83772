//! Deciding which packs go and which are copied.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::gc::PruneOptions;
use crate::gc::view::{Trust, View, for_each_live};
use crate::id::Id;
use crate::repository::Repository;

/// From this many small packs on, `prune` makes few of them.
const SMALL_PACKS: usize = 16;

/// What is to become of the packs.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) dead: HashSet<Id>,
    pub(super) rewrite: HashSet<Id>,
    pub(super) unindexed: HashSet<Id>,
}

impl Plan {
    pub(super) fn doomed(&self) -> HashSet<Id> {
        self.dead.union(&self.rewrite).copied().collect()
    }
}

impl Repository {
    pub(super) fn plan(&self, view: &View, options: &PruneOptions) -> Result<Plan> {
        let none = HashSet::new();
        let mut used: HashMap<Id, u64> = HashMap::new();
        let mut rescue: HashSet<Id> = HashSet::new();
        for_each_live(view, &none, &mut |_, entry, pack, trust| {
            *used.entry(*pack).or_default() += u64::from(entry.stored_len());
            if trust < Trust::Good {
                rescue.insert(*pack);
            }
        })?;
        let mut stored: HashMap<Id, u64> = HashMap::new();
        view.index.entries.for_each(&mut |_, entry, pack, _| {
            *stored.entry(*pack).or_default() += u64::from(entry.stored_len());
        })?;
        let waited_for: HashSet<Id> = view
            .others
            .iter()
            .flat_map(|(_, record)| record.packs.iter().copied())
            .collect();
        let mut plan = Plan::default();
        let mut partly = Vec::new();
        let (mut total, mut unused) = (0u64, 0u64);
        for (&pack, &size) in &view.packs {
            if view.protected.contains(&pack) {
                continue;
            }
            match used.get(&pack) {
                None if view.index.packs.contains_key(&pack) || waited_for.contains(&pack) => {
                    plan.dead.insert(pack);
                }
                None => {
                    plan.unindexed.insert(pack);
                }
                // Another collector may be taking it: its live chunks are safer elsewhere.
                Some(_) if rescue.contains(&pack) => {
                    plan.rewrite.insert(pack);
                }
                Some(&live) => {
                    total += size;
                    let waste = stored.get(&pack).map_or(0, |all| all.saturating_sub(live));
                    unused += waste;
                    partly.push((pack, size, waste));
                }
            }
        }
        // The most wasteful first, until no more is wasted than allowed.
        partly.sort_by(|a, b| (b.2 * a.1).cmp(&(a.2 * b.1)).then(a.0.cmp(&b.0)));
        let allowed = (total as f64 * options.max_unused_percent / 100.0) as u64;
        let pack_size = u64::from(self.config().pack_size());
        let small: Vec<Id> = partly
            .iter()
            .filter(|(_, size, _)| *size < pack_size / 8)
            .map(|(pack, ..)| *pack)
            .collect();
        for (pack, _, waste) in &partly {
            if unused <= allowed || *waste == 0 {
                break;
            }
            unused -= waste;
            plan.rewrite.insert(*pack);
        }
        // Many small backups leave many small packs; copying them now and then keeps the number down.
        if small.len() >= SMALL_PACKS {
            plan.rewrite.extend(small);
        }
        Ok(plan)
    }

    pub(super) fn unused_in(&self, view: &View, packs: &HashSet<Id>) -> Result<u64> {
        let mut live = 0;
        for_each_live(view, &HashSet::new(), &mut |_, entry, pack, _| {
            if packs.contains(pack) {
                live += u64::from(entry.stored_len());
            }
        })?;
        let size: u64 = packs.iter().filter_map(|pack| view.packs.get(pack)).sum();
        Ok(size.saturating_sub(live))
    }
}
