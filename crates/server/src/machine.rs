//! Numbers of the system.

use std::path::Path;

/// A file system, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk {
    pub total: u64,
    /// For those who are not the system's administrator.
    pub free: u64,
}

/// That of a directory.
pub(crate) fn disk(path: &Path) -> Option<Disk> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Disk {
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

/// What this process takes, in bytes (proc(5), `VmRSS`).
pub(crate) fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells() {
        let disk = disk(Path::new("/")).expect("there is one");
        assert!(disk.total > 0 && disk.free <= disk.total);
        assert!(memory().expect("it tells") > 1 << 20);
        assert!(super::disk(Path::new("/no/such/place")).is_none());
    }
}
