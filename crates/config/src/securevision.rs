//! The variables of SecureVision, read so that a change needs no new set-up at once.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::merge::set;

const PREFIX: &str = "SECUREVISION__";

/// The name of its only camera.
const CAMERA: &str = "camera";

/// A variable that sets one key: what it is called here, and what makes a value of the text.
type Key = (&'static str, &'static str, fn(&str) -> Option<Value>);

const KEYS: [Key; 4] = [
    ("VIDEO__FPS_TARGET", "cameras.camera.fps_target", number),
    (
        "VIDEO__READ_TIMEOUT_S",
        "cameras.camera.read_timeout",
        number,
    ),
    (
        "VIDEO__RECONNECT_INTERVAL_S",
        "cameras.camera.retry_first",
        number,
    ),
    ("EVENTS__RETENTION_DAYS", "retention.events", days),
];

/// Parts that this version has no settings for, and why.
const NOT_READ: [(&str, &str); 6] = [
    ("VIDEO__SOURCE__BACKEND", "GStreamer is the only backend"),
    ("VIDEO__", "there is no such setting"),
    ("EVENTS__DB_URL", "the store is given by store.path"),
    ("TRACKING__", "tracking needs no settings"),
    ("FACE__", "there is no such setting"),
    ("", "there is no such setting"),
];

/// What the variables say, as the tables of a file, and a notice for each.
pub(crate) fn settings(environment: &BTreeMap<String, String>) -> Result<(Table, Vec<String>)> {
    let mut table = Table::new();
    let mut notices = Vec::new();
    let ours: BTreeMap<&str, &str> = environment
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_str())))
        .collect();
    let url = source(&ours);
    for (name, text) in &ours {
        let known = KEYS.iter().find(|(known, ..)| known == name);
        let told = if let Some((_, key, value)) = known {
            let value = value(text).ok_or_else(|| Error::Value {
                problem: format!("the variable {PREFIX}{name} has no value that can be used"),
                similar: None,
            })?;
            put(&mut table, key, value);
            format!("{PREFIX}{name} is called {key} now")
        } else if name.starts_with("VIDEO__SOURCE__") && !name.ends_with("BACKEND") {
            format!("{PREFIX}{name} is part of cameras.{CAMERA}.url now")
        } else {
            let reason = NOT_READ.iter().find(|(part, _)| name.starts_with(part));
            let reason = reason.map_or("", |(_, reason)| reason);
            format!("{PREFIX}{name} is not read: {reason}")
        };
        notices.push(told);
    }
    if let Some(url) = url {
        // A dollar sign was nothing special there.
        let url = url.replace('$', "$$");
        put(
            &mut table,
            &format!("cameras.{CAMERA}.url"),
            Value::String(url),
        );
    }
    Ok((table, notices))
}

/// The camera, if one is set at all.
fn source(ours: &BTreeMap<&str, &str>) -> Option<String> {
    let part = |name: &str| {
        ours.get(name)
            .copied()
            .filter(|text| !text.trim().is_empty())
    };
    let url = part("VIDEO__SOURCE__URL");
    let index = part("VIDEO__SOURCE__DEVICE_INDEX");
    match part("VIDEO__SOURCE__TYPE") {
        Some("device") => Some(format!("device:/dev/video{}", index.unwrap_or("0"))),
        _ => url.map(str::to_owned),
    }
}

fn put(table: &mut Table, path: &str, value: Value) {
    let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
    set(table, &keys, value).expect("the paths of this file lead to values");
}

fn number(text: &str) -> Option<Value> {
    text.trim().parse().ok().map(Value::Float)
}

fn days(text: &str) -> Option<Value> {
    let days: u32 = text.trim().parse().ok()?;
    Some(Value::String(format!("{days}d")))
}
