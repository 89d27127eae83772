//! Deletes what is too old while cameras are watched.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use keepwatch_core::events::{RetentionPolicy, Store};

use crate::errors::{Raise, Result};

/// How often.
const PURGE: Duration = Duration::from_secs(600);

/// Keeps to a policy until it is dropped.
pub struct Keeper {
    /// Nothing is ever sent; it is closed to stop.
    _stop: Sender<()>,
}

impl Keeper {
    /// Begins.
    pub fn start(store: Arc<Store>, policy: RetentionPolicy) -> Result<Self> {
        let (stop, stopped) = bounded::<()>(0);
        let keep = move || {
            loop {
                // What fails now may work the next time, and no event is lost by it.
                let _ = purge(&store, &policy);
                if stopped.recv_timeout(PURGE) == Err(RecvTimeoutError::Disconnected) {
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .name("retention".to_owned())
            .spawn(keep)
            .map_err(Raise::file("start a thread in", std::path::Path::new("")))?;
        Ok(Self { _stop: stop })
    }
}

fn purge(store: &Store, policy: &RetentionPolicy) -> keepwatch_core::Result<()> {
    let plan = store.plan_purge(policy, Timestamp::now())?;
    if !plan.events.is_empty() || !plan.segments.is_empty() {
        store.purge(&plan, "pipeline", "retention")?;
    }
    Ok(())
}
