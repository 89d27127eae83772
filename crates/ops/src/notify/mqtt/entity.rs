//! What Home Assistant shows, and where the messages for it go.

use serde_json::{Map, Value, json};

use super::{LivePart, MqttSettings};
use crate::notify::text::line;

/// Home Assistant shows no more of a state that is a text.
const MAX_STATE: usize = 255;
/// Pictures are the largest states.
pub(super) const MAX_PICTURE: usize = 1024 * 1024;

/// A topic, and what is retained there.
pub(super) type Message = (String, Vec<u8>);

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

/// Where an instance's messages go.
pub(super) struct Topics<'a> {
    instance: &'a str,
    prefix: &'a str,
    part: LivePart,
}

impl<'a> Topics<'a> {
    pub fn of(settings: &'a MqttSettings) -> Self {
        Self::of_part(settings, LivePart::Cameras)
    }

    pub fn of_part(settings: &'a MqttSettings, part: LivePart) -> Self {
        Self {
            instance: &settings.instance,
            prefix: &settings.discovery_prefix,
            part,
        }
    }

    fn topic(&self, end: &str) -> String {
        format!("keepwatch/{}/{end}", self.instance)
    }

    /// Where it says whether the part of this process is there.
    pub fn availability(&self) -> String {
        match self.part {
            LivePart::Cameras => self.topic("availability"),
            LivePart::Jobs => self.topic("run/availability"),
        }
    }

    /// A text as the state of an entity, up to 255 characters of it, and more of it as an object.
    pub fn text(
        &self,
        entity: &Entity,
        state: &str,
        attributes: Option<&Map<String, Value>>,
    ) -> Vec<Message> {
        self.state(entity, line(state, MAX_STATE).into_bytes(), attributes)
    }

    /// The state of an entity as it is, and more of it as an object.
    pub fn state(
        &self,
        entity: &Entity,
        state: Vec<u8>,
        attributes: Option<&Map<String, Value>>,
    ) -> Vec<Message> {
        let id = slug(&entity.id);
        let attributes = attributes.map(|attributes| {
            let text = json!(attributes).to_string();
            (self.topic(&format!("{id}/attributes")), text.into_bytes())
        });
        // Who is woken by the state finds the attributes there.
        let state = (self.topic(&format!("{id}/state")), state);
        attributes.into_iter().chain([state]).collect()
    }

    /// What takes an entity back: what is retained goes with an empty message (MQTT 3.1.1, section
    /// 3.3.1.3).
    pub fn nothing_of(&self, entity: &Entity) -> Vec<Message> {
        let (config, _) = self.description(entity);
        let id = slug(&entity.id);
        let [state, attributes] =
            ["state", "attributes"].map(|end| self.topic(&format!("{id}/{end}")));
        [config, state, attributes]
            .map(|topic| (topic, Vec::new()))
            .into()
    }

    /// Home Assistant's documentation of MQTT discovery.
    pub fn description(&self, entity: &Entity) -> Message {
        let instance = self.instance;
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
            config["availability_topic"] = self.availability().into();
        }
        let (prefix, component) = (self.prefix, entity.component.as_str());
        let topic = format!("{prefix}/{component}/{instance}/{id}/config");
        (topic, config.to_string().into_bytes())
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
