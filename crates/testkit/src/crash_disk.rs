//! What a disk may hold after a crash.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use keepwatch_core::id::Id;
use keepwatch_core::storage::{MemoryStorage, ObjectKind, ObjectName, Storage, StorageError};

use crate::Persisted;
use crate::random::Random;

/// A storage in memory that knows which of its mutations a power failure could undo.
///
/// The model is the contract of [`Storage`] at its weakest:
///
/// - A create that returned has survived. It syncs its directory, so that all removes in the
///   same directory that returned before it have survived too. The directories of packs are
///   one per first byte of the id.
/// - A settle that returned has made all removes of its kind that returned before it survive.
/// - Of the other removes any subset may be undone, whatever their order: what was removed is
///   back, whole.
/// - A create in flight at the crash has happened, whole, or not. It has synced nothing. The
///   same goes for a remove in flight. To have one in flight, wrap the disk with
///   [`FaultStorage::on_disk`](crate::FaultStorage::on_disk).
/// - A create that failed because the name was taken has changed nothing.
///
/// Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct CrashDisk {
    visible: MemoryStorage,
    state: Arc<Mutex<State>>,
}

/// A mutation in the log of a [`CrashDisk`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogEntry {
    /// A create returned.
    Created(ObjectName),
    /// A remove of what was there returned.
    Removed(ObjectName),
    /// The crash hit this create.
    CrashedInCreate(ObjectName),
    /// The crash hit this remove.
    CrashedInRemove(ObjectName),
}

#[derive(Debug, Default)]
struct State {
    log: Vec<LogEntry>,
    /// Removed objects that may be back after a crash.
    undoable_removes: BTreeMap<ObjectName, Arc<[u8]>>,
    /// The create the crash hit, if it may or may not have happened.
    in_flight: Option<(ObjectName, Arc<[u8]>)>,
}

impl CrashDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that durably holds what `content` holds now; the two are then independent.
    pub fn with_content(content: &MemoryStorage) -> Self {
        CrashDisk {
            visible: content.fork(),
            ..Self::default()
        }
    }

    /// All mutations so far, oldest first.
    pub fn log(&self) -> Vec<LogEntry> {
        self.lock().log.clone()
    }

    /// What a running process saw last; an undecided create in flight is not in it.
    pub fn visible(&self) -> MemoryStorage {
        self.visible.fork()
    }

    /// The number of mutations whose outcome is open; there are 2 to the power of this
    /// different survivors.
    pub fn undecided(&self) -> usize {
        let state = self.lock();
        state.undoable_removes.len() + usize::from(state.in_flight.is_some())
    }

    /// What is on the disk after a crash now, one possibility picked by `seed`.
    pub fn survivors(&self, seed: u64) -> MemoryStorage {
        let mut random = Random::new(seed);
        self.build(|_| random.coin())
    }

    /// The possibilities of what is on the disk after a crash now: all of them if they are at
    /// most `limit`, else `limit` of them. Those come in the order of: each mutation as the
    /// process saw it, everything undone, exactly one undone, exactly one not undone, and
    /// pseudo-random picks, which may repeat.
    pub fn survivors_all_variants(&self, limit: usize) -> Vec<MemoryStorage> {
        let open = self.undecided();
        let all = u32::try_from(open)
            .ok()
            .and_then(|n| 1usize.checked_shl(n))
            .filter(|all| *all <= limit);
        if let Some(all) = all {
            return (0..all)
                .map(|bits| self.build(|i| bits >> i & 1 == 1))
                .collect();
        }
        let uniform = [false, true].map(|undo| self.build(|_| undo));
        let one_undone = (0..open).map(|one| self.build(|i| i == one));
        let one_kept = (0..open).map(|one| self.build(|i| i != one));
        let random = (0..).map(|seed| self.survivors(seed));
        uniform
            .into_iter()
            .chain(one_undone)
            .chain(one_kept)
            .chain(random)
            .take(limit)
            .collect()
    }

    /// Builds a survivor: `undo` says for each open mutation by its index whether it is not on
    /// the disk.
    fn build(&self, mut undo: impl FnMut(usize) -> bool) -> MemoryStorage {
        let state = self.lock();
        let survivor = self.visible.fork();
        let mut index = 0..;
        let mut undo = || undo(index.next().expect("there are enough numbers"));
        for (name, bytes) in &state.undoable_removes {
            if undo() {
                survivor.replace_object(name, bytes.clone());
            }
        }
        // Last: a name can be removed and then created anew, and the new object, if it made
        // it, has taken the place of the old.
        if let Some((name, bytes)) = &state.in_flight
            && !undo()
        {
            survivor.replace_object(name, bytes.clone());
        }
        survivor
    }

    pub(crate) fn crash_in_create(&self, name: &ObjectName, parts: &[&[u8]], persisted: Persisted) {
        let mut state = self.lock();
        let name = name.canonical();
        state.log.push(LogEntry::CrashedInCreate(name));
        if self.visible.size(&name).is_ok() {
            return; // The name is taken, and the create would have failed.
        }
        let bytes: Arc<[u8]> = parts.concat().into();
        match persisted {
            Persisted::Nothing => {}
            Persisted::Everything => {
                self.visible.replace_object(&name, bytes);
                // It is there, so what it was created in place of is not.
                state.undoable_removes.remove(&name);
            }
            Persisted::Undecided => state.in_flight = Some((name, bytes)),
        }
    }

    pub(crate) fn crash_in_remove(&self, name: &ObjectName, persisted: Persisted) {
        let mut state = self.lock();
        let name = name.canonical();
        state.log.push(LogEntry::CrashedInRemove(name));
        let removed = match persisted {
            Persisted::Nothing => return,
            Persisted::Everything | Persisted::Undecided => self.take(&name),
        };
        if let (Persisted::Undecided, Some(bytes)) = (persisted, removed) {
            state.undoable_removes.insert(name, bytes);
        }
    }

    /// Removes an object and gives what it was.
    fn take(&self, name: &ObjectName) -> Option<Arc<[u8]>> {
        let bytes = self.visible.snapshot_objects().get(name).cloned();
        self.visible
            .remove(name)
            .expect("removing from memory does not fail");
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in a mutation")
    }
}

impl Storage for CrashDisk {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        let mut state = self.lock();
        self.visible.create(name, parts)?;
        let name = name.canonical();
        state
            .undoable_removes
            .retain(|removed, _| directory(removed) != directory(&name));
        state.log.push(LogEntry::Created(name));
        Ok(())
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        self.visible.read(name)
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        self.visible.read_range(name, offset, len)
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        self.visible.size(name)
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        self.visible.list(kind, each)
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        let mut state = self.lock();
        let name = name.canonical();
        if let Some(bytes) = self.take(&name) {
            state.undoable_removes.insert(name, bytes);
            state.log.push(LogEntry::Removed(name));
        }
        Ok(())
    }

    fn settle(&self, kind: ObjectKind) -> Result<(), StorageError> {
        let mut state = self.lock();
        state
            .undoable_removes
            .retain(|removed, _| removed.kind != kind);
        Ok(())
    }

    fn location(&self) -> String {
        "crash disk".to_owned()
    }
}

/// What one directory sync covers.
fn directory(name: &ObjectName) -> (ObjectKind, u8) {
    match name.kind {
        ObjectKind::Pack => (name.kind, name.id.as_bytes()[0]),
        kind => (kind, 0),
    }
}
