//! Clips and pictures: sealed files below the store (FORMAT.md, section 5.3).

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_crypto::sealed::{SealOptions, SealedReader, SealedWriter, StreamReader};
use keepwatch_crypto::{Credential, Lock, PublicKey};

use super::layout::{make_dir, sync_dir};
use super::model::{EventId, MediaKind, MediaRef, check_camera_name};
use crate::error::{Error, Result};

const PART: &str = "part";
const SEALED: &str = "kw";

/// A cut-off file is opened in memory up to this length.
const MAX_SALVAGE: u64 = 1 << 30;

/// The clips and pictures of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MediaStore {
    root: PathBuf,
    recipients: Arc<[PublicKey]>,
}

impl MediaStore {
    /// Files below `root`, sealed to the recipients.
    pub fn new(root: PathBuf, recipients: Vec<PublicKey>) -> Self {
        Self {
            root,
            recipients: recipients.into(),
        }
    }

    /// The directory that all of it is below.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Begins a file. It is sealed as it is written, and has its name only once it is finished.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad camera name, [`Error::Io`].
    pub fn create(
        &self,
        kind: MediaKind,
        camera: &str,
        started_at: Timestamp,
        id: EventId,
    ) -> Result<MediaWriter> {
        check_camera_name(camera)?;
        let extension = match kind {
            MediaKind::Snapshot => "jpg",
            MediaKind::Clip | MediaKind::Segment => "mp4",
        };
        let day = started_at.strftime("%Y/%m/%d").to_string();
        let time = started_at.strftime("%H%M%S").to_string();
        let path = format!("{day}/{camera}/{time}-{id}.{extension}.{SEALED}");
        let target = self.root.join(&path);
        let dir = target.parent().expect("it is below the root");
        make_dir(dir)?;
        let temporary = target.with_extension(format!("{SEALED}.{PART}"));
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(Error::io("create", &temporary))?;
        let out = Hashing {
            file,
            hasher: blake3::Hasher::new(),
            bytes: 0,
        };
        let locks: Vec<Lock<'_>> = self.recipients.iter().map(Lock::Recipient).collect();
        let sealed = SealedWriter::new(out, &locks, SealOptions::default());
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                return Err(error.into());
            }
        };
        Ok(MediaWriter {
            sealed: Some(sealed),
            temporary,
            target,
            path,
            started_at,
        })
    }

    /// Opens a file with a credential of one of its recipients.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a reference out of the store, [`Error::Crypto`] for a wrong key or a
    /// changed file, [`Error::Io`].
    pub fn open(&self, media: &MediaRef, credential: &Credential) -> Result<MediaReader> {
        let path = self.path_of(media)?;
        let file = open_file(&path)?;
        if media.complete {
            let reader = SealedReader::open(file, credential)?;
            return Ok(MediaReader(Inner::Sealed(Box::new(reader))));
        }
        let mut whole = Vec::new();
        let stream = StreamReader::open(file, credential)?;
        // It ends with an error by its nature: up to there, every chunk is authentic.
        let _ = stream.take(MAX_SALVAGE).read_to_end(&mut whole);
        Ok(MediaReader(Inner::Salvaged(io::Cursor::new(whole))))
    }

    /// Where a file is.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a reference out of the store.
    pub fn path_of(&self, media: &MediaRef) -> Result<PathBuf> {
        let good = |part: &str| {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && !part.starts_with('.') && part.chars().all(good)
        };
        match media.path.len() < 512 && media.path.split('/').all(good) {
            true => Ok(self.root.join(&media.path)),
            false => Err(Error::damaged(
                "a reference to a file",
                "it leaves the store",
            )),
        }
    }

    /// BLAKE3 and length of a file as it is now.
    ///
    /// # Errors
    /// As [`MediaStore::open`].
    pub fn hash(&self, media: &MediaRef) -> Result<(u64, [u8; 32])> {
        let path = self.path_of(media)?;
        let mut file = open_file(&path)?;
        let mut hasher = blake3::Hasher::new();
        let bytes = io::copy(&mut file, &mut hasher).map_err(Error::io("read", &path))?;
        Ok((bytes, *hasher.finalize().as_bytes()))
    }

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(&self, media: &MediaRef) -> Result<()> {
        let path = self.path_of(media)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Files that a crash, or a writer that is still at work, left unfinished.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let mut found = Vec::new();
        walk(&self.root, 4, &mut |path| {
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(id) = name.and_then(unfinished_id) {
                found.push(Unfinished {
                    path: path.to_owned(),
                    id,
                });
            }
        })?;
        Ok(found)
    }

    /// Gives an unfinished file its name, and says that it is not complete. One that holds nothing
    /// is removed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn adopt(&self, unfinished: &Unfinished) -> Result<Option<MediaRef>> {
        let path = &unfinished.path;
        let metadata = fs::metadata(path).map_err(Error::io("inspect", path))?;
        let target = path.with_extension("");
        let name = target.strip_prefix(&self.root).ok();
        let Some(name) = name.and_then(Path::to_str).filter(|_| metadata.len() > 0) else {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
            return Ok(None);
        };
        let modified = metadata.modified().ok();
        let ended_at = modified.and_then(|time| Timestamp::try_from(time).ok());
        let ended_at = ended_at.unwrap_or_else(Timestamp::now);
        let started_at = started_of(name).unwrap_or(ended_at);
        let mut media = MediaRef {
            path: name.to_owned(),
            bytes: metadata.len(),
            blake3: [0; 32],
            complete: false,
            started_at,
            duration_ms: u64::try_from(ended_at.duration_since(started_at).as_millis())
                .unwrap_or(0),
        };
        rename_new(path, &target)?;
        (media.bytes, media.blake3) = self.hash(&media)?;
        Ok(Some(media))
    }
}

