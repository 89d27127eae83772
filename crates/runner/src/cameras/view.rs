//! What is to be seen of a camera, and as which entities.

use std::io::Read as _;
use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_core::events::{Event, EventId, EventKind, MediaRef};
use keepwatch_ops::notify::{Component, Entity, EntityState, MqttSettings, Shown};
use keepwatch_vision::{CameraStatus, State};
use serde_json::{Map, Value, json};

use super::OpenPicture;

/// What is a last event: that the camera went away and came back has an entity of its own, and what
/// was not recorded is no sight.
pub(super) const SEEN: [EventKind; 6] = [
    EventKind::Motion,
    EventKind::Object,
    EventKind::FaceMatch,
    EventKind::FaceUnknown,
    EventKind::PlateRead,
    EventKind::Tamper,
];

/// Larger pictures are not read to their ends.
const MAX_READ: u64 = 2 * 1024 * 1024;

/// Something that has an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Connected,
    Motion,
    LastEvent,
    Picture,
}

impl Item {
    pub const ALL: [Self; 4] = [
        Self::Connected,
        Self::Motion,
        Self::LastEvent,
        Self::Picture,
    ];

    pub fn entity(self, camera: &str) -> Entity {
        let (component, id, name, device_class, icon) = match self {
            Self::Connected => (
                Component::BinarySensor,
                "connected",
                "connected",
                Some("connectivity"),
                None,
            ),
            Self::Motion => (
                Component::BinarySensor,
                "motion",
                "motion",
                Some("motion"),
                None,
            ),
            Self::LastEvent => (
                Component::Sensor,
                "last_event",
                "last event",
                Some("timestamp"),
                Some("mdi:cctv"),
            ),
            Self::Picture => (Component::Image, "picture", "picture", None, None),
        };
        Entity {
            component,
            id: format!("{id}_{camera}"),
            name: format!("{camera} {name}"),
            device_class,
            icon,
            is_live: true,
        }
    }

    /// Whether a broker is to have it.
    pub fn is_for(self, settings: &MqttSettings) -> bool {
        settings.cameras && (self != Self::Picture || settings.pictures)
    }
}

/// A camera.
#[derive(Debug, Default)]
pub(super) struct View {
    is_connected: bool,
    moves: bool,
    /// The motion that lasts.
    motion: Option<EventId>,
    last: Option<Event>,
    /// The last event of which there is a picture.
    picture: Option<(Event, MediaRef)>,
}

/// Later events take the place of earlier ones, and later states of an event that of its own.
fn replaces(event: &Event, last: Option<&Event>) -> bool {
    last.is_none_or(|last| (event.started_at, event.id) >= (last.started_at, last.id))
}

impl View {
    /// Takes how the camera is doing, if that is known, and gives what is to be shown anew.
    pub fn look(&mut self, status: Option<&CameraStatus>) -> Vec<Item> {
        let mut changed = Vec::new();
        if let Some(status) = status {
            let is_connected = status.state == State::Live;
            if std::mem::replace(&mut self.is_connected, is_connected) != is_connected {
                changed.push(Item::Connected);
            }
        }
        // What lasts long goes on in another event: between the two nothing has come to rest.
        let goes_on = self.moves && status.is_some_and(|status| status.moving);
        let moves = self.motion.is_some() || goes_on;
        if std::mem::replace(&mut self.moves, moves) != moves {
            changed.push(Item::Motion);
        }
        changed
    }

    /// Takes a state of an event, and gives what is to be shown anew. [`View::look`] says what it
    /// means for motion.
    pub fn event(&mut self, event: Event) -> Vec<Item> {
        let mut changed = Vec::new();
        if event.kind == EventKind::Motion {
            match event.ended_at {
                None => self.motion = Some(event.id),
                Some(_) if self.motion == Some(event.id) => self.motion = None,
                Some(_) => {}
            }
        }
        if !SEEN.contains(&event.kind) {
            return changed;
        }
        if let Some(media) = &event.snapshot
            && replaces(&event, self.picture.as_ref().map(|(event, _)| event))
            && self
                .picture
                .as_ref()
                .is_none_or(|(_, shown)| shown != media)
        {
            self.picture = Some((event.clone(), media.clone()));
            changed.push(Item::Picture);
        }
        if replaces(&event, self.last.as_ref()) && self.last.as_ref() != Some(&event) {
            self.last = Some(event);
            changed.push(Item::LastEvent);
        }
        changed
    }

    /// What an entity shows at a broker; none while there is nothing.
    pub fn shown(&self, item: Item, settings: &MqttSettings, open: &OpenPicture) -> Option<Shown> {
        let on = |is_on: bool| Shown {
            state: EntityState::Text(if is_on { "ON" } else { "OFF" }.to_owned()),
            attributes: None,
        };
        match item {
            Item::Connected => Some(on(self.is_connected)),
            Item::Motion => Some(on(self.moves)),
            Item::LastEvent => self.last.as_ref().map(|event| Shown {
                state: EntityState::Text(time(event.started_at)),
                attributes: Some(attributes(event, settings.names)),
            }),
            Item::Picture => self.picture.as_ref().map(|(event, media)| {
                let (open, media) = (open.clone(), media.clone());
                Shown {
                    state: EntityState::Picture(Arc::new(move || read(&open, &media))),
                    attributes: Some(attributes(event, settings.names)),
                }
            }),
        }
    }
}

/// Whatever is larger is not sent anyway.
fn read(open: &OpenPicture, media: &MediaRef) -> Option<Vec<u8>> {
    let mut picture = Vec::new();
    let reader = open(media)?;
    reader.take(MAX_READ).read_to_end(&mut picture).ok()?;
    Some(picture)
}

/// Home Assistant takes no more than microseconds.
fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// What is told of an event. Whose face it was and which plate is for those alone who are to hear
/// names.
fn attributes(event: &Event, names: bool) -> Map<String, Value> {
    let best = event
        .observations
        .iter()
        .max_by(|a, b| a.score.total_cmp(&b.score));
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    put("id", json!(event.id));
    put("camera", json!(event.camera));
    put("kind", json!(event.kind));
    put("started_at", json!(time(event.started_at)));
    put("ended_at", json!(event.ended_at.map(time)));
    put("score", json!(best.map(|best| best.score)));
    let label = best.map(|best| best.label.as_str());
    match event.kind {
        EventKind::FaceMatch if names => put("person", json!(label)),
        EventKind::PlateRead if names => put("plate", json!(label)),
        EventKind::Object => put("label", json!(label)),
        _ => {}
    }
    let verdict = event
        .details
        .as_ref()
        .and_then(|details| details.get("verdict"));
    if let (EventKind::PlateRead, Some(verdict)) = (event.kind, verdict) {
        put("verdict", verdict.clone());
    }
    all
}

#[cfg(test)]
mod tests;
