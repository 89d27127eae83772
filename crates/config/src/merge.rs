//! Values from several places, the later over the earlier.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::error::{Error, Result};

const PREFIX: &str = "KEEPWATCH__";

/// Puts `over` onto `table`, table by table.
pub(crate) fn onto(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(over)) => onto(below, over),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// Puts `KEEPWATCH__SECTION__KEY` variables onto the table. A value is TOML if it can be, and text
/// otherwise; a user, password or token is text whatever it looks like, and refers to nothing but a file.
pub(crate) fn overrides(table: &mut Table, environment: &BTreeMap<String, String>) -> Result<()> {
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let keys: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let value = match keys.as_slice() {
            keys if is_secret(keys) => Value::String(text.replace('$', "$$")),
            _ => toml::from_str::<Table>(&format!("value = {text}"))
                .ok()
                .and_then(|mut table| table.remove("value"))
                .unwrap_or_else(|| Value::String(text.clone())),
        };
        set(table, &keys, value).ok_or_else(|| Error::Value {
            problem: format!("the variable {name} names no key"),
            similar: None,
        })?;
    }
    Ok(())
}

fn is_secret(keys: &[String]) -> bool {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    matches!(
        keys.as_slice(),
        ["cameras", _, "user" | "password"]
            | ["repositories", _, "password"]
            | ["repositories", _, "remote", "password"]
            | ["server", "auth_token"]
            | ["store", "path"]
    )
}

/// Sets a value, making the tables that lead to it.
pub(crate) fn set(table: &mut Table, keys: &[String], value: Value) -> Option<()> {
    let (last, tables) = keys.split_last()?;
    if keys.iter().any(String::is_empty) {
        return None;
    }
    let mut at = table;
    for key in tables {
        let below = at
            .entry(key.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        at = below.as_table_mut()?;
    }
    at.insert(last.clone(), value);
    Some(())
}
