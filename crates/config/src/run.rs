//! How jobs run.

use std::path::PathBuf;

use keepwatch_ops::notify::Network;
use serde::Deserialize;

use crate::Config;
use crate::error::{Error, Result};
use crate::vault::check_name;

/// How jobs run, for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The directory for what is to be known the next time: which runs there were, what is still
    /// to be told.
    pub state: Option<PathBuf>,
    /// So many jobs at once; those that have to wait begin in the order in which they were due.
    pub parallel: u32,
}

impl Default for RunConfig {
    /// Two at once: a long backup keeps no other job waiting.
    fn default() -> Self {
        Self {
            state: None,
            parallel: 2,
        }
    }
}

/// Refuses what cannot work.
pub(crate) fn check(config: &Config) -> Result<()> {
    let bad = |problem: String| Error::Value {
        problem,
        similar: None,
    };
    if !(1..=16).contains(&config.run.parallel) {
        return Err(bad("run.parallel: 1 to 16".to_owned()));
    }
    if config.notify.is_empty() {
        return Ok(());
    }
    let network = Network::system();
    for (name, target) in &config.notify {
        check_name("notify", name)?;
        target
            .build(&network, [])
            .map_err(|error| bad(format!("notify.{name}: {error}")))?;
    }
    Ok(())
}
