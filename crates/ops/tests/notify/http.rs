//! Everything that goes over HTTP.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use jiff::Timestamp;
use keepwatch_ops::RunStatus;
use keepwatch_ops::notify::{
    Desktop, DesktopSettings, Heartbeat, HeartbeatSettings, Network, Notifier, NotifyError,
    RetryAfter, Roots, Severity,
};
use serde_json::{Value, json};

use crate::sink::{Answer, Sink};
use crate::{network, notification, secret, settings};

const OK: Answer = Answer::Status(200, "");

fn now() -> Timestamp {
    "2026-03-01T02:03:05Z".parse().unwrap()
}

fn send(target: Value, network: &Network) -> Result<(), NotifyError> {
    let target = settings(target).build(network, []).unwrap();
    target.notifier.send(&notification(), now())
}

/// All targets of HTTP, at an address.
fn all(url: &str, allow_private: bool) -> Vec<Value> {
    let chats = ["slack", "discord", "teams", "webhook"];
    let chats = chats.map(|kind| json!({"kind": kind, "url": format!("{url}/s3cret"), "allow_private": allow_private}));
    let mut all = chats.to_vec();
    all.push(json!({"kind": "telegram", "token": "1:s3cret", "chat": "-10", "url": url, "allow_private": allow_private}));
    all.push(json!({"kind": "ntfy", "topic": "s3cret", "token": "s3cret", "url": url, "allow_private": allow_private}));
    all
}

#[test]
fn each_is_told_what_it_understands() {
    let sink = Sink::start(vec![OK]);
    for target in all(&sink.url(""), true) {
        send(target.clone(), &network()).unwrap();
        let request = sink.next();
        assert_eq!(request.header("content-type"), Some("application/json"));
        let body = request.json();
        let line = request.line.as_str();
        match target["kind"].as_str().unwrap() {
            "telegram" => {
                assert_eq!(line, "POST /bot1:s3cret/sendMessage HTTP/1.1");
                assert_eq!(body["chat_id"], "-10");
                let expected = "<b>FAILED: documents &lt;b&gt;failed&lt;/b&gt;</b>\nNo space left on /mnt/disk &amp; more\nsnapshot: none";
                assert_eq!(
                    (&body["text"], &body["parse_mode"]),
                    (&json!(expected), &json!("HTML"))
                );
            }
            "ntfy" => {
                assert_eq!(
                    (line, request.header("authorization")),
                    ("POST / HTTP/1.1", Some("Bearer s3cret"))
                );
                assert_eq!(
                    (&body["topic"], &body["priority"]),
                    (&json!("s3cret"), &json!(4))
                );
                assert_eq!(body["title"], "FAILED: documents <b>failed</b>");
            }
            "webhook" => assert_eq!(body["facts"]["snapshot"], "none"),
            _ => assert_eq!(line, "POST /s3cret HTTP/1.1"),
        }
    }
}

#[test]
fn private_addresses_are_refused_unless_they_are_meant() {
    let sink = Sink::start(vec![OK]);
    for target in all(&sink.url(""), false) {
        let error = send(target, &network()).unwrap_err();
        assert_eq!(
            error,
            NotifyError::Private {
                host: "localhost".to_owned()
            }
        );
        // So does the portal of a hotel, and only until one has paid.
        assert!(error.is_temporary());
    }
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433"] {
        let url = sink.url("").replace("localhost", host);
        let error = send(all(&url, false).remove(0), &network()).unwrap_err();
        let is_kept_out = matches!(
            error,
            NotifyError::Private { .. } | NotifyError::NotFound { .. }
        );
        assert!(is_kept_out, "{host}: {error}");
    }
    assert!(sink.has_none());
}

#[test]
fn only_http_is_spoken_and_no_redirect_followed() {
    for url in [
        "file:///etc/passwd",
        "ftp://example.org",
        "gopher://example.org",
        "example.org",
        "http://",
        "https://me:s3cret@example.org",
    ] {
        let built = settings(json!({"kind": "slack", "url": url})).build(&network(), []);
        let error = built.unwrap_err();
        assert!(
            matches!(error, NotifyError::Settings { key: "url", .. }),
            "{url}: {error}"
        );
        assert!(!error.to_string().contains("s3cret"));
    }
    let inner = Sink::start(vec![OK]);
    let outer = Sink::start(vec![Answer::Redirect(inner.url("/inner"))]);
    let error = send(all(&outer.url(""), true).remove(0), &network()).unwrap_err();
    assert!(
        matches!(error, NotifyError::Status { status: 307, .. }),
        "{error}"
    );
    assert!(!error.is_temporary() && error.hint().contains("redirects"));
    assert!(inner.has_none());
}

