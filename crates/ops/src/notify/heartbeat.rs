//! A watchdog elsewhere that hears from a job, and tells somebody when it does not.

use keepwatch_core::SecretText;
use serde::Deserialize;

use super::address::Reach;
use super::http::Http;
use super::{Endpoint, Network, NotifyError};
use crate::FullSuccess;

/// As much of a log is sent: what healthchecks.io keeps.
const MAX_LOG: usize = 100_000;

/// A check of healthchecks.io, or another that takes the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatSettings {
    /// The address of the check, which is a secret.
    pub url: SecretText,
    /// Whether it may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

/// Tells a watchdog how a job goes, by the addresses of healthchecks.io.
///
/// Success is told of a run that did all it was to do, and of no other: [`Heartbeat::success`] wants
/// [`FullSuccess`], and of a partial run there is none. Whoever hears nothing raises the alarm, so
/// what could not be sent is an error and not kept for later.
#[derive(Debug)]
pub struct Heartbeat {
    http: Http,
    endpoint: Endpoint,
}

impl Heartbeat {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &HeartbeatSettings, network: &Network) -> Result<Self, NotifyError> {
        Ok(Self {
            http: Http::new(network, Reach::new(settings.allow_private)),
            endpoint: Endpoint::new(&settings.url)?,
        })
    }

    /// A run starts.
    ///
    /// # Errors
    /// [`NotifyError`] if it could not be told.
    pub fn start(&self) -> Result<(), NotifyError> {
        self.post(&self.endpoint.join("start"), "")
    }

    /// A run did all it was to do. `log` is its end, which is cut to its last 100 kB.
    ///
    /// # Errors
    /// [`NotifyError`] if it could not be told.
    pub fn success(&self, _: FullSuccess, log: &str) -> Result<(), NotifyError> {
        self.post(&self.endpoint, log)
    }

    /// A run did not do all, and ended with this exit code. One of 0 is told as a failure, too.
    ///
    /// # Errors
    /// [`NotifyError`] if it could not be told.
    pub fn fail(&self, exit_code: u8, log: &str) -> Result<(), NotifyError> {
        let path = match exit_code {
            // By its number it would be a success.
            0 => "fail".to_owned(),
            code => code.to_string(),
        };
        self.post(&self.endpoint.join(&path), log)
    }

    /// Something to note, which is neither.
    ///
    /// # Errors
    /// [`NotifyError`] if it could not be told.
    pub fn log(&self, log: &str) -> Result<(), NotifyError> {
        self.post(&self.endpoint.join("log"), log)
    }

    fn post(&self, to: &Endpoint, log: &str) -> Result<(), NotifyError> {
        let start = log.ceil_char_boundary(log.len().saturating_sub(MAX_LOG));
        let plain = [("content-type", "text/plain; charset=utf-8")];
        self.http.post(to, &plain, &log.as_bytes()[start..])
    }
}
