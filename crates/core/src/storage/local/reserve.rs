//! Room that packs leave free.
//!
//! What frees a full disk has to write first: a collection its records, and an index without the
//! packs that go. If packs could fill a disk to the last block, only files of others could make
//! room for that.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is left free, in bytes, on disks that are neither small nor very large.
const USUAL: u64 = 64 << 20;

/// On a small disk less is left: its size divided by this.
const SMALL: u64 = 32;

/// On a large one more, for the index grows with it: 48 bytes for a chunk, which is hardly ever
/// stored in less than 4096 times that on average.
const LARGE: u64 = 4096;

/// Of a file system, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    total: u64,
    /// For users without privileges.
    free: u64,
}

impl Room {
    /// None where the file system does not tell.
    pub(super) fn of(directory: impl AsFd) -> Option<Self> {
        let disk = rustix::fs::fstatvfs(directory).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let (total, free) = (bytes(disk.f_blocks), bytes(disk.f_bavail));
        (total > 0).then_some(Room { total, free })
    }

    /// What is to stay free.
    fn kept(self) -> u64 {
        USUAL.max(self.total / LARGE).min(self.total / SMALL)
    }
}

/// Bytes of packs that this process is writing. Other processes are not asked.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    writing: AtomicU64,
}

impl Reserve {
    /// Lets a pack of `size` bytes be written until the guard is dropped; none if it would have to
    /// come out of the reserve.
    ///
    /// What of other packs has reached the disk already counts twice, which is on the safe side.
    pub(super) fn admit(&self, size: u64, room: Option<Room>) -> Option<Writing<'_>> {
        let before = self.writing.fetch_add(size, Ordering::Relaxed);
        let writing = Writing {
            reserve: self,
            size,
        };
        let fits =
            |room: Room| room.free >= before.saturating_add(size).saturating_add(room.kept());
        room.is_none_or(fits).then_some(writing)
    }
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

    const GIB: u64 = 1 << 30;

    fn room(total: u64, free: u64) -> Option<Room> {
        Some(Room { total, free })
    }

    #[test]
    fn the_reserve_stays_free() {
        let reserve = Reserve::default();
        assert!(reserve.admit(10, room(100 * GIB, USUAL + 10)).is_some());
        assert!(reserve.admit(11, room(100 * GIB, USUAL + 10)).is_none());
        assert!(reserve.admit(u64::MAX, room(100 * GIB, GIB)).is_none());
        assert_eq!(reserve.writing.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_being_written_counts_until_it_is_done() {
        let reserve = Reserve::default();
        let room = room(100 * GIB, USUAL + 20);
        let first = reserve.admit(10, room);
        assert!(first.is_some());
        assert!(reserve.admit(11, room).is_none());
        assert!(reserve.admit(10, room).is_some());
        drop(first);
        assert!(reserve.admit(11, room).is_some());
    }

    #[test]
    fn a_file_system_that_does_not_tell_has_no_reserve() {
        assert!(Reserve::default().admit(10, None).is_some());
    }

    #[test]
    fn the_reserve_goes_with_the_size() {
        let kept = |total| Room { total, free: 0 }.kept();
        assert_eq!(kept(8 << 20), 256 << 10);
        assert_eq!(kept(100 * GIB), USUAL);
        assert_eq!(kept(4096 * GIB), GIB);
    }
}
