//! Where a mount can be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::error::{Error, Result};

/// The place as a full path, if something can be mounted there.
pub(super) fn check(path: &Path) -> Result<PathBuf> {
    let unfit = |problem, hint| Error::MountPoint {
        path: path.to_owned(),
        problem,
        hint,
    };
    let full = fs::canonicalize(path).map_err(|error| of_io(path, error))?;
    let mut entries = match fs::read_dir(&full) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(unfit("it is no directory", "name an empty directory"));
        }
        Err(error) => return Err(of_io(path, error)),
    };
    if entries.next().is_some() {
        return Err(unfit(
            "it is not empty",
            "what is in it would be hidden: name an empty directory",
        ));
    }
    if !Path::new("/dev/fuse").exists() {
        return Err(Error::NoFuse {
            missing: "/dev/fuse",
        });
    }
    if !rustix::process::geteuid().is_root() && !has_fusermount() {
        return Err(Error::NoFuse {
            missing: "fusermount3",
        });
    }
    Ok(full)
}

fn of_io(path: &Path, error: io::Error) -> Error {
    let unfit = |problem, hint| Error::MountPoint {
        path: path.to_owned(),
        problem,
        hint,
    };
    match error.kind() {
        io::ErrorKind::NotFound => unfit("there is no such directory", "make it with `mkdir`"),
        // What a mount answers whose program is gone.
        _ if error.raw_os_error() == Some(Errno::NOTCONN.raw_os_error()) => unfit(
            "the mount of a program that has ended is still there",
            "remove it with `fusermount3 -u DIR`, or `umount DIR` as root",
        ),
        _ => Error::Mount {
            path: path.to_owned(),
            source: error,
        },
    }
}

fn has_fusermount() -> bool {
    Command::new("fusermount3")
        .arg("-V")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// Takes the mount out of the tree of directories, even if somebody uses it.
pub(super) fn unmount(path: &Path) -> io::Result<()> {
    match rustix::mount::unmount(path, UnmountFlags::empty()) {
        Ok(()) => return Ok(()),
        Err(Errno::BUSY) => {
            tracing::warn!(path = %path.display(), "somebody still uses the mount");
        }
        Err(Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    match rustix::mount::unmount(path, UnmountFlags::DETACH) {
        // Those who are not root ask the one who may.
        Err(Errno::PERM) => {}
        done => return done.map_err(io::Error::from),
    }
    let status = Command::new("fusermount3")
        .args(["-u", "-z", "--"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("fusermount3: {status}"))),
    }
}