#[test]
fn what_goes_wrong_has_a_name_and_shows_no_secret() {
    let impatient = Network {
        timeout: Duration::from_millis(400),
        ..network()
    };
    let cases = [
        (Answer::Silence, "localhost does not answer in time", true),
        (Answer::Half, "localhost does not answer in time", true),
        (Answer::Garbage, "localhost does not speak HTTP", true),
        (Answer::Endless, "localhost does not speak HTTP", true),
        (
            Answer::Status(500, ""),
            "localhost answered with HTTP status 500",
            true,
        ),
        (
            Answer::Status(429, ""),
            "localhost answered with HTTP status 429",
            true,
        ),
        (
            Answer::Status(404, ""),
            "localhost answered with HTTP status 404",
            false,
        ),
        (
            Answer::Status(410, ""),
            "localhost answered with HTTP status 410",
            false,
        ),
    ];
    for (answer, message, is_temporary) in cases {
        let patient = matches!(
            answer,
            Answer::Status(..) | Answer::Garbage | Answer::Endless
        );
        let network = if patient {
            network()
        } else {
            impatient.clone()
        };
        for target in all(&Sink::start(vec![answer.clone()]).url(""), true) {
            let target = settings(target);
            let built = target.build(&network, []).unwrap();
            let error = built.notifier.send(&notification(), now()).unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.is_temporary()),
                (message, is_temporary)
            );
            let shown = format!("{target:?} {built:?} {error:?} {}", error.hint());
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
    let error = send(
        all(&Sink::start(vec![Answer::Reset]).url(""), true).remove(4),
        &network(),
    )
    .unwrap_err();
    assert!(
        matches!(error, NotifyError::Connection { .. }) && error.is_temporary(),
        "{error}"
    );
    let gone = format!("http://127.0.0.1:{}", Sink::closed());
    let error = send(all(&gone, true).remove(4), &network()).unwrap_err();
    let problem = ErrorKind::ConnectionRefused;
    assert_eq!(
        error,
        NotifyError::Connection {
            host: "127.0.0.1".to_owned(),
            problem
        }
    );
    let error = send(all("http://nowhere.invalid", true).remove(0), &network()).unwrap_err();
    assert_eq!(error.to_string(), "nowhere.invalid is not found");
}

#[test]
fn the_other_side_says_when_it_wants_to_hear_again() {
    let cases = [
        (
            "retry-after: 120\r\n",
            Some(RetryAfter::Span(Duration::from_secs(120))),
        ),
        (
            "retry-after: 0.5\r\n",
            Some(RetryAfter::Span(Duration::from_millis(500))),
        ),
        (
            "retry-after: -5\r\n",
            Some(RetryAfter::Span(Duration::ZERO)),
        ),
        (
            "retry-after: 1e300\r\n",
            Some(RetryAfter::Span(Duration::from_secs(86_400))),
        ),
        (
            "retry-after: Sun, 01 Mar 2026 03:00:00 GMT\r\n",
            Some(RetryAfter::Moment("2026-03-01T03:00:00Z".parse().unwrap())),
        ),
        ("retry-after: soon\r\n", None),
        ("", None),
    ];
    for (header, expected) in cases {
        let sink = Sink::start(vec![Answer::Status(503, header)]);
        let error = send(all(&sink.url(""), true).remove(0), &network()).unwrap_err();
        assert_eq!(error.retry_after(), expected, "{header}");
    }
}

#[test]
fn certificates_are_looked_at() {
    let (sink, pem) = Sink::start_with_tls(vec![OK]);
    let trusting = Network {
        roots: Roots::from_pem(pem.as_bytes()).unwrap(),
        ..network()
    };
    let target = all(&sink.url(""), true).remove(0);
    send(target.clone(), &trusting).unwrap();
    assert_eq!(sink.next().line, "POST /s3cret HTTP/1.1");
    let error = send(target, &network()).unwrap_err();
    assert_eq!(
        error,
        NotifyError::Tls {
            host: "localhost".to_owned()
        }
    );
    let other = sink.url("").replace("localhost", "127.0.0.1");
    let error = send(all(&other, true).remove(0), &trusting).unwrap_err();
    assert_eq!(
        error,
        NotifyError::Tls {
            host: "127.0.0.1".to_owned()
        }
    );
    let plain = Sink::start(vec![OK]).url("").replace("http:", "https:");
    let error = send(all(&plain, true).remove(0), &trusting).unwrap_err();
    assert!(
        matches!(
            error,
            NotifyError::Tls { .. } | NotifyError::Connection { .. }
        ),
        "{error}"
    );
    assert!(Roots::from_pem(b"none").is_err());
}

