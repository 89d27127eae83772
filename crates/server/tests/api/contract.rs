//! SecureVision's API.

use keepwatch_core::events::{EventKind, EventStore as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bench::{Bench, ago, event};

const WITH_TOKEN: &str = "[server]\nauth_token = \"securevision-token\"";

#[tokio::test(flavor = "multi_thread")]
async fn events_have_its_fields_and_order() {
    let bench = Bench::with(WITH_TOKEN).await;
    let mut face = event("front", EventKind::FaceMatch, ago(10), "Ada");
    face.details = Some(Box::new(
        json!({ "similarity": 0.5, "picture": [100, 200] }),
    ));
    bench.put(&[
        event("front", EventKind::Motion, ago(40), "motion"),
        event("yard", EventKind::PlateRead, ago(20), "AB12"),
        face,
    ]);
    let get = |path: &str| {
        let request = bench
            .ask(Method::GET, path)
            .bearer_auth("securevision-token");
        async { request.send().await.unwrap() }
    };
    let events: Value = get("/events").await.json().await.unwrap();
    let events = events.as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["type"], "face_match");
    assert_eq!(events[0]["payload"]["person_name"], "Ada");
    assert_eq!(
        events[0]["payload"]["bbox"],
        json!({ "x1": 25.0, "y1": 50.0, "x2": 75.0, "y2": 150.0 })
    );
    assert_eq!(events[1]["frame_source_id"], "yard");
    let keys: Vec<&String> = events[0].as_object().unwrap().keys().collect();
    let mut expected = [
        "id",
        "type",
        "ts_ms",
        "frame_source_id",
        "created_at",
        "payload",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let since = events[0]["ts_ms"].as_i64().unwrap();
    let later: Value = get(&format!("/events?since={since}&limit=5"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(later.as_array().unwrap().len(), 1);
    let plates: Value = get("/events?type=plate_read").await.json().await.unwrap();
    assert_eq!(plates[0]["payload"]["plate_text"], "AB12");
    let (face, plate) = (&events[0]["id"], &events[1]["id"]);
    let one: Value = get(&format!("/faces/{face}")).await.json().await.unwrap();
    assert_eq!(one, events[0]);
    for (path, detail) in [
        (format!("/faces/{plate}"), "Face match event not found"),
        (format!("/plates/{face}"), "Plate read event not found"),
        ("/plates/999999".to_owned(), "Plate read event not found"),
    ] {
        let answer = get(&path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(
            answer.json::<Value>().await.unwrap(),
            json!({ "detail": detail })
        );
    }
    for path in [
        "/events?limit=0",
        "/events?limit=1001",
        "/events?type=motion",
        "/faces/x",
        "/events?since=x",
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(answer.json::<Value>().await.unwrap()["detail"].is_array());
    }
    let made = bench
        .ask(Method::POST, "/events")
        .bearer_auth("securevision-token")
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_is_missing_a_token() {
    let bench = Bench::with(WITH_TOKEN).await;
    let root: Value = bench.get("/").await.json().await.unwrap();
    assert_eq!(
        root,
        json!({
            "service": "SecureVision Events API", "version": "0.1.0", "ws_enabled": true, "auth_enabled": true,
        })
    );
    let health: Value = bench.get("/health").await.json().await.unwrap();
    assert_eq!(
        (&health["ok"], &health["ws_clients"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(
        health["recent_events"],
        json!({ "total": 0, "face_matches": 0, "plate_reads": 0 })
    );
    let none = bench.get("/events").await;
    assert_eq!(none.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        none.json::<Value>().await.unwrap(),
        json!({ "detail": "Authentication required" })
    );
    let wrong = bench
        .ask(Method::GET, "/events")
        .bearer_auth("wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        wrong.json::<Value>().await.unwrap(),
        json!({ "detail": "Invalid token" })
    );
    // It is for SecureVision's API alone.
    let other = bench
        .ask(Method::GET, "/api/v1/events")
        .bearer_auth("securevision-token");
    assert_eq!(other.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_told_once_and_its_number_stays() {
    let bench = Bench::with(WITH_TOKEN).await;
    let mut socket =
        crate::events::connect(&bench, "/stream", Some("Bearer securevision-token")).await;
    socket.send("ping").await;
    assert_eq!(
        socket.next().await,
        json!({ "type": "pong", "data": "ping" })
    );
    let mut face = event("front", EventKind::FaceMatch, ago(5), "Ada");
    face.ended_at = None;
    bench.put(&[
        event("front", EventKind::Motion, ago(6), "motion"),
        face.clone(),
    ]);
    let told = socket.next().await;
    assert_eq!(
        (&told["type"], &told["payload"]["person_id"]),
        (&json!("face_match"), &json!("Ada"))
    );
    assert!(told.get("created_at").is_none());
    // Its later states are no news, and the next event is.
    face.ended_at = Some(ago(1));
    bench.put(&[face]);
    bench.put(&[event("yard", EventKind::PlateRead, ago(0), "AB12")]);
    assert_eq!(socket.next().await["type"], "plate_read");
    let path = format!("/faces/{}", told["id"]);
    let request = bench
        .ask(Method::GET, &path)
        .bearer_auth("securevision-token");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let listed = bench
        .ask(Method::GET, "/events?type=face_match")
        .bearer_auth("securevision-token");
    let listed: Value = listed.send().await.unwrap().json().await.unwrap();
    assert_eq!(listed[0]["id"], told["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cleaning_up_removes_what_is_old_and_says_how_much() {
    let bench = Bench::with(&format!("{WITH_TOKEN}\n[retention]\nevents = \"2d\"")).await;
    // The purge at the start comes first.
    let day = 86_400;
    let old = event("front", EventKind::FaceMatch, ago(3 * day), "Ada");
    bench.put(&[
        old.clone(),
        event("front", EventKind::FaceMatch, ago(day), "Ada"),
    ]);
    let cleaned = bench
        .ask(Method::POST, "/cleanup")
        .bearer_auth("securevision-token")
        .send()
        .await
        .unwrap();
    let cleaned: Value = cleaned.json().await.unwrap();
    assert_eq!(cleaned["retention_days"], 2);
    assert!(bench.store.get(old.id).unwrap().is_none());
}
