//! Objects as files of a server that speaks SFTP
//! ([draft-ietf-secsh-filexfer-02](https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02)
//! with OpenSSH's extensions).
//!
//! An object is written under another name, made durable, and linked to its own: that never replaces
//! and shows all of it or nothing. Where a server has no links it is looked whether there is one, and
//! the file renamed.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use keepwatch_core::id::Id;
use keepwatch_core::storage::{
    ObjectKind, ObjectName, RemoteFault, Storage, StorageError, check_object_size, check_range,
};
use openssh_sftp_client::Error as SftpError;
use openssh_sftp_client::error::SftpErrorKind;
use tokio::runtime::Handle;

use crate::connection::{Connection, Lines, Trouble};
use crate::launch::Launcher;
use crate::options::Options;
use crate::retry::{Fault, Retry};

/// Two at a time keep both sides busy with encryption; more wait for the same disk.
const MOST_LINES: usize = 4;

/// Where objects are written before they get their names.
const DRAFTS: &str = "tmp";
/// A draft that has not changed for so long has no writer any more.
const MIN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// A storage that is reached by SFTP.
pub(crate) struct SftpStorage {
    lines: Lines,
    root: PathBuf,
    runtime: Handle,
    location: String,
    retry: Retry,
}

type Tried<T> = Result<T, Fault<Trouble>>;

impl SftpStorage {
    pub fn new(
        launcher: Launcher,
        root: &str,
        location: String,
        options: &Options,
        runtime: &Handle,
    ) -> Self {
        let limits = &options.limits;
        Self {
            lines: Lines::new(launcher, options, limits.connections.min(MOST_LINES)),
            root: PathBuf::from(root),
            runtime: runtime.clone(),
            location,
            retry: Retry {
                patience: limits.patience,
                stop: options.stop.clone(),
            },
        }
    }

    /// Runs an operation on a connection until it works, fails for good, or patience ends.
    fn run<T>(
        &self,
        what: &'static str,
        object: &str,
        act: &impl AsyncFn(&mut Connection, u32) -> Result<T, SftpError>,
    ) -> Result<T, StorageError> {
        let tries = self.retry.run(what, async |tries| -> Tried<T> {
            let mut line = self.lines.take().await?;
            match act(&mut line, tries).await {
                Ok(done) => {
                    self.lines.give_back(line);
                    Ok(done)
                }
                Err(error) => Err(line.explain(error, &self.lines).await),
            }
        });
        let result = self.runtime.block_on(tries);
        result.map_err(|trouble| {
            if trouble.fault == RemoteFault::Unavailable && self.retry.stop.is_set() {
                return StorageError::Interrupted;
            }
            StorageError::Remote {
                operation: what,
                object: object.to_owned(),
                location: self.location.clone(),
                fault: trouble.fault,
                source: trouble.text.into(),
            }
        })
    }

    fn path(&self, name: &ObjectName) -> PathBuf {
        self.root.join(name.path())
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<u64>, StorageError> {
        let path = self.path(name);
        self.run("look at", &name.path(), &async |line, _| {
            line.size(&path).await
        })
    }

    fn taken(&self, name: &ObjectName) -> StorageError {
        StorageError::AlreadyExists {
            object: name.canonical(),
        }
    }
}

impl Storage for SftpStorage {
    fn create(&self, name: &ObjectName, parts: &[&[u8]]) -> Result<(), StorageError> {
        let content = Bytes::from(parts.concat());
        let path = self.path(name);
        let directory = self.root.join(DRAFTS);
        let done = self.run("write", &name.path(), &async |line, tries| {
            // Another name each time: what an earlier try left must not be in the way.
            let draft = directory.join(hex::encode(random()?));
            let written = line.write_draft(&draft, content.clone()).await;
            let linked = match written {
                Ok(file) => line.commit(file, &draft, &path).await,
                Err(error) => Err(error),
            };
            // A draft that stays is removed later; the fault before is the one to tell of.
            let removed = line.remove(&draft).await;
            match linked {
                Ok(true) => removed.map(|()| Created::Yes),
                Ok(false) => Ok(Created::No {
                    maybe_by_us: tries > 0,
                }),
                Err(error) => Err(error),
            }
        });
        match done {
            Ok(Created::Yes) => Ok(()),
            Ok(Created::No { maybe_by_us }) => {
                // An earlier try may have done it, and its answer was lost.
                let same = maybe_by_us && self.read(name)? == content;
                if same { Ok(()) } else { Err(self.taken(name)) }
            }
            Err(error) => Err(self.no_space(name, content.len() as u64, error)),
        }
    }

