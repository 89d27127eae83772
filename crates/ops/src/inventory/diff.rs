//! What differs between two inventories.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Inventory;

/// The lists of an inventory, each with the fields that tell its entries apart. `machine` is a
/// record whose fields are compared one by one. Secrets are not compared, so that none is shown;
/// neither is what an inventory says about itself.
pub(super) const LISTS: [(&str, &[&str]); 32] = [
    ("machine", &[]),
    ("users", &["name"]),
    ("packages.apt", &["name", "architecture"]),
    ("packages.snap", &["name"]),
    ("packages.flatpak", &["user", "id", "branch"]),
    ("packages.pip", &["user", "python", "name"]),
    ("packages.pipx", &["user", "name"]),
    ("packages.npm", &["user", "name"]),
    ("packages.cargo", &["user", "name"]),
    ("packages.go", &["user", "name"]),
    ("repositories.apt", &["path"]),
    ("repositories.keyrings", &["path"]),
    ("repositories.flatpak", &["user", "name"]),
    ("dotfiles", &["user", "path"]),
    ("services.units", &["scope", "user", "name"]),
    ("services.files", &["user", "path"]),
    ("cron.tables", &["user", "path"]),
    ("cron.scripts", &[]),
    ("cron.timers", &[]),
    ("network.interfaces", &[]),
    ("network.connections", &["name"]),
    ("network.files", &[]),
    ("fonts", &["user", "path"]),
    ("editors.extensions", &["user", "editor", "id"]),
    ("editors.plugins", &["user", "path"]),
    ("containers.images", &["engine", "name"]),
    ("containers.containers", &["engine", "name"]),
    ("containers.compose_files", &["path"]),
    // Not compared:
    ("programs", &[]),
    ("problems", &[]),
    ("secrets", &[]),
    ("taken_at", &[]),
];
const COMPARED: usize = 28;

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is in the second inventory only.
    Added,
    /// It is in the first inventory only.
    Removed,
    /// It is in both, and not the same.
    Changed,
}

/// An entry that is not the same in both inventories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where it is, such as `packages.apt`.
    pub section: &'static str,
    /// What happened to it.
    pub change: ChangeKind,
    /// What tells it apart from others: its name, and where that is not enough, more.
    pub key: Vec<Value>,
    /// Which of its fields are not the same; empty unless it has changed.
    pub fields: Vec<String>,
    /// How it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// How it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What is added, removed and changed from the first to the second, section by section.
pub fn diff(before: &Inventory, after: &Inventory) -> Vec<Difference> {
    let json =
        |inventory: &Inventory| serde_json::to_value(inventory).expect("an inventory is JSON");
    let (before, after) = (json(before), json(after));
    let mut found = Vec::new();
    for &(section, keys) in &LISTS[..COMPARED] {
        let mut old = entries(&before, section, keys);
        let new = entries(&after, section, keys);
        let mut added = Vec::new();
        for (text, (key, value)) in new {
            match old.remove(&text) {
                None => added.push((text, difference(section, key, None, Some(value)))),
                Some((_, was)) if was != value => {
                    added.push((text, difference(section, key, Some(was), Some(value))));
                }
                Some(_) => {}
            }
        }
        let removed = old.into_iter();
        added.extend(
            removed.map(|(text, (key, was))| (text, difference(section, key, Some(was), None))),
        );
        added.sort_by(|a, b| a.0.cmp(&b.0));
        found.extend(added.into_iter().map(|(_, difference)| difference));
    }
    found
}

fn difference(
    section: &'static str,
    key: Vec<Value>,
    before: Option<Value>,
    after: Option<Value>,
) -> Difference {
    let change = match (&before, &after) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    };
    let fields = match (&before, &after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => changed(before, after),
        _ => Vec::new(),
    };
    Difference {
        section,
        change,
        key,
        fields,
        before,
        after,
    }
}

/// The names of the fields that differ, `a.b` where `a` is a record itself.
fn changed(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for (field, value) in after {
        match (before.get(field), value) {
            (Some(was), value) if was == value => {}
            (Some(Value::Object(was)), Value::Object(is)) if !was.contains_key("hex") => {
                let inner = changed(was, is).into_iter();
                found.extend(inner.map(|inner| format!("{field}.{inner}")));
            }
            _ => found.push(field.clone()),
        }
    }
    found
}

type Entries = BTreeMap<String, (Vec<Value>, Value)>;

/// Entries by what tells them apart. The same several times, which a list should not have, is
/// numbered, so that none is lost.
fn entries(inventory: &Value, section: &str, keys: &[&str]) -> Entries {
    let pointer = format!("/{}", section.replace('.', "/"));
    let mut found = Entries::new();
    let mut add = |key: Vec<Value>, value: Value| {
        let text = serde_json::to_string(&key).expect("JSON is JSON");
        let mut name = text.clone();
        let mut count = 1;
        while found.contains_key(&name) {
            count += 1;
            name = format!("{text}#{count}");
        }
        found.insert(name, (key, value));
    };
    match inventory.pointer(&pointer) {
        Some(Value::Array(list)) => {
            for entry in list {
                let key = match keys {
                    [] => vec![entry.clone()],
                    keys => keys.iter().map(|key| entry[*key].clone()).collect(),
                };
                add(key, entry.clone());
            }
        }
        Some(Value::Object(record)) => {
            for (field, value) in record.iter().filter(|(_, value)| !value.is_null()) {
                add(vec![field.as_str().into()], value.clone());
            }
        }
        _ => {}
    }
    found
}
