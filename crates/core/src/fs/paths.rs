//! Paths as users write them.

use std::io;
use std::path::{Component, Path, PathBuf};

/// An absolute path without `..`. A symbolic link at its end stays one.
///
/// # Errors
/// When a directory that `..` stands behind is not there.
pub fn plain_path(path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        if component == Component::ParentDir {
            // What is above a symbolic link is above its target.
            plain = plain.canonicalize()?;
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    Ok(plain)
}

/// Whether one of two directories is in the other, or is it. What does not exist has nothing in it.
pub fn overlap(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a.starts_with(&b) || b.starts_with(&a),
        _ => false,
    }
}
