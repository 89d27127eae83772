//! Mail by a real server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command};

use jiff::Timestamp;
use keepwatch_ops::notify::{Network, Notification, NotifyError, Roots, Severity};
use serde_json::{Value, json};

use crate::port::{Server, free_port};
use crate::{network, notification, settings};

struct Mail {
    port: u16,
    pem: String,
    told: BufReader<ChildStdout>,
    _server: Server,
    _dir: tempfile::TempDir,
}

impl Mail {
    fn start(how: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (dir.path().join("certificate"), dir.path().join("key"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notify/smtp_sink.py");
        // That of Debian, of which the package is a part.
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(script)
            .arg(port.to_string())
            .args([&certificate, &key])
            .arg(how);
        let (server, told) = Server::start_with_output(&mut command, "python3-aiosmtpd", port);
        Self {
            port,
            pem: made.cert.pem(),
            told: BufReader::new(told),
            _server: server,
            _dir: dir,
        }
    }

    fn network(&self) -> Network {
        Network {
            roots: Roots::from_pem(self.pem.as_bytes()).unwrap(),
            ..network()
        }
    }

    fn target(&self, security: &str) -> Value {
        let mut target = json!({
            "kind": "smtp", "host": "localhost", "port": self.port, "security": security, "allow_private": true,
            "sender": "Keepwatch <keepwatch@example.org>", "receivers": ["me@example.org", "you@example.org"],
        });
        if security != "none" {
            target["user"] = "me".into();
            target["password"] = "s3cret".into();
        }
        target
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn send(target: &Value, network: &Network, told: &Notification) -> Result<(), NotifyError> {
    let now: Timestamp = "2026-03-01T02:03:05Z".parse().unwrap();
    let target = settings(target.clone()).build(network, []).unwrap();
    target.notifier.send(told, now)
}

#[test]
fn mail_goes_out_encrypted_from_the_beginning_or_after_starttls() {
    for security in ["tls", "starttls"] {
        let mut mail = Mail::start(security);
        send(&mail.target(security), &mail.network(), &notification()).unwrap();
        let told = mail.next();
        assert_eq!(
            (&told["encrypted"], &told["user"]),
            (&json!(true), &json!("me"))
        );
        assert_eq!(told["from"], "keepwatch@example.org");
        assert_eq!(told["to"], json!(["me@example.org", "you@example.org"]));
        let data = told["data"].as_str().unwrap().replace("=\r\n", "");
        let headers = data.split_once("\r\n\r\n").unwrap().0;
        assert!(
            headers.contains("Subject: FAILED: documents <b>failed</b>\r\n"),
            "{headers}"
        );
        assert!(
            headers.contains("Auto-Submitted: auto-generated"),
            "{headers}"
        );
        assert!(
            headers.contains("Date: Sun, 01 Mar 2026 02:03:04 +0000"),
            "{headers}"
        );
        assert!(data.contains("text/plain") && data.contains("No space left on /mnt/disk & more"));
        assert!(
            data.contains("text/html") && data.contains("No space left on /mnt/disk &amp; more")
        );
        assert!(
            data.contains("FAILED: documents &lt;b&gt;failed&lt;/b&gt;"),
            "{data}"
        );
    }
}

#[test]
fn no_name_of_a_job_adds_a_header_or_ends_the_message() {
    let mut mail = Mail::start("starttls");
    let told = Notification {
        severity: Severity::Critical,
        title: "x\r\nBcc: thief@example.org\r\n\r\nbody \u{202e}ü".to_owned(),
        text: "a\r\n.\r\nMAIL FROM:<x@example.org>\r\nb".to_owned(),
        ..notification()
    };
    send(&mail.target("starttls"), &mail.network(), &told).unwrap();
    let told = mail.next();
    assert_eq!(told["to"], json!(["me@example.org", "you@example.org"]));
    let headers = told["data"]
        .as_str()
        .unwrap()
        .split_once("\r\n\r\n")
        .unwrap()
        .0
        .to_owned();
    assert!(
        headers.lines().all(|line| !line.starts_with("Bcc")),
        "{headers}"
    );
    assert!(
        told["data"]
            .as_str()
            .unwrap()
            .contains("MAIL FROM:<x@example.org>")
    );
}

#[test]
fn a_certificate_of_nobody_a_wrong_password_and_a_server_without_tls_are_refused() {
    let mail = Mail::start("starttls");
    let error = send(&mail.target("starttls"), &network(), &notification()).unwrap_err();
    assert_eq!(
        error,
        NotifyError::Tls {
            host: "localhost".to_owned()
        }
    );
    let mut wrong = mail.target("starttls");
    wrong["password"] = "s3cret-wrong".into();
    let error = send(&wrong, &mail.network(), &notification()).unwrap_err();
    assert!(
        matches!(
            error,
            NotifyError::Refused {
                code: 535,
                temporary: false,
                ..
            }
        ),
        "{error}"
    );
    assert!(!format!("{error:?} {error} {:?}", settings(wrong)).contains("s3cret"));
    let mut kept_out = mail.target("starttls");
    kept_out["allow_private"] = false.into();
    let error = send(&kept_out, &mail.network(), &notification()).unwrap_err();
    assert_eq!(
        error,
        NotifyError::Private {
            host: "localhost".to_owned()
        }
    );
    // The password is not sent where STARTTLS is not offered.
    let plain = Mail::start("none");
    let error = send(&plain.target("starttls"), &plain.network(), &notification()).unwrap_err();
    assert!(
        matches!(
            error,
            NotifyError::Protocol { .. } | NotifyError::Tls { .. }
        ),
        "{error}"
    );
}

#[test]
fn what_the_server_says_no_to_is_told_apart_and_its_words_are_not_repeated() {
    for (how, code, temporary) in [("refuse", 550, false), ("busy", 451, true)] {
        let mail = Mail::start(how);
        let error = send(&mail.target("starttls"), &mail.network(), &notification()).unwrap_err();
        let host = "localhost".to_owned();
        assert_eq!(
            error,
            NotifyError::Refused {
                host,
                protocol: "SMTP",
                code,
                temporary
            }
        );
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}

#[test]
fn mail_to_this_machine_may_go_without_encryption_and_a_password_may_not() {
    let mut mail = Mail::start("none");
    send(&mail.target("none"), &network(), &notification()).unwrap();
    assert_eq!(mail.next()["encrypted"], false);
    let mut with_password = mail.target("none");
    with_password["user"] = "me".into();
    with_password["password"] = "s3cret".into();
    let refused = settings(with_password).build(&network(), []).unwrap_err();
    assert!(
        matches!(
            refused,
            NotifyError::Settings {
                key: "security",
                ..
            }
        ),
        "{refused}"
    );
    let mut far = mail.target("none");
    far["host"] = "192.0.2.1".into();
    let refused = send(&far, &network(), &notification()).unwrap_err();
    assert!(
        matches!(
            refused,
            NotifyError::Settings {
                key: "security",
                ..
            }
        ),
        "{refused}"
    );
    for (key, value) in [
        ("sender", json!("nobody")),
        ("receivers", json!([])),
        ("receivers", json!(["a\r\nb@c"])),
        ("host", json!("")),
    ] {
        let mut bad = mail.target("tls");
        bad[key] = value;
        let refused = settings(bad).build(&network(), []).unwrap_err();
        assert!(
            matches!(refused, NotifyError::Settings { key: found, .. } if found == key),
            "{refused}"
        );
    }
}
