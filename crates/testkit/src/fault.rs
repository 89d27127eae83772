//! Failing, crashing and interleaving at a chosen operation.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::{fmt, io};

use keepwatch_core::id::Id;
use keepwatch_core::storage::{ObjectKind, ObjectName, Storage, StorageError};

use crate::CrashDisk;

/// What an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpKind {
    /// [`Storage::create`], a mutation.
    Create,
    /// [`Storage::remove`], a mutation.
    Remove,
    /// [`Storage::read`].
    Read,
    /// [`Storage::read_range`].
    ReadRange,
    /// [`Storage::size`].
    Size,
    /// [`Storage::list`].
    List,
    /// [`Storage::settle`]; it changes nothing that can be seen, and is no mutation.
    Settle,
}

/// On which side of an operation a hook is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Before the operation, and before it fails if it is to.
    Before,
    /// After it returned, unless it failed or crashed by injection.
    After,
}

/// An operation, as a hook sees it.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Which side of the operation this is.
    pub when: When,
    /// What it does.
    pub kind: OpKind,
    /// To which object; the id of a listing is zero.
    pub object: ObjectName,
    /// For creates and removes: the number of those before this one.
    pub mutation: Option<u64>,
}

/// What a failing or crashing mutation has done to the storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persisted {
    /// Nothing.
    Nothing,
    /// All it was asked to do; only the answer got lost.
    Everything,
    /// One or the other, which the survivors of a [`CrashDisk`] decide. Only for crashes of
    /// [`FaultStorage::on_disk`].
    Undecided,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Error(Persisted),
    Crash(Persisted),
}

/// The source of an injected error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Injected {
    Error,
    Crash,
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Injected::Error => "injected error",
            Injected::Crash => "injected crash",
        })
    }
}

impl Error for Injected {}

type Hook = Box<dyn Fn(&Op) + Send + Sync>;

/// A storage that fails or crashes at chosen mutations and calls a hook around every operation.
///
/// Mutations (creates and removes) are counted from 0 in the order they begin. A *crash* is the
/// death of the process: the mutation at which it happens and every operation after it, reads
/// too, give an error that [`is_crash`] knows. Run once without faults, then once per mutation:
///
/// ```
/// # use std::sync::Arc;
/// # use keepwatch_core::{id::Id, storage::{ObjectKind, ObjectName, Storage}};
/// # use keepwatch_testkit::{CrashDisk, FaultStorage, Persisted};
/// # fn scenario(storage: &dyn Storage) -> Result<(), keepwatch_core::storage::StorageError> {
/// #     storage.create(&ObjectName::new(ObjectKind::Pack, Id::of(b"a")), &[b"a"])?;
/// #     storage.create(&ObjectName::new(ObjectKind::Index, Id::of(b"b")), &[b"b"])
/// # }
/// let clean = FaultStorage::on_disk(CrashDisk::new());
/// scenario(&clean).expect("no faults yet");
/// for at in 0..clean.mutations() {
///     let disk = CrashDisk::new();
///     let storage = FaultStorage::on_disk(disk.clone()).crash_at(at, Persisted::Undecided);
///     scenario(&storage).expect_err("it crashes");
///     for survivor in disk.survivors_all_variants(64) {
///         // Open `survivor` and check what must hold.
///     }
/// }
/// ```
pub struct FaultStorage {
    inner: Arc<dyn Storage>,
    disk: Option<CrashDisk>,
    faults: BTreeMap<u64, Fault>,
    mutations: AtomicU64,
    crashed: AtomicBool,
    hook: Mutex<Option<Arc<Hook>>>,
}

