//! Clients that mean no good.

use std::time::Duration;

use keepwatch_server::Patience;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::bench::Bench;

const HASTY: Patience = Patience {
    head: Duration::from_millis(300),
    handshake: Duration::from_millis(300),
    answer: Duration::from_millis(600),
    stalled: Duration::from_millis(500),
    message: Duration::from_millis(500),
    farewell: Duration::from_secs(2),
};

/// No test waits longer for what has to come.
const SOON: Duration = Duration::from_secs(30);

/// Sends bytes, and gives all that comes until the other end closes.
async fn raw(bench: &Bench, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    // Whoever is refused early may find the connection closed.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_slowly_is_cut_off_and_keeps_nobody_out() {
    let bench = Bench::hasty("", HASTY).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    assert_eq!(bench.get("/health").await.status(), StatusCode::OK);
    for mut stream in slow {
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer))
            .await
            .unwrap();
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_awaited() {
    let bench = Bench::hasty("", HASTY).await;
    let head = "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";
    let answer = raw(&bench, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_while_sending_can_read_why() {
    let bench = Bench::start().await;
    let mut request = b"POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 8388608\r\n\r\n".to_vec();
    request.resize(request.len() + (8 << 20), b'x');
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    // All of it is sent before anything is read: more than lies between two programs.
    stream.write_all(&request).await.unwrap();
    let mut answer = String::new();
    let read = timeout(SOON, stream.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("the body is too large"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_heads_have_bounds() {
    let bench = Bench::start().await;
    let ada = bench.set_up().await;
    let large = json!({ "name": "x".repeat(2 << 20), "permissions": ["events:read"] });
    let (status, said) = ada.send(Method::POST, "/api/v1/tokens", &large).await;
    assert_eq!(
        (status, &said["detail"]),
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            &json!("the body is too large")
        )
    );
    let photo = ada
        .ask(Method::POST, "/api/v1/faces/Ada/photographs")
        .body(vec![0; 21 << 20]);
    let answer = photo.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(200_000));
    let many: String = (0..200).map(|at| format!("X-{at}: 1\r\n")).collect();
    let many = format!("GET /health HTTP/1.1\r\nHost: a\r\n{many}\r\n");
    let wide = format!(
        "GET /health HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    for head in [long, many, wide] {
        let answer = raw(&bench, head.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    // A connection of its own: those before may have been closed.
    let head = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = raw(&bench, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_never_taken_for_two() {
    let bench = Bench::hasty("", HASTY).await;
    let inner = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, head) in [
        ("both lengths", format!("POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", inner.len() + 5)),
        ("two lengths", "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\n".to_owned()),
        ("signed length", "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n".to_owned()),
        ("unknown coding", "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n".to_owned()),
        ("coding twice", "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned()),
        ("blank before the colon", "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("folded line", "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nX: 1\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("no version", "POST /api/v1/session\r\n\r\n".to_owned()),
        ("zero byte", "GET /health HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n".to_owned()),
    ] {
        let answer = raw(&bench, format!("{head}{inner}").as_bytes()).await;
        // What nobody can understand in two ways is refused. Of both lengths the coding counts, and
        // the connection ends with the answer (RFC 9112, section 6.1).
        let answers = answer.matches("HTTP/1.1 ").count();
        if name == "both lengths" {
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
            assert_eq!(answers, 1, "{answer}");
        } else {
            let refused = answer.starts_with("HTTP/1.1 400") || answer.is_empty();
            assert!(refused && answers <= 1, "{name}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_lead_nowhere_else() {
    let text = "[repositories.home]\npath = \"@/vault\"\nkey_file = \"@/key\"";
    let bench = Bench::with(text).await;
    let ada = bench.set_up().await;
    let root = bench.folder.path().to_str().unwrap().to_owned();
    for path in [
        "/ui/../Cargo.toml",
        "/ui/..%2f..%2fetc%2fpasswd",
        "/ui/%2e%2e/%2e%2e/etc/passwd",
        "/ui//etc/passwd",
        "/ui/js/..\\..\\x",
        "/api/v1/events/..%2f..%2fkeys%2fmain/clip",
        "/api/v1/segments/..%2f..%2fx/video",
        "/api/v1/faces/..%2f..%2fx/photographs/0",
        "/api/v1/cameras/..%2fx/snapshot",
        "/api/v1/repositories/..%2fhome/snapshots",
        "/api/v1/repositories/home/snapshots/..%2f..%2fconfig/file?path=/etc/passwd",
        "/api/v1/runs/..%2fx",
    ] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            ada.cookie
        );
        let answer = raw(&bench, head.as_bytes()).await;
        let status = &answer[..answer.find("\r\n").unwrap_or(0)];
        let refused = ["400", "404", "409", "422"]
            .iter()
            .any(|code| status.contains(code));
        assert!(refused, "{path}: {status}");
        assert!(
            !answer.contains("root:") && !answer.contains(&root),
            "{path}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_tells_of_the_inside() {
    let text = r#"
        [repositories.lost]
        path = "@/nowhere"
        key_file = "@/key"
        [jobs.nightly]
        kind = "backup"
        repository = "lost"
        paths = ["@/source"]
        [inference]
        backend = "tract"
        [plates]
        allow_list = "@/allow.csv"
        [server]
        requests_burst = 10000
    "#;
    let folder_of_lists = |bench: &Bench| bench.folder.path().join("allow.csv");
    let (folder, store) = {
        let bench = Bench::with("").await;
        std::fs::write(folder_of_lists(&bench), "AB 123\n").unwrap();
        bench.stop().await
    };
    let bench = Bench::on(folder, store, text).await;
    let ada = bench.set_up().await;
    // What was good when the server started.
    std::fs::remove_file(folder_of_lists(&bench)).unwrap();
    let root = bench.folder.path().to_str().unwrap().to_owned();
    let mut asked = 0;
    for (path, item) in bench.openapi["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            if path == "/api/v1/session" && method == Method::DELETE {
                continue;
            }
            for value in [
                "lost",
                "nightly",
                "allow",
                "%00",
                "a%0d%0ab",
                "%ff",
                "9999999999999999999999",
            ] {
                let start = path.find('{').unwrap_or(path.len());
                let real = match path[start..].find('}') {
                    Some(end) => format!("{}{value}{}", &path[..start], &path[start + end + 1..]),
                    None => path.clone(),
                };
                let real = real
                    .replace("{id}", value)
                    .replace("{index}", value)
                    .replace("{plate}", value);
                for body in [
                    Value::Null,
                    json!({ "url": "rtsp://u:hunter2@[", "password": "hunter2" }),
                    json!([]),
                ] {
                    let answer = timeout(SOON, ada.ask(method.clone(), &real).json(&body).send())
                        .await
                        .unwrap()
                        .unwrap();
                    let streams = answer
                        .headers()
                        .get("content-type")
                        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
                    asked += 1;
                    if streams {
                        continue;
                    }
                    let status = answer.status();
                    let headers = format!("{:?}", answer.headers());
                    let said = format!("{headers} {}", answer.text().await.unwrap());
                    for secret in [
                        root.as_str(),
                        "hunter2",
                        "src/",
                        ".rs",
                        "panicked",
                        "rusqlite",
                        "SQL",
                        "os error",
                    ] {
                        // The page of the dashboard is not an answer about the inside.
                        assert!(
                            !said.contains(secret),
                            "{method} {real}: {status} {secret}: {said}"
                        );
                    }
                }
            }
        }
    }
    assert!(asked > 1000, "{asked}");
    // How the job that cannot run went, after the requests above have started it.
    let runs = ada.get("/api/v1/runs").await.to_string();
    assert!(!runs.contains(&root), "{runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_waits() {
    let bench = Bench::with("[server]\nrequests_per_second = 1\nrequests_burst = 20").await;
    let mut refused = 0;
    for _ in 0..40 {
        let answer = bench.get("/health").await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.headers().contains_key("retry-after"));
            refused += 1;
        }
    }
    assert!(refused >= 15, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_get_nothing_unless_they_are_named() {
    let bench = Bench::with("[server]\nallowed_origins = [\"https://friend.example\"]").await;
    let ada = bench.set_up().await;
    let token = ada
        .token(&json!({ "name": "t", "permissions": ["events:read"] }))
        .await;
    for (origin, allowed) in [
        ("https://friend.example", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let answer = bench
            .ask(Method::GET, "/events")
            .bearer_auth(&token)
            .header("origin", origin);
        let answer = answer.send().await.unwrap();
        let says = answer.headers().get("access-control-allow-origin");
        assert_eq!(
            says.is_some_and(|says| says.as_bytes() == origin.as_bytes()),
            allowed,
            "{origin}"
        );
        assert!(
            !answer
                .headers()
                .contains_key("access-control-allow-credentials")
        );
        let mut request =
            tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(
                bench.ws_url("/stream"),
            )
            .unwrap();
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        let opened = tokio_tungstenite::connect_async(request).await;
        assert_eq!(opened.is_ok(), allowed, "{origin}");
    }
}
