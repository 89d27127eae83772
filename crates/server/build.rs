//! Lists the files of the dashboard, so that they become part of the program.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("dashboard");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    walk(&root, &root, &mut files)?;
    files.sort();
    let mut code = String::from("const ASSETS: &[Asset] = &[\n");
    for (name, path) in files {
        let etag = format!("\"{}\"", blake3::hash(&fs::read(&path)?).to_hex());
        let _ = writeln!(
            code,
            "    Asset {{ path: {name:?}, bytes: include_bytes!({path:?}), etag: {etag:?} }},"
        );
    }
    code.push_str("];\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("dashboard.rs");
    fs::write(out, code)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .strip_prefix(root)
            .expect("it is beneath")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            // Tests, and what tells Node that these are modules, are for developers.
            if name != "tests" {
                walk(root, &path, files)?;
            }
        } else if !name.starts_with('.') && name != "package.json" {
            files.push((name, path));
        }
    }
    Ok(())
}
