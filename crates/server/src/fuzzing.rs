//! Entry points for the fuzz targets: each takes bytes that somebody may send to the server.
//!
//! Beside *no crash* each checks what must hold of what is accepted.

use axum::http::header::{AUTHORIZATION, COOKIE, HeaderName, RANGE};
use axum::http::{HeaderMap, HeaderValue, Uri};
use keepwatch_core::jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::accounts::Secret;
use crate::cameras::{merge, parse, to_value, together};
use crate::extract::{query, time};
use crate::login::{bearer, cookie_of, forwarded, is_this_machine, ticket_of};
use crate::media::{Asked, asked};
use crate::routes::follow::{Asked as Followed, last_heard};
use crate::routes::vault::{name_of, shown};

/// Headers with one of this name, if it can be sent at all.
fn with(name: HeaderName, value: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
    headers
}

/// The length of a file, and a range of it.
pub fn range(bytes: &[u8]) {
    let Some((len, value)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let len = u64::from_le_bytes(*len);
    for len in [len, len % 1000, 0] {
        if let Asked::Part(part) = asked(&with(RANGE, value), len) {
            assert!(part.start() <= part.end() && *part.end() < len, "{part:?}");
        }
    }
}

/// A name of a file, whatever bytes it is of; and a text that is to be one.
pub fn names(bytes: &[u8]) {
    let text = shown(bytes);
    assert_eq!(name_of(&text), bytes, "{text}");
    if let Ok(text) = std::str::from_utf8(bytes) {
        let name = name_of(text);
        assert_eq!(name_of(&shown(&name)), name);
    }
}

/// Settings of a camera, and what is changed of them one after the other.
pub fn patches(bytes: &[u8]) {
    let Ok(Value::Array(values)) = serde_json::from_slice(bytes) else {
        return;
    };
    let Some((base, patches)) = values.split_first() else {
        return;
    };
    // As settings are: an object, changed by objects.
    if base.is_object() && patches.iter().all(Value::is_object) {
        let (mut changes, mut wanted) = (json!({}), base.clone());
        for patch in patches {
            merge(&mut wanted, patch);
            let (new, merged) = together(base, changes, patch);
            assert_eq!(merged, wanted);
            let mut again = base.clone();
            merge(&mut again, &new);
            assert_eq!(again, wanted, "{new}");
            changes = new;
        }
    }
    for value in &values {
        if let Ok(settings) = parse(value) {
            let again = parse(&to_value(&settings)).expect("what was read can be read again");
            assert_eq!(again, settings);
        }
    }
}

/// What a request says of who asks, line by line.
pub fn credentials(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        for name in ["keepwatch", "__Host-keepwatch"] {
            if let Some(secret) = cookie_of(&with(COOKIE, line), name) {
                unseen(&secret);
            }
        }
        let headers = with(AUTHORIZATION, line);
        let value = headers.get(AUTHORIZATION);
        if let Some(token) = value.and_then(|value| bearer(value.to_str().ok()?)) {
            assert_eq!(token, token.trim());
            unseen(&Secret::given(token));
        }
        let _ = forwarded(&with(HeaderName::from_static("x-forwarded-for"), line));
        let Ok(text) = std::str::from_utf8(line) else {
            continue;
        };
        if let Ok(uri) = text.parse::<Uri>()
            && let Some(ticket) = ticket_of(&uri)
        {
            assert!(!ticket.contains('&'), "{ticket}");
        }
        // Names of elsewhere stay elsewhere, whatever stands before them.
        assert!(
            !is_this_machine(&format!("{}.example", host(text))),
            "{text}"
        );
    }
}

/// What may stand before a dot in the name of a host.
fn host(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '.')
        .collect()
}

fn unseen(secret: &Secret) {
    assert!(secret.is(secret.expose()));
    assert_eq!(format!("{secret:?}"), "Secret(…)");
}

/// Where a stream is to go on, by a header and after the question mark.
pub fn follow(bytes: &[u8]) {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Since {
        #[serde(deserialize_with = "time")]
        since: Option<Timestamp>,
    }
    let headers = with(HeaderName::from_static("last-event-id"), bytes);
    if let Ok(Some(number)) = last_heard(&headers) {
        let again = with(
            HeaderName::from_static("last-event-id"),
            number.to_string().as_bytes(),
        );
        assert_eq!(last_heard(&again).ok().flatten(), Some(number));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = query::<Followed>(text);
    if let Ok(Since { since: Some(at) }) = query::<Since>(text) {
        let again = query::<Since>(&format!("since={}", at.as_millisecond()));
        let again = again.ok().and_then(|again| again.since);
        assert_eq!(
            again.map(|at| at.as_millisecond()),
            Some(at.as_millisecond())
        );
    }
}
