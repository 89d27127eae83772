//! Encrypting and decrypting files.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use keepwatch_core::Progress;
use keepwatch_core::fs::{AtomicFile, Replace, seal_file, unseal_file};
use keepwatch_crypto::NewLock;
use keepwatch_crypto::backuphandler::{self, Decryptor, LegacyKey};
use keepwatch_crypto::sealed::{Info, SealOptions, is_sealed};
use pyo3::prelude::*;

use crate::credential::{
    Identity, IdentitySource, KeySource, Secret, borrowed, credential, kdf, new_locks, one_of,
};
use crate::errors::{Raise, Result};
use crate::record::{FilePath, Strings, Tuple, record};
use crate::work::{Stop, Stopping, Teller};

/// Bytes of a file's beginning that tell its format.
const MAGIC_LEN: u64 = 8;

/// `overwrite`, as files know it.
pub fn replace(overwrite: bool) -> Replace {
    match overwrite {
        true => Replace::Files,
        false => Replace::Never,
    }
}

#[derive(Clone, Copy)]
enum Format {
    Kw,
    BackupHandler,
}

impl Format {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "kw" => Ok(Format::Kw),
            "backuphandler" => Ok(Format::BackupHandler),
            _ => Err(one_of("format", name, &["kw", "backuphandler"])),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Format::Kw => "kw",
            Format::BackupHandler => "enc",
        }
    }
}

record! {
    /// What encrypting or decrypting a file did.
    FileReport {
        /// The file that was read.
        input: PathBuf,
        /// The file that was written.
        output: PathBuf,
        /// Bytes of plaintext.
        bytes: u64,
    }
}

record! {
    /// What anyone can read in the header of a sealed file. None of it is authenticated until the
    /// file is opened.
    SealedInfo {
        /// The cipher suite.
        suite: &'static str,
        /// The chunk size in bytes.
        chunk_size: u32,
        /// What opens it.
        slots: Tuple,
        /// Bytes of plaintext; none for a file of no possible length.
        plaintext_bytes: Option<u64>,
    }
}

/// Encrypts a file, for all who hold the passphrase, the key file or the identity of a recipient.
///
/// The file appears under its name when it is whole, readable by its owner only.
#[pyfunction]
#[pyo3(signature = (
    source, target=None, *, passphrase=None, key_file=None, recipients=None, format="kw",
    kdf="argon2id", overwrite=false, progress=None
))]
pub fn encrypt_file(
    py: Python<'_>,
    source: FilePath,
    target: Option<FilePath>,
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    recipients: Option<Strings>,
    format: &str,
    kdf: &str,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> Result<FileReport> {
    let format = Format::parse(format)?;
    let kdf = self::kdf(kdf)?;
    let locks = new_locks(passphrase, key_file, recipients)?;
    if matches!(format, Format::BackupHandler) {
        legacy_lock(&locks)?;
    }
    let target = match target {
        Some(target) => target.0,
        None => with_extension(&source, format.extension()),
    };
    let work = |source: &File, target: &mut AtomicFile, progress: &Stopping<'_>| match format {
        Format::Kw => {
            let (locks, options) = (borrowed(&locks, kdf), SealOptions::default());
            Ok(seal_file(source, target, &locks, options, progress)?)
        }
        Format::BackupHandler => {
            let key = match legacy_lock(&locks)? {
                NewLock::Passphrase(passphrase) => LegacyKey::from_passphrase(passphrase)?,
                NewLock::KeyFile(key) => LegacyKey::from_key_file(key),
                NewLock::Recipient(_) => return Err(not_legacy()),
            };
            Ok(backuphandler::encrypt(
                Counted(source, progress),
                target,
                &key,
            )?)
        }
    };
    let bytes = transform(py, &source, &target, overwrite, progress, work)?;
    Ok(FileReport {
        input: source.0,
        output: target,
        bytes,
    })
}

/// Decrypts a file. Nothing is left of it when that fails.
#[pyfunction]
#[pyo3(signature = (
    source, target=None, *, passphrase=None, key_file=None, identity=None, format=None,
    overwrite=false, progress=None
))]
pub fn decrypt_file(
    py: Python<'_>,
    source: FilePath,
    target: Option<FilePath>,
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    identity: Option<IdentitySource>,
    format: Option<&str>,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> Result<FileReport> {
    let credential = credential(passphrase, key_file, identity)?;
    let format = match format {
        Some(name) => Format::parse(name)?,
        None => py.detach(|| format_of(&source))?,
    };
    let target = match target {
        Some(target) => target.0,
        None => without_extension(&source)?,
    };
    let work = |source: &File, target: &mut AtomicFile, progress: &Stopping<'_>| match format {
        Format::Kw => Ok(unseal_file(source, target, &credential, progress)?),
        Format::BackupHandler => {
            let mut decryptor = Decryptor::new(credential.clone());
            Ok(decryptor.decrypt(Counted(source, progress), target)?)
        }
    };
    let bytes = transform(py, &source, &target, overwrite, progress, work)?;
    Ok(FileReport {
        input: source.0,
        output: target,
        bytes,
    })
}