    fn read(&self, name: &ObjectName) -> Result<Vec<u8>, StorageError> {
        let size = self.size(name)?;
        check_object_size(name, size)?;
        self.read_checked(name, 0, size)
    }

    fn read_range(
        &self,
        name: &ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        check_range(name, u64::MAX, 0, len)?;
        let size = self.size(name)?;
        check_range(name, size, offset, len)?;
        match len {
            0 => Ok(Vec::new()),
            _ => self.read_checked(name, offset, len as u64),
        }
    }

    fn size(&self, name: &ObjectName) -> Result<u64, StorageError> {
        self.stat(name)?.ok_or_else(|| StorageError::NotFound {
            object: name.canonical(),
        })
    }

    fn list(&self, kind: ObjectKind, each: &mut dyn FnMut(Id, u64)) -> Result<(), StorageError> {
        let Some(directory) = kind.directory() else {
            if let Some(size) = self.stat(&ObjectName::config())? {
                each(Id::ZERO, size);
            }
            return Ok(());
        };
        let top = self.root.join(directory);
        let levels = if kind == ObjectKind::Pack { 1 } else { 0 };
        // A try that ends half way must not be told of: the whole list first.
        let found = self.run("list", directory, &async |line, _| {
            line.list(&top, levels).await
        })?;
        for (path, size) in found {
            let name = path.rsplit('/').next().unwrap_or_default();
            let Ok(id) = name.parse::<Id>() else {
                continue;
            };
            if ObjectName::new(kind, id).path() == format!("{directory}/{path}") {
                each(id, size);
            }
        }
        Ok(())
    }

    fn remove(&self, name: &ObjectName) -> Result<(), StorageError> {
        let path = self.path(name);
        self.run("remove", &name.path(), &async |line, _| {
            line.remove(&path).await
        })
    }

    fn settle(&self, _kind: ObjectKind) -> Result<(), StorageError> {
        // The protocol cannot make a removal durable. What comes back after a crash of the server is
        // removed again by the next collector.
        Ok(())
    }

    fn sweep_temporaries(&self) -> Result<u64, StorageError> {
        let drafts = self.root.join(DRAFTS);
        self.run("sweep", DRAFTS, &async |line, _| {
            let before = SystemTime::now() - MIN_AGE;
            line.remove_older(&drafts, before).await
        })
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    fn parallelism(&self) -> usize {
        self.lines.most()
    }

    fn is_far(&self) -> bool {
        true
    }
}

impl SftpStorage {
    /// Reads what is known to be there.
    fn read_checked(
        &self,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let path = self.path(name);
        self.run("read", &name.path(), &async |line, _| {
            line.read(&path, offset, len).await
        })
    }

    /// The protocol has no word for a full disk: it is asked for.
    fn no_space(&self, name: &ObjectName, needed: u64, error: StorageError) -> StorageError {
        let root = &self.root;
        let refused = matches!(
            error,
            StorageError::Remote {
                fault: RemoteFault::Refused,
                ..
            }
        );
        if !refused {
            return error;
        }
        let free = self.run("look at", "the free space", &async |line, _| {
            line.free_space(root).await
        });
        match free {
            Ok(Some(free)) if free < needed => StorageError::NoSpace {
                object: name.canonical(),
                source: std::io::Error::from(std::io::ErrorKind::StorageFull),
            },
            _ => error,
        }
    }
}

enum Created {
    Yes,
    No { maybe_by_us: bool },
}

fn random() -> Result<[u8; 16], SftpError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

impl fmt::Debug for SftpStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SftpStorage")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

/// Whether the server said that there is no such file.
pub(crate) fn is_missing(error: &SftpError) -> bool {
    matches!(error, SftpError::SftpError(SftpErrorKind::NoSuchFile, _))
}
