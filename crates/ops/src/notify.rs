//! Who hears of a run.
//!
//! A [`Notification`] is told to targets, each a [`Notifier`]. [`Dispatcher`] stands between: it
//! knows which target is told of what, tells the same thing once and counts the rest, and keeps on
//! disk what could not be told yet. [`Heartbeat`] tells a watchdog elsewhere that a job still runs.
//!
//! # What is told is not trusted
//!
//! Names of jobs and files are hostile input. Every target writes them so that its medium shows them
//! as they are: no mark-up, no mention, no link is made of them, control characters and marks that
//! turn the direction of writing are left out, and texts are cut to what the medium takes.
//!
//! # Where connections go
//!
//! Addresses are `http` or `https`. What resolves to addresses of private use, of this machine or of
//! this link ([`is_public`]) is refused unless the target has `allow_private`. The check is made on
//! the address that is then connected to, so no name can be one thing to the check and another to
//! the connection. Redirects are not followed.

mod address;
mod desktop;
mod dispatch;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod heartbeat;
mod http;
mod mqtt;
mod ntfy;
mod settings;
mod smtp;
mod spool;
mod telegram;
mod text;
mod webhook;

use http::Endpoint;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use address::is_public;
pub use desktop::{Desktop, DesktopSettings};
pub use dispatch::{Delivery, DispatchOptions, Dispatcher, Outcome, Told};
pub use error::{NotifyError, RetryAfter};
pub use heartbeat::{Heartbeat, HeartbeatSettings};
pub use http::{Network, Roots};
pub use mqtt::{
    Component, Entity, EntityState, LivePart, Mqtt, MqttSettings, PictureSource, Publisher,
    PublisherOptions, Shown,
};
pub use ntfy::{Ntfy, NtfySettings};
pub use settings::{Target, TargetSettings};
pub use smtp::{Smtp, SmtpSecurity, SmtpSettings};
pub use spool::{SpoolError, SpoolLimits};
pub use telegram::{Telegram, TelegramSettings};
pub use webhook::{ChatSettings, Discord, Slack, Teams, Webhook, WebhookSettings};

/// How bad it is. Later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Success,
    /// Something is not as it should be.
    Warning,
    /// Something was not done.
    Failure,
    /// What was done before cannot be relied on, as when a drill fails.
    Critical,
}

impl Severity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Critical => "critical",
        }
    }

    /// A colour to show it with, `0xRRGGBB`.
    fn color(self) -> u32 {
        match self {
            Self::Success => 0x002e_7d32,
            Self::Warning => 0x00f9_a825,
            Self::Failure => 0x00c6_2828,
            Self::Critical => 0x006a_1b9a,
        }
    }
}

/// Something to tell. No secret belongs into it: it is sent to others and kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// How bad it is.
    pub severity: Severity,
    /// The job.
    pub job: String,
    /// One line.
    pub title: String,
    /// All of it.
    pub text: String,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// When it happened.
    pub time: Timestamp,
    /// What has the same key is the same thing, told once within a while.
    pub key: String,
}

impl Notification {
    /// Bounded in every part, for the disk and for what has no limits of its own: a title of 250
    /// characters, a text of 8000, 25 facts of 100 and 1000.
    fn bounded(&self) -> Self {
        let fact =
            |(name, value): &(String, String)| (text::line(name, 100), text::cut(value, 1000));
        Self {
            severity: self.severity,
            job: text::line(&self.job, 100),
            title: text::line(&self.title, 250),
            text: text::cut(&self.text, 8000),
            facts: self.facts.iter().take(25).map(fact).collect(),
            time: self.time,
            key: text::line(&self.key, 250),
        }
    }

    /// Text and facts as lines.
    fn plain(&self) -> String {
        let mut plain = self.text.clone();
        for (name, value) in &self.facts {
            if !plain.is_empty() {
                plain.push('\n');
            }
            plain.push_str(&format!("{name}: {value}"));
        }
        plain
    }
}

/// Whoever can be told.
pub trait Notifier: Send + Sync {
    /// Tells it, once, and blocks until the other side has taken it or a timeout has passed.
    /// `now` is the present time, for signatures.
    ///
    /// # Errors
    /// [`NotifyError`], which says whether it may go better later.
    fn send(&self, notification: &Notification, now: Timestamp) -> Result<(), NotifyError>;
}
