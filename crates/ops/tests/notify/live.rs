//! What is live at a real broker, mosquitto: entities that come and go with their process.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use keepwatch_ops::notify::{
    Component, Entity, EntityState, LivePart, MqttSettings, Publisher, PublisherOptions, Shown,
};
use keepwatch_testkit::mosquitto::{Broker, Ear, PASSWORD, USER};
use serde_json::{Value, json};

use crate::{PATIENCE, network};

/// Nothing here waits for a minute.
fn quick() -> PublisherOptions {
    PublisherOptions {
        retry_first: Duration::from_millis(20),
        retry_longest: Duration::from_millis(100),
        keep_alive: Duration::from_millis(200),
        farewell: PATIENCE,
    }
}

fn settings(port: u16) -> MqttSettings {
    let settings = json!({
        "host": "localhost", "port": port, "tls": false, "allow_private": true,
        "user": USER, "password": PASSWORD, "instance": "host1", "cameras": true,
    });
    serde_json::from_value(settings).unwrap()
}

fn start(port: u16, part: LivePart) -> Publisher {
    Publisher::start(&settings(port), &network(), part, quick()).unwrap()
}

fn entity(component: Component, id: &str) -> Entity {
    Entity {
        component,
        id: id.to_owned(),
        name: "Door".to_owned(),
        device_class: None,
        icon: Some("mdi:cctv"),
        is_live: true,
    }
}

fn text(text: &str) -> Option<Shown> {
    Some(Shown {
        state: EntityState::Text(text.to_owned()),
        attributes: None,
    })
}

fn picture(bytes: usize) -> Option<Shown> {
    Some(Shown {
        state: EntityState::Picture(Arc::new(move || Some(vec![b'j'; bytes]))),
        attributes: json!({ "of": bytes }).as_object().cloned(),
    })
}

const AVAILABILITY: &str = "keepwatch/host1/availability";
const MOTION: &str = "keepwatch/host1/motion_door/state";
const PICTURE: &str = "keepwatch/host1/picture_door/state";

/// The next message of a topic.
fn next(ear: &mut Ear, topic: &str) -> String {
    ear.find(topic, |_| true).text()
}

#[test]
fn what_is_live_is_told_before_it_is_available_and_gone_with_the_process() {
    let broker = Broker::start();
    let mut ear = broker.listen("#");
    let publisher = start(broker.port, LivePart::Cameras);
    let motion = entity(Component::BinarySensor, "motion_door");
    publisher.show(&motion, text("ON"));
    let config = next(
        &mut ear,
        "homeassistant/binary_sensor/host1/motion_door/config",
    );
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["availability_topic"], AVAILABILITY);
    assert_eq!(config["state_topic"], MOTION);
    assert_eq!(next(&mut ear, MOTION), "ON");
    assert_eq!(
        next(&mut broker.listen(AVAILABILITY), AVAILABILITY),
        "online"
    );
    // The last state comes before the end, however soon that is.
    publisher.show(&motion, text("OFF"));
    publisher.end();
    assert_eq!(next(&mut ear, MOTION), "OFF");
    assert_eq!(next(&mut ear, AVAILABILITY), "offline");
}

#[test]
fn of_many_states_the_newest_arrives_and_a_broker_that_forgot_hears_it_again() {
    let mut broker = Broker::start();
    let publisher = start(broker.port, LivePart::Cameras);
    let motion = entity(Component::BinarySensor, "motion_door");
    publisher.show(&motion, text("first"));
    publisher.show(&entity(Component::Sensor, "never_told"), None);
    assert_eq!(broker.listen(MOTION).find(MOTION, |_| true).text(), "first");
    broker.stop();
    for at in 0..10_000 {
        publisher.show(&motion, text(&at.to_string()));
    }
    broker.restart();
    let mut ear = broker.listen("#");
    assert_eq!(
        ear.find(MOTION, |heard| heard.text() == "9999").text(),
        "9999"
    );
    ear.find(AVAILABILITY, |heard| heard.text() == "online");
    let configs = ["binary_sensor/host1/motion_door", "sensor/host1/never_told"];
    for config in configs {
        let config = format!("homeassistant/{config}/config");
        let heard = broker.listen(&config).hear();
        assert!(heard.retained && !heard.payload.is_empty(), "{config}");
    }
    publisher.end();
}

#[test]
fn pictures_are_read_when_they_are_sent_and_those_too_large_are_left_out() {
    let mut broker = Broker::start();
    broker.stop();
    let publisher = start(broker.port, LivePart::Cameras);
    let door = entity(Component::Image, "picture_door");
    let reads = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let counted = reads.clone();
        let read = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Some(b"\xff\xd8\n picture".to_vec())
        };
        let state = EntityState::Picture(Arc::new(read));
        let attributes = None;
        publisher.show(&door, Some(Shown { state, attributes }));
    }
    broker.restart();
    let mut ear = broker.listen(PICTURE);
    assert_eq!(ear.hear().payload, b"\xff\xd8\n picture");
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    publisher.show(&door, picture(1024 * 1024 + 1));
    let marker = entity(Component::Sensor, "after");
    publisher.show(&marker, text("x"));
    broker.listen("keepwatch/host1/after/state").hear();
    publisher.show(&door, picture(1024 * 1024));
    assert_eq!(ear.hear().payload.len(), 1024 * 1024);
    let mut attributes = broker.listen("keepwatch/host1/picture_door/attributes");
    assert_eq!(attributes.hear().text(), "{\"of\":1048576}");
    // What is withdrawn is nowhere to be found.
    publisher.withdraw(&door);
    publisher.withdraw(&marker);
    publisher.end();
    let heard = broker.listen("#").hear();
    assert_eq!(heard.topic, AVAILABILITY, "{heard:?}");
}

