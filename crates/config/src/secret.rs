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

/// Reads the secrets of the store, of the server and of repositories that are in files.
pub(crate) fn read_files(
    table: &mut Table,
    read: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<()> {
    let replace = |at: Option<&mut Value>, what: &'static str, of: &str| -> Result<()> {
        if let Some(Value::String(text)) = at {
            *text = from_file(what, of, std::mem::take(text), read)?.to_string();
        }
        Ok(())
    };
    if let Some(store) = table.get_mut("store").and_then(Value::as_table_mut) {
        replace(store.get_mut("path"), "path", "the store")?;
    }
    if let Some(server) = table.get_mut("server").and_then(Value::as_table_mut) {
        replace(server.get_mut("auth_token"), "auth_token", "the server")?;
    }
    let repositories = table.get_mut("repositories").and_then(Value::as_table_mut);
    for (name, repository) in repositories.into_iter().flatten() {
        let of = format!("repository {name}");
        replace(repository.get_mut("password"), "password", &of)?;
        if let Some(remote) = repository.get_mut("remote").and_then(Value::as_table_mut) {
            replace(remote.get_mut("password"), "remote.password", &of)?;
        }
    }
    Ok(())
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
