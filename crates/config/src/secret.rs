//! Secrets by reference.

use std::collections::BTreeMap;

use toml::{Table, Value};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// User and password of each camera that has them apart from its address.
pub(crate) type Credentials = BTreeMap<String, (Zeroizing<String>, Zeroizing<String>)>;

/// Replaces `${VAR}` and `$$` in all texts.
pub(crate) fn expand(table: &mut Table, environment: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in table.iter_mut() {
        expand_value(key, value, environment)?;
    }
    Ok(())
}

fn expand_value(
    key: &str,
    value: &mut Value,
    environment: &BTreeMap<String, String>,
) -> Result<()> {
    match value {
        Value::String(text) => *text = expand_text(key, text, environment)?,
        Value::Table(table) => expand(table, environment)?,
        Value::Array(values) => {
            for value in values {
                expand_value(key, value, environment)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn expand_text(key: &str, text: &str, environment: &BTreeMap<String, String>) -> Result<String> {
    let bad = || Error::Reference {
        key: key.to_owned(),
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let name = rest.strip_prefix('{').ok_or_else(bad)?;
        let end = name.find('}').ok_or_else(bad)?;
        let (name, after) = (&name[..end], &name[end + 1..]);
        let value = environment.get(name).ok_or_else(|| Error::NoVariable {
            name: name.to_owned(),
        })?;
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Takes `user` and `password` out of the tables of cameras.
pub(crate) fn take_credentials(
    table: &mut Table,
    read: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<Credentials> {
    let mut all = Credentials::new();
    let Some(cameras) = table.get_mut("cameras").and_then(Value::as_table_mut) else {
        return Ok(all);
    };
    for (name, camera) in cameras.iter_mut() {
        let Some(camera) = camera.as_table_mut() else {
            continue;
        };
        let mut take = |what: &'static str| -> Result<Option<Zeroizing<String>>> {
            match camera.remove(what) {
                None => Ok(None),
                Some(Value::String(text)) => {
                    from_file(what, &format!("camera {name}"), text, read).map(Some)
                }
                Some(_) => Err(Error::Camera {
                    camera: name.clone(),
                    problem: format!("{what} is no text"),
                }),
            }
        };
        let (user, password) = (take("user")?, take("password")?);
        if user.is_some() || password.is_some() {
            let pair = (user.unwrap_or_default(), password.unwrap_or_default());
            all.insert(name.clone(), pair);
        }
    }
    Ok(all)
}

/// Where a secret may stand as `file:PATH`, and how it is called. A `*` is any name, or any entry
/// of a list.
const SECRETS: [(&[&str], &str); 11] = [
    (&["store", "path"], "path"),
    (&["server", "auth_token"], "auth_token"),
    (&["repositories", "*", "password"], "password"),
    (&["repositories", "*", "remote", "password"], "password"),
    (&["databases", "*", "password"], "password"),
    (&["databases", "*", "environment", "*"], "environment"),
    // Addresses, tokens, passwords: what is a secret depends on whom is told.
    (&["notify", "*", "*"], "settings"),
    (&["notify", "*", "headers", "*"], "headers"),
    (&["jobs", "*", "heartbeat", "url"], "url"),
    (
        &["jobs", "*", "hooks", "*", "*", "environment", "*"],
        "environment",
    ),
    (&["jobs", "*", "tailscale", "auth_key"], "auth_key"),
];

/// Reads the secrets that are in files, but those of cameras.
pub(crate) fn read_files(
    table: &mut Table,
    read: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<()> {
    let mut all = Value::Table(std::mem::take(table));
    for (path, what) in SECRETS {
        read_file(&mut all, path, what, "", read)?;
    }
    if let Value::Table(all) = all {
        *table = all;
    }
    Ok(())
}

/// `of` is the way to where `at` stands.
fn read_file(
    at: &mut Value,
    path: &[&str],
    what: &'static str,
    of: &str,
    read: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<()> {
    let Some((name, rest)) = path.split_first() else {
        if let Value::String(text) = at {
            *text = from_file(what, of, std::mem::take(text), read)?.to_string();
        }
        return Ok(());
    };
    let named = |key: &str| match (of, rest.is_empty()) {
        // The last part is told by `what`.
        (_, true) => of.to_owned(),
        ("", false) => key.to_owned(),
        (of, false) => format!("{of}.{key}"),
    };
    match at {
        Value::Table(table) => table
            .iter_mut()
            .filter(|(key, _)| *name == "*" || name == key)
            .try_for_each(|(key, value)| read_file(value, rest, what, &named(key), read)),
        Value::Array(values) if *name == "*" => values
            .iter_mut()
            .try_for_each(|value| read_file(value, rest, what, of, read)),
        _ => Ok(()),
    }
}

fn from_file(
    what: &'static str,
    of: &str,
    text: String,
    read: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<Zeroizing<String>> {
    let Some(path) = text.strip_prefix("file:") else {
        return Ok(Zeroizing::new(text));
    };
    let contents = read(path).map_err(|error| Error::SecretFile {
        what,
        of: of.to_owned(),
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    let contents = Zeroizing::new(contents);
    let line = contents.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}
