//! An MQTT broker, and with it Home Assistant.
//!
//! Everything is retained, so that whoever subscribes later finds the last state:
//!
//! | topic | |
//! |---|---|
//! | `homeassistant/COMPONENT/INSTANCE/ID/config` | what an entity is, for discovery |
//! | `keepwatch/INSTANCE/ID/state` | its state |
//! | `keepwatch/INSTANCE/ID/attributes` | more of it, a JSON object |
//! | `keepwatch/INSTANCE/availability` | `online` or `offline`, for what is live |
//!
//! A job has two entities: a sensor `job_JOB` whose state is the last severity, with the
//! notification as attributes, and a binary sensor `problem_JOB`. They are facts of the past and
//! stay when nothing runs; live ones ([`Entity::is_live`]) become unavailable with the process.

mod session;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use keepwatch_core::SecretText;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::text::line;
use super::webhook::told_as_json;
use super::{Network, Notification, Notifier, NotifyError, Severity};
#[cfg(feature = "fuzzing")]
pub(super) use session::talk_to;
use session::{Session, Will};

/// Home Assistant shows no more of a state that is a text.
const MAX_STATE: usize = 255;
/// Pictures are the largest states.
const MAX_PAYLOAD: usize = 1024 * 1024;

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

/// What an entity is in Home Assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// A text or number.
    Sensor,
    /// `ON` or `OFF`.
    BinarySensor,
    /// A JPEG or PNG picture.
    Image,
}

impl Component {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::BinarySensor => "binary_sensor",
            Self::Image => "image",
        }
    }
}

/// Something that has a state: a job, a camera, a last event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// What it is.
    pub component: Component,
    /// What tells it from others of this instance, always the same. Whatever cannot stand in a
    /// topic is replaced, and a hash keeps it apart.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// A device class of Home Assistant, as `problem` or `timestamp`.
    pub device_class: Option<&'static str>,
    /// An icon, as `mdi:cctv`.
    pub icon: Option<&'static str>,
    /// Whether its state is worth nothing when this process has ended.
    pub is_live: bool,
}

/// An MQTT broker, and with it Home Assistant.
pub struct Mqtt {
    settings: MqttSettings,
    network: Network,
    /// The connection while this process is announced as online.
    live: Mutex<Option<Session>>,
}

impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mqtt")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
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
        Ok(Self {
            settings: settings.clone(),
            network: network.clone(),
            live: Mutex::new(None),
        })
    }

    /// Announces that this process is there, for all that is live. When it ends without
    /// [`Mqtt::offline`], or breaks down with its machine, the broker says that it is gone.
    ///
    /// Call [`Mqtt::keep_alive`] every half minute from then on.
    ///
    /// # Errors
    /// [`NotifyError`] if the broker is not reached.
    pub fn online(&self) -> Result<(), NotifyError> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        *live = Some(self.announced()?);
        Ok(())
    }

    fn announced(&self) -> Result<Session, NotifyError> {
        let topic = self.topic("availability");
        let will = Will {
            topic: &topic,
            payload: "offline",
        };
        let mut session = Session::open(&self.settings, &self.network, Some(&will))?;
        session.publish(&topic, b"online")?;
        Ok(session)
    }

    /// Tells the broker that this process is still there; connects anew if it must.
    ///
    /// # Errors
    /// [`NotifyError`] if the broker is not reached. The next call tries again.
    pub fn keep_alive(&self) -> Result<(), NotifyError> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut session) = live.take()
            && session.ping().is_ok()
        {
            *live = Some(session);
            return Ok(());
        }
        *live = Some(self.announced()?);
        Ok(())
    }

    /// Announces that this process ends.
    ///
    /// # Errors
    /// [`NotifyError`] if the broker is not reached; it will find out.
    pub fn offline(&self) -> Result<(), NotifyError> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        match live.take() {
            None => Ok(()),
            Some(mut session) => {
                session.publish(&self.topic("availability"), b"offline")?;
                session.close()
            }
        }
    }

    /// Describes an entity to Home Assistant, which then shows it.
    ///
    /// # Errors
    /// [`NotifyError`] if the broker is not reached.
    pub fn describe(&self, entity: &Entity) -> Result<(), NotifyError> {
        self.publish_all(&[self.description(entity)])
    }

    /// Removes an entity from Home Assistant.
    ///
    /// # Errors
    /// [`NotifyError`] if the broker is not reached.
    pub fn withdraw(&self, entity: &Entity) -> Result<(), NotifyError> {
        let (topic, _) = self.description(entity);
        // An empty one takes back what was retained (section 3.3.1.3).
        let id = slug(&entity.id);
        let state = self.topic(&format!("{id}/state"));
        let attributes = self.topic(&format!("{id}/attributes"));
        self.publish_all(&[topic, state, attributes].map(|topic| (topic, Vec::new())))
    }

    /// Publishes the state of an entity: up to 255 characters of a text, or up to 1 MiB of a
    /// picture; and more of it as an object.
    ///
    /// # Errors
    /// [`NotifyError`] if the broker is not reached, or the picture is larger.
    pub fn publish(
        &self,
        entity: &Entity,
        state: &[u8],
        attributes: Option<&Map<String, Value>>,
    ) -> Result<(), NotifyError> {
        self.publish_all(&self.state(entity, state, attributes)?)
    }

    fn state(
        &self,
        entity: &Entity,
        state: &[u8],
        attributes: Option<&Map<String, Value>>,
    ) -> Result<Vec<(String, Vec<u8>)>, NotifyError> {
        let state = match entity.component {
            Component::Image => state.to_vec(),
            _ => line(&String::from_utf8_lossy(state), MAX_STATE).into_bytes(),
        };
        let attributes = attributes.map(|attributes| json!(attributes).to_string().into_bytes());
        let largest = attributes.as_ref().map_or(0, Vec::len).max(state.len());
        if largest > MAX_PAYLOAD {
            return Err(NotifyError::Settings {
                key: "state",
                problem: "it is larger than 1 MiB",
            });
        }
        let id = slug(&entity.id);
        let mut all = vec![(self.topic(&format!("{id}/state")), state)];
        if let Some(attributes) = attributes {
            all.push((self.topic(&format!("{id}/attributes")), attributes));
        }
        Ok(all)
    }

    fn topic(&self, end: &str) -> String {
        format!("keepwatch/{}/{end}", self.settings.instance)
    }

    /// Home Assistant's documentation of MQTT discovery.
    fn description(&self, entity: &Entity) -> (String, Vec<u8>) {
        let instance = &self.settings.instance;
        let id = slug(&entity.id);
        let mut config = json!({
            "name": line(&entity.name, 100),
            "unique_id": format!("keepwatch_{instance}_{id}"),
            "json_attributes_topic": self.topic(&format!("{id}/attributes")),
            "device": {
                "identifiers": [format!("keepwatch_{instance}")],
                "name": format!("Keepwatch {instance}"),
                "manufacturer": "Keepwatch",
            },
        });
        let state = match entity.component {
            Component::Image => "image_topic",
            _ => "state_topic",
        };
        config[state] = self.topic(&format!("{id}/state")).into();
        if let Some(class) = entity.device_class {
            config["device_class"] = class.into();
        }
        if let Some(icon) = entity.icon {
            config["icon"] = icon.into();
        }
        if entity.is_live {
            config["availability_topic"] = self.topic("availability").into();
        }
        let (prefix, component) = (&self.settings.discovery_prefix, entity.component.as_str());
        let topic = format!("{prefix}/{component}/{instance}/{id}/config");
        (topic, config.to_string().into_bytes())
    }

    /// By the live connection, or else by one for this.
    fn publish_all(&self, messages: &[(String, Vec<u8>)]) -> Result<(), NotifyError> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = live.as_mut() {
            let sent = messages
                .iter()
                .try_for_each(|(topic, payload)| session.publish(topic, payload));
            if sent.is_err() {
                // What came half is no connection any more; `keep_alive` makes another.
                *live = None;
            }
            return sent;
        }
        drop(live);
        let mut session = Session::open(&self.settings, &self.network, None)?;
        for (topic, payload) in messages {
            session.publish(topic, payload)?;
        }
        session.close()
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
        let mut all = vec![self.description(&last), self.description(&problem)];
        all.extend(self.state(
            &last,
            told.severity.as_str().as_bytes(),
            attributes.as_object(),
        )?);
        all.extend(self.state(&problem, on.as_bytes(), None)?);
        self.publish_all(&all)
    }
}

/// A name as it can stand in a topic, with a hash where that is not the name itself.
fn slug(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if (1..=64).contains(&name.len()) && name.chars().all(plain) {
        return name.to_owned();
    }
    let start: String = name
        .chars()
        .take(40)
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let hash = blake3::hash(name.as_bytes()).to_hex();
    format!("{start}_{}", &hash[..12])
}
