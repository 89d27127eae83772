//! What computes networks on this machine.

use std::path::{Path, PathBuf};

use keepwatch_config::Config;
use keepwatch_recognition::infer::{Backend, Engine};

use crate::exit::Failure;

/// The engine that the configuration asks for.
pub fn engine(config: &Config) -> Result<Engine, Failure> {
    Ok(config.inference.engine(&places())?)
}

/// What an engine is called.
pub fn describe(engine: &Engine) -> String {
    match (engine.backend(), engine.library()) {
        (Backend::OnnxRuntime, Some(library)) => format!("ONNX Runtime ({})", library.display()),
        _ => "tract".to_owned(),
    }
}

/// Where the library of ONNX Runtime may be, the best first: what was named, the Python environment
/// that is active, the system's libraries, the other places of Python packages.
pub fn places() -> Vec<PathBuf> {
    let variable = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let mut places: Vec<PathBuf> = variable("ORT_DYLIB_PATH").into_iter().collect();
    let package = |root: &Path, places: &mut Vec<PathBuf>| {
        for python in children(&root.join("lib"), "python3") {
            for packages in ["site-packages", "dist-packages"] {
                let folder = python.join(packages).join("onnxruntime/capi");
                places.extend(children(&folder, "libonnxruntime.so"));
            }
        }
    };
    if let Some(environment) = variable("VIRTUAL_ENV") {
        package(&environment, &mut places);
    }
    for folder in [
        "/usr/local/lib",
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ] {
        places.extend(children(Path::new(folder), "libonnxruntime.so"));
    }
    if let Some(home) = variable("HOME") {
        package(&home.join(".local"), &mut places);
    }
    for root in ["/usr/local", "/usr"] {
        package(Path::new(root), &mut places);
    }
    places
}

/// What is in a folder with a name that begins so, the last name first: that of the latest version.
fn children(folder: &Path, begins: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(begins))
        })
        .collect();
    found.sort();
    found.reverse();
    found
}
