//! Whole inventories, of this machine and of systems that are made up.

mod hostile;
mod made_up;
mod system;

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::*;

/// A system of files, each with its content.
fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (path, content) in files {
        put(root.path(), path.as_bytes(), content);
    }
    root
}

/// Writes a file, and the directories above it.
fn put(root: &Path, path: &[u8], content: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    let path = root.join(std::ffi::OsStr::from_bytes(path));
    fs::create_dir_all(path.parent().expect("it is beneath the root")).expect("directories");
    fs::write(path, content).expect("it writes");
}

fn take(system: &System, options: &Options) -> Inventory {
    collect(system, options, Timestamp::UNIX_EPOCH).expect("there is an inventory")
}

/// It is as the schema says, and reads as it was written.
#[track_caller]
fn assert_sound(inventory: &Inventory) {
    let schema = serde_json::from_str(SCHEMA).expect("it is JSON");
    let schema = jsonschema::validator_for(&schema).expect("it is a schema");
    let json = serde_json::from_slice(&inventory.to_json()).expect("it is JSON");
    let errors: Vec<String> = schema
        .iter_errors(&json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let again = file::parse(Path::new("again"), &inventory.to_json());
    assert_eq!(again.expect("it reads"), *inventory);
}

/// Whether the text is somewhere in it, as text or as digits.
fn holds(inventory: &Inventory, text: &str) -> bool {
    let json = String::from_utf8(inventory.to_json()).expect("JSON is text");
    json.contains(text) || json.contains(&hex::encode(text))
}
