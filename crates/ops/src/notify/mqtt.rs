//! An MQTT broker, and with it Home Assistant.
//!
//! Everything is retained, so that whoever subscribes later finds the last state:
//!
//! | topic | |
//! |---|---|
//! | `homeassistant/COMPONENT/INSTANCE/ID/config` | what an entity is, for discovery |
//! | `keepwatch/INSTANCE/ID/state` | its state |
//! | `keepwatch/INSTANCE/ID/attributes` | more of it, a JSON object |
//! | `keepwatch/INSTANCE/availability` | `online` or `offline`, for what is live of cameras |
//! | `keepwatch/INSTANCE/run/availability` | the same, for what is live of jobs |
//!
//! A job has two entities: a sensor `job_JOB` whose state is the last severity, with the
//! notification as attributes, and a binary sensor `problem_JOB`. They are facts of the past and
//! stay when nothing runs: [`Mqtt`] tells them as it tells any notification. Live ones
//! ([`Entity::is_live`]) are told by a [`Publisher`], and become unavailable with the process.

mod board;
mod entity;
mod publisher;
mod session;

use jiff::Timestamp;
use keepwatch_core::SecretText;
use serde::Deserialize;

use super::webhook::told_as_json;
use super::{Network, Notification, Notifier, NotifyError, Severity};
use entity::Topics;
pub use entity::{Component, Entity};
pub use publisher::{EntityState, LivePart, PictureSource, Publisher, PublisherOptions, Shown};
use session::Session;
#[cfg(feature = "fuzzing")]
pub(super) use session::talk_to;

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSettings {
    /// The broker.
    pub host: String,
    /// Its port. Without, 8883, or 1883 without TLS.
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether the connection is encrypted. Only with `allow_private` may it not be.
    #[serde(default = "yes")]
    pub tls: bool,
    /// The user, if the broker wants one.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<SecretText>,
    /// The name of this machine in topics: letters, digits, `_` and `-`.
    #[serde(default = "default_instance")]
    pub instance: String,
    /// The first part of topics for discovery.
    #[serde(default = "default_prefix")]
    pub discovery_prefix: String,
    /// What is told: this and worse. Without, all, for the state is to be right.
    #[serde(default = "all")]
    pub from: Severity,
    /// Whether it hears of cameras: whether they are there, and what they see.
    #[serde(default)]
    pub cameras: bool,
    /// Whether it hears of people and plates by name, and not only that there was one.
    #[serde(default)]
    pub names: bool,
    /// Whether it gets the pictures of events.
    #[serde(default = "yes")]
    pub pictures: bool,
    /// Whether it may be in a private network or on this machine.
    #[serde(default)]
    pub allow_private: bool,
}

fn yes() -> bool {
    true
}

fn all() -> Severity {
    Severity::Success
}

fn default_instance() -> String {
    "keepwatch".to_owned()
}

fn default_prefix() -> String {
    "homeassistant".to_owned()
}

/// An MQTT broker, and with it Home Assistant.
#[derive(Debug)]
pub struct Mqtt {
    settings: MqttSettings,
    network: Network,
}

impl Mqtt {
    /// Checks settings.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong.
    pub fn new(settings: &MqttSettings, network: &Network) -> Result<Self, NotifyError> {
        let bad = |key, problem| Err(NotifyError::Settings { key, problem });
        if settings.host.is_empty() {
            return bad("host", "it is empty");
        }
        if !settings.tls && !settings.allow_private {
            return bad(
                "tls",
                "without, what is said can be read on the way: it is for private networks",
            );
        }
        if settings.password.is_some() && settings.user.is_none() {
            return bad("password", "it is for a user");
        }
        let secrets = [
            settings.user.as_deref(),
            settings.password.as_ref().map(SecretText::expose),
        ];
        if secrets.into_iter().flatten().any(|text| text.len() > 1000) {
            return bad("user", "user and password have up to 1000 bytes");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let instance = &settings.instance;
        if !(1..=64).contains(&instance.len()) || !instance.chars().all(plain) {
            return bad("instance", "it has 1 to 64 letters, digits, _ and -");
        }
        let prefix = &settings.discovery_prefix;
        let is_topic = |c: char| plain(c) || c == '/';
        if !(1..=64).contains(&prefix.len()) || !prefix.chars().all(is_topic) {
            return bad(
                "discovery_prefix",
                "it has 1 to 64 letters, digits, _, - and /",
            );
        }
        if settings.names && !settings.cameras {
            return bad(
                "names",
                "they are those of people and plates, and `cameras` is off",
            );
        }
        Ok(Self {
            settings: settings.clone(),
            network: network.clone(),
        })
    }
}

impl Notifier for Mqtt {
    fn send(&self, notification: &Notification, _: Timestamp) -> Result<(), NotifyError> {
        let told = notification.bounded();
        let last = Entity {
            component: Component::Sensor,
            id: format!("job_{}", told.job),
            name: told.job.clone(),
            device_class: None,
            icon: Some("mdi:backup-restore"),
            is_live: false,
        };
        let problem = Entity {
            component: Component::BinarySensor,
            id: format!("problem_{}", told.job),
            name: format!("{} problem", told.job),
            device_class: Some("problem"),
            icon: None,
            is_live: false,
        };
        let attributes = told_as_json(&told);
        let on = if told.severity > Severity::Success {
            "ON"
        } else {
            "OFF"
        };
        let topics = Topics::of(&self.settings);
        let mut all = vec![topics.description(&last), topics.description(&problem)];
        all.extend(topics.text(&last, told.severity.as_str(), attributes.as_object()));
        all.extend(topics.text(&problem, on, None));
        let mut session = Session::open(&self.settings, &self.network, None)?;
        for (topic, payload) in all {
            session.publish(&topic, &payload)?;
        }
        session.close()
    }
}
