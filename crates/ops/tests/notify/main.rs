//! Who hears of a run, told by real servers on the loopback interface.

#![allow(clippy::unwrap_used)] // A test may panic.

mod broker;
mod dispatch;
mod http;
mod live;
mod mail;
mod port;
mod sink;

use std::time::Duration;

use keepwatch_core::SecretText;
use keepwatch_ops::notify::{Network, Notification, Roots, Severity, TargetSettings};

/// Nothing that is told may come from a test that waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

fn network() -> Network {
    Network {
        roots: Roots::system(),
        timeout: PATIENCE,
    }
}

fn notification() -> Notification {
    Notification {
        severity: Severity::Failure,
        job: "documents".to_owned(),
        title: "documents <b>failed</b>".to_owned(),
        text: "No space left on /mnt/disk & more".to_owned(),
        facts: vec![("snapshot".to_owned(), "none".to_owned())],
        time: "2026-03-01T02:03:04Z".parse().unwrap(),
        key: "documents failed".to_owned(),
    }
}

fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn settings(value: serde_json::Value) -> TargetSettings {
    serde_json::from_value(value).unwrap()
}
