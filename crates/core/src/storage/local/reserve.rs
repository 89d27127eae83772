//! Room that packs leave free.
//!
//! What frees a full disk has to write first: a collection its records, an index without the
//! packs that go. If packs could fill a disk to the last block, only files of others could make
//! room for that.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most that is left free, in bytes.
const MOST: u64 = 64 << 20;

/// On a small disk less is left: its size divided by this.
const SHARE: u64 = 32;

/// Bytes of packs that this process is writing.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    writing: AtomicU64,
}

impl Reserve {
    /// Lets a pack of `size` bytes be written to the file system that `directory` is on, until
    /// the guard is dropped; nothing if it would have to come out of the reserve.
    ///
    /// Other processes are not asked, and a file system that does not tell its size has no
    /// reserve.
    pub(super) fn admit(&self, directory: impl AsFd, size: u64) -> Option<Writing<'_>> {
        let writing = Writing {
            reserve: self,
            size,
        };
        let before = self.writing.fetch_add(size, Ordering::Relaxed);
        let Ok(disk) = rustix::fs::fstatvfs(directory) else {
            return Some(writing);
        };
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let needed = before.saturating_add(size).saturating_add(kept_free(total));
        (total == 0 || free >= needed).then_some(writing)
    }
}

fn kept_free(total: u64) -> u64 {
    MOST.min(total / SHARE)
}

/// A pack that is being written.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    reserve: &'a Reserve,
    size: u64,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.reserve.writing.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_counts_until_it_is_done() {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = std::fs::File::open(directory.path()).expect("it opens");
        let reserve = Reserve::default();
        let disk = rustix::fs::fstatvfs(&directory).expect("it tells its size");
        let half = disk.f_bavail * disk.f_frsize / 2;

        let first = reserve.admit(&directory, half);
        assert!(first.is_some());
        assert!(reserve.admit(&directory, half + 1).is_none());
        drop(first);
        assert_eq!(reserve.writing.load(Ordering::Relaxed), 0);
        assert!(reserve.admit(&directory, u64::MAX).is_none());
        assert_eq!(reserve.writing.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn small_disks_keep_less_free() {
        assert_eq!(kept_free(8 << 20), 256 << 10);
        assert_eq!(kept_free(1 << 40), MOST);
    }
}
