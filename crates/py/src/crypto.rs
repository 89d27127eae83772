//! Encrypting and decrypting files.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use keepwatch_core::fs::{AtomicFile, Replace};
use keepwatch_crypto::NewLock;
use keepwatch_crypto::backuphandler::{self, Decryptor, LegacyKey};
use keepwatch_crypto::sealed::{Info, SealOptions, is_sealed, open_stream, seal_stream};
use pyo3::prelude::*;

use crate::credential::{
    Identity, IdentitySource, KeySource, Secret, borrowed, credential, kdf, new_locks, one_of,
};
use crate::errors::{Raise, Result};
use crate::record::{FilePath, Strings, Tuple, record};
use crate::work::{self, Stop, Teller};

/// Bytes of a file's beginning that tell its format.
const MAGIC_LEN: u64 = 8;

/// Reads or writes until the flag is set, and counts.
pub struct StopRead<T> {
    inner: T,
    stop: Stop,
    count: u64,
}

impl<T> StopRead<T> {
    /// Watches `stop`.
    pub fn new(inner: T, stop: Stop) -> Self {
        Self {
            inner,
            stop,
            count: 0,
        }
    }

    /// What was wrapped.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Bytes that went through.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn check(&self) -> io::Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            // The exception that set the flag is what comes out.
            true => Err(io::Error::other("interrupted")),
            false => Ok(()),
        }
    }
}

impl<R: Read> Read for StopRead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<S: Seek> Seek for StopRead<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl<W: Write> Write for StopRead<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check()?;
        let count = self.inner.write(data)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

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
    let bytes = transform(
        py,
        &source,
        &target,
        overwrite,
        progress,
        |input, output| match format {
            Format::Kw => {
                let locks = borrowed(&locks, kdf);
                Ok(seal_stream(
                    input,
                    output,
                    &locks,
                    SealOptions::default(),
                    0,
                )?)
            }
            Format::BackupHandler => {
                let key = match legacy_lock(&locks)? {
                    NewLock::Passphrase(passphrase) => LegacyKey::from_passphrase(passphrase)?,
                    NewLock::KeyFile(key) => LegacyKey::from_key_file(key),
                    NewLock::Recipient(_) => return Err(not_legacy()),
                };
                Ok(backuphandler::encrypt(input, output, &key)?)
            }
        },
    )?;
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
    let bytes = transform(
        py,
        &source,
        &target,
        overwrite,
        progress,
        |input, output| {
            Ok(match format {
                Format::Kw => open_stream(input, output, &credential, 0)?,
                Format::BackupHandler => {
                    Decryptor::new(credential.clone()).decrypt(input, output)?
                }
            })
        },
    )?;
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
    work: impl FnOnce(Counted<'_>, &mut AtomicFile) -> Result<u64> + Send,
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
        counter.set_total(1, metadata.len());
        let mut output = AtomicFile::create(target, replace(overwrite))?;
        let input = Counted {
            file: StopRead::new(file, stop.clone()),
            counter: &counter,
        };
        let bytes = work(input, &mut output)?;
        output.commit()?;
        counter.add(1, 0);
        Ok(bytes)
    })?
}

/// Tells what is read of it.
struct Counted<'a> {
    file: StopRead<File>,
    counter: &'a work::Counter,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.counter.add(0, count as u64);
        Ok(count)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
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
