//! The local cache directory of one repository. Deleting it costs time only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keepwatch_crypto::random_bytes;
use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result};
use crate::id::Id;

/// Where a repository keeps what spares it work the next time.
#[derive(Clone, Debug)]
pub enum CachePlace {
    /// Beneath this directory, in a folder for each repository.
    Dir(PathBuf),
    /// In a private folder beneath this directory, removed at the end.
    Temporary(PathBuf),
}

/// The cache of one repository.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    index_dir: PathBuf,
    lasting: bool,
    /// Holds the lock on `index_dir` while this process uses it.
    _index_lock: Option<File>,
    remove: Vec<PathBuf>,
}

impl Cache {
    pub fn open(place: &CachePlace, repository: &[u8; 16]) -> Result<Self> {
        match place {
            CachePlace::Dir(parent) => {
                let dir = parent.join(hex::encode(repository));
                make_dir(&dir)?;
                let lock = lock_file(&dir.join("index.lock"))?;
                let mut remove = Vec::new();
                // A second process at the same time works on a private copy of the index.
                let index_dir = if lock.is_some() {
                    dir.join("index")
                } else {
                    let private = dir.join(private_name()?);
                    remove.push(private.clone());
                    private
                };
                make_dir(&index_dir)?;
                Ok(Self {
                    dir,
                    index_dir,
                    lasting: true,
                    _index_lock: lock,
                    remove,
                })
            }
            CachePlace::Temporary(parent) => {
                let dir = parent.join(private_name()?);
                let index_dir = dir.join("index");
                make_dir(&index_dir)?;
                Ok(Self {
                    remove: vec![dir.clone()],
                    dir,
                    index_dir,
                    lasting: false,
                    _index_lock: None,
                })
            }
        }
    }

    /// Where the local index lies.
    pub fn index_dir(&self) -> &Path {
        &self.index_dir
    }

    /// Where packs of trees are kept of a storage that is far away.
    pub fn trees_dir(&self) -> PathBuf {
        self.dir.join("trees")
    }

    /// The database of files seen by backups, if it outlives this process.
    pub fn files_database(&self) -> Option<PathBuf> {
        self.lasting.then(|| self.dir.join("files.sqlite"))
    }

    /// The database of packs verified by checks, if it outlives this process.
    pub fn scrub_database(&self) -> Option<PathBuf> {
        self.lasting.then(|| self.dir.join("scrub.sqlite"))
    }

    /// A small file of this name, if it outlives this process.
    pub fn record(&self, name: &str) -> Option<PathBuf> {
        self.lasting.then(|| self.dir.join(name))
    }

    /// Who this cache is to the repository: the same 16 bytes as long as the cache lives.
    pub fn client(&self) -> Result<[u8; 16]> {
        let path = self.dir.join("client");
        let mut id = [0; 16];
        match File::open(&path).and_then(|mut file| file.read_exact(&mut id)) {
            Ok(()) => return Ok(id),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                ) => {}
            Err(error) => return Err(Error::io("read", &path)(error)),
        }
        let id: [u8; 16] = random_bytes()?;
        let temporary = self.dir.join(private_name()?);
        let write = || -> io::Result<()> {
            let mut file = new_file(&temporary)?;
            file.write_all(&id)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(Error::io("write", &path))?;
        Ok(id)
    }

    /// Keeps other processes from backing up the same set while the result lives.
    pub fn lock_set(&self, set: &Id) -> Result<File> {
        let path = self.dir.join(format!("set-{set}.lock"));
        lock_file(&path)?.ok_or_else(|| Error::Busy {
            what: "a backup of the same paths".to_owned(),
        })
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        for dir in &self.remove {
            if let Err(error) = fs::remove_dir_all(dir) {
                tracing::debug!(dir = %dir.display(), %error, "cannot remove a temporary cache");
            }
        }
    }
}

pub(crate) fn private_name() -> Result<String> {
    let random: [u8; 8] = random_bytes()?;
    Ok(format!("tmp-{}", hex::encode(random)))
}

pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Error::io("make the folder", dir))
}

pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// The locked file, or nothing if another process holds it. The lock ends with the process.
fn lock_file(path: &Path) -> Result<Option<File>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("open", path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(None),
        Err(error) => Err(Error::io("lock", path)(error.into())),
    }
}
