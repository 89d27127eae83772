//! Holding on to what is needed, where a storage can (an object lock).
//!
//! What a storage holds from the time it was created on is let go one day, also when snapshots need
//! it still. So it is held anew, long before that: a quarter of the time after it was last.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::Id;
use crate::parallel;
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName, StorageError};

/// When all of a repository's holds were renewed.
#[derive(Debug, Serialize, Deserialize)]
struct Renewed {
    at: Timestamp,
    /// For so long, in seconds.
    period: u64,
}

impl Repository {
    /// Holds on to all that is needed for as long as if it were created now, and gives the number of
    /// objects. Nothing to do, and `None`, where the storage does not hold on to objects, and until a
    /// quarter of the time for which it does has passed since this machine did it last.
    ///
    /// `stop` is set to end it early. For the end of a backup: what it found to be there already was written long ago. After
    /// [`Repository::prune`], what waits to be removed is left out.
    ///
    /// # Errors
    /// The first object that could not be held; others may not be either. [`Error::Interrupted`].
    pub fn renew_holds(&self, now: Timestamp, stop: &AtomicBool) -> Result<Option<u64>> {
        let Some(period) = self.storage().held_for() else {
            return Ok(None);
        };
        let record = self.record_of_holds();
        if !is_due(record.as_ref(), period, now) {
            return Ok(None);
        }
        let needed = self.needed()?;
        let held = AtomicU64::new(0);
        let failed = AtomicBool::new(false);
        let results = parallel::map(&needed, self.storage().parallelism(), |name| {
            if failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let result = match stop.load(Ordering::Relaxed) {
                true => Err(Error::Interrupted),
                false => self.hold(name, &held),
            };
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            result
        });
        results.into_iter().collect::<Result<()>>()?;
        if let Some(path) = record {
            let renewed = Renewed {
                at: now,
                period: period.as_secs(),
            };
            let text = serde_json::to_vec(&renewed).expect("a time and a number");
            fs::write(&path, text).map_err(Error::io("write", &path))?;
        }
        let held = held.into_inner();
        tracing::info!(
            objects = held,
            "held for another {} h",
            period.as_secs() / 3600
        );
        Ok(Some(held))
    }

    fn hold(&self, name: &ObjectName, held: &AtomicU64) -> Result<()> {
        match self.storage().hold(name) {
            Ok(()) => {
                held.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            // A collector was faster.
            Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the repository consists of, but for packs that are about to go.
    fn needed(&self) -> Result<Vec<ObjectName>> {
        let doomed = self.named_packs()?;
        let mut needed = Vec::new();
        for kind in ObjectKind::ALL.into_iter().filter(|kind| kind.is_lasting()) {
            self.storage().list(kind, &mut |id, _| {
                if kind != ObjectKind::Pack || !doomed.contains(&id) {
                    needed.push(ObjectName::new(kind, id));
                }
            })?;
        }
        Ok(needed)
    }

    /// Where it is written down when this machine renewed the holds of this storage: of copies of a
    /// repository each has its own.
    fn record_of_holds(&self) -> Option<PathBuf> {
        let place = Id::of(self.location().as_bytes());
        self.cache().record(&format!("held-{place}"))
    }
}

fn is_due(record: Option<&PathBuf>, period: Duration, now: Timestamp) -> bool {
    let renewed = record
        .and_then(|path| fs::read(path).ok())
        .and_then(|text| serde_json::from_slice::<Renewed>(&text).ok());
    let Some(renewed) = renewed.filter(|renewed| renewed.period == period.as_secs()) else {
        return true;
    };
    let since = now.duration_since(renewed.at);
    // A clock that went back says nothing.
    since < SignedDuration::ZERO || since.unsigned_abs() >= period / 4
}
