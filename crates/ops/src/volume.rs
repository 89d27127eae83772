//! Snapshots that file systems hold, as what a backup reads.
//!
//! A backup takes its time, and files that change meanwhile are each of another moment. A snapshot
//! of the file system is of one. [`VolumeSnapshots::take`] makes one of each volume that paths are
//! on; [`VolumeSnapshots::places`] says where each path is in it; [`VolumeSnapshots::remove`] takes
//! them away again, and so does dropping it.
//!
//! | kind | one snapshot for each | where it is |
//! |---|---|---|
//! | btrfs | subvolume | `.keepwatch-snapshot-JOB-…` in the top directory of the subvolume |
//! | ZFS | dataset | `.zfs/snapshot/keepwatch-snapshot-JOB-…` of the dataset |
//! | LVM | logical volume | the volume `keepwatch-snapshot-JOB-…`, mounted in the state directory |
//!
//! Several volumes are each of a moment of its own. What lies on another volume beneath a path is in
//! no snapshot of it, but an empty directory, or what is hidden beneath a mount:
//! [`VolumeSnapshots::not_in`] says so.
//!
//! What a run that was killed has left is removed when the same job runs again. It is known by its
//! name, in which are the job and its state directory.
//!
//! btrfs is tested with a real file system, ZFS and LVM with programs that stand in for theirs.

mod btrfs;
mod error;
mod lvm;
mod mark;
mod mounts;
mod programs;
#[cfg(test)]
mod tests;
mod zfs;

use std::io;
use std::path::{Path, PathBuf};

use keepwatch_core::fs::plain_path;
use keepwatch_core::with_causes;
use serde::{Deserialize, Serialize};

pub use error::VolumeError;

use crate::hook::Environment;
use btrfs::{Subvolume, below, join};
use lvm::Logical;
use mark::Mark;
use mounts::{Mount, Mounts};
use programs::Programs;
use zfs::Dataset;

/// What no backup goes into, as in `.gitignore`: snapshots of this and other jobs.
pub const LEFT_OUT: &str = ".keepwatch-snapshot-*/";
/// How much may be written to a logical volume while there is a snapshot of it.
pub const SNAPSHOT_SIZE: &str = "10%ORIGIN";

/// What makes snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeKind {
    /// What the file system of each path is or is on.
    Auto,
    /// btrfs.
    Btrfs,
    /// ZFS.
    Zfs,
    /// The logical volume manager, beneath any file system but btrfs.
    Lvm,
}

impl VolumeKind {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "btrfs, ZFS or LVM",
            Self::Btrfs => "btrfs",
            Self::Zfs => "ZFS",
            Self::Lvm => "LVM",
        }
    }
}

/// Who wants snapshots, and of what kind.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotRequest<'a> {
    /// Of what kind.
    pub kind: VolumeKind,
    /// LVM: how much may be written to the volume meanwhile, as [`check_size`] takes it. When it is
    /// more, the snapshot cannot be read any further.
    pub size: &'a str,
    /// The job, of letters, digits, `.`, `_` and `-`. It must not run twice at once.
    pub job: &'a str,
    /// A directory that the job's runs share and no others; logical volumes are mounted in it.
    pub state: &'a Path,
    /// What programs inherit, in whose `PATH` (and where programs for root are) they are looked for.
    pub environment: &'a Environment,
}

/// Refuses what is no size of an LVM snapshot: `5G`, `500M`, `10%ORIGIN`, `50%FREE`, `5%VG`.
///
/// # Errors
/// [`VolumeError::Size`].
pub fn check_size(size: &str) -> Result<(), VolumeError> {
    let digits = size.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = size.split_at(digits);
    let number = number.parse::<u32>().unwrap_or(0);
    let good = match unit {
        "M" | "G" | "T" => number > 0,
        "%ORIGIN" | "%FREE" | "%VG" => (1..=100).contains(&number),
        _ => false,
    };
    match good {
        true => Ok(()),
        false => Err(VolumeError::Size {
            size: size.to_owned(),
        }),
    }
}

/// Something beneath a path that the snapshot does not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotIn {
    /// Where it is, beneath the path as it was given.
    pub path: PathBuf,
    /// That path.
    pub beneath: PathBuf,
    /// What it is, in words.
    pub what: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Volume {
    Btrfs(Subvolume),
    Zfs(Dataset),
    Lvm(Logical),
}

/// A path, and where it is.
struct Located {
    /// Absolute, with the links that are on the way.
    plain: PathBuf,
    /// Without them.
    real: PathBuf,
    volume: Volume,
    /// In the volume.
    within: PathBuf,
}

/// How a snapshot is removed.
#[derive(Debug)]
enum Made {
    Btrfs(PathBuf),
    Zfs(String),
    Lvm(lvm::Snapshot),
}

impl Made {
    fn remove(&self, programs: &Programs) -> Result<(), VolumeError> {
        match self {
            Self::Btrfs(place) => btrfs::remove(place, programs),
            Self::Zfs(name) => zfs::remove(name, programs),
            Self::Lvm(snapshot) => lvm::remove(snapshot, programs),
        }
    }
}

