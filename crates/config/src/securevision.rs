//! The variables of SecureVision, read so that a change needs no new set-up at once.
//!
//! As there, a name may be in capitals or not, and a group of settings may be given as a JSON object,
//! over which the variable of a single setting goes.

mod recognition;
mod values;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::merge::set;
use values::{any_text, days, number};

const PREFIX: &str = "SECUREVISION__";

/// Groups of settings, which may be given as JSON.
const GROUPS: [&str; 11] = [
    "API",
    "EVENTS",
    "FACE",
    "PLATES",
    "PLATES__DETECTOR",
    "PLATES__OCR",
    "PLATES__POSTPROCESS",
    "PLATES__ROI",
    "TRACKING",
    "VIDEO",
    "VIDEO__SOURCE",
];

/// What makes a value of a text; none if it cannot be used.
type Reader = fn(&str) -> Option<Value>;

/// What has become of a setting.
#[derive(Clone, Copy)]
enum Now {
    /// It is a key, which is called so.
    Key(&'static str, Reader),
    /// It is part of one.
    Part(&'static str),
    /// It is none, and why.
    NotRead(&'static str),
}

/// Of the camera, the store and the rest.
fn rule(name: &str) -> Option<Now> {
    Some(match name {
        "VIDEO__FPS_TARGET" => Now::Key("cameras.camera.fps_target", number),
        "VIDEO__READ_TIMEOUT_S" => Now::Key("cameras.camera.read_timeout", number),
        "VIDEO__RECONNECT_INTERVAL_S" => Now::Key("cameras.camera.retry_first", number),
        "VIDEO__SOURCE__TYPE" | "VIDEO__SOURCE__URL" | "VIDEO__SOURCE__DEVICE_INDEX" => {
            Now::Part("cameras.camera.url")
        }
        "VIDEO__SOURCE__BACKEND" => Now::NotRead("GStreamer is the only backend"),
        "VIDEO__FRAME_RESIZE" => Now::NotRead(
            "motion is looked for in small pictures (cameras.camera.analysis_size), faces and \
             plates in those of the camera",
        ),
        "VIDEO__ROTATE_180" => Now::NotRead("have the camera turn its picture"),
        "VIDEO__ONVIF_DISCOVERY_ENABLED" => {
            Now::NotRead("keepwatch camera discover looks for cameras")
        }
        "EVENTS__RETENTION_DAYS" => Now::Key("retention.events", days),
        "EVENTS__DB_URL" => Now::NotRead("the store is given by store.path"),
        "TESSERACT_CMD" => Now::NotRead("Tesseract is part of the program"),
        "API__HOST" | "API__PORT" => Now::Part("server.listen"),
        "API__AUTH_TOKEN" => Now::Key("server.auth_token", any_text),
        "API__WS_ENABLED" => Now::NotRead("the stream of events is always there"),
        _ => return None,
    })
}

/// What is made of the variables: the tables of a file, and what is to be said.
struct Made {
    table: Table,
    notices: Vec<String>,
}

/// The variables by their names in capitals, without the prefix.
type Variables = BTreeMap<String, String>;

/// What the variables say, as the tables of a file, and a notice for each. `given` is what goes
/// before them.
pub(crate) fn settings(
    environment: &BTreeMap<String, String>,
    given: &Table,
) -> Result<(Table, Vec<String>)> {
    let ours = ours(environment)?;
    let mut made = Made {
        table: Table::new(),
        notices: Vec::new(),
    };
    for (name, text) in &ours {
        let rule = recognition::rule(name, &ours, given).or_else(|| rule(name));
        made.take(name, text, rule)?;
    }
    recognition::finish(&ours, given, &mut made);
    if let Some(url) = source(&ours) {
        made.put("cameras.camera.url", values::text(&url));
    }
    if let Some(address) = listen(&ours)? {
        made.put("server.listen", Value::Array(vec![Value::String(address)]));
    }
    Ok((made.table, made.notices))
}

impl Made {
    fn take(&mut self, name: &str, text: &str, rule: Option<Now>) -> Result<()> {
        let told = match rule {
            Some(Now::Key(key, read)) => {
                let value = read(text).ok_or_else(|| unusable(name))?;
                self.put(key, value);
                format!("is called {key} now")
            }
            Some(Now::Part(key)) => format!("is part of {key} now"),
            Some(Now::NotRead(reason)) => format!("is not read: {reason}"),
            None => "is not read: there is no such setting".to_owned(),
        };
        self.notices.push(format!("{PREFIX}{name} {told}"));
        Ok(())
    }

    fn put(&mut self, path: &str, value: Value) {
        let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
        set(&mut self.table, &keys, value).expect("the paths of this module lead to values");
    }
}

fn unusable(name: &str) -> Error {
    Error::Value {
        problem: format!("the variable {PREFIX}{name} has no value that can be used"),
        similar: None,
    }
}

/// The variables, one for each setting.
fn ours(environment: &BTreeMap<String, String>) -> Result<Variables> {
    let mut groups: Vec<(String, &str)> = Vec::new();
    let mut ours = Variables::new();
    for (name, text) in environment {
        let name = name.to_ascii_uppercase();
        let Some(name) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if GROUPS.contains(&name) {
            groups.push((name.to_owned(), text));
        } else {
            ours.insert(name.to_owned(), text.clone());
        }
    }
    // A group within a group goes before that.
    groups.sort_by_key(|(name, _)| std::cmp::Reverse(name.matches("__").count()));
    for (name, text) in groups {
        let group: serde_json::Value = serde_json::from_str(text).map_err(|_| unusable(&name))?;
        if !group.is_object() {
            return Err(unusable(&name));
        }
        flatten(&name, &group, &mut ours);
    }
    Ok(ours)
}

fn flatten(name: &str, value: &serde_json::Value, ours: &mut Variables) {
    let text = match value {
        serde_json::Value::Object(group) => {
            for (key, value) in group {
                flatten(
                    &format!("{name}__{}", key.to_ascii_uppercase()),
                    value,
                    ours,
                );
            }
            return;
        }
        // As if it were not there.
        serde_json::Value::Null => return,
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    ours.entry(name.to_owned()).or_insert(text);
}

/// Where the server listens, if it is said.
fn listen(ours: &Variables) -> Result<Option<String>> {
    let (host, port) = (ours.get("API__HOST"), ours.get("API__PORT"));
    if host.is_none() && port.is_none() {
        return Ok(None);
    }
    let host = match host.map(|host| host.trim()) {
        None | Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(host) => host.parse().map_err(|_| unusable("API__HOST"))?,
    };
    let port = port.map_or("8000", |port| port.trim());
    let port = port.parse().map_err(|_| unusable("API__PORT"))?;
    Ok(Some(SocketAddr::new(host, port).to_string()))
}

/// The camera, if one is set at all.
fn source(ours: &Variables) -> Option<String> {
    let part = |name: &str| {
        let text = ours.get(name).map(String::as_str);
        text.filter(|text| !text.trim().is_empty())
    };
    let url = part("VIDEO__SOURCE__URL");
    let index = part("VIDEO__SOURCE__DEVICE_INDEX");
    match part("VIDEO__SOURCE__TYPE") {
        Some("device") => Some(format!("device:/dev/video{}", index.unwrap_or("0"))),
        _ => url.map(str::to_owned),
    }
}
