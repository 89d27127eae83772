//! What can go wrong with snapshots of file systems.

use std::io;
use std::path::PathBuf;

/// Why there is no snapshot of a file system, or why one is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// A setting that cannot be.
    #[error("snapshot_size: {size:?} is neither a size as \"5G\" nor a part as \"10%ORIGIN\"")]
    Size {
        /// The setting.
        size: String,
    },
    /// What is mounted is not known.
    #[error("cannot read what is mounted where")]
    Mounts(#[source] io::Error),
    /// A file or directory cannot be looked at.
    #[error("cannot read {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is on no mount.
    #[error("{}: it cannot be found out what file system it is on", path.display())]
    Nowhere {
        /// The path.
        path: PathBuf,
    },
    /// A file system that no snapshot can be made of, or none of the kind that is asked for.
    #[error("{}: no {asked} snapshot can be made of it, for it is on {kind} of {}", path.display(), device.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What was asked for.
        asked: &'static str,
        /// The file system.
        kind: String,
        /// What that is on.
        device: PathBuf,
    },
    /// Only a part of it is mounted, and what a snapshot is made of is not.
    #[error("{}: the {whole} that it is part of is mounted nowhere as a whole", path.display())]
    Part {
        /// The path.
        path: PathBuf,
        /// What it is part of.
        whole: &'static str,
    },
    /// A name that cannot be handed to a program.
    #[error("{}: its name is no UTF-8", path.display())]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// No such program.
    #[error("there is no program {program:?}, which {what} needs")]
    Missing {
        /// Its name.
        program: String,
        /// What it was to do.
        what: String,
    },
    /// A program failed.
    #[error("{what} failed: {problem}")]
    Failed {
        /// What it was to do, and with what.
        what: String,
        /// What it said.
        problem: String,
    },
    /// It was made, and is not where it should be.
    #[error("the snapshot was made, but {} cannot be read", path.display())]
    Unseen {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot.
        #[source]
        source: io::Error,
    },
}

impl VolumeError {
    /// How to put it right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Size { .. } => "as in: snapshot_size = \"10%ORIGIN\"",
            Self::Mounts(_) => "look whether /proc is mounted",
            Self::Io { .. } => "look whether this user may read it",
            Self::Nowhere { .. } => "name it by a path that is not hidden beneath another mount",
            Self::Kind { .. } => {
                "from_snapshot is for btrfs, ZFS and LVM: give such paths a job of their own without it"
            }
            Self::Part { .. } => {
                "mount the whole subvolume or dataset somewhere, and name the path there"
            }
            Self::Name { .. } => "rename it, or back it up in a job without from_snapshot",
            Self::Missing { .. } => "install btrfs-progs, zfsutils-linux, or lvm2 and mount",
            Self::Failed { .. } if !rustix::process::geteuid().is_root() => {
                "snapshots of file systems are root's: run the job as root"
            }
            Self::Failed { .. } => {
                "look at what the program says; it needs CAP_SYS_ADMIN, and room for a snapshot"
            }
            Self::Unseen { .. } => "look whether it can be read by hand while a snapshot is there",
        }
    }
}
