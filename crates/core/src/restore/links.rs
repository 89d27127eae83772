//! Hard links: the first name of an inode is restored as a file, the others as links to it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::tree::NodeKind;

/// The first name of an inode, and how it went with it.
#[derive(Debug)]
pub(super) struct First {
    pub path: Vec<u8>,
    kind: NodeKind,
    done: Mutex<Option<bool>>,
    signal: Condvar,
}

impl First {
    /// Says whether the file is there, with its content.
    pub fn settle(&self, restored: bool) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(restored);
        self.signal.notify_all();
    }

    /// Waits until the file is there, or is known to have failed.
    ///
    /// Jobs are taken in order, so whoever restores the first name is at work or done: this
    /// cannot wait for ever.
    pub fn wait(&self) -> bool {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(restored) = *done {
                return restored;
            }
            done = self
                .signal
                .wait(done)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a file with several names is.
#[derive(Debug)]
pub(super) enum Link {
    /// The first one: others wait for it.
    First(Arc<First>),
    /// One of the others.
    Other(Arc<First>),
}

/// The files with several names met so far.
#[derive(Default)]
pub(super) struct Links(HashMap<(u64, u64), Arc<First>>);

impl Links {
    /// What the entry at `path` is to the inode `key`, a device and inode number at the source.
    ///
    /// Nothing if it is other content: the inode was given to another file during the backup.
    pub fn find(&mut self, key: (u64, u64), path: &[u8], kind: &NodeKind) -> Option<Link> {
        if let Some(first) = self.0.get(&key) {
            return (first.kind == *kind).then(|| Link::Other(first.clone()));
        }
        let first = Arc::new(First {
            path: path.to_vec(),
            kind: kind.clone(),
            done: Mutex::new(None),
            signal: Condvar::new(),
        });
        self.0.insert(key, first.clone());
        Some(Link::First(first))
    }
}
