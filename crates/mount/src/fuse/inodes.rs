//! Numbers of what the kernel knows, and what they stand for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepwatch_core::tree::NodeKind;

use crate::tree::{Dir, Entry, EntryKind};

/// The number of the top.
pub(super) const ROOT: u64 = 1;

/// What a number stands for. Little enough for millions: all else is looked up by the name again.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    /// The directory that it is in, by number and as itself.
    pub parent: u64,
    pub within: Dir,
    pub name: Box<[u8]>,
    /// What it is, if a directory.
    pub dir: Option<Dir>,
    /// The number of the top of its snapshot; 0 outside.
    pub snapshot: u64,
    /// How often the kernel has got this number and has not forgotten it.
    lookups: u64,
}

/// Numbers come from what they stand for, by a hash that others cannot foresee: they are the same
/// whenever somebody looks, and names of one file have one number. Among a million of them, two are
/// the same by chance once in 10^7 mounts.
#[derive(Debug, Default)]
pub(super) struct Inodes {
    hash: RandomState,
    known: Mutex<HashMap<u64, Inode>>,
}

impl Inodes {
    fn known(&self) -> MutexGuard<'_, HashMap<u64, Inode>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of an entry of the directory `parent`, in the snapshot whose top is `snapshot`.
    pub fn number(&self, parent: u64, snapshot: u64, entry: &Entry) -> u64 {
        let of_name = || self.hash.hash_one((parent, &entry.name));
        let number = match &entry.kind {
            EntryKind::Stored(node) => match (node.meta.hardlink, &node.kind) {
                // An inode that was given to another file during the backup has other content.
                (Some(key), NodeKind::File { size, content, .. }) => {
                    self.hash.hash_one((snapshot, key, size, content))
                }
                (Some(key), NodeKind::Dir { .. }) => self.hash.hash_one((of_name(), key)),
                (Some(key), NodeKind::Symlink { target }) => {
                    self.hash.hash_one((snapshot, key, target))
                }
                (Some(key), NodeKind::CharDevice { major, minor }) => {
                    self.hash.hash_one((snapshot, key, 'c', major, minor))
                }
                (Some(key), NodeKind::BlockDevice { major, minor }) => {
                    self.hash.hash_one((snapshot, key, 'b', major, minor))
                }
                (Some(key), NodeKind::Fifo) => self.hash.hash_one((snapshot, key, 'p')),
                (Some(key), NodeKind::Socket) => self.hash.hash_one((snapshot, key, 's')),
                (None, _) => of_name(),
            },
            // Another snapshot may have this name by and by, and what is in it is another file: the
            // kernel must not take the one for the other.
            EntryKind::Snapshot {
                dir: Dir::Stored(content),
                time,
            } => self
                .hash
                .hash_one((of_name(), time.as_nanosecond(), content)),
            _ => of_name(),
        };
        // 0 is none, and 1 the top.
        number.max(ROOT + 1)
    }

    /// What a number stands for; nothing for the top.
    pub fn get(&self, number: u64) -> Option<Inode> {
        self.known().get(&number).cloned()
    }

    /// The directory of a number, and the top of its snapshot.
    pub fn dir(&self, number: u64) -> Option<(Dir, u64)> {
        if number == ROOT {
            return Some((Dir::Root, 0));
        }
        let known = self.known();
        let inode = known.get(&number)?;
        Some((inode.dir.clone()?, inode.snapshot))
    }

    /// The kernel is about to get to know an entry; gives its number.
    pub fn remember(&self, parent: u64, within: &Dir, above: u64, entry: &Entry) -> u64 {
        let number = self.number(parent, above, entry);
        let snapshot = match entry.kind {
            EntryKind::Snapshot { .. } => number,
            _ => above,
        };
        let mut known = self.known();
        let inode = known.entry(number).or_insert_with(|| Inode {
            parent,
            within: within.clone(),
            name: entry.name.as_slice().into(),
            dir: None,
            snapshot,
            lookups: 0,
        });
        // What a host's name stands for may be another snapshot's by now.
        inode.dir = entry.dir();
        inode.lookups += 1;
        number
    }

    /// The kernel forgets what it got so often.
    pub fn forget(&self, number: u64, lookups: u64) {
        let mut known = self.known();
        if let Some(inode) = known.get_mut(&number) {
            inode.lookups = inode.lookups.saturating_sub(lookups);
            if inode.lookups == 0 {
                known.remove(&number);
            }
        }
    }
}
