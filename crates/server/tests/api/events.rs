//! Events: finding them, following them, their media.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use keepwatch_core::events::{EventKind, EventStore as _};
use reqwest::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::bench::{Bench, ago, event, recorded};

/// A WebSocket.
pub struct Client(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Opens one.
pub async fn connect(bench: &Bench, path: &str, authorization: Option<&str>) -> Client {
    let mut request = bench.ws_url(path).into_client_request().unwrap();
    if let Some(value) = authorization {
        request
            .headers_mut()
            .insert("authorization", value.parse().unwrap());
    }
    Client(tokio_tungstenite::connect_async(request).await.unwrap().0)
}

impl Client {
    pub async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next message, as JSON.
    pub async fn next(&mut self) -> Value {
        let next = async {
            loop {
                match self.0.next().await.unwrap().unwrap() {
                    Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                    Message::Ping(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), next)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_page_by_page() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let plates = (0..25).map(|at| {
        event(
            "yard",
            EventKind::PlateRead,
            ago(100 + at),
            &format!("AB {at:02}"),
        )
    });
    bench.put(&plates.collect::<Vec<_>>());
    bench.put(&[event("front", EventKind::FaceMatch, ago(50), "Ada")]);
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = ada
            .get(&format!("/api/v1/events?camera=yard&limit=10{after}"))
            .await;
        seen.extend(
            page["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["label"].clone()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let expected: Vec<Value> = (0..25).map(|at| json!(format!("AB {at:02}"))).collect();
    assert_eq!(seen, expected);
    let found = ada.get("/api/v1/events?q=ab1").await;
    assert_eq!(found["events"].as_array().unwrap().len(), 10);
    let found = ada
        .get("/api/v1/events?label=ab-07&label=ADA&order=asc")
        .await;
    assert_eq!(found["events"][0]["label"], "AB 07");
    assert_eq!(found["events"][1]["label"], "Ada");
    let summary = ada.get("/api/v1/events/summary").await;
    assert_eq!(
        summary,
        json!({ "total": 26, "counts": { "plate_read": 25, "face_match": 1 } })
    );
    let timeline = ada.get("/api/v1/events/timeline?buckets=4").await;
    let buckets = timeline["buckets"].as_array().unwrap();
    assert_eq!((buckets.len(), &buckets[3]["plate_read"]), (4, &json!(25)));
    assert_eq!(
        ada.status(Method::GET, "/api/v1/events?limit=0").await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let gone = "/api/v1/events?after=00000000-0000-7000-8000-000000000000";
    assert_eq!(
        ada.status(Method::GET, gone).await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_of_one_camera_sees_nothing_of_others() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let clip = vec![7; 1000];
    let (front, yard) = (
        recorded(&bench.store, "front", ago(20), &clip),
        recorded(&bench.store, "yard", ago(10), &clip),
    );
    bench.put(&[front.clone(), yard.clone()]);
    let zoe = ada.user("zoe", "viewer", &json!(["front"])).await;
    let events = zoe.get("/api/v1/events").await;
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
    assert_eq!(
        zoe.get("/api/v1/events?camera=yard").await["events"],
        json!([])
    );
    assert_eq!(zoe.get("/api/v1/events/summary").await["total"], 1);
    for part in ["", "/snapshot", "/clip"] {
        let path =
            |event: &keepwatch_core::events::Event| format!("/api/v1/events/{}{part}", event.id);
        assert_eq!(zoe.status(Method::GET, &path(&front)).await, StatusCode::OK);
        assert_eq!(
            zoe.status(Method::GET, &path(&yard)).await,
            StatusCode::NOT_FOUND
        );
        assert_eq!(ada.status(Method::GET, &path(&yard)).await, StatusCode::OK);
    }
    assert_eq!(zoe.get("/api/v1/segments").await["segments"], json!([]));
    assert_eq!(
        zoe.status(Method::GET, "/api/v1/cameras/yard").await,
        StatusCode::NOT_FOUND
    );
    // None at all is not all.
    let nobody = ada.user("max", "viewer", &json!([])).await;
    assert_eq!(nobody.get("/api/v1/events").await["events"], json!([]));
    assert_eq!(nobody.get("/api/v1/events/summary").await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_comes_whole_and_in_parts() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let clip: Vec<u8> = (0..300_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let event = recorded(&bench.store, "front", ago(10), &clip);
    bench.put(std::slice::from_ref(&event));
    let path = format!("/api/v1/events/{}/clip", event.id);
    let whole = ada.ask(Method::GET, &path).send().await.unwrap();
    assert_eq!(whole.headers()["content-type"], "video/mp4");
    assert_eq!(whole.headers()[ACCEPT_RANGES], "bytes");
    assert_eq!(whole.bytes().await.unwrap(), clip);
    for (range, expected) in [
        ("bytes=0-99", 0..100),
        ("bytes=131000-200000", 131_000..200_001),
        ("bytes=-5", 299_995..300_000),
        ("bytes=299990-", 299_990..300_000),
    ] {
        let part = ada
            .ask(Method::GET, &path)
            .header(RANGE, range)
            .send()
            .await
            .unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.headers()[CONTENT_LENGTH], expected.len().to_string());
        let says = format!("bytes {}-{}/300000", expected.start, expected.end - 1);
        assert_eq!(part.headers()[CONTENT_RANGE], says);
        assert_eq!(part.bytes().await.unwrap(), clip[expected]);
    }
    let beyond = ada
        .ask(Method::GET, &path)
        .header(RANGE, "bytes=300000-")
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.headers()[CONTENT_RANGE], "bytes */300000");
    let picture = ada.ask(
        Method::GET,
        &format!("/api/v1/events/{}/snapshot", event.id),
    );
    assert_eq!(
        picture.send().await.unwrap().bytes().await.unwrap(),
        &b"\xff\xd8picture"[..]
    );
    let seen = ada.get("/api/v1/audit?action=clip-view").await;
    // The whole, and the part that begins at its beginning.
    assert_eq!(seen["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_is_exported_verifies() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let clip = vec![3; 200_000];
    let event = recorded(&bench.store, "front", ago(10), &clip);
    bench.put(std::slice::from_ref(&event));
    let path = format!("/api/v1/events/{}/bundle", event.id);
    let bundle = ada.ask(Method::GET, &path).send().await.unwrap();
    assert_eq!(bundle.status(), StatusCode::OK);
    let bundle = bundle.bytes().await.unwrap();
    let report =
        keepwatch_core::events::verify_bundle(bundle.as_ref(), Some(*bench.store.signer()))
            .unwrap();
    assert_eq!(report.event.id, event.id);
    let zoe = ada.user("zoe", "viewer", &Value::Null).await;
    assert_eq!(zoe.status(Method::GET, &path).await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_deleted_by_who_may_and_the_log_says_so() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let event = recorded(&bench.store, "front", ago(10), &[1; 10]);
    bench.put(std::slice::from_ref(&event));
    let path = format!("/api/v1/events/{}", event.id);
    let max = ada.user("max", "operator", &Value::Null).await;
    assert_eq!(
        max.status(Method::DELETE, &path).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        ada.status(Method::DELETE, &path).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(ada.status(Method::GET, &path).await, StatusCode::NOT_FOUND);
    assert!(bench.store.get(event.id).unwrap().is_none());
    let entries = ada.get("/api/v1/audit?action=event-remove").await;
    assert_eq!(entries["entries"][0]["detail"]["event"], json!(event.id));
    assert!(bench.store.verify(&Default::default()).unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_misses_nothing() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let token = ada
        .token(&json!({ "name": "t", "permissions": ["events:read"] }))
        .await;
    let bearer = format!("Bearer {token}");
    let labels = |from: u32, to: u32| {
        (from..to)
            .map(|at| event("front", EventKind::Object, ago(100), &at.to_string()))
            .collect::<Vec<_>>()
    };
    let mut first = connect(&bench, "/api/v1/events/ws", Some(&bearer)).await;
    bench.put(&labels(0, 3));
    let mut last = 0;
    for at in 0..3 {
        let told = first.next().await;
        assert_eq!(
            (&told["type"], &told["event"]["label"]),
            (&json!("event"), &json!(at.to_string()))
        );
        last = told["event"]["number"].as_u64().unwrap();
    }
    drop(first);
    // More than wait in a queue.
    bench.put(&labels(3, 6000));
    let mut second = connect(
        &bench,
        &format!("/api/v1/events/ws?after={last}"),
        Some(&bearer),
    )
    .await;
    bench.put(&labels(6000, 6010));
    for at in 3..6010 {
        assert_eq!(second.next().await["event"]["label"], at.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_go_on_from_the_last_id() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    bench.put(&[
        event("front", EventKind::Object, ago(9), "cat"),
        event("yard", EventKind::Object, ago(8), "dog"),
        event("front", EventKind::Object, ago(7), "owl"),
    ]);
    let number = ada.get("/api/v1/events?label=cat").await["events"][0]["number"].clone();
    let mut stream = ada
        .ask(Method::GET, "/api/v1/events/stream?camera=front")
        .header("last-event-id", number.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.starts_with("event: event\nid: "), "{text}");
    assert!(
        text.contains("\"owl\"") && !text.contains("\"dog\""),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_socket() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let (_, given) = ada.send(Method::POST, "/api/v1/ticket", &Value::Null).await;
    let path = format!(
        "/api/v1/events/ws?ticket={}",
        given["ticket"].as_str().unwrap()
    );
    let mut socket = connect(&bench, &path, None).await;
    bench.put(&[event("front", EventKind::Object, ago(9), "cat")]);
    assert_eq!(socket.next().await["event"]["label"], "cat");
    let again = tokio_tungstenite::connect_async(bench.ws_url(&path)).await;
    assert!(again.is_err());
    // It is no credential for anything else.
    let (_, given) = ada.send(Method::POST, "/api/v1/ticket", &Value::Null).await;
    let path = format!(
        "/api/v1/events?ticket={}",
        given["ticket"].as_str().unwrap()
    );
    assert_eq!(bench.get(&path).await.status(), StatusCode::UNAUTHORIZED);
}
