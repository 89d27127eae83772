//! Sealed files.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use keepwatch_core::fs::{AtomicFile, Replace};
use keepwatch_crypto::backuphandler::{self, Decryptor, LegacyKey};
use keepwatch_crypto::sealed::{
    Info, SealOptions, SealedReader as Reader, SealedWriter as Writer, is_sealed, open_stream,
    seal_stream,
};
use keepwatch_crypto::{Kdf, NewLock};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::credential::{
    Identity, IdentitySource, KeySource, Secret, borrowed, credential, kdf, new_locks, one_of,
};
use crate::errors::{self, Raise, Result};
use crate::record::{FilePath, Strings, Tuple, record};
use crate::stream::{BinaryReader, Bytes, PyFile};
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

/// Seals bytes.
#[pyfunction]
#[pyo3(signature = (data, *, passphrase=None, key_file=None, recipients=None, kdf="argon2id"))]
pub fn seal<'py>(
    py: Python<'py>,
    data: Bytes<'py>,
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    recipients: Option<Strings>,
    kdf: &str,
) -> Result<Bound<'py, PyBytes>> {
    let kdf = self::kdf(kdf)?;
    let locks = new_locks(passphrase, key_file, recipients)?;
    let data = data.as_slice();
    let sealed = py.detach(|| {
        let mut out = Vec::with_capacity(data.len() + data.len() / 1024 + 1024);
        let options = SealOptions::default();
        seal_stream(
            Cursor::new(data),
            &mut out,
            &borrowed(&locks, kdf),
            options,
            0,
        )?;
        Ok::<_, Raise>(out)
    })?;
    Ok(PyBytes::new(py, &sealed))
}

/// Opens what [`seal`] or `encrypt_file` made.
#[pyfunction]
#[pyo3(signature = (data, *, passphrase=None, key_file=None, identity=None))]
pub fn unseal<'py>(
    py: Python<'py>,
    data: Bytes<'py>,
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    identity: Option<IdentitySource>,
) -> Result<Bound<'py, PyBytes>> {
    let credential = credential(passphrase, key_file, identity)?;
    let data = data.as_slice();
    let plain = py.detach(|| {
        let mut out = zeroize::Zeroizing::new(Vec::with_capacity(data.len()));
        open_stream(Cursor::new(data), &mut *out, &credential, 0)?;
        Ok::<_, Raise>(out)
    })?;
    Ok(PyBytes::new(py, &plain))
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

/// Where sealed bytes go.
enum Output {
    File(AtomicFile),
    Python(PyFile),
}

impl Write for Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Output::File(file) => file.write(data),
            Output::Python(file) => file.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::File(file) => file.flush(),
            Output::Python(file) => file.flush(),
        }
    }
}

enum Writing {
    Open(Box<Writer<Output>>, u64),
    Closed,
    Aborted,
}

/// A binary file that seals what is written to it.
///
/// Leaving its `with` block ends the file; leaving it by an exception, or never closing it, leaves
/// no file of that name (and in a file object of yours one that does not open).
#[pyclass(frozen, module = "keepwatch")]
pub struct SealedWriter {
    state: Mutex<Writing>,
    name: String,
}

