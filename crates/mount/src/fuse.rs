//! The tree as a file system of the kernel.

mod attributes;
mod filesystem;
mod inodes;
mod mount_point;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};

use crate::error::{Error, Result};
use crate::fuse::filesystem::SnapshotFs;
use crate::tree::Tree;

/// Threads that answer the kernel: one that waits for a slow storage keeps no other waiting.
const THREADS: usize = 8;
/// How often it is looked whether the mount is to end, or has.
const LOOK: Duration = Duration::from_millis(50);
/// How long an end may take while somebody still has a file open.
const PATIENCE: Duration = Duration::from_secs(2);

/// How to mount.
#[derive(Clone, Copy, Debug, Default)]
pub struct MountOptions {
    /// Other users may look, too, each as far as modes and owners of the files let them.
    pub allow_other: bool,
}

/// A mount. When it is dropped, it ends.
pub struct Mounted {
    path: PathBuf,
    session: BackgroundSession,
}

/// Mounts a tree at an empty directory.
///
/// # Errors
/// A place that is not fit, and a machine without FUSE.
pub fn mount(tree: Arc<Tree>, path: &Path, options: &MountOptions) -> Result<Mounted> {
    let path = mount_point::check(path)?;
    let failed = |source| Error::Mount {
        path: path.clone(),
        source,
    };
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("keepwatch".to_owned()),
        MountOption::Subtype("keepwatch".to_owned()),
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoAtime,
    ];
    if options.allow_other {
        config.acl = SessionACL::All;
        // Without it, everybody could read everything.
        config.mount_options.push(MountOption::DefaultPermissions);
    }
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    let session = Session::new(SnapshotFs::new(tree), &path, &config)
        .and_then(Session::spawn)
        .map_err(failed)?;
    Ok(Mounted { path, session })
}

impl Mounted {
    /// Waits until somebody unmounts it or `stop` says so, and then it is unmounted.
    ///
    /// # Errors
    /// When the kernel ended it by an error, and when it cannot be unmounted.
    pub fn wait(self, stop: &dyn Fn() -> bool) -> Result<()> {
        while !self.session.guard.is_finished() {
            if stop() {
                return self.unmount();
            }
            std::thread::sleep(LOOK);
        }
        self.end()
    }

    /// Unmounts it. Who still has something of it open gets errors from now on.
    ///
    /// # Errors
    /// When that fails.
    pub fn unmount(self) -> Result<()> {
        mount_point::unmount(&self.path).map_err(|source| Error::Session {
            path: self.path.clone(),
            source,
        })?;
        let deadline = Instant::now() + PATIENCE;
        while !self.session.guard.is_finished() {
            if Instant::now() >= deadline {
                // It is in no directory any more, and ends when the last file is closed or we do.
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        self.end()
    }

    fn end(self) -> Result<()> {
        let Self { path, session } = self;
        session
            .join()
            .map_err(|source| Error::Session { path, source })
    }
}

impl std::fmt::Debug for Mounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mounted")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
