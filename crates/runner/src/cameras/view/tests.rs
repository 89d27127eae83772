#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Mutex;

use keepwatch_core::events::Observation;

use super::*;

fn settings(value: &Value) -> MqttSettings {
    let mut all = json!({ "host": "example.org", "cameras": true });
    let more = value.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    serde_json::from_value(all).unwrap()
}

/// An event that lasts, which began at this second.
fn event(kind: EventKind, at: i64, label: &str) -> Event {
    let at = Timestamp::from_second(1_800_000_000 + at).unwrap();
    Event {
        id: EventId::new(at).unwrap(),
        camera: "front".to_owned(),
        kind,
        started_at: at,
        ended_at: None,
        observations: vec![Observation {
            at,
            label: label.to_owned(),
            score: 0.75,
            region: None,
            track: None,
        }],
        snapshot: None,
        clip: None,
        reason: None,
        details: Some(Box::new(json!({ "verdict": "deny", "text_raw": "AB-12" }))),
    }
}

fn ended(event: &Event) -> Event {
    Event {
        ended_at: Some(event.started_at),
        ..event.clone()
    }
}

fn with_picture(event: &Event) -> Event {
    let media = MediaRef {
        path: format!("{}.jpg.kw", event.id),
        bytes: 1,
        blake3: [0; 32],
        complete: true,
        started_at: event.started_at,
        duration_ms: 0,
    };
    Event {
        snapshot: Some(media),
        ..event.clone()
    }
}

fn status(state: State, moving: bool) -> CameraStatus {
    CameraStatus {
        state,
        moving,
        ..CameraStatus::default()
    }
}

/// The state and attributes; of a picture the path that is asked for.
fn text(view: &View, item: Item, settings: &MqttSettings) -> Option<(String, Option<Value>)> {
    let asked = Arc::new(Mutex::new(String::new()));
    let heard = asked.clone();
    let open: OpenPicture = Arc::new(move |media| {
        *heard.lock().unwrap() = media.path.clone();
        None
    });
    let shown = view.shown(item, settings, &open)?;
    let text = match shown.state {
        EntityState::Text(text) => text,
        EntityState::Picture(read) => {
            assert!(read().is_none());
            asked.lock().unwrap().clone()
        }
    };
    Some((text, shown.attributes.map(Value::Object)))
}

fn state(view: &View, item: Item) -> String {
    text(view, item, &settings(&json!({}))).unwrap().0
}

#[test]
fn a_camera_is_connected_while_it_sends() {
    let mut view = View::default();
    assert_eq!(state(&view, Item::Connected), "OFF");
    assert_eq!(view.look(Some(&status(State::Connecting, false))), []);
    assert_eq!(
        view.look(Some(&status(State::Live, false))),
        [Item::Connected]
    );
    assert_eq!(state(&view, Item::Connected), "ON");
    // While it is replaced by itself, nothing is known of it.
    assert_eq!(view.look(None), []);
    let offline = State::Offline {
        since: Timestamp::UNIX_EPOCH,
        reason: String::new(),
    };
    assert_eq!(view.look(Some(&status(offline, false))), [Item::Connected]);
    assert_eq!(state(&view, Item::Connected), "OFF");
}

#[test]
fn motion_lasts_from_the_first_event_to_the_end_of_the_last() {
    let mut view = View::default();
    let moving = status(State::Connecting, true);
    let still = status(State::Connecting, false);
    let (first, second) = (
        event(EventKind::Motion, 1, "motion"),
        event(EventKind::Motion, 2, "motion"),
    );
    assert_eq!(view.event(first.clone()), [Item::LastEvent]);
    assert_eq!(view.look(Some(&moving)), [Item::Motion]);
    assert_eq!(state(&view, Item::Motion), "ON");
    // It goes on in another event.
    view.event(ended(&first));
    assert_eq!(view.look(Some(&moving)), []);
    view.event(second.clone());
    assert_eq!(view.look(Some(&moving)), []);
    // What belongs to the first comes late.
    view.event(with_picture(&ended(&first)));
    assert_eq!(view.look(Some(&moving)), []);
    view.event(ended(&second));
    assert_eq!(view.look(Some(&still)), [Item::Motion]);
    assert_eq!(state(&view, Item::Motion), "OFF");
    // Other kinds do not move, and nothing moves of a camera that is no more.
    view.event(event(EventKind::Object, 3, "cat"));
    assert_eq!(view.look(Some(&moving)), []);
    view.event(event(EventKind::Motion, 4, "motion"));
    assert_eq!(view.look(None), [Item::Motion]);
}