impl SealedWriter {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Writing) -> Result<T> + Send,
    ) -> Result<T> {
        // Another thread that writes may need the interpreter's lock.
        py.detach(|| work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn writer_closed() -> Raise {
    Python::attach(
        |py| match errors::make(py, "ClosedError", "the writer is closed", None) {
            Ok(error) | Err(error) => Raise::Python(error),
        },
    )
}

#[pymethods]
impl SealedWriter {
    #[new]
    #[pyo3(signature = (
        target, *, passphrase=None, key_file=None, recipients=None, kdf="argon2id",
        overwrite=false
    ))]
    fn new(
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        recipients: Option<Strings>,
        kdf: &str,
        overwrite: bool,
    ) -> Result<Self> {
        let kdf: Kdf = self::kdf(kdf)?;
        let locks = new_locks(passphrase, key_file, recipients)?;
        let (target, name) = match target.extract::<PathBuf>() {
            Ok(path) => (Ok(path.clone()), path.display().to_string()),
            Err(_) => (
                Err(PyFile::with_method("target", target, "write")?),
                "a file".to_owned(),
            ),
        };
        let writer = py.detach(|| {
            let output = match target {
                Ok(path) => Output::File(AtomicFile::create(&path, replace(overwrite))?),
                Err(file) => Output::Python(file),
            };
            let options = SealOptions::default();
            Ok::<_, Raise>(Writer::new(output, &borrowed(&locks, kdf), options)?)
        })?;
        Ok(Self {
            state: Mutex::new(Writing::Open(Box::new(writer), 0)),
            name,
        })
    }

    /// Seals bytes; gives how many.
    #[pyo3(signature = (data, /))]
    fn write(&self, py: Python<'_>, data: Bytes<'_>) -> Result<usize> {
        let data = data.as_slice();
        self.with(py, |state| match state {
            Writing::Open(writer, count) => {
                writer.write_all(data)?;
                *count += data.len() as u64;
                Ok(data.len())
            }
            _ => Err(writer_closed()),
        })
    }

    /// Flushes what is below. What is not yet a whole chunk stays here until the end.
    fn flush(&self, py: Python<'_>) -> Result<()> {
        self.with(py, |state| match state {
            Writing::Open(writer, _) => Ok(writer.flush()?),
            _ => Err(writer_closed()),
        })
    }

    /// Bytes written so far.
    fn tell(&self, py: Python<'_>) -> Result<u64> {
        self.with(py, |state| match state {
            Writing::Open(_, count) => Ok(*count),
            _ => Err(writer_closed()),
        })
    }

    /// Ends the file: only now it is whole, and has its name. A second call does nothing.
    fn close(&self, py: Python<'_>) -> Result<()> {
        self.with(py, |state| {
            if let Writing::Open(writer, _) = std::mem::replace(state, Writing::Closed) {
                match writer.finish()? {
                    Output::File(file) => file.commit()?,
                    // It belongs to the caller, who may write more behind it.
                    Output::Python(_) => {}
                }
            }
            Ok(())
        })
    }

    /// Gives the file up: nothing is left of it under its name.
    fn abort(&self, py: Python<'_>) -> Result<()> {
        self.with(py, |state| {
            if matches!(state, Writing::Open(..)) {
                *state = Writing::Aborted;
            }
            Ok(())
        })
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> Result<bool> {
        self.with(py, |state| Ok(!matches!(state, Writing::Open(..))))
    }

    /// What it writes.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn readable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn __enter__(slf: PyRef<'_, Self>) -> Result<PyRef<'_, Self>> {
        let open = !slf.closed(slf.py())?;
        open.then_some(slf).ok_or_else(writer_closed)
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> Result<()> {
        match exception.get_item(0).is_ok_and(|kind| !kind.is_none()) {
            true => self.abort(py),
            false => self.close(py),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> Result<String> {
        let state = self.with(py, |state| {
            Ok(match state {
                Writing::Open(..) => "",
                Writing::Closed => ", closed",
                Writing::Aborted => ", aborted",
            })
        })?;
        Ok(format!("<SealedWriter {:?}{state}>", self.name))
    }
}

/// The plaintext of a sealed file, to be read at any place, of a path or of a binary file that can
/// seek.
#[pyclass(frozen, extends = BinaryReader, module = "keepwatch")]
pub struct SealedReader;

#[pymethods]
impl SealedReader {
    #[new]
    #[pyo3(signature = (source, *, passphrase=None, key_file=None, identity=None))]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        identity: Option<IdentitySource>,
    ) -> Result<PyClassInitializer<Self>> {
        let credential = credential(passphrase, key_file, identity)?;
        let reader = match source.extract::<PathBuf>() {
            Ok(path) => {
                let reader = py.detach(|| {
                    let file = File::open(&path).map_err(Raise::file("read", &path))?;
                    Ok::<_, Raise>(Reader::open(file, &credential)?)
                })?;
                BinaryReader::new(reader, path.display().to_string())
            }
            Err(_) => {
                let file = PyFile::with_method("source", source, "seek")?;
                let reader = py.detach(|| Reader::open(file, &credential))?;
                BinaryReader::new(reader, "a file".to_owned())
            }
        };
        Ok(PyClassInitializer::from(reader).add_subclass(Self))
    }
}
