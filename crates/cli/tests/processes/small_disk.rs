//! A disk that is soon full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system, for as long as it lives.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing without the privilege to mount, which is said.
    pub fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size}"),
                "keepwatch-test",
            ])
            .arg(at)
            .output();
        let output = mounted.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.success() {
            true => Some(Self(at.to_owned())),
            false if may_not_mount(&stderr) => {
                println!("skipped, since a file system has to be mounted: {stderr}");
                None
            }
            false => panic!("mount: {stderr}"),
        }
    }
}

fn may_not_mount(stderr: &str) -> bool {
    let denied = ["permission denied", "superuser", "not permitted"];
    denied.iter().any(|text| stderr.contains(text))
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The test has its own result to tell.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// The bytes that are free.
pub fn room(at: &Path) -> u64 {
    let disk = rustix::fs::statvfs(at).unwrap();
    disk.f_bavail * disk.f_frsize
}