#[test]
fn who_breaks_down_is_reported_gone_and_one_part_says_nothing_of_the_other() {
    let broker = Broker::start();
    // The line of this one breaks: it goes through here.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (lines, line) = channel();
    let to = broker.port;
    let relay = std::thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        // Nobody answers from here on.
        drop(listener);
        let far = TcpStream::connect(("127.0.0.1", to)).unwrap();
        lines.send(far.try_clone().unwrap()).unwrap();
        let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        let back = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let (mut from, mut to) = (near, far);
        let _ = std::io::copy(&mut from, &mut to);
        back.join().unwrap();
    });
    let mut ear = broker.listen("keepwatch/host1/#");
    let cameras = start(port, LivePart::Cameras);
    let run = start(broker.port, LivePart::Jobs);
    for publisher in [&cameras, &run] {
        publisher.show(&entity(Component::Sensor, "any"), None);
    }
    let mut seen: Vec<_> = (0..2).map(|_| ear.hear()).collect();
    seen.sort_by(|a, b| a.topic.cmp(&b.topic));
    let topics = [AVAILABILITY, "keepwatch/host1/run/availability"];
    for (heard, topic) in seen.iter().zip(topics) {
        assert_eq!(
            (heard.topic.as_str(), heard.text().as_str()),
            (topic, "online")
        );
    }
    line.recv().unwrap().shutdown(Shutdown::Both).unwrap();
    let heard = ear.hear();
    assert_eq!(heard.topic, AVAILABILITY);
    assert_eq!(heard.text(), "offline");
    // It does not hold up its end that the broker cannot be reached.
    cameras.end();
    relay.join().unwrap();
    run.end();
    let heard = ear.hear();
    assert_eq!(heard.topic, "keepwatch/host1/run/availability");
    assert_eq!(heard.text(), "offline");
}

#[test]
fn a_broker_that_hangs_holds_nobody_up() {
    let mut broker = Broker::start();
    let options = PublisherOptions {
        farewell: Duration::from_millis(50),
        ..quick()
    };
    let publisher = Publisher::start(
        &settings(broker.port),
        &network(),
        LivePart::Cameras,
        options,
    )
    .unwrap();
    let motion = entity(Component::BinarySensor, "motion_door");
    publisher.show(&motion, None);
    broker.listen(AVAILABILITY).hear();
    broker.freeze();
    let begun = Instant::now();
    for at in 0..10_000 {
        publisher.show(&motion, text(&at.to_string()));
    }
    publisher.end();
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    broker.thaw();
    // The line is closed when what waited for it has its answer, and the broker says so.
    let mut ear = broker.listen(AVAILABILITY);
    ear.find(AVAILABILITY, |heard| heard.text() == "offline");
}

/// A packet of MQTT; none if the line ends or it is larger than 16 KiB.
fn packet(mut stream: &TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let [kind, mut byte] = head;
    let (mut length, mut shift) = (usize::from(byte & 0x7f), 7);
    while byte & 0x80 != 0 {
        stream.read_exact(std::slice::from_mut(&mut byte)).ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
    }
    let mut body = vec![0; Some(length).filter(|length| *length <= 16 * 1024)?];
    stream.read_exact(&mut body).ok()?;
    Some((kind, body))
}

/// As some brokers do, this one ends the connection at a large message and does not say why.
fn small_broker(listener: &TcpListener, heard: &Sender<String>) {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        while let Some((kind, body)) = packet(&stream) {
            let answer = match kind & 0xf0 {
                0x10 => vec![0x20, 2, 0, 0],
                0x30 => {
                    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let (topic, rest) = body[2..].split_at(length);
                    let topic = String::from_utf8(topic.to_vec()).unwrap();
                    if topic == AVAILABILITY && rest.ends_with(b"offline") {
                        return;
                    }
                    heard.send(topic).unwrap();
                    vec![0x40, 2, rest[0], rest[1]]
                }
                _ => vec![0xd0, 0],
            };
            stream.write_all(&answer).unwrap();
        }
    }
}

#[test]
fn a_picture_that_a_broker_does_not_take_keeps_nothing_else_from_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (hears, heard) = channel();
    let broker = std::thread::spawn(move || small_broker(&listener, &hears));
    let publisher = start(port, LivePart::Cameras);
    publisher.show(&entity(Component::Image, "picture_door"), picture(100_000));
    publisher.show(&entity(Component::Sensor, "z_last"), text("x"));
    let wanted = "keepwatch/host1/z_last/state";
    assert!(heard.iter().any(|topic| topic == wanted));
    publisher.end();
    broker.join().unwrap();
}
