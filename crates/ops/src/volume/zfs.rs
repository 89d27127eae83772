//! Snapshots of ZFS datasets, read through `.zfs/snapshot`, which needs no mount of its own and is
//! there even where `snapdir` hides it.

use std::path::{Path, PathBuf};

use super::VolumeError;
use super::btrfs::{below, join};
use super::mark::Mark;
use super::mounts::{Mount, Mounts};
use super::programs::{Programs, text};

/// A dataset, and where it is mounted as a whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dataset {
    name: String,
    top: PathBuf,
}

/// The dataset that a path is in, and the path in that.
pub(super) fn find(
    path: &Path,
    mount: &Mount,
    mounts: &Mounts,
) -> Result<(Dataset, PathBuf), VolumeError> {
    let mut whole = mounts.iter().filter(|other| {
        other.kind == "zfs" && other.source == mount.source && other.root == Path::new("/")
    });
    let whole = whole.next().ok_or_else(|| VolumeError::Part {
        path: path.to_owned(),
        whole: "ZFS dataset",
    })?;
    let dataset = Dataset {
        name: text(&mount.source)?.to_owned(),
        top: whole.point.clone(),
    };
    let within = join(
        below(&mount.root, Path::new("/")),
        below(path, &mount.point),
    );
    Ok((dataset, within))
}

impl Dataset {
    /// Makes the snapshot; gives its full name and where it is.
    pub fn snapshot(
        &self,
        name: &str,
        programs: &Programs,
    ) -> Result<(String, PathBuf), VolumeError> {
        let full = format!("{}@{name}", self.name);
        let what = format!("a snapshot of the dataset {}", self.name);
        programs.run(&what, &["zfs", "snapshot", &full])?;
        Ok((full, self.top.join(".zfs/snapshot").join(name)))
    }

    /// The snapshots that an earlier run left.
    pub fn left(&self, mark: &Mark, programs: &Programs) -> Result<Vec<String>, VolumeError> {
        let what = format!("looking for snapshots of the dataset {}", self.name);
        let list = ["zfs", "list", "-H", "-d", "1", "-t", "snapshot", "-o"];
        let argv = [&list[..], &["name", &self.name]].concat();
        let said = programs.run(&what, &argv)?;
        let ours = said.lines().filter(|line| {
            let parts = line.split_once('@');
            parts.is_some_and(|(of, name)| of == self.name && mark.is_of(name))
        });
        Ok(ours.map(str::to_owned).collect())
    }
}

/// Removes a snapshot by its full name.
pub(super) fn remove(full: &str, programs: &Programs) -> Result<(), VolumeError> {
    let what = format!("removing the snapshot {full}");
    programs.run(&what, &["zfs", "destroy", full]).map(drop)
}
