//! Entry points for the fuzz targets: manifests and what is made of their paths.

use super::{manifest, place};

/// Reads a manifest and splits its paths; what is found lies beneath the backup.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = manifest::parse(bytes, "name", "stamp") else {
        return;
    };
    let copied = manifest.copied.iter().map(|copied| copied.path.as_slice());
    let skipped = manifest.skipped.iter().map(Vec::as_slice);
    let paths: Vec<&[u8]> = copied.chain(skipped).collect();
    // What the directory has: nothing that could lead out of it is ever asked for with success.
    let there = [&b"a"[..], b"a/b", b"b"];
    let found = place::sources(&paths, |path| there.contains(&path));
    for (path, cut) in paths.iter().zip(found) {
        if let Some(cut) = cut {
            assert!(cut <= path.len());
            assert!(cut == 0 || path[cut - 1] == b'/', "a name was cut");
        }
    }
}
