//! What a test sees of a repository from outside.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use keepwatch_testkit::tree::{Described, describe};

use crate::world::World;

/// Everything about the files of a directory.
pub type Manifest = BTreeMap<PathBuf, Described>;

/// Ends what waits for something that never happens.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Files in a directory and beneath it, those of running writers too.
pub fn files_beneath(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        // It may be gone by now.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    files
}

/// Files of killed writers, which have a name that no object has.
pub fn unfinished(dir: &Path) -> Vec<PathBuf> {
    let mut files = files_beneath(dir);
    files.retain(|path| path.to_string_lossy().contains("/.tmp-"));
    files
}

/// Makes files look as if they had lain there for two days.
pub fn age(files: &[PathBuf]) {
    let then = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    for file in files {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_modified(then).unwrap();
    }
}

/// The ids of all snapshots, oldest first.
#[track_caller]
pub fn snapshots(world: &World) -> Vec<String> {
    let listed = world.run(["snapshots", "--json"]).ok().json();
    let ids = listed.as_array().unwrap().iter();
    ids.map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Restores the directory `source` of a snapshot and compares it with what it was.
#[track_caller]
pub fn assert_restores(world: &World, snapshot: &str, source: &Path, expected: &Manifest) {
    let target = world.path("restored");
    let what = format!("{snapshot}:{}", source.display());
    world.run(["restore", &what, "--target", "restored"]).ok();
    assert!(
        describe(&target) == *expected,
        "snapshot {snapshot} of {} is not what was backed up",
        source.display()
    );
    fs::remove_dir_all(target).unwrap();
}

/// No operation has left anything behind.
#[track_caller]
pub fn assert_tidy(world: &World) {
    let checked = world.run(["check", "--json", "--read-data"]).ok().json();
    assert_eq!(checked["ok"], true, "{checked}");
    assert!(
        checked["warnings"].as_array().is_none_or(Vec::is_empty),
        "{checked}"
    );
    let repo = world.path("repo");
    for kind in ["pending", "gc", "trash"] {
        let left = files_beneath(&repo.join(kind));
        assert!(left.is_empty(), "{left:?}");
    }
    let left = unfinished(&repo);
    assert!(left.is_empty(), "{left:?}");
}
