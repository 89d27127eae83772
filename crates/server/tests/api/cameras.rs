//! Cameras: which there are, and what they show.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::bench::{Bench, Browser};
use crate::events::connect;

const TWO: &str = r#"
    [cameras.ball]
    url = "test:ball"
    [cameras.bars]
    url = "test:smpte"
    privacy_masks = [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]]
"#;

/// Looks again and again until a camera sends.
async fn live(who: &Browser<'_>, name: &str) -> Value {
    let until = async {
        loop {
            let path = format!("/api/v1/cameras/{name}");
            let answer = who.ask(Method::GET, &path).send().await.unwrap();
            let camera: Value = answer.json().await.unwrap();
            if camera["state"] == "live" && camera["decoded"].as_u64() > Some(0) {
                return camera;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), until)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_are_added_changed_and_removed_and_outlive_the_server() {
    let bench = Bench::with(TWO).await;
    let ada = bench.set_up().await;
    let new = json!({ "name": "gate", "url": "rtsp://127.0.0.1:1/live", "user": "u", "password": "hunter2" });
    let (status, camera) = ada.send(Method::POST, "/api/v1/cameras", &new).await;
    assert_eq!(status, StatusCode::CREATED, "{camera}");
    assert_eq!(
        (&camera["from"], &camera["live"]),
        (&json!("store"), &json!(true))
    );
    let (status, _) = ada.send(Method::POST, "/api/v1/cameras", &new).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let zones = json!({ "motion": { "zones": [{ "name": "drive", "points": [[0, 0], [1, 0], [1, 1]] }] }, "pre_roll": "2s" });
    for name in ["gate", "ball"] {
        let (status, camera) = ada
            .send(Method::PATCH, &format!("/api/v1/cameras/{name}"), &zones)
            .await;
        assert_eq!(status, StatusCode::OK, "{camera}");
        assert_eq!(camera["settings"]["motion"]["zones"][0]["name"], "drive");
    }
    for (path, body, field) in [
        ("gate", json!({ "pre_roll": "2h" }), "pre_roll"),
        ("gate", json!({ "url": "/etc/passwd" }), "url"),
        ("ball", json!({ "decoed": "all" }), "decoed"),
    ] {
        let (status, said) = ada
            .send(Method::PATCH, &format!("/api/v1/cameras/{path}"), &body)
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(said["detail"][0]["loc"], json!(["body", field]));
    }
    let shown = format!(
        "{}{}",
        ada.get("/api/v1/cameras").await,
        ada.get("/api/v1/audit").await
    );
    assert!(!shown.contains("hunter2"));
    assert_eq!(
        ada.status(Method::DELETE, "/api/v1/cameras/ball").await,
        StatusCode::CONFLICT
    );
    let (folder, store) = bench.stop().await;
    let bench = Bench::on(folder, store, TWO).await;
    let ada = bench.log_in("ada").await;
    for name in ["gate", "ball"] {
        let camera = ada.get(&format!("/api/v1/cameras/{name}")).await;
        assert_eq!(camera["settings"]["pre_roll"], "2s", "{camera}");
    }
    assert_eq!(
        ada.status(Method::DELETE, "/api/v1/cameras/gate").await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        ada.status(Method::GET, "/api/v1/cameras/gate").await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_read_again_changes_what_has_changed() {
    let bench = Bench::with(TWO).await;
    let ada = bench.set_up().await;
    let before = live(&ada, "ball").await;
    let file = bench.folder.path().join("keepwatch.toml");
    std::fs::write(
        &file,
        "[cameras.ball]\nurl = \"test:ball\"\n[cameras.snow]\nurl = \"test:snow\"",
    )
    .unwrap();
    bench.reload.send(()).await.unwrap();
    live(&ada, "snow").await;
    let names = |cameras: &Value| {
        let cameras = cameras["cameras"].as_array().unwrap().iter();
        cameras
            .map(|camera| camera["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&ada.get("/api/v1/cameras").await), ["ball", "snow"]);
    let after = ada.get("/api/v1/cameras/ball").await;
    assert!(
        after["frames"].as_u64() > before["frames"].as_u64(),
        "it was not disturbed"
    );
    std::fs::write(&file, "[cameras.ball]\nurl = 5").unwrap();
    bench.reload.send(()).await.unwrap();
    // The second is taken when the first is done with.
    bench.reload.send(()).await.unwrap();
    bench.reload.send(()).await.unwrap();
    assert_eq!(names(&ada.get("/api/v1/cameras").await), ["ball", "snow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn live_video_comes_as_fragments_and_not_past_privacy_masks() {
    let bench = Bench::with(TWO).await;
    let ada = bench.set_up().await;
    let token = ada
        .token(&json!({ "name": "t", "permissions": ["cameras:read"] }))
        .await;
    let bearer = format!("Bearer {token}");
    live(&ada, "ball").await;
    let mut socket = connect(&bench, "/api/v1/cameras/ball/live?overlay=1", Some(&bearer)).await;
    let about = socket.next().await;
    assert_eq!(about["type"], "stream");
    let mime = about["mime"].as_str().unwrap();
    assert!(
        mime.starts_with("video/mp4; codecs=\"avc1.") || mime == "image/jpeg",
        "{mime}"
    );
    let mut film = Vec::new();
    let mut overlays = 0;
    while film.len() < 20 || overlays == 0 {
        match socket.0.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => film.push(bytes),
            Message::Text(text) => overlays += u32::from(text.contains("\"overlay\"")),
            _ => {}
        }
    }
    let film: Vec<u8> = film.concat();
    if mime != "image/jpeg" {
        assert_eq!(&film[4..8], b"ftyp");
        let scan = keepwatch_vision::mp4::scan(&mut film.as_slice()).unwrap();
        assert!(scan.duration > Duration::ZERO, "{scan:?}");
    }
    let mut masked = connect(&bench, "/api/v1/cameras/bars/live", Some(&bearer)).await;
    let Message::Close(Some(frame)) = masked.0.next().await.unwrap().unwrap() else {
        panic!("it is closed");
    };
    assert_eq!(u16::from(frame.code), 4403);
    let unknown = bench.ws_url("/api/v1/cameras/other/live");
    assert!(tokio_tungstenite::connect_async(unknown).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_one_by_one_with_what_is_private_in_black() {
    let bench = Bench::with(TWO).await;
    let ada = bench.set_up().await;
    live(&ada, "bars").await;
    let answer = ada
        .ask(Method::GET, "/api/v1/cameras/bars/snapshot?width=320")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    let jpeg = answer.bytes().await.unwrap();
    let picture = keepwatch_recognition::photo::decode(&jpeg, "it").unwrap();
    assert_eq!(picture.width(), 320);
    let corner = picture.view().row(2)[..30].iter().copied().max().unwrap();
    assert!(corner < 24, "{corner}");
    let mut stream = ada
        .ask(Method::GET, "/api/v1/cameras/bars/mjpeg?width=160&fps=15")
        .send()
        .await
        .unwrap();
    assert!(
        stream.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("multipart/x-mixed-replace")
    );
    let mut text = Vec::new();
    while text
        .windows(9)
        .filter(|window| window == b"--picture")
        .count()
        < 3
    {
        text.extend_from_slice(&stream.chunk().await.unwrap().unwrap());
    }
    for bad in ["width=5", "width=9000", "fps=0", "fps=100"] {
        let path = format!("/api/v1/cameras/bars/mjpeg?{bad}");
        assert_eq!(
            ada.status(Method::GET, &path).await,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_readiness_tell_of_them() {
    let bench = Bench::with(TWO).await;
    let ada = bench.set_up().await;
    live(&ada, "ball").await;
    let text = ada
        .ask(Method::GET, "/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for part in [
        "keepwatch_camera_up{camera=\"ball\"} 1.0",
        "keepwatch_camera_frames_total{camera=\"bars\"}",
        "keepwatch_http_requests_total{method=\"POST\",route=\"/api/v1/setup\",status=\"201\"} 1",
        "keepwatch_recognition_seconds_count 0",
        "keepwatch_store_failing 0.0",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(bench.get("/readyz").await.text().await.unwrap(), "ok");
    assert_eq!(bench.get("/livez").await.text().await.unwrap(), "ok");
    let system = ada.get("/api/v1/system").await;
    assert_eq!(system["cameras"]["total"], 2);
}