/// Snapshots, until they are removed.
#[derive(Debug)]
#[must_use = "they are removed when this is dropped"]
pub struct VolumeSnapshots {
    programs: Programs,
    mounts: Mounts,
    kind: VolumeKind,
    /// Each volume, and where its top is in its snapshot.
    volumes: Vec<(Volume, PathBuf)>,
    made: Vec<Made>,
    places: Vec<(PathBuf, PathBuf)>,
    not_in: Vec<NotIn>,
    problems: Vec<VolumeError>,
}

impl VolumeSnapshots {
    /// Makes a snapshot of each volume that one of the paths is on, after removing what an earlier
    /// run of the job has left there.
    ///
    /// A symbolic link at the end of a path is itself; those on the way are followed.
    ///
    /// # Errors
    /// When a volume has none, or it cannot be made; those that were made are removed.
    pub fn take(paths: &[PathBuf], request: &SnapshotRequest) -> Result<Self, VolumeError> {
        let mounts = Mounts::read().map_err(VolumeError::Mounts)?;
        Self::take_of(paths, request, mounts)
    }

    fn take_of(
        paths: &[PathBuf],
        request: &SnapshotRequest,
        mounts: Mounts,
    ) -> Result<Self, VolumeError> {
        check_size(request.size)?;
        let mut snapshots = Self {
            programs: Programs::new(request.environment),
            mounts,
            kind: request.kind,
            volumes: Vec::new(),
            made: Vec::new(),
            places: Vec::new(),
            not_in: Vec::new(),
            problems: Vec::new(),
        };
        let mark = Mark::new(request.job, request.state);
        let mut located = Vec::new();
        for path in paths {
            // What is not there is not in a snapshot either, and the backup says so.
            let Some((plain, real)) = locate(path)? else {
                continue;
            };
            let (volume, within) = snapshots.find(&real)?;
            let known = snapshots.volumes.iter().find(|(known, _)| *known == volume);
            let top = match known {
                Some((_, top)) => top.clone(),
                None => {
                    snapshots.remove_left(&volume, &mark, request.state);
                    let top = snapshots.make(&volume, &mark, request)?;
                    snapshots.volumes.push((volume.clone(), top.clone()));
                    top
                }
            };
            let place = join(&top, &within);
            // ZFS mounts a snapshot when it is looked at, which may fail.
            place
                .symlink_metadata()
                .map_err(|source| VolumeError::Unseen {
                    path: place.clone(),
                    source,
                })?;
            snapshots.places.push((path.clone(), place));
            located.push(Located {
                plain,
                real,
                volume,
                within,
            });
        }
        snapshots.look_beneath(&located)?;
        Ok(snapshots)
    }

    /// Each path that is in a snapshot, as it was given, and where it is there.
    pub fn places(&self) -> &[(PathBuf, PathBuf)] {
        &self.places
    }

    /// Where a directory is in the snapshot of its volume, if there is one.
    pub fn place_of(&self, dir: &Path) -> Option<PathBuf> {
        let (_, real) = locate(dir).ok()??;
        let (volume, within) = self.find(&real).ok()?;
        let known = self.volumes.iter().find(|(known, _)| *known == volume);
        known.map(|(_, top)| join(top, &within))
    }

    /// What lies beneath the paths and is in no snapshot.
    pub fn not_in(&self) -> &[NotIn] {
        &self.not_in
    }

    /// Removes the snapshots; gives what could not be removed, of earlier runs as well.
    pub fn remove(mut self) -> Vec<VolumeError> {
        self.remove_made();
        std::mem::take(&mut self.problems)
    }

    fn remove_made(&mut self) {
        for made in self.made.drain(..).rev() {
            let removed = made.remove(&self.programs);
            self.problems.extend(removed.err());
        }
    }

    fn find(&self, real: &Path) -> Result<(Volume, PathBuf), VolumeError> {
        let mount = self.mounts.of(real).ok_or_else(|| VolumeError::Nowhere {
            path: real.to_owned(),
        })?;
        let no = || VolumeError::Kind {
            path: real.to_owned(),
            asked: self.kind.name(),
            kind: mount.kind.clone(),
            device: mount.source.clone(),
        };
        match (self.kind, mount.kind.as_str()) {
            (VolumeKind::Auto | VolumeKind::Btrfs, "btrfs") => {
                let (found, within) = btrfs::find(real, mount, &self.mounts)?;
                Ok((Volume::Btrfs(found), within))
            }
            (VolumeKind::Auto | VolumeKind::Zfs, "zfs") => {
                let (found, within) = zfs::find(real, mount, &self.mounts)?;
                Ok((Volume::Zfs(found), within))
            }
            (VolumeKind::Btrfs | VolumeKind::Zfs, _) => Err(no()),
            (VolumeKind::Auto | VolumeKind::Lvm, _) => {
                let found = lvm::find(real, mount, &self.programs);
                let (found, within) = found.map_err(|error| match error {
                    // Where LVM is not installed, nothing is on it.
                    VolumeError::Missing { .. } if self.kind == VolumeKind::Auto => no(),
                    error => error,
                })?;
                Ok((Volume::Lvm(found), within))
            }
        }
    }

