//! What is seen to while cameras are watched: what is too old is deleted, and lists of plates are
//! read again when they change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use keepwatch_core::events::{RetentionPolicy, Store};
use keepwatch_vision::recognition::PlateFiles;
use pyo3::prelude::*;

use crate::errors::{Raise, Result};

/// How often something is deleted.
const PURGE: Duration = Duration::from_secs(600);
/// How often lists are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps to a policy and to the lists until it is dropped.
pub struct Keeper {
    /// Nothing is ever sent; it is closed to stop.
    _stop: Sender<()>,
}

impl Keeper {
    /// Begins.
    pub fn start(
        store: Arc<Store>,
        policy: RetentionPolicy,
        mut lists: Option<PlateFiles>,
    ) -> Result<Self> {
        let (stop, stopped) = bounded::<()>(0);
        let pause = match lists {
            Some(_) => LOOK,
            None => PURGE,
        };
        let keep = move || {
            let mut purged: Option<Instant> = None;
            loop {
                if purged.is_none_or(|last| last.elapsed() >= PURGE) {
                    // What fails now may work the next time, and no event is lost by it.
                    let _ = purge(&store, &policy);
                    purged = Some(Instant::now());
                }
                if let Some(lists) = &mut lists {
                    say(&lists.refresh());
                }
                if stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .name("keeper".to_owned())
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

/// Tells the logger `keepwatch`: no caller is there to be warned.
fn say(texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    // When the interpreter ends, nobody listens any more.
    let _ = Python::try_attach(|py| -> PyResult<()> {
        let logger = py
            .import("logging")?
            .call_method1("getLogger", ("keepwatch",))?;
        for text in texts {
            logger.call_method1("warning", ("%s", text))?;
        }
        Ok(())
    });
}
