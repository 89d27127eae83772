//! What the fuzz targets need of what is private here.

use std::time::Duration;

use serde_json::Value;

use super::mqtt::talk_to;
use super::{MqttSettings, Notification, RetryAfter, http, text, webhook};

/// A text as each medium shows it.
pub(crate) fn bodies(told: &Notification) {
    let told = told.bounded();
    assert!(!told.title.contains(|c: char| c.is_control()));
    for body in [
        webhook::slack_body(&told),
        webhook::discord_body(&told),
        webhook::teams_body(&told),
        webhook::told_as_json(&told),
    ] {
        assert!(body.to_string().len() < 256 * 1024);
    }
    assert!(webhook::teams_body(&told).to_string().len() < 28_000);
    assert!(!text::slack(&told.text).contains(['<', '>']));
    assert!(!text::html(&told.text).contains(['<', '>', '"', '\'']));
    for most in [1, 10, 100] {
        assert!(text::utf16(&text::fit(&told.text, most, text::discord, text::utf16)) <= most);
    }
}

/// What is put into a template stays in its strings.
pub(crate) fn template(template: &Value, told: &Notification) {
    let mut filled = template.clone();
    webhook::fill(&mut filled, &told.bounded());
    assert!(is_alike(template, &filled));
}

fn is_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(_), Value::String(_)) => true,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.keys().eq(other.keys())
                && one
                    .values()
                    .zip(other.values())
                    .all(|(one, other)| is_alike(one, other))
        }
        (one, other) => one == other,
    }
}

pub(crate) fn retry_after(text: &str) {
    if let Some(RetryAfter::Span(span)) = http::retry_after(text) {
        assert!(span <= Duration::from_secs(24 * 3600));
    }
}

/// Nothing but the three acknowledgements in their order is taken for success.
pub(crate) fn broker(bytes: &[u8]) {
    let settings: MqttSettings =
        serde_json::from_str(r#"{"host":"broker"}"#).expect("these are settings");
    if talk_to(&settings, bytes).is_ok() {
        assert!(
            matches!(bytes, [0x20, 2, _, 0, 0x40, 2, 0, 1, 0xd0, 0, ..]),
            "{bytes:?}"
        );
    }
}