/// An unfinished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    path: PathBuf,
    /// The event or segment that it belongs to.
    pub id: EventId,
}

/// A file that is being written. Dropped before it is finished, it is removed.
pub struct MediaWriter {
    sealed: Option<SealedWriter<Hashing>>,
    temporary: PathBuf,
    target: PathBuf,
    path: String,
    started_at: Timestamp,
}

impl MediaWriter {
    /// Ends it, makes it durable and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Crypto`].
    pub fn finish(mut self, duration_ms: u64) -> Result<MediaRef> {
        let sealed = self.sealed.take().expect("it is there until now");
        let finish = || -> Result<MediaRef> {
            let out = sealed.finish()?;
            out.file
                .sync_all()
                .map_err(Error::io("sync", &self.temporary))?;
            rename_new(&self.temporary, &self.target)?;
            Ok(MediaRef {
                path: self.path.clone(),
                bytes: out.bytes,
                blake3: *out.hasher.finalize().as_bytes(),
                complete: true,
                started_at: self.started_at,
                duration_ms,
            })
        };
        finish().inspect_err(|_| self.remove())
    }

    fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.temporary) {
            tracing::debug!(%error, "an unfinished file stays");
        }
    }
}

impl Write for MediaWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sealed
            .as_mut()
            .expect("it is there until the end")
            .write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sealed
            .as_mut()
            .expect("it is there until the end")
            .flush()
    }
}

impl Drop for MediaWriter {
    fn drop(&mut self) {
        if self.sealed.is_some() {
            self.remove();
        }
    }
}

/// The plaintext of a file, with random access.
pub struct MediaReader(Inner);

enum Inner {
    Sealed(Box<SealedReader<File>>),
    Salvaged(io::Cursor<Vec<u8>>),
}

impl MediaReader {
    /// The length of the plaintext in bytes.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Inner::Sealed(reader) => reader.len(),
            Inner::Salvaged(bytes) => bytes.get_ref().len() as u64,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Read for MediaReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Sealed(reader) => reader.read(out),
            Inner::Salvaged(bytes) => bytes.read(out),
        }
    }
}

impl Seek for MediaReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.0 {
            Inner::Sealed(reader) => reader.seek(to),
            Inner::Salvaged(bytes) => bytes.seek(to),
        }
    }
}

/// A file, and what was written to it.
struct Hashing {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open_file(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
        .map_err(Error::io("open", path))?;
    let metadata = file.metadata().map_err(Error::io("inspect", path))?;
    match metadata.is_file() {
        true => Ok(file),
        false => Err(Error::damaged(path.display(), "it is no file")),
    }
}

fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let (here, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
    rustix::fs::renameat_with(here, from, here, to, flags)
        .map_err(io::Error::from)
        .map_err(Error::io("rename", from))?;
    sync_dir(to.parent().expect("it is below the root"))
}

/// The id in `123456-<id>.mp4.kw.part`.
fn unfinished_id(name: &str) -> Option<EventId> {
    let name = name.strip_suffix(&format!(".{SEALED}.{PART}"))?;
    let (_, rest) = name.split_once('-')?;
    rest.split_once('.')?.0.parse().ok()
}

/// The time in `2026/11/25/camera/123456-…`, to the second.
fn started_of(path: &str) -> Option<Timestamp> {
    let parts: Vec<&str> = path.split('/').collect();
    let [year, month, day, _, name] = parts[..] else {
        return None;
    };
    let time = name.get(..6)?;
    let text = format!("{year}{month}{day}T{time}Z");
    text.parse().ok()
}

/// Calls for each file, down to a depth, in no order.
pub(super) fn walk(dir: &Path, depth: usize, each: &mut dyn FnMut(&Path)) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("list", dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("list", dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io("inspect", &path))?;
        if kind.is_dir() && depth > 0 {
            walk(&path, depth - 1, each)?;
        } else if kind.is_file() {
            each(&path);
        }
    }
    Ok(())
}