/// Lets `work` make `target` of `source`, and tells how far it has come.
fn transform(
    py: Python<'_>,
    source: &Path,
    target: &Path,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&File, &mut AtomicFile, &Stopping<'_>) -> Result<u64> + Send,
) -> Result<u64> {
    let teller = Teller::begin(py, progress)?;
    let counter = teller.counter();
    let stop = Stop::default();
    teller.run(py, &stop, || {
        let file = File::open(source).map_err(Raise::file("read", source))?;
        let metadata = file.metadata().map_err(Raise::file("read", source))?;
        if metadata.is_dir() {
            let error = io::Error::from(rustix::io::Errno::ISDIR);
            return Err(Raise::file("read", source)(error));
        }
        counter.total(1, metadata.len());
        let mut output = AtomicFile::create(target, replace(overwrite))?;
        let progress = Stopping {
            counter: &counter,
            stop: &stop,
        };
        let bytes = work(&file, &mut output, &progress)?;
        output.commit()?;
        counter.advance(1, 0);
        Ok(bytes)
    })?
}

/// Tells what is read of a file, until it is stopped.
struct Counted<'a>(&'a File, &'a Stopping<'a>);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_stopped() {
            // The exception that stopped it is what comes out.
            return Err(io::Error::other("interrupted"));
        }
        let count = self.0.read(buffer)?;
        self.1.advance(0, count as u64);
        Ok(count)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

fn not_legacy() -> Raise {
    Raise::value(
        "format",
        "BackupHandler's takes one passphrase or one key_file, and no recipients",
    )
}

/// BackupHandler's files have one key.
fn legacy_lock(locks: &[NewLock]) -> Result<&NewLock> {
    match locks {
        [lock @ (NewLock::Passphrase(_) | NewLock::KeyFile(_))] => Ok(lock),
        _ => Err(not_legacy()),
    }
}

/// What the content says, or else the name.
fn format_of(path: &Path) -> Result<Format> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAGIC_LEN).read_to_end(&mut head))
        .map_err(Raise::file("read", path))?;
    Ok(match path.extension().is_some_and(|end| end == "enc") {
        true if !is_sealed(&head) => Format::BackupHandler,
        // Its own error says best what is wrong.
        _ => Format::Kw,
    })
}

fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn without_extension(path: &Path) -> Result<PathBuf> {
    match path
        .extension()
        .is_some_and(|end| end == "kw" || end == "enc")
    {
        true => Ok(path.with_extension("")),
        false => Err(Raise::value(
            "target",
            "the name of the source does not end in .kw or .enc: say where to write",
        )),
    }
}

/// Reads the header of a sealed file.
#[pyfunction]
#[pyo3(signature = (path, /))]
pub fn sealed_info(py: Python<'_>, path: FilePath) -> Result<SealedInfo> {
    let (info, len) = py.detach(|| {
        let file = File::open(&path).map_err(Raise::file("read", &path))?;
        let len = file.metadata().map_err(Raise::file("read", &path))?.len();
        Ok::<_, Raise>((Info::read(BufReader::new(file))?, len))
    })?;
    Ok(SealedInfo {
        suite: info.suite.name(),
        chunk_size: info.chunk_size,
        plaintext_bytes: info.plaintext_len(len),
        slots: Tuple::new(py, info.slots)?,
    })
}

/// Makes an identity. Its recipient is what others seal to; the identity opens that.
///
/// With `path` it is also written to a new file, as `keepwatch keygen` does.
#[pyfunction]
#[pyo3(signature = (path=None))]
pub fn keygen(py: Python<'_>, path: Option<FilePath>) -> Result<Identity> {
    let identity = Identity::generate()?;
    if let Some(path) = path {
        let text = identity.key().to_age_string();
        let recipient = identity.key().public().to_string();
        py.detach(|| {
            let mut file = AtomicFile::create(&path, Replace::Never)?;
            write!(file, "# public key: {recipient}\n{}\n", text.as_str())
                .map_err(Raise::file("write", &path))?;
            Ok::<_, Raise>(file.commit()?)
        })?;
    }
    Ok(identity)
}