#[test]
fn a_signed_webhook_can_be_checked_by_who_has_the_key() {
    let sink = Sink::start(vec![OK]);
    let target = json!({
        "kind": "webhook", "url": sink.url("/hook?a=b"), "allow_private": true, "secret": "0123456789abcdef-s3cret",
        "headers": {"Authorization": "Bearer s3cret"}, "template": "{\"text\": \"{{title}}\"}",
    });
    send(target, &network()).unwrap();
    let request = sink.next();
    assert_eq!(request.line, "POST /hook?a=b HTTP/1.1");
    assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(request.header("x-keepwatch-timestamp"), Some("1772330585"));
    assert_eq!(
        String::from_utf8(request.body.clone()).unwrap(),
        r#"{"text":"documents <b>failed</b>"}"#
    );
    assert_eq!(
        request.header("x-keepwatch-signature"),
        Some("sha256=a29dbad11c7e2c42045eb2645d18d25454bc7e28b6c3bf3375d6b33eebb9ad7b")
    );
    let bad = [
        ("secret", json!("short")),
        ("template", json!("{")),
        ("headers", json!({"a b": "c"})),
        ("headers", json!({"a": "b\nc"})),
    ];
    for (key, value) in bad {
        let mut target = json!({"kind": "webhook", "url": "https://example.org"});
        target[key] = value;
        let error = settings(target).build(&network(), []).unwrap_err();
        assert!(
            matches!(error, NotifyError::Settings { key: found, .. } if found == key),
            "{error}"
        );
    }
}

#[test]
fn a_heart_beats_for_a_full_success_alone() {
    let sink = Sink::start(vec![OK]);
    for path in ["/uuid", "/uuid/"] {
        let settings = HeartbeatSettings {
            url: secret(&sink.url(path)),
            allow_private: true,
        };
        let heartbeat = Heartbeat::new(&settings, &network()).unwrap();
        heartbeat.start().unwrap();
        assert_eq!(sink.next().line, "POST /uuid/start HTTP/1.1");
    }
    let settings = HeartbeatSettings {
        url: secret(&sink.url("/uuid")),
        allow_private: true,
    };
    let heartbeat = Heartbeat::new(&settings, &network()).unwrap();
    for status in [RunStatus::Running, RunStatus::Partial, RunStatus::Failed] {
        assert_eq!(status.full_success(), None);
    }
    heartbeat
        .success(RunStatus::Success.full_success().unwrap(), "done")
        .unwrap();
    let request = sink.next();
    assert_eq!(
        (&*request.line, &*request.body),
        ("POST /uuid HTTP/1.1", &b"done"[..])
    );
    heartbeat.fail(3, "").unwrap();
    assert_eq!(sink.next().line, "POST /uuid/3 HTTP/1.1");
    heartbeat.fail(0, "").unwrap();
    assert_eq!(sink.next().line, "POST /uuid/fail HTTP/1.1");
    heartbeat
        .log(&format!("{}end", "ü".repeat(100_000)))
        .unwrap();
    let request = sink.next();
    assert_eq!(request.line, "POST /uuid/log HTTP/1.1");
    assert!(request.body.len() <= 100_000 && request.body.ends_with("üend".as_bytes()));
}

#[test]
fn the_desktop_shows_text_and_no_markup() {
    let dir = tempfile::tempdir().unwrap();
    let (program, trace) = (dir.path().join("notify-send"), dir.path().join("trace"));
    let script = format!(
        "#!/bin/sh\nprintf '%s|' \"$@\" >'{}'\nenv >>'{}'\nexit \"${{STATUS:-0}}\"\n",
        trace.display(),
        trace.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let settings = DesktopSettings {
        from: Severity::Warning,
        program,
    };
    let environment = [
        ("PATH", "/usr/bin:/bin"),
        ("KEEPWATCH_PASSWORD", "s3cret"),
        ("XDG_RUNTIME_DIR", "/run/user/1"),
    ];
    let environment = environment.map(|(name, value)| (name.into(), value.into()));
    let desktop = Desktop::new(&settings, environment).unwrap();
    desktop.send(&notification(), now()).unwrap();
    let told = std::fs::read_to_string(&trace).unwrap();
    let expected = "--app-name=Keepwatch|--urgency=critical|--|FAILED: documents <b>failed</b>|No space left on /mnt/disk &amp; more\nsnapshot: none|";
    assert!(
        told.starts_with(expected)
            && told.contains("XDG_RUNTIME_DIR=/run/user/1")
            && !told.contains("s3cret"),
        "{told}"
    );
    let missing = DesktopSettings {
        program: dir.path().join("none"),
        ..settings
    };
    let error = Desktop::new(&missing, [])
        .unwrap()
        .send(&notification(), now())
        .unwrap_err();
    assert_eq!(error.to_string(), "none did not show it: entity not found");
}
