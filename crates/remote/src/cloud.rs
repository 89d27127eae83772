//! Objects in a store that OpenDAL knows.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use keepwatch_core::id::Id;
use keepwatch_core::storage::{
    ObjectKind, ObjectName, RemoteFault, Storage, StorageError, check_object_size, check_range,
    max_object_size,
};
use opendal::options::WriteOptions;
use opendal::{Buffer, Entry, ErrorKind, Operator};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::capability::{self, Capabilities};
use crate::locking::Locking;
use crate::retry::{Fault, Retry};

/// How a new object becomes visible, and whether one that is there can be replaced by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// The store creates only what is not there.
    Conditional,
    /// The store replaces. It is asked first whether the object is there.
    CheckFirst,
    /// The store may show half an object: it is written under another name, and moved.
    Move,
}

/// A storage of objects that are written whole.
pub(crate) struct CloudStorage {
    operator: Operator,
    runtime: Handle,
    location: String,
    retry: Retry,
    connections: usize,
    free: Arc<Semaphore>,
    /// What the service can do; of conditions, what it is said to be able to.
    service: Commit,
    /// What this store does, once that is known.
    commit: OnceLock<Commit>,
    /// Whether a listing can be had of everything beneath a name at once.
    flat: bool,
    /// With a type of content, where there are types: some servers stumble over none.
    written_as: WriteOptions,
    /// What holds objects, and the operator that writes them so.
    held: Option<(Locking, Operator)>,
}

impl CloudStorage {
    pub fn new(
        operator: Operator,
        runtime: Handle,
        location: String,
        retry: Retry,
        connections: usize,
        service: Commit,
        locking: Option<Locking>,
    ) -> Self {
        let held = locking.map(|locking| {
            let writer = locking.operator(&operator);
            (locking, writer)
        });
        let capability = operator.info().capability();
        let flat = capability.list_with_recursive;
        let written_as = WriteOptions {
            content_type: capability
                .write_with_content_type
                .then(|| "application/octet-stream".to_owned()),
            ..WriteOptions::default()
        };
        Self {
            operator,
            runtime,
            location,
            retry,
            connections,
            free: Arc::new(Semaphore::new(connections)),
            service,
            commit: OnceLock::new(),
            flat,
            written_as,
            held,
        }
    }

    /// What is known of the store, or found out now.
    pub fn capabilities(&self) -> Result<Capabilities, StorageError> {
        Capabilities::of(self, &self.location)
    }

    /// How objects are created; asked before the first is.
    fn commit(&self) -> Result<Commit, StorageError> {
        if let Some(commit) = self.commit.get() {
            return Ok(*commit);
        }
        let found = self.capabilities()?;
        if let Some(problem) = self.unfit(&found) {
            return Err(self.refused("write", "what is created", problem));
        }
        let commit = match self.service {
            Commit::Conditional if !(found.conditional_create || found.refuses_existing) => {
                Commit::CheckFirst
            }
            service => service,
        };
        Ok(*self.commit.get_or_init(|| commit))
    }

