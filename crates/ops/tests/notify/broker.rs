//! Home Assistant's side of a real broker, mosquitto.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use jiff::Timestamp;
use keepwatch_ops::notify::{
    Component, Entity, Mqtt, MqttSettings, Network, Notification, Notifier, NotifyError, Roots,
    Severity,
};
use serde_json::{Value, json};

use crate::port::{Server, free_port};
use crate::{network, notification, settings};

/// Debian has it where only root looks.
fn broker() -> PathBuf {
    let known = [
        "/usr/sbin/mosquitto",
        "/usr/bin/mosquitto",
        "/usr/local/sbin/mosquitto",
    ];
    let found = known.iter().map(Path::new).find(|path| path.exists());
    found
        .expect("no mosquitto: install Debian's package mosquitto")
        .to_owned()
}

struct Broker {
    port: u16,
    tls: Option<(u16, String)>,
    server: Option<Server>,
    dir: tempfile::TempDir,
}

impl Broker {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(path("certificate"), made.cert.pem()).unwrap();
        fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let passwords = path("passwords");
        let done = Command::new("mosquitto_passwd")
            .args(["-b", "-c", &passwords, "me", "s3cret"])
            .status();
        assert!(
            done.expect("Debian's package mosquitto is installed")
                .success()
        );
        let config = format!(
            "allow_anonymous false\npassword_file {passwords}\nlistener {port} 127.0.0.1\n\
             listener {tls_port} 127.0.0.1\ncertfile {}\nkeyfile {}\n",
            path("certificate"),
            path("key")
        );
        fs::write(path("config"), config).unwrap();
        // As root it becomes a user of its own, who has to read these.
        for name in ["certificate", "key", "passwords", "config"] {
            fs::set_permissions(path(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut this = Self {
            port,
            tls: Some((tls_port, made.cert.pem())),
            server: None,
            dir,
        };
        this.restart();
        this
    }

    fn restart(&mut self) {
        let mut command = Command::new(broker());
        command
            .arg("-c")
            .arg(self.dir.path().join("config"))
            .stderr(Stdio::null());
        self.server = Some(Server::start(&mut command, "mosquitto", self.port));
    }

    fn settings(&self) -> Value {
        json!({
            "kind": "mqtt", "host": "localhost", "port": self.port, "tls": false, "allow_private": true,
            "user": "me", "password": "s3cret", "instance": "host1",
        })
    }

    fn client(&self) -> Mqtt {
        let mut value = self.settings();
        value.as_object_mut().unwrap().remove("kind");
        let settings: MqttSettings = serde_json::from_value(value).unwrap();
        Mqtt::new(&settings, &network()).unwrap()
    }

    fn listen(&self, topic: &str) -> Ear {
        let mut child = Command::new("mosquitto_sub")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-u",
                "me",
                "-P",
                "s3cret",
            ])
            .args(["-t", topic, "-F", "%r %t %p"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's package mosquitto-clients is installed");
        let lines = BufReader::new(child.stdout.take().unwrap());
        Ear { child, lines }
    }

    /// The retained messages of some topics.
    fn retained(&self, topic: &str, count: usize) -> BTreeMap<String, String> {
        let mut ear = self.listen(topic);
        let messages = (0..count).map(|_| {
            let (retained, topic, payload) = ear.next();
            assert!(retained, "{topic}");
            (topic, payload)
        });
        messages.collect()
    }
}

struct Ear {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Ear {
    fn next(&mut self) -> (bool, String, String) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let mut parts = line.trim_end_matches('\n').splitn(3, ' ');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        (part() == "1", part(), part())
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    send(&broker.settings(), &network(), &notification()).unwrap();
    let well = Notification {
        severity: Severity::Success,
        ..notification()
    };
    send(&broker.settings(), &network(), &well).unwrap();
    let found = broker.retained("#", 5);
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
            &broker.settings(),
            &network(),
            &Notification {
                job: name.to_owned(),
                ..notification()
            },
        )
        .unwrap();
    }
    let found = broker.retained("keepwatch/host1/+/state", hostile.len() * 2);
    assert_eq!(found.len(), hostile.len() * 2, "{found:?}");
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

#[test]
fn what_is_live_is_gone_with_the_process() {
    let broker = Broker::start();
    let mut ear = broker.listen("keepwatch/host1/availability");
    let client = broker.client();
    client.online().unwrap();
    assert_eq!(ear.next().2, "online");
    let camera = entity(Component::BinarySensor, "camera_door");
    client.describe(&camera).unwrap();
    client
        .publish(&camera, b"ON", json!({"event": "motion"}).as_object())
        .unwrap();
    client.keep_alive().unwrap();
    // A notification goes by the same connection.
    client.send(&notification(), now()).unwrap();
    let config = broker
        .retained("homeassistant/binary_sensor/host1/camera_door/config", 1)
        .into_values()
        .next()
        .unwrap();
    assert_eq!(
        object(&config)["availability_topic"],
        "keepwatch/host1/availability"
    );
    drop(client);
    assert_eq!(ear.next().2, "offline");
    let client = broker.client();
    client.online().unwrap();
    assert_eq!(ear.next().2, "online");
    client.offline().unwrap();
    assert_eq!(ear.next().2, "offline");
}

#[test]
fn pictures_and_texts_are_states_and_what_is_withdrawn_is_gone() {
    let broker = Broker::start();
    let client = broker.client();
    let picture = entity(Component::Image, "last_event");
    client.describe(&picture).unwrap();
    client
        .publish(&picture, &vec![b'j'; 300_000], None)
        .unwrap();
    let text = entity(Component::Sensor, "last_plate");
    client
        .publish(
            &text,
            format!("AB 1\u{202e}\n{}", "ü".repeat(400)).as_bytes(),
            None,
        )
        .unwrap();
    let found = broker.retained("#", 3);
    assert_eq!(found["keepwatch/host1/last_event/state"].len(), 300_000);
    assert_eq!(
        object(&found["homeassistant/image/host1/last_event/config"])["image_topic"],
        "keepwatch/host1/last_event/state"
    );
    let state = &found["keepwatch/host1/last_plate/state"];
    assert!(
        state.starts_with("AB 1 üü") && state.chars().count() == 255,
        "{state}"
    );
    assert!(client.publish(&picture, &vec![0; 2_000_000], None).is_err());
    client.withdraw(&picture).unwrap();
    assert_eq!(
        broker.retained("#", 1).into_keys().next().unwrap(),
        "keepwatch/host1/last_plate/state"
    );
}

#[test]
fn a_broker_that_is_gone_is_found_again() {
    let mut broker = Broker::start();
    let client = broker.client();
    client.online().unwrap();
    broker.server = None;
    let error = client.send(&notification(), now()).unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(client.keep_alive().is_err());
    broker.restart();
    client.keep_alive().unwrap();
    client.send(&notification(), now()).unwrap();
    assert_eq!(
        broker
            .retained("keepwatch/host1/availability", 1)
            .into_values()
            .next()
            .unwrap(),
        "online"
    );
}

#[test]
fn passwords_and_certificates_are_looked_at_and_private_brokers_kept_to_who_means_them() {
    let broker = Broker::start();
    let mut wrong = broker.settings();
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
    let (port, pem) = broker.tls.clone().unwrap();
    let mut encrypted = broker.settings();
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
