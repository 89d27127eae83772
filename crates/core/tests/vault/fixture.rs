//! A source tree and an empty repository in memory.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keepwatch_core::storage::MemoryStorage;
use keepwatch_core::{BackupReport, Repository, RestoreOptions, RestoreReport};
use keepwatch_testkit::tree::{noise, write};
use keepwatch_testkit::vault;
use tempfile::TempDir;

pub struct Fixture {
    pub dir: TempDir,
    pub repository: Repository,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("source")).unwrap();
        let repository = vault::init(
            Arc::new(MemoryStorage::new()),
            &vault::small(),
            &dir.path().join("cache"),
        );
        Self { dir, repository }
    }

    /// With a small tree of all that file systems have.
    pub fn with_tree() -> Self {
        let fixture = Self::new();
        varied_tree(&fixture.source());
        fixture
    }

    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    pub fn backup(&self) -> BackupReport {
        let report = vault::backup(&self.repository, &self.source()).unwrap();
        assert_eq!(report.errors, []);
        report
    }

    /// Restores the last snapshot into the target, over what is there.
    pub fn restore_over(&self, options: &RestoreOptions) -> RestoreReport {
        let (source, target) = (self.source(), self.target());
        let report =
            vault::restore_with(&self.repository, "latest", &source, &target, options).unwrap();
        assert_eq!(report.errors, []);
        report
    }

    pub fn restore(&self, snapshot: &str, target: &Path) -> RestoreReport {
        let report = vault::restore(&self.repository, snapshot, &self.source(), target).unwrap();
        assert_eq!(report.errors, []);
        report
    }
}

/// Files of all kinds and sizes, links, odd names and modes.
pub fn varied_tree(root: &Path) {
    write(root, "empty", b"");
    write(root, "small", b"one chunk");
    write(root, "large", noise(300_000, 1));
    write(
        root,
        "text/long",
        b"the same line again and again\n".repeat(5000),
    );
    write(
        root,
        "text/copy",
        b"the same line again and again\n".repeat(5000),
    );
    write(root, "names/with space & 'quotes'\n.txt", b"newline");
    write(root, "names/\u{65e5}\u{672c}", b"unicode");
    write(root, &format!("names/{}", "n".repeat(255)), b"long name");
    fs::create_dir(root.join("empty dir")).unwrap();
    symlink("../small", root.join("text/link")).unwrap();
    symlink("/nowhere/at/all", root.join("dangling")).unwrap();
    fs::hard_link(root.join("small"), root.join("text/small too")).unwrap();
    let mode = |path: &str, mode| {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("small", 0o4751);
    mode("large", 0o600);
    mode("empty dir", 0o1777);
    mode("text", 0o750);
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        root.join("fifo"),
        rustix::fs::Mode::from_raw_mode(0o640),
    )
    .unwrap();
    // Directories last, or the files above would change them.
    for path in ["names", "text", "empty dir", "large", "empty"] {
        set_mtime(&root.join(path), 1_234_567_890, 123_456_789);
    }
}

pub fn set_mtime(path: &Path, secs: i64, nanos: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: secs,
            tv_nsec: nanos,
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