impl FaultStorage {
    /// Wraps any storage.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        FaultStorage {
            inner,
            disk: None,
            faults: BTreeMap::new(),
            mutations: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
            hook: Mutex::new(None),
        }
    }

    /// Wraps a disk, which learns of the mutation that was in flight when a crash happened.
    pub fn on_disk(disk: CrashDisk) -> Self {
        FaultStorage {
            disk: Some(disk.clone()),
            ..FaultStorage::new(Arc::new(disk))
        }
    }

    /// Lets one mutation fail with an I/O error; the storage works on after it.
    ///
    /// # Panics
    ///
    /// On [`Persisted::Undecided`].
    #[must_use]
    pub fn fail_at(mut self, mutation: u64, persisted: Persisted) -> Self {
        assert_ne!(persisted, Persisted::Undecided, "an error must be decided");
        self.faults.insert(mutation, Fault::Error(persisted));
        self
    }

    /// Lets the process die in the middle of a mutation.
    ///
    /// # Panics
    ///
    /// On [`Persisted::Undecided`] without a [`CrashDisk`].
    #[must_use]
    pub fn crash_at(mut self, mutation: u64, persisted: Persisted) -> Self {
        assert!(
            persisted != Persisted::Undecided || self.disk.is_some(),
            "only a CrashDisk decides later"
        );
        self.faults.insert(mutation, Fault::Crash(persisted));
        self
    }

    /// Sets the hook, in place of any earlier one. It is called on the thread of the operation
    /// and holds no lock, so it may use the storage underneath, or this one if it can bear the
    /// recursion. Hooks are not called once the storage has crashed.
    pub fn on_op(&self, hook: Box<dyn Fn(&Op) + Send + Sync>) {
        *self.hook.lock().expect("no hook runs under the lock") = Some(Arc::new(hook));
    }

    /// The number of mutations begun so far.
    pub fn mutations(&self) -> u64 {
        self.mutations.load(Ordering::SeqCst)
    }

    /// Whether the crash has happened.
    pub fn crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    fn call_hook(&self, op: Op) {
        let hook = self
            .hook
            .lock()
            .expect("no hook runs under the lock")
            .clone();
        if let Some(hook) = hook {
            hook(&op);
        }
    }

    fn query<T>(
        &self,
        kind: OpKind,
        object: ObjectName,
        run: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut op = Op {
            when: When::Before,
            kind,
            object,
            mutation: None,
        };
        self.check_alive(object)?;
        self.call_hook(op);
        self.check_alive(object)?;
        let result = run();
        op.when = When::After;
        self.call_hook(op);
        result
    }

    fn mutate(
        &self,
        kind: OpKind,
        object: ObjectName,
        run: impl FnOnce() -> Result<(), StorageError>,
        in_flight: impl FnOnce(&CrashDisk, Persisted),
    ) -> Result<(), StorageError> {
        self.check_alive(object)?;
        let mutation = self.mutations.fetch_add(1, Ordering::SeqCst);
        let mut op = Op {
            when: When::Before,
            kind,
            object,
            mutation: Some(mutation),
        };
        self.call_hook(op);
        self.check_alive(object)?;
        match self.faults.get(&mutation) {
            None => {
                let result = run();
                op.when = When::After;
                self.call_hook(op);
                result
            }
            Some(Fault::Error(persisted)) => {
                if *persisted == Persisted::Everything {
                    run()?;
                }
                Err(injected(Injected::Error, object))
            }
            Some(Fault::Crash(persisted)) => {
                self.crashed.store(true, Ordering::SeqCst);
                match &self.disk {
                    Some(disk) => in_flight(disk, *persisted),
                    // Its result is nobody's to see.
                    None if *persisted == Persisted::Everything => drop(run()),
                    None => {}
                }
                Err(injected(Injected::Crash, object))
            }
        }
    }

    fn check_alive(&self, object: ObjectName) -> Result<(), StorageError> {
        if self.crashed() {
            return Err(injected(Injected::Crash, object));
        }
        Ok(())
    }
}

impl fmt::Debug for FaultStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStorage")
            .field("inner", &self.inner)
            .field("faults", &self.faults)
            .field("mutations", &self.mutations)
            .field("crashed", &self.crashed)
            .finish_non_exhaustive()
    }
}

impl Storage for FaultStorage {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        self.mutate(
            OpKind::Create,
            *name,
            || self.inner.create(name, parts),
            |disk, persisted| disk.crash_in_create(name, parts, persisted),
        )
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        self.query(OpKind::Read, *name, || self.inner.read(name))
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        self.query(OpKind::ReadRange, *name, || {
            self.inner.read_range(name, offset, len)
        })
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        self.query(OpKind::Size, *name, || self.inner.size(name))
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        self.query(OpKind::List, ObjectName::new(kind, Id::ZERO), || {
            self.inner.list(kind, each)
        })
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.mutate(
            OpKind::Remove,
            *name,
            || self.inner.remove(name),
            |disk, persisted| disk.crash_in_remove(name, persisted),
        )
    }

    fn settle(&self, kind: ObjectKind) -> Result<(), StorageError> {
        self.query(OpKind::Settle, ObjectName::new(kind, Id::ZERO), || {
            self.inner.settle(kind)
        })
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

fn injected(what: Injected, object: ObjectName) -> StorageError {
    StorageError::Io {
        operation: "use",
        path: PathBuf::from(object.path()),
        source: io::Error::other(what),
    }
}

/// Whether an error, or what caused it, is the crash of a [`FaultStorage`].
pub fn is_crash(error: &(dyn Error + 'static)) -> bool {
    find(error) == Some(Injected::Crash)
}

/// Whether an error, or what caused it, comes from a [`FaultStorage`].
pub fn is_injected(error: &(dyn Error + 'static)) -> bool {
    find(error).is_some()
}

fn find(error: &(dyn Error + 'static)) -> Option<Injected> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An io::Error is not the source of what it wraps: it stands in for it.
        let custom = error.downcast_ref::<io::Error>().and_then(|e| e.get_ref());
        if let Some(found) = custom.and_then(|e| e.downcast_ref::<Injected>()) {
            return Some(*found);
        }
        next = error.source();
    }
    None
}
