//! Creating a file that is whole, durable and new, or not there at all.
//!
//! 1. A temporary file in the same directory is written and synced.
//! 2. It is renamed to its name without replacing what has that name. A crash before this
//!    leaves a temporary file, which [`sweep`](super::sweep) removes one day.
//! 3. The directory is synced. A crash between 2 and 3 leaves either state, and the file is
//!    whole in both, because step 1 came first.

use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::super::{ObjectName, StorageError};
use super::{fs, io_error, write_error};

/// Starts the name of a file that is still being written; no object's name starts so.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp-";

/// Creates the object `name`, which is at `path`, in the directory open as `dir`.
pub(super) fn create(
    dir: BorrowedFd<'_>,
    name: &ObjectName,
    path: &Path,
    parts: &[&[u8]],
) -> Result<(), StorageError> {
    let failed = |operation| move |e| write_error(operation, name, path, e);
    let file_name = path
        .file_name()
        .and_then(|n| n.to_str())
        .expect("the path of an object ends with its name");

    let temporary_name = temporary_name().map_err(failed("create"))?;
    let mut file = fs::create_new(dir, &temporary_name)
        .map_err(io::Error::from)
        .map_err(failed("create"))?;
    let temporary = Temporary {
        dir,
        name: &temporary_name,
    };
    for part in parts {
        file.write_all(part).map_err(failed("write"))?;
    }
    // A failed sync is final: the kernel may have dropped the pages, and a second sync would
    // then report success. The file goes and the caller is told.
    file.sync_all().map_err(failed("sync"))?;
    drop(file);

    let published = temporary.publish(file_name);
    // Also when the name was taken: whoever took it may not have synced it yet, and callers
    // rely on an object that exists already just as on one they wrote.
    if matches!(published, Ok(()) | Err(Errno::EXIST)) {
        let directory = path.parent().unwrap_or(path);
        fs::sync_directory(dir).map_err(|e| io_error("sync", directory, e))?;
    }
    match published {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(StorageError::AlreadyExists {
            object: name.canonical(),
        }),
        Err(e) => Err(write_error("rename a file to", name, path, e.into())),
    }
}

/// A file being written; removed when dropped before it is published.
struct Temporary<'a> {
    dir: BorrowedFd<'a>,
    name: &'a str,
}

impl Temporary<'_> {
    /// Gives the file its name unless that is taken.
    fn publish(self, target: &str) -> Result<(), Errno> {
        let renamed = retry_on_intr(|| {
            let flags = RenameFlags::NOREPLACE;
            rustix::fs::renameat_with(self.dir, self.name, self.dir, target, flags)
        });
        match renamed {
            Ok(()) => {
                std::mem::forget(self);
                Ok(())
            }
            // NFS and some user-space file systems cannot rename without replacing. A link
            // does not replace either; dropping `self` then takes the old name away.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.link(target),
            Err(e) => Err(e),
        }
    }

    fn link(&self, target: &str) -> Result<(), Errno> {
        let linked = retry_on_intr(|| {
            rustix::fs::linkat(self.dir, self.name, self.dir, target, AtFlags::empty())
        });
        match linked {
            // Over NFS the reply to a link that was made can be lost and the repeated request
            // then finds its own work; two links to our file tell.
            Err(Errno::EXIST) => match fs::stat(self.dir, self.name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if stat.st_nlink == 2 => Ok(()),
                _ => Err(Errno::EXIST),
            },
            other => other,
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Err(error) = fs::remove(self.dir, self.name) {
            tracing::warn!(name = self.name, %error, "cannot remove a temporary file");
        }
    }
}

fn temporary_name() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(format!("{TEMPORARY_PREFIX}{}", hex::encode(random)))
}

/// Whether a file has a name that [`create`] gives to temporary files.
pub(super) fn is_temporary(name: &str) -> bool {
    name.strip_prefix(TEMPORARY_PREFIX)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    /// The path for file systems without `RENAME_NOREPLACE`, which the file system the tests
    /// run on has.
    #[test]
    fn link_does_not_replace() {
        let dir = tempfile::tempdir().expect("a directory");
        let fd = fs::open_directory(rustix::fs::CWD, dir.path()).expect("it opens");
        let write = |name: &str, text: &[u8]| {
            let mut file = fs::create_new(&fd, name).expect("it is new");
            file.write_all(text).expect("it is written");
        };
        let link = |name| {
            let dir = fd.as_fd();
            Temporary { dir, name }.link("target")
        };
        write(".tmp-1", b"first");
        assert_eq!(link(".tmp-1"), Ok(()));
        write(".tmp-2", b"second");
        assert_eq!(link(".tmp-2"), Err(Errno::EXIST));
        let content = std::fs::read(dir.path().join("target")).expect("it was linked");
        assert_eq!(content, b"first");
        assert_eq!(fs::names(&fd).expect("it lists").len(), 1);
    }

    #[test]
    fn own_temporary_names_are_known() {
        assert!(is_temporary(&temporary_name().expect("randomness")));
        for other in [".tmp-", ".tmp-x", "tmp", &".tmp-0".repeat(6)] {
            assert!(!is_temporary(other), "{other}");
        }
    }
}
