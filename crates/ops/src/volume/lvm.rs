//! Snapshots of LVM's logical volumes, mounted in a directory of their own.
//!
//! LVM has the file system write what is under way before it makes one (it freezes it), so that it
//! is whole without its journal, which cannot be replayed on what is only read.

use std::path::{Path, PathBuf};

use super::VolumeError;
use super::btrfs::{below, join};
use super::mark::Mark;
use super::mounts::{Mount, Mounts};
use super::programs::{Programs, text};

/// A logical volume with a file system.
#[derive(Clone, Debug)]
pub(super) struct Logical {
    group: String,
    name: String,
    kind: String,
    /// Of the file system.
    device: String,
}

impl PartialEq for Logical {
    fn eq(&self, other: &Self) -> bool {
        self.device == other.device
    }
}

/// A snapshot, and where it is mounted.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// `GROUP/NAME`.
    name: String,
    dir: Option<PathBuf>,
}

/// The logical volume that a path is on, and the path in its file system.
pub(super) fn find(
    path: &Path,
    mount: &Mount,
    programs: &Programs,
) -> Result<(Logical, PathBuf), VolumeError> {
    let no = || VolumeError::Kind {
        path: path.to_owned(),
        asked: "LVM",
        kind: mount.kind.clone(),
        device: mount.source.clone(),
    };
    // A second btrfs of the same identity would be taken for the first.
    if !mount.source.starts_with("/dev") || mount.kind == "btrfs" {
        return Err(no());
    }
    let what = format!("finding the logical volume of {}", mount.source.display());
    let list = ["lvs", "--noheadings", "--separator", "/", "-o"];
    let argv = [&list[..], &["vg_name,lv_name", text(&mount.source)?]].concat();
    let said = programs.run(&what, &argv)?;
    let (group, name) = said.trim().split_once('/').ok_or_else(no)?;
    let logical = Logical {
        group: group.to_owned(),
        name: name.to_owned(),
        kind: mount.kind.clone(),
        device: mount.device.clone(),
    };
    let within = join(
        below(&mount.root, Path::new("/")),
        below(path, &mount.point),
    );
    Ok((logical, within))
}

impl Logical {
    /// Makes the snapshot, of which `size` may be written to the volume until it is removed.
    pub fn snapshot(
        &self,
        name: &str,
        size: &str,
        programs: &Programs,
    ) -> Result<Snapshot, VolumeError> {
        let of = format!("{}/{}", self.group, self.name);
        let what = format!("a snapshot of the logical volume {of}");
        let unit = match size.contains('%') {
            true => "--extents",
            false => "--size",
        };
        let make = ["lvcreate", "--snapshot", "--permission", "r", "--name"];
        programs.run(&what, &[&make[..], &[name, unit, size, &of]].concat())?;
        Ok(Snapshot {
            name: format!("{}/{name}", self.group),
            dir: None,
        })
    }

    /// Mounts it in a directory that is made for it.
    pub fn mount(
        &self,
        snapshot: &mut Snapshot,
        dir: &Path,
        programs: &Programs,
    ) -> Result<(), VolumeError> {
        make_private(dir)?;
        snapshot.dir = Some(dir.to_owned());
        let options = match self.kind.as_str() {
            "xfs" => "ro,nosuid,nodev,noexec,nouuid,norecovery",
            "ext3" | "ext4" => "ro,nosuid,nodev,noexec,noload",
            _ => "ro,nosuid,nodev,noexec",
        };
        let device = format!("/dev/{}", snapshot.name);
        let what = format!("mounting the snapshot {}", snapshot.name);
        let place = text(dir)?;
        let argv = ["mount", "-t", &self.kind, "-o", options, &device, place];
        programs.run(&what, &argv).map(drop)
    }

    /// The snapshots that an earlier run left, with where they are mounted.
    pub fn left(
        &self,
        mark: &Mark,
        mounts: &Mounts,
        state: &Path,
        programs: &Programs,
    ) -> Result<Vec<Snapshot>, VolumeError> {
        let what = format!("looking for snapshots in the volume group {}", self.group);
        let argv = ["lvs", "--noheadings", "-o", "lv_name", &self.group];
        let said = programs.run(&what, &argv)?;
        let names = said.lines().map(str::trim).filter(|name| mark.is_of(name));
        Ok(names
            .map(|name| Snapshot {
                name: format!("{}/{name}", self.group),
                dir: mounts
                    .iter()
                    .find(|mount| mount.point.file_name().is_some_and(|last| last == name))
                    .map(|mount| mount.point.clone())
                    .or_else(|| Some(state.join(name)).filter(|dir| dir.exists())),
            })
            .collect())
    }
}

/// Unmounts a snapshot where it is mounted, and removes it.
pub(super) fn remove(snapshot: &Snapshot, programs: &Programs) -> Result<(), VolumeError> {
    let what = format!("removing the snapshot {}", snapshot.name);
    if let Some(dir) = &snapshot.dir {
        // It may not have come to be mounted; if it is, the next program says so.
        let unmounted = programs.run(&what, &["umount", text(dir)?]);
        if let Err(error) = std::fs::remove_dir(dir)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            unmounted?;
        }
    }
    programs
        .run(&what, &["lvremove", "--yes", &snapshot.name])
        .map(drop)
}

/// Nobody else is to come in: what is mounted there may have been closed to them further up.
fn make_private(dir: &Path) -> Result<(), VolumeError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).create(dir);
    made.map_err(|source| VolumeError::Io {
        path: dir.to_owned(),
        source,
    })
}