    /// What keeps a repository from being written here.
    pub fn unfit(&self, found: &Capabilities) -> Option<&'static str> {
        if !found.list_after_write {
            return Some(capability::LATE);
        }
        (self.held.is_some() && !found.object_lock).then_some(capability::FREE)
    }

    /// Whether an object that is written under the lock is held. Where there is none, none is.
    pub fn holds_objects(&self) -> Result<bool, StorageError> {
        let Some((locking, _)) = &self.held else {
            return Ok(false);
        };
        let trial = locking.trial();
        let writer = trial.operator(&self.operator);
        let path = self.temporary()?;
        let written = self.run("write", &path, |_| async {
            match writer.write(&path, "trial").await {
                Ok(_) => Ok(true),
                Err(error) if may_pass(&error) || error.kind() == ErrorKind::PermissionDenied => {
                    Err(error)
                }
                // Amazon refuses to lock what is in a bucket without.
                Err(_) => Ok(false),
            }
        })?;
        if !written {
            return Ok(false);
        }
        let held = self.run("look at", &path, |_| trial.holds(&self.operator, &path))?;
        self.run("remove", &path, |_| self.operator.delete(&path))?;
        Ok(held)
    }

    /// The operator that writes objects of a kind: what is needed for as long as the repository is
    /// held, and not what is there for a run.
    fn writer(&self, kind: ObjectKind) -> &Operator {
        match &self.held {
            Some((_, writer)) if kind.is_lasting() => writer,
            _ => &self.operator,
        }
    }

    /// The name of an object that is there for a moment.
    pub fn temporary(&self) -> Result<String, StorageError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| self.refused("name", "a new object", &error.to_string()))?;
        Ok(format!("tmp/{}", hex::encode(bytes)))
    }

    /// An error that no other try would mend.
    pub fn refused(&self, operation: &'static str, object: &str, problem: &str) -> StorageError {
        StorageError::Remote {
            operation,
            object: object.to_owned(),
            location: self.location.clone(),
            fault: RemoteFault::Refused,
            source: problem.into(),
        }
    }

    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Runs an operation until it works, fails for good, or patience ends.
    pub fn run<T, F>(
        &self,
        what: &'static str,
        path: &str,
        act: impl Fn(u32) -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = opendal::Result<T>>,
    {
        let result = self.runtime.block_on(async {
            let tries = self.retry.run(what, |tries| {
                let attempt = act(tries);
                async {
                    let _free = self.free.acquire().await;
                    attempt.await.map_err(|error| match may_pass(&error) {
                        true => Fault::Passing(error),
                        false => Fault::Lasting(error),
                    })
                }
            });
            tries.await
        });
        result.map_err(|error| self.error(what, path, error))
    }

    fn error(&self, operation: &'static str, path: &str, error: opendal::Error) -> StorageError {
        if may_pass(&error) && self.retry.stop.is_set() {
            return StorageError::Interrupted;
        }
        let fault = match error.kind() {
            ErrorKind::PermissionDenied => RemoteFault::Denied,
            _ if may_pass(&error) => RemoteFault::Unavailable,
            _ => RemoteFault::Refused,
        };
        StorageError::Remote {
            operation,
            object: path.to_owned(),
            location: self.location.clone(),
            fault,
            source: Box::new(Said(error)),
        }
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<u64>, StorageError> {
        let path = name.path();
        self.run("look at", &path, |_| {
            let path = &path;
            async move {
                match self.operator.stat(path).await {
                    Ok(found) => Ok(Some(found.content_length())),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            }
        })
    }

    /// Reads a whole object, or its beginning when it is longer than `limit`: then one byte more.
    pub fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.run("read", path, |_| async move {
            match self.get_once(path, None, limit).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// Reads an object, or one version of it, up to `limit`: when it is longer, one byte more.
    pub async fn get_once(
        &self,
        path: &str,
        version: Option<&str>,
        limit: u64,
    ) -> opendal::Result<Vec<u8>> {
        let reader = self.operator.reader_with(path);
        let reader = match version {
            Some(version) => reader.version(version).await?,
            None => reader.await?,
        };
        let mut stream = reader.into_stream(..).await?;
        let mut bytes = Vec::new();
        while let Some(more) = stream.try_next().await? {
            for piece in more {
                let room = usize::try_from(limit + 1 - bytes.len() as u64).unwrap_or(usize::MAX);
                bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            if bytes.len() as u64 > limit {
                break;
            }
        }
        Ok(bytes)
    }

    /// Reads exactly a range; nothing when the object is not there or ends before the range does.
    fn get_range(
        &self,
        path: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Option<Buffer>, StorageError> {
        self.run("read", path, |_| {
            let range = range.clone();
            async move {
                let error = match self.operator.read_with(path).range(range.clone()).await {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(error) => error,
                };
                // A range that is not there looks like a connection that broke off.
                match self.operator.stat(path).await {
                    Ok(found) if found.content_length() < range.end => Ok(None),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    _ => Err(error),
                }
            }
        })
    }

    fn exists_already(&self, name: &ObjectName) -> StorageError {
        StorageError::AlreadyExists {
            object: name.canonical(),
        }
    }

    fn put(&self, name: &ObjectName, content: &Buffer) -> Result<Put, StorageError> {
        let path = name.path();
        let commit = self.commit()?;
        let writer = self.writer(name.kind);
        if commit == Commit::Conditional {
            return self.run("write", &path, |tries| {
                let how = WriteOptions {
                    if_not_exists: true,
                    ..self.written_as.clone()
                };
                let writing = writer.write_options(&path, content.clone(), how);
                async move {
                    match writing.await {
                        Ok(_) => Ok(Put::Done),
                        Err(error) => match error.kind() {
                            // It may be the work of an earlier try whose answer was lost.
                            ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists => {
                                Ok(Put::Taken {
                                    maybe_by_us: tries > 0,
                                })
                            }
                            _ => Err(error),
                        },
                    }
                }
            });
        }
        if self.stat(name)?.is_some() {
            return Ok(Put::Taken { maybe_by_us: false });
        }
        let target = match commit {
            Commit::Move => self.temporary()?,
            _ => path.clone(),
        };
        self.run("write", &path, |_| {
            let writing = writer.write_options(&target, content.clone(), self.written_as.clone());
            async move { writing.await.map(drop) }
        })?;
        if commit == Commit::Move {
            self.run("move into place", &path, |tries| {
                let (target, path) = (&target, &path);
                async move {
                    match self.operator.rename(target, path).await {
                        // An earlier try did it, and its answer was lost.
                        Err(error) if error.kind() == ErrorKind::NotFound && tries > 0 => {
                            self.operator.stat(path).await.map(drop)
                        }
                        done => done,
                    }
                }
            })?;
        }
        Ok(Put::Done)
    }
}

enum Put {
    Done,
    Taken { maybe_by_us: bool },
}

impl Storage for CloudStorage {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        let parts: Vec<Bytes> = parts
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| Bytes::copy_from_slice(part))
            .collect();
        let content = Buffer::from(parts);
        match self.put(name, &content)? {
            Put::Done => Ok(()),
            Put::Taken { maybe_by_us: true } => {
                let there = self.get(&name.path(), content.len() as u64)?;
                match there.is_some_and(|there| there == content.to_vec()) {
                    true => Ok(()),
                    false => Err(self.exists_already(name)),
                }
            }
            Put::Taken { maybe_by_us: false } => Err(self.exists_already(name)),
        }
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        let bytes = self.get(&name.path(), max_object_size(name.kind))?;
        let bytes = bytes.ok_or_else(|| not_found(name))?;
        if let Err(error) = check_object_size(name, bytes.len() as u64) {
            // It was not read to its end.
            return Err(check_object_size(name, self.size(name)?)
                .err()
                .unwrap_or(error));
        }
        Ok(bytes)
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        // What is out of all bounds is not asked for.
        check_range(name, u64::MAX, 0, len)?;
        if len > 0
            && let Some(end) = offset.checked_add(len as u64)
            && let Some(bytes) = self.get_range(&name.path(), offset..end)?
        {
            return Ok(bytes.to_vec());
        }
        // It ends too soon, or nothing is to be read: how long is it?
        let size = self.size(name)?;
        check_range(name, size, offset, len)?;
        match len {
            0 => Ok(Vec::new()),
            _ => Err(self.refused("read", &name.path(), "it gives less than it has")),
        }
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        self.stat(name)?.ok_or_else(|| not_found(name))
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        let Some(directory) = kind.directory() else {
            if let Some(size) = self.stat(&ObjectName::config())? {
                each(Id::ZERO, size);
            }
            return Ok(());
        };
        let top = format!("{directory}/");
        // A try that ends half way must not be told of: the whole list first.
        let found = self.run("list", &top, |_| self.list_once(kind, &top))?;
        for (id, size) in found {
            each(id, size);
        }
        Ok(())
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        let path = name.path();
        self.run("remove", &path, |_| {
            let path = &path;
            async move {
                match self.operator.delete(path).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    done => done,
                }
            }
        })
    }

    fn settle(&self, _kind: ObjectKind) -> Result<(), StorageError> {
        // What such a store has answered is durable.
        Ok(())
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    fn hold(&self, name: &ObjectName) -> Result<(), StorageError> {
        let Some((locking, _)) = &self.held else {
            return Ok(());
        };
        let path = name.path();
        let held = self.run("hold", &path, |_| async {
            match locking.renew(&self.operator, &path).await {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        })?;
        match held {
            true => Ok(()),
            false => Err(not_found(name)),
        }
    }

    fn held_for(&self) -> Option<Duration> {
        let (locking, _) = self.held.as_ref()?;
        locking.period().try_into().ok()
    }

    fn parallelism(&self) -> usize {
        self.connections
    }

    fn is_far(&self) -> bool {
        true
    }
}

impl CloudStorage {
    async fn list_once(&self, kind: ObjectKind, top: &str) -> opendal::Result<Vec<(Id, u64)>> {
        let mut found = Vec::new();
        let mut take = |entry: &Entry| {
            let metadata = entry.metadata();
            if let Some(id) = object_at(kind, entry.path())
                && metadata.is_file()
            {
                found.push((id, metadata.content_length()));
            }
        };
        if self.flat || kind != ObjectKind::Pack {
            self.entries(top, self.flat).await?.iter().for_each(take);
            return Ok(found);
        }
        // Packs are in many folders, each of which is a question: not one after the other.
        let folders = self.entries(top, false).await?;
        let folders = folders
            .iter()
            .filter(|entry| entry.metadata().is_dir() && entry.path() != top);
        let listings = folders.map(|folder| self.entries(folder.path(), false));
        let mut listings = pin!(stream::iter(listings).buffer_unordered(self.connections));
        while let Some(entries) = listings.try_next().await? {
            entries.iter().for_each(&mut take);
        }
        Ok(found)
    }

    /// What is in a directory. One that is not there yet is an empty one.
    async fn entries(&self, directory: &str, recursive: bool) -> opendal::Result<Vec<Entry>> {
        let lister = self.operator.lister_with(directory).recursive(recursive);
        let found = match lister.await {
            Ok(lister) => lister.try_collect().await,
            Err(error) => Err(error),
        };
        match found {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            found => found,
        }
    }
}

impl fmt::Debug for CloudStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudStorage")
            .field("location", &self.location)
            .field("commit", &self.commit.get())
            .finish_non_exhaustive()
    }
}

/// The object of a kind that is at a path, if it is where such an object belongs.
pub(crate) fn object_at(kind: ObjectKind, path: &str) -> Option<Id> {
    let (_, file) = path.rsplit_once('/')?;
    let id: Id = file.parse().ok()?;
    (ObjectName::new(kind, id).path() == path).then_some(id)
}

pub(crate) fn not_found(name: &ObjectName) -> StorageError {
    StorageError::NotFound {
        object: name.canonical(),
    }
}

/// Whether an operation is worth another try.
fn may_pass(error: &opendal::Error) -> bool {
    error.is_temporary()
        // Two writers of one name at the same time, on AWS.
        || matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::Conflict)
}

/// What was said, in one line and without what OpenDAL knows of its own insides.
#[derive(Debug)]
struct Said(opendal::Error);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.message().trim_end())
    }
}

impl std::error::Error for Said {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}