    /// Makes the snapshot of a volume; gives where the top of its file system is.
    fn make(
        &mut self,
        volume: &Volume,
        mark: &Mark,
        request: &SnapshotRequest,
    ) -> Result<PathBuf, VolumeError> {
        let name = mark.name()?;
        match volume {
            Volume::Btrfs(subvolume) => {
                let place = subvolume.snapshot(&format!(".{name}"), &self.programs)?;
                self.made.push(Made::Btrfs(place.clone()));
                Ok(place)
            }
            Volume::Zfs(dataset) => {
                let (full, place) = dataset.snapshot(&name, &self.programs)?;
                self.made.push(Made::Zfs(full));
                Ok(place)
            }
            Volume::Lvm(logical) => {
                let mut snapshot = logical.snapshot(&name, request.size, &self.programs)?;
                let dir = request.state.join(&name);
                let mounted = logical.mount(&mut snapshot, &dir, &self.programs);
                self.made.push(Made::Lvm(snapshot));
                mounted.map(|()| dir)
            }
        }
    }

    /// What cannot be removed keeps nobody from making another.
    fn remove_left(&mut self, volume: &Volume, mark: &Mark, state: &Path) {
        let (programs, mounts) = (&self.programs, &self.mounts);
        let left: Result<Vec<Made>, VolumeError> = match volume {
            Volume::Btrfs(subvolume) => {
                let left = subvolume.left(mark);
                left.map(|left| left.into_iter().map(Made::Btrfs).collect())
            }
            Volume::Zfs(dataset) => {
                let left = dataset.left(mark, programs);
                left.map(|left| left.into_iter().map(Made::Zfs).collect())
            }
            Volume::Lvm(logical) => {
                let left = logical.left(mark, mounts, state, programs);
                left.map(|left| left.into_iter().map(Made::Lvm).collect())
            }
        };
        match left {
            Ok(left) => {
                for made in left {
                    tracing::info!(?made, "removing a snapshot that an earlier run has left");
                    let removed = made.remove(programs);
                    self.problems.extend(removed.err());
                }
            }
            Err(error) => self.problems.push(error),
        }
    }

    /// Finds what lies beneath the paths on other volumes.
    fn look_beneath(&mut self, located: &[Located]) -> Result<(), VolumeError> {
        let mut found = Vec::new();
        for path in located {
            let other = self.mounts.beneath(&path.real);
            found.extend(other.filter(|mount| is_missed(mount)).map(|mount| {
                let (kind, source) = (&mount.kind, mount.source.display());
                let what = format!("another file system ({kind} of {source})");
                (mount.point.clone(), what)
            }));
        }
        for (volume, _) in &self.volumes {
            let Volume::Btrfs(subvolume) = volume else {
                continue;
            };
            let nested = subvolume.nested(&self.programs)?;
            for path in located.iter().filter(|path| path.volume == *volume) {
                let beneath = nested.iter().filter_map(|nested| {
                    let rest = nested.strip_prefix(&path.within).ok()?;
                    Some(join(&path.real, rest))
                });
                // What is mounted over one was told already.
                let seen = beneath.filter(|real| !self.mounts.iter().any(|at| at.point == *real));
                found.extend(seen.map(|real| (real, "a btrfs subvolume of its own".to_owned())));
            }
        }
        found.sort();
        found.dedup();
        // What is a path of its own has a snapshot of its own.
        found.retain(|(real, _)| located.iter().all(|path| path.real != *real));
        let told = found.into_iter().filter_map(|(real, what)| {
            let above = located.iter().filter(|path| real.starts_with(&path.real));
            let above = above.max_by_key(|path| path.real.as_os_str().len())?;
            Some(NotIn {
                path: join(&above.plain, below(&real, &above.real)),
                beneath: above.plain.clone(),
                what,
            })
        });
        self.not_in = told.collect();
        Ok(())
    }
}

impl Drop for VolumeSnapshots {
    fn drop(&mut self) {
        self.remove_made();
        for problem in &self.problems {
            let error = with_causes(problem);
            tracing::error!(error, "a snapshot of a file system is left");
        }
    }
}

/// Our own mounts are gone in a moment.
fn is_missed(mount: &Mount) -> bool {
    let name = mount.point.file_name().and_then(|name| name.to_str());
    mount.holds_files() && !name.is_some_and(mark::is_one)
}

/// The absolute path, and the same without links on the way to it; nothing if it is not there.
fn locate(path: &Path) -> Result<Option<(PathBuf, PathBuf)>, VolumeError> {
    let located = || -> io::Result<(PathBuf, PathBuf)> {
        let plain = plain_path(path)?;
        let real = match (plain.parent(), plain.file_name()) {
            (Some(parent), Some(name)) => parent.canonicalize()?.join(name),
            _ => plain.clone(),
        };
        real.symlink_metadata()?;
        Ok((plain, real))
    };
    match located() {
        Ok(located) => Ok(Some(located)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(VolumeError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}
