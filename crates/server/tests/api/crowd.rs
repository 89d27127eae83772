//! Many clients, many events.

use std::time::Duration;

use futures_util::StreamExt as _;
use keepwatch_core::events::{Event, EventKind};
use keepwatch_server::Patience;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::bench::{Bench, ago, event};
use crate::events::connect;

const CLIENTS: usize = 2000;
const STALLED: usize = 100;
const EVENTS: usize = 20;

const SERVER: &str = "[server]\nmax_connections = 5000\nmax_connections_per_address = 5000\nrequests_per_second = 100000\nrequests_burst = 100000";

/// A client that opens a socket and never reads from it.
async fn stalled(bench: &Bench, token: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // Little is taken by the system in its place.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(bench.address).await.unwrap();
    let head = format!(
        "GET /api/v1/events/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    stream
}

/// A small event of one camera, and a large one of another, which only who stalls listens to as well.
fn pair(number: usize) -> [Event; 2] {
    let small = event("small", EventKind::Object, ago(1), &number.to_string());
    let mut large = event("large", EventKind::Object, ago(1), "large");
    large.reason = Some("x".repeat(500_000));
    [small, large]
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_listen_and_those_who_stall_are_dropped() {
    let patience = Patience {
        message: Duration::from_secs(2),
        ..Patience::default()
    };
    let bench = Bench::hasty(SERVER, patience).await;
    let ada = bench.set_up().await;
    let token = ada
        .token(&json!({ "name": "t", "permissions": ["events:read", "system:read"] }))
        .await;
    let mut stuck = Vec::new();
    for _ in 0..STALLED {
        stuck.push(stalled(&bench, &token).await);
    }
    let mut listening = JoinSet::new();
    for _ in 0..CLIENTS - STALLED {
        let mut request = bench
            .ws_url("/api/v1/events/ws?camera=small")
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        listening.spawn(async move {
            let mut seen = 0;
            while seen < EVENTS {
                if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                    assert!(
                        text.contains(&format!("\"label\":\"{seen}\"")),
                        "{seen}: {text}"
                    );
                    seen += 1;
                }
            }
            socket
        });
    }
    for number in 0..EVENTS {
        bench.put(&pair(number));
    }
    let mut sockets = Vec::new();
    while let Some(socket) = tokio::time::timeout(Duration::from_secs(60), listening.join_next())
        .await
        .unwrap()
    {
        sockets.push(socket.unwrap());
    }
    assert_eq!(sockets.len(), CLIENTS - STALLED);
    // Those who stall are let go, and nobody else.
    let dropped = async {
        loop {
            let metrics = bench
                .ask(reqwest::Method::GET, "/metrics")
                .bearer_auth(&token)
                .send()
                .await
                .unwrap();
            let text = metrics.text().await.unwrap();
            let line = text
                .lines()
                .find(|line| line.starts_with("keepwatch_connections "))
                .unwrap();
            let open: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            if open < (CLIENTS - STALLED + 20) as f64 {
                return open;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let open = tokio::time::timeout(Duration::from_secs(60), dropped)
        .await
        .unwrap();
    assert!(open >= sockets.len() as f64, "{open}");
    drop((stuck, sockets));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_events_reaches_who_listens_in_order() {
    let bench = Bench::with(SERVER).await;
    let ada = bench.set_up().await;
    let token = ada
        .token(&json!({ "name": "t", "permissions": ["events:read"] }))
        .await;
    let mut socket = connect(
        &bench,
        "/api/v1/events/ws",
        Some(&format!("Bearer {token}")),
    )
    .await;
    let store = bench.store.clone();
    let flood = tokio::task::spawn_blocking(move || {
        use keepwatch_core::events::EventStore as _;
        for batch in 0..100 {
            let events: Vec<Event> = (0..100)
                .map(|at| {
                    event(
                        "front",
                        EventKind::Object,
                        ago(1),
                        &(batch * 100 + at).to_string(),
                    )
                })
                .collect();
            store.put(&events).unwrap();
        }
    });
    for number in 0..10_000 {
        assert_eq!(socket.next().await["event"]["label"], number.to_string());
    }
    flood.await.unwrap();
}
