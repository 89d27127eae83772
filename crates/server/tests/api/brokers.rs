//! What a broker of MQTT, and with it Home Assistant, hears of cameras.

use keepwatch_core::events::{EventFilter, EventKind, EventStore as _};
use keepwatch_testkit::mosquitto::{Broker, Ear, Heard, PASSWORD, USER};
use serde_json::{Value, json};

use crate::bench::{Bench, ago, event};

const AVAILABILITY: &str = "keepwatch/host1/availability";

fn config(broker: &Broker, more: &str, cameras: &str) -> String {
    format!(
        "[notify.home]\nkind = \"mqtt\"\nhost = \"127.0.0.1\"\nport = {}\ntls = false\n\
         allow_private = true\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n\
         instance = \"host1\"\n{more}\n{cameras}",
        broker.port
    )
}

fn state(id: &str) -> String {
    format!("keepwatch/host1/{id}/state")
}

/// All that was heard, in its order.
struct News {
    ear: Option<Ear>,
    heard: Vec<Heard>,
}

impl News {
    fn of(broker: &Broker) -> Self {
        Self {
            ear: Some(broker.listen("#")),
            heard: Vec::new(),
        }
    }

    /// Listens until it has heard this, on a thread that may wait.
    async fn until(&mut self, is_all: impl Fn(&Self) -> bool) {
        while !is_all(self) {
            let mut ear = self.ear.take().unwrap();
            let listening = tokio::task::spawn_blocking(move || {
                let heard = ear.hear();
                (ear, heard)
            });
            let (ear, heard) = listening.await.unwrap();
            self.ear = Some(ear);
            self.heard.push(heard);
        }
    }

    /// What was said of a topic, in its order.
    fn said(&self, topic: &str) -> Vec<String> {
        let heard = self.heard.iter().filter(|heard| heard.topic == topic);
        heard.map(Heard::text).collect()
    }

    /// The last word on a topic.
    fn last(&self, topic: &str) -> String {
        self.said(topic).pop().unwrap_or_default()
    }

    fn json(&self, topic: &str) -> Value {
        serde_json::from_str(&self.last(topic)).unwrap()
    }

    fn is_picture(&self, id: &str) -> bool {
        let topic = state(id);
        let last = self.heard.iter().rfind(|heard| heard.topic == topic);
        last.is_some_and(|heard| heard.payload.starts_with(b"\xff\xd8\xff"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_hears_what_a_camera_sees_until_the_server_ends() {
    let broker = Broker::start();
    let mut news = News::of(&broker);
    let ball = "[cameras.ball]\nurl = \"test:ball\"\n";
    let bench = Bench::with(&config(&broker, "cameras = true", ball)).await;
    // The ball moves as soon as there is a picture.
    news.until(|news| {
        let is_on = |id| news.last(&state(id)) == "ON";
        is_on("connected_ball") && is_on("motion_ball") && news.last(AVAILABILITY) == "online"
    })
    .await;
    let found = news.json("homeassistant/image/host1/picture_ball/config");
    assert_eq!(found["image_topic"], state("picture_ball"));
    assert_eq!(found["availability_topic"], AVAILABILITY);
    let found = news.json("homeassistant/sensor/host1/last_event_ball/config");
    assert_eq!(found["device_class"], "timestamp");
    let (_folder, store) = bench.stop().await;
    news.until(|news| news.last(AVAILABILITY) == "offline")
        .await;
    assert_eq!(news.last(&state("motion_ball")), "OFF");
    assert!(news.is_picture("picture_ball"));
    let filter = EventFilter {
        kinds: vec![EventKind::Motion],
        limit: Some(1),
        ..EventFilter::default()
    };
    let last = store.list(&filter).unwrap().remove(0);
    let told = news.json("keepwatch/host1/last_event_ball/attributes");
    assert_eq!(
        (&told["id"], &told["kind"]),
        (&json!(last.id), &json!("motion"))
    );
    let ended = format!("{:.3}", last.ended_at.unwrap());
    assert_eq!(told["ended_at"], json!(ended));
    let began = format!("{:.3}", last.started_at);
    assert_eq!(news.last(&state("last_event_ball")), began);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_walks_by_in_a_film_and_is_gone() {
    let broker = Broker::start();
    let mut news = News::of(&broker);
    let film = keepwatch_testkit::testdata().join("video/one-by-one-person-detection.mp4");
    let film = film.display();
    let hall = format!("[cameras.hall]\nurl = \"{film}\"\nrealtime = true\n");
    let bench = Bench::with(&config(&broker, "cameras = true", &hall)).await;
    news.until(|news| {
        let mut states = news.said(&state("motion_hall")).into_iter();
        let came = states.any(|state| state == "ON");
        came && states.any(|state| state == "OFF") && news.is_picture("picture_hall")
    })
    .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_stay_here_and_cameras_come_and_go_with_the_configuration() {
    let broker = Broker::start();
    let mut news = News::of(&broker);
    let still = "[cameras.still]\nurl = \"test:smpte\"\n";
    let gate = "[cameras.gate]\nurl = \"test:smpte\"\n";
    let both = format!("{still}{gate}");
    let bench = Bench::with(&config(&broker, "cameras = true", &both)).await;
    let configure = async |more, cameras| {
        let text = config(&broker, more, cameras);
        std::fs::write(bench.folder.path().join("keepwatch.toml"), text).unwrap();
        bench.reload.send(()).await.unwrap();
    };
    news.until(|news| news.last(AVAILABILITY) == "online").await;
    bench.put(&[
        event("elsewhere", EventKind::PlateRead, ago(3), "XY 1"),
        event("still", EventKind::PlateRead, ago(2), "AB 12"),
        event("gate", EventKind::FaceMatch, ago(1), "Ada"),
    ]);
    let has_kind = |news: &News, camera: &str, kind: &str| {
        let topic = format!("keepwatch/host1/last_event_{camera}/attributes");
        news.last(&topic).contains(kind)
    };
    news.until(|news| {
        has_kind(news, "still", "plate_read") && has_kind(news, "gate", "face_match")
    })
    .await;
    for heard in &news.heard {
        let said = format!("{} {}", heard.topic, heard.text());
        for name in ["AB 12", "Ada", "XY 1", "elsewhere"] {
            assert!(!said.contains(name), "{said}");
        }
    }
    // One camera is gone, and names may be told.
    configure("cameras = true\nnames = true", still).await;
    let gone = "homeassistant/image/host1/picture_gate/config";
    news.until(|news| has_kind(news, "still", "\"plate\":\"AB 12\"") && news.last(gone).is_empty())
        .await;
    // Nobody asks any more.
    configure("", still).await;
    let gone = "homeassistant/sensor/host1/last_event_still/config";
    news.until(|news| news.last(gone).is_empty() && news.last(AVAILABILITY) == "offline")
        .await;
    assert!(!has_kind(&news, "still", "plate"));
    bench.stop().await;
}
