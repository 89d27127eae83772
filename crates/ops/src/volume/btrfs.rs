//! Snapshots of btrfs subvolumes.
//!
//! A snapshot is a subvolume itself, and is put into the top directory of the one that it is of: no
//! other place is known to be on the same file system, and to be where this process sees it.

use std::fs::{read_dir, symlink_metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::VolumeError;
use super::mark::{self, Mark};
use super::mounts::{Mount, Mounts};
use super::programs::{Programs, text};

/// The inode of the top directory of every subvolume (`BTRFS_FIRST_FREE_OBJECTID`).
const TOP: u64 = 256;

/// A subvolume.
#[derive(Clone, Debug)]
pub(super) struct Subvolume {
    /// Its top directory.
    pub top: PathBuf,
    /// Its path in the file system, as `/@home`.
    inside: PathBuf,
    /// The number that its files have as their device, which is its own.
    device: u64,
}

impl PartialEq for Subvolume {
    fn eq(&self, other: &Self) -> bool {
        self.device == other.device
    }
}

/// The subvolume that a path without symbolic links is in, and the path in that.
pub(super) fn find(
    path: &Path,
    mount: &Mount,
    mounts: &Mounts,
) -> Result<(Subvolume, PathBuf), VolumeError> {
    if let Some(found) = top_of(path, mount)? {
        return Ok(found);
    }
    // A directory of the subvolume is mounted, not its top: another mount may show that.
    let within = mount.root.join(below(path, &mount.point));
    let wanted = symlink_metadata(path).map_err(io(path))?;
    let others = mounts
        .iter()
        .filter(|other| other.kind == "btrfs" && other.device == mount.device);
    for other in others {
        let Ok(rest) = within.strip_prefix(&other.root) else {
            continue;
        };
        let there = join(&other.point, rest);
        // What is there may be hidden beneath something else.
        let same = symlink_metadata(&there)
            .is_ok_and(|there| (there.dev(), there.ino()) == (wanted.dev(), wanted.ino()));
        if same && let Some(found) = top_of(&there, other)? {
            return Ok(found);
        }
    }
    Err(VolumeError::Part {
        path: path.to_owned(),
        whole: "btrfs subvolume",
    })
}

/// The nearest directory above that is the top of a subvolume, on the same mount.
fn top_of(path: &Path, mount: &Mount) -> Result<Option<(Subvolume, PathBuf)>, VolumeError> {
    for dir in path.ancestors() {
        if !dir.starts_with(&mount.point) {
            break;
        }
        let there = symlink_metadata(dir).map_err(io(dir))?;
        if there.is_dir() && there.ino() == TOP {
            let subvolume = Subvolume {
                top: dir.to_owned(),
                inside: join(&mount.root, below(dir, &mount.point)),
                device: there.dev(),
            };
            return Ok(Some((subvolume, below(path, dir).to_owned())));
        }
    }
    Ok(None)
}

impl Subvolume {
    /// Makes the snapshot; gives where it is.
    pub fn snapshot(&self, name: &str, programs: &Programs) -> Result<PathBuf, VolumeError> {
        let place = self.top.join(name);
        let what = format!("a snapshot of {}", self.top.display());
        let (from, to) = (text(&self.top)?, text(&place)?);
        programs.run(&what, &["btrfs", "subvolume", "snapshot", "-r", from, to])?;
        Ok(place)
    }

    /// The snapshots that an earlier run left.
    pub fn left(&self, mark: &Mark) -> Result<Vec<PathBuf>, VolumeError> {
        let mut left = Vec::new();
        for entry in read_dir(&self.top).map_err(io(&self.top))? {
            let entry = entry.map_err(io(&self.top))?;
            let is_ours = entry.file_name().to_str().is_some_and(|n| mark.is_of(n));
            // Only a subvolume of its own is removed: a directory of this name is somebody's, or
            // stands for a subvolume in a snapshot.
            if is_ours
                && entry
                    .metadata()
                    .is_ok_and(|there| there.is_dir() && there.ino() == TOP)
            {
                left.push(entry.path());
            }
        }
        Ok(left)
    }

    /// Paths in it of other subvolumes, in whose place a snapshot has an empty directory.
    pub fn nested(&self, programs: &Programs) -> Result<Vec<PathBuf>, VolumeError> {
        let what = format!("looking for subvolumes in {}", self.top.display());
        let top = text(&self.top)?;
        let said = programs.run(&what, &["btrfs", "subvolume", "list", "-o", top])?;
        let inside = self.inside.strip_prefix("/").unwrap_or(&self.inside);
        let nested = said.lines().filter_map(|line| {
            // ID 258 gen 9 top level 257 path @home/ada/machines
            let (_, path) = line.split_once(" path ")?;
            let rest = Path::new(path).strip_prefix(inside).ok()?;
            let is_ours = rest.file_name()?.to_str().is_some_and(mark::is_one);
            (!is_ours).then(|| rest.to_owned())
        });
        Ok(nested.collect())
    }
}

pub(super) fn remove(place: &Path, programs: &Programs) -> Result<(), VolumeError> {
    let what = format!("removing the snapshot {}", place.display());
    let place = text(place)?;
    programs
        .run(&what, &["btrfs", "subvolume", "delete", place])
        .map(drop)
}

/// The part of a path beneath a directory.
pub(super) fn below<'p>(path: &'p Path, dir: &Path) -> &'p Path {
    path.strip_prefix(dir).unwrap_or(Path::new(""))
}

/// As [`Path::join`], but nothing is added for nothing.
pub(super) fn join(dir: &Path, rest: &Path) -> PathBuf {
    match rest.as_os_str().is_empty() {
        true => dir.to_owned(),
        false => dir.join(rest),
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> VolumeError + '_ {
    |source| VolumeError::Io {
        path: path.to_owned(),
        source,
    }
}
