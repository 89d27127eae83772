//! What a pipeline is told to watch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keepwatch_config::{Config, Table};
use keepwatch_core::events::check_camera_name;
use keepwatch_vision::CameraSettings;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use serde_json::Value;

use super::settings::Url;
use crate::errors::{Raise, Result, wrong_type};

/// Variables that set parts of a configuration. A dictionary counts alone.
const OVERRIDES: [&str; 2] = ["KEEPWATCH__", "SECUREVISION__"];

/// Reads the path of a configuration file, what such a file holds, or addresses of cameras by name,
/// and warns of what is to be said of it. Paths in a file begin where it is.
pub fn load(config: &Bound<'_, PyAny>) -> Result<Config> {
    let read = |path: &str| std::fs::read_to_string(path);
    let warn = |notices: Vec<String>| -> PyResult<()> {
        for notice in notices {
            let warnings = config.py().import("warnings")?;
            warnings.call_method1("warn", (notice,))?;
        }
        Ok(())
    };
    if let Ok(path) = config.extract::<PathBuf>() {
        let text = std::fs::read_to_string(&path).map_err(Raise::file("read", &path))?;
        let mut loaded = Config::load(Some(&text), &environment(), &read)?;
        warn(loaded.notices)?;
        if let Some(folder) = path.parent() {
            loaded.config.place(folder);
        }
        return Ok(loaded.config);
    }
    let Ok(mapping) = config.cast::<PyMapping>() else {
        return Err(Raise::Python(wrong_type(
            "config: the path of a configuration file, or a dictionary, is needed",
        )));
    };
    let values = PyDict::new(config.py());
    values.update(mapping)?;
    if let Some(cameras) = addresses(&values)? {
        return Ok(Config {
            cameras,
            ..Config::default()
        });
    }
    let mut variables = environment();
    variables.retain(|name, _| !OVERRIDES.iter().any(|prefix| name.starts_with(prefix)));
    let loaded = Config::load_table(table(&values)?, &variables, &read)?;
    warn(loaded.notices)?;
    Ok(loaded.config)
}

fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Cameras, if each value is an address or a path: no configuration has only those.
fn addresses(values: &Bound<'_, PyDict>) -> Result<Option<BTreeMap<String, CameraSettings>>> {
    let is_path = |value: &Bound<'_, PyAny>| value.extract::<PathBuf>().is_ok();
    if !values.values().iter().all(|value| is_path(&value)) {
        return Ok(None);
    }
    let mut cameras = BTreeMap::new();
    for (name, url) in values {
        let name: String = name
            .extract()
            .map_err(|_| wrong_type("config: names of cameras are strings"))?;
        check_camera_name(&name)?;
        cameras.insert(name, CameraSettings::new(url.extract::<Url>()?.0));
    }
    Ok(Some(cameras))
}

fn table(values: &Bound<'_, PyDict>) -> Result<Table> {
    let values = value(values)?;
    serde_json::from_value(values).map_err(|_| Raise::value("config", "it holds no settings"))
}

/// As TOML has it. None is what is not there; a value is never repeated, for it may be a secret.
fn value(of: &Bound<'_, PyAny>) -> Result<Value> {
    if let Ok(dict) = of.cast::<PyDict>() {
        let mut object = serde_json::Map::new();
        for (key, item) in dict {
            let key: String = key
                .extract()
                .map_err(|_| wrong_type("config: keys are strings"))?;
            if !item.is_none() {
                object.insert(key, value(&item)?);
            }
        }
        return Ok(Value::Object(object));
    }
    if of.is_instance_of::<PyList>() || of.is_instance_of::<PyTuple>() {
        let items = of.try_iter()?.map(|item| value(&item?));
        return Ok(Value::Array(items.collect::<Result<_>>()?));
    }
    // Before int, of which bool is a kind.
    if of.is_instance_of::<PyBool>() {
        return Ok(Value::Bool(of.extract()?));
    }
    if of.is_instance_of::<PyInt>() {
        return Ok(Value::from(of.extract::<i64>()?));
    }
    if of.is_instance_of::<PyFloat>() {
        let number = serde_json::Number::from_f64(of.extract()?);
        let problem = || Raise::value("config", "a number is not finite");
        return Ok(Value::Number(number.ok_or_else(problem)?));
    }
    if of.is_instance_of::<PyString>() {
        return Ok(Value::String(of.extract()?));
    }
    match of.extract::<PathBuf>().map(PathBuf::into_os_string) {
        Ok(path) => match path.into_string() {
            Ok(path) => Ok(Value::String(path.replace('$', "$$"))),
            Err(_) => Err(Raise::value("config", "a path is not UTF-8")),
        },
        Err(_) => Err(Raise::Python(wrong_type(
            "config: strings, numbers, booleans, paths, lists and dictionaries are known",
        ))),
    }
}
