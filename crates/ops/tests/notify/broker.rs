//! Home Assistant's side of a real broker, mosquitto.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;

use jiff::Timestamp;
use keepwatch_ops::notify::{Network, Notification, NotifyError, Roots, Severity};
use keepwatch_testkit::mosquitto::{Broker, PASSWORD, USER};
use keepwatch_testkit::program::free_port;
use serde_json::{Value, json};

use crate::{network, notification, settings};

/// Settings of a client of it.
fn client_of(broker: &Broker) -> Value {
    json!({
        "kind": "mqtt", "host": "localhost", "port": broker.port, "tls": false,
        "allow_private": true, "user": USER, "password": PASSWORD, "instance": "host1",
    })
}

/// The retained messages of some topics.
fn retained(broker: &Broker, topic: &str, count: usize) -> BTreeMap<String, String> {
    let mut ear = broker.listen(topic);
    let messages = (0..count).map(|_| {
        let heard = ear.hear();
        assert!(heard.retained, "{heard:?}");
        let text = heard.text();
        (heard.topic, text)
    });
    messages.collect()
}

fn now() -> Timestamp {
    "2026-03-01T02:03:05Z".parse().unwrap()
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn send(target: &Value, network: &Network, told: &Notification) -> Result<(), NotifyError> {
    settings(target.clone())
        .build(network, [])
        .unwrap()
        .notifier
        .send(told, now())
}

#[test]
fn home_assistant_finds_a_job_and_its_last_state() {
    let broker = Broker::start();
    send(&client_of(&broker), &network(), &notification()).unwrap();
    let well = Notification {
        severity: Severity::Success,
        ..notification()
    };
    send(&client_of(&broker), &network(), &well).unwrap();
    let found = retained(&broker, "#", 5);
    let config = object(&found["homeassistant/sensor/host1/job_documents/config"]);
    let expected = json!({
        "name": "documents",
        "unique_id": "keepwatch_host1_job_documents",
        "state_topic": "keepwatch/host1/job_documents/state",
        "json_attributes_topic": "keepwatch/host1/job_documents/attributes",
        "icon": "mdi:backup-restore",
        "device": {"identifiers": ["keepwatch_host1"], "name": "Keepwatch host1", "manufacturer": "Keepwatch"},
    });
    assert_eq!(config, expected);
    let problem = object(&found["homeassistant/binary_sensor/host1/problem_documents/config"]);
    assert_eq!(problem["device_class"], "problem");
    assert_eq!(found["keepwatch/host1/job_documents/state"], "success");
    assert_eq!(found["keepwatch/host1/problem_documents/state"], "OFF");
    assert_eq!(
        object(&found["keepwatch/host1/job_documents/attributes"])["facts"]["snapshot"],
        "none"
    );
}

#[test]
fn no_name_leaves_its_topic_or_takes_that_of_another() {
    let broker = Broker::start();
    let hostile = [
        "#",
        "+/+",
        "../../x",
        "a b",
        "a\0b\nc",
        "ä",
        "",
        &"x".repeat(200),
    ];
    for name in hostile {
        send(
            &client_of(&broker),
            &network(),
            &Notification {
                job: name.to_owned(),
                ..notification()
            },
        )
        .unwrap();
    }
    let found = retained(&broker, "keepwatch/host1/+/state", hostile.len() * 2);
    assert_eq!(found.len(), hostile.len() * 2, "{found:?}");
}

#[test]
fn passwords_and_certificates_are_looked_at_and_private_brokers_kept_to_who_means_them() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (pem, port) = (made.cert.pem(), free_port());
    let files = [
        ("certificate", pem.as_str()),
        ("key", &made.signing_key.serialize_pem()),
    ];
    let more = format!("listener {port} 127.0.0.1\ncertfile @/certificate\nkeyfile @/key\n");
    let broker = Broker::with(&files, &more);
    let mut wrong = client_of(&broker);
    wrong["password"] = "s3cret-wrong".into();
    let error = send(&wrong, &network(), &notification()).unwrap_err();
    assert!(
        matches!(
            error,
            NotifyError::Refused {
                protocol: "MQTT",
                code: 5,
                temporary: false,
                ..
            }
        ),
        "{error}"
    );
    assert!(!format!("{error:?} {error} {:?}", settings(wrong)).contains("s3cret"));
    let mut encrypted = client_of(&broker);
    encrypted["tls"] = true.into();
    encrypted["port"] = port.into();
    let trusting = Network {
        roots: Roots::from_pem(pem.as_bytes()).unwrap(),
        ..network()
    };
    send(&encrypted, &trusting, &notification()).unwrap();
    let error = send(&encrypted, &network(), &notification()).unwrap_err();
    assert_eq!(
        error,
        NotifyError::Tls {
            host: "localhost".to_owned()
        }
    );
    encrypted["allow_private"] = false.into();
    let error = send(&encrypted, &trusting, &notification()).unwrap_err();
    assert_eq!(
        error,
        NotifyError::Private {
            host: "localhost".to_owned()
        }
    );
    let bad = [
        ("tls", json!(false)),
        ("instance", json!("a/#")),
        ("discovery_prefix", json!("+")),
        ("host", json!("")),
        ("names", json!(true)),
    ];
    for (key, value) in bad {
        let mut target = json!({"kind": "mqtt", "host": "example.org"});
        target[key] = value;
        let error = settings(target).build(&network(), []).unwrap_err();
        assert!(
            matches!(error, NotifyError::Settings { key: found, .. } if found == key),
            "{error}"
        );
    }
}

#[test]
fn a_broker_that_speaks_something_else_is_not_believed() {
    let answers: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad\r\n",
        &[0x20, 2, 0],
        &[0x20, 0xff, 0xff, 0xff, 0x7f],
        &[0x40, 2, 0, 1],
        &[0x20, 0],
        b"",
    ];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 512];
            let _ = stream.read(&mut bytes).unwrap();
            stream.write_all(answer).unwrap();
        });
        let target = json!({"kind": "mqtt", "host": "127.0.0.1", "port": port, "tls": false, "allow_private": true});
        let error = send(&target, &network(), &notification()).unwrap_err();
        let is_known = matches!(
            error,
            NotifyError::Protocol { .. } | NotifyError::Connection { .. }
        );
        assert!(is_known, "{answer:?}: {error}");
        server.join().unwrap();
    }
}

#[test]
fn a_password_has_a_user() {
    let target = json!({"kind": "mqtt", "host": "example.org", "password": "s3cret"});
    assert!(settings(target).build(&network(), []).is_err());
}
