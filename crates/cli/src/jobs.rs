//! What the jobs of the configuration need of this machine.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_config::Config;
use keepwatch_runner::{Repositories, Setup, State};

use crate::args::Global;
use crate::exit::Failure;
use crate::interrupt::waits;
use crate::open::{cache_place, home_directory, runtime};

/// What jobs need.
pub fn setup(config: &Config, global: &Global) -> Result<Setup, Failure> {
    let state = match &config.run.state {
        Some(path) => path.clone(),
        None => usual_state()?,
    };
    Ok(Setup {
        state: State::open(&state)?,
        repositories: Repositories::new(cache_place(global)?, runtime()?.clone())
            .stopped_by(waits()),
        environment: std::env::vars_os().collect(),
        clock: Arc::new(Timestamp::now),
        zone: TimeZone::system(),
        program: concat!("keepwatch ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

/// Where a service manager says (systemd.exec(5)), or where people keep such files (XDG Base
/// Directory Specification).
fn usual_state() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    // Several are separated by colons; ours is the first.
    let service = std::env::var("STATE_DIRECTORY").ok();
    let service = service.as_deref().and_then(|all| all.split(':').next());
    if let Some(path) = service.map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Ok(path);
    }
    absolute("XDG_STATE_HOME")
        .or_else(|| home_directory().map(|home| home.join(".local/state")))
        .map(|state| state.join("keepwatch"))
        .ok_or(Failure::Usage {
            message: "there is no home directory for what jobs leave".to_owned(),
            hint: Some("name a directory as `state` in [run] of the configuration"),
        })
}