#[test]
fn the_last_event_is_the_one_that_began_last_and_its_picture_comes_when_it_is_there() {
    let mut view = View::default();
    let all = settings(&json!({}));
    assert!(text(&view, Item::LastEvent, &all).is_none());
    assert!(text(&view, Item::Picture, &all).is_none());
    let (motion, object) = (
        event(EventKind::Motion, 1, "motion"),
        event(EventKind::Object, 2, "cat"),
    );
    view.event(motion.clone());
    assert_eq!(view.event(object.clone()), [Item::LastEvent]);
    // An earlier one changes nothing but the picture, as long as there is no later one.
    let motion = with_picture(&ended(&motion));
    assert_eq!(view.event(motion.clone()), [Item::Picture]);
    let object = with_picture(&object);
    assert_eq!(view.event(object.clone()), [Item::Picture, Item::LastEvent]);
    assert_eq!(view.event(motion), []);
    assert_eq!(view.event(object.clone()), []);
    assert_eq!(view.event(event(EventKind::CameraOnline, 9, "")), []);
    let (shown, attributes) = text(&view, Item::LastEvent, &all).unwrap();
    assert_eq!(shown, "2027-01-15T08:00:02.000Z");
    let expected = json!({
        "id": object.id, "camera": "front", "kind": "object", "label": "cat", "score": 0.75,
        "started_at": "2027-01-15T08:00:02.000Z", "ended_at": null,
    });
    assert_eq!(attributes.unwrap(), expected);
    let (picture, attributes) = text(&view, Item::Picture, &all).unwrap();
    assert_eq!(picture, object.snapshot.unwrap().path);
    assert_eq!(attributes.unwrap(), expected);
}

#[test]
fn names_and_plates_and_pictures_are_for_brokers_that_ask() {
    let with_names = settings(&json!({ "names": true }));
    let without = settings(&json!({}));
    for (kind, label, name) in [
        (EventKind::FaceMatch, "Ada", "person"),
        (EventKind::PlateRead, "AB12", "plate"),
    ] {
        let mut view = View::default();
        view.event(with_picture(&event(kind, 1, label)));
        for item in [Item::LastEvent, Item::Picture] {
            let (_, attributes) = text(&view, item, &with_names).unwrap();
            assert_eq!(attributes.unwrap()[name], label);
            let (shown, attributes) = text(&view, item, &without).unwrap();
            let attributes = attributes.unwrap();
            let said = format!("{shown} {attributes}");
            assert!(!said.contains(label) && !said.contains("AB-12"), "{said}");
            assert_eq!(attributes["kind"], kind.name());
        }
    }
    assert!(Item::ALL.iter().all(|item| item.is_for(&without)));
    let none = settings(&json!({ "pictures": false }));
    assert!(!Item::Picture.is_for(&none) && Item::LastEvent.is_for(&none));
    let off = settings(&json!({ "cameras": false }));
    assert!(!Item::ALL.iter().any(|item| item.is_for(&off)));
}

#[test]
fn entities_have_the_classes_that_home_assistant_knows() {
    let entities = Item::ALL.map(|item| item.entity("front"));
    let ids = entities.each_ref().map(|entity| entity.id.as_str());
    assert_eq!(
        ids,
        [
            "connected_front",
            "motion_front",
            "last_event_front",
            "picture_front"
        ]
    );
    let classes = entities.each_ref().map(|entity| entity.device_class);
    assert_eq!(
        classes,
        [
            Some("connectivity"),
            Some("motion"),
            Some("timestamp"),
            None
        ]
    );
    assert!(entities.iter().all(|entity| entity.is_live));
}
