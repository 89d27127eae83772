//! Where ONNX Runtime's library may be.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The places of the library that are there, the best first: what the variable `ORT_DYLIB_PATH`
/// names, the Python packages `onnxruntime` in `packages` (their own folders), the one of the Python
/// environment that is active, the system's libraries, the other places of Python packages.
///
/// `variable` gives the variables of the environment, of which an empty one is none.
pub fn places(variable: &dyn Fn(&str) -> Option<OsString>, packages: &[PathBuf]) -> Vec<PathBuf> {
    let variable = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let mut places: Vec<PathBuf> = variable("ORT_DYLIB_PATH").into_iter().collect();
    for package in packages {
        places.extend(libraries(&package.join("capi")));
    }
    if let Some(environment) = variable("VIRTUAL_ENV") {
        of_python(&environment, &mut places);
    }
    for folder in [
        "/usr/local/lib",
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ] {
        places.extend(libraries(Path::new(folder)));
    }
    if let Some(home) = variable("HOME") {
        of_python(&home.join(".local"), &mut places);
    }
    for root in ["/usr/local", "/usr"] {
        of_python(Path::new(root), &mut places);
    }
    places
}

fn of_python(root: &Path, places: &mut Vec<PathBuf>) {
    for python in children(&root.join("lib"), "python3") {
        for packages in ["site-packages", "dist-packages"] {
            let folder = python.join(packages).join("onnxruntime/capi");
            places.extend(libraries(&folder));
        }
    }
}

fn libraries(folder: &Path) -> Vec<PathBuf> {
    children(folder, "libonnxruntime.so")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_comes_first_and_then_what_is_nearest() {
        let folder = tempfile::tempdir().expect("a folder");
        let library = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            std::fs::write(&path, "").expect("it can be written");
            path
        };
        let own = library("own/onnxruntime/capi/libonnxruntime.so.1.20.0");
        let old = library("venv/lib/python3.10/site-packages/onnxruntime/capi/libonnxruntime.so.1");
        let new = library("venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.2");
        library("venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime_providers.so");
        let home =
            library("home/.local/lib/python3.11/dist-packages/onnxruntime/capi/libonnxruntime.so");
        let variable = |name: &str| match name {
            "ORT_DYLIB_PATH" => Some("/named/library.so".into()),
            "VIRTUAL_ENV" => Some(folder.path().join("venv").into_os_string()),
            "HOME" => Some(folder.path().join("home").into_os_string()),
            _ => None,
        };
        let packages = [folder.path().join("own/onnxruntime")];
        let found = places(&variable, &packages);
        assert_eq!(
            found[..4],
            [PathBuf::from("/named/library.so"), own, new, old]
        );
        assert!(found[4..].contains(&home));
        assert!(
            places(&|_| Some(OsString::new()), &[])
                .iter()
                .all(|place| place.is_absolute())
        );
    }
}
