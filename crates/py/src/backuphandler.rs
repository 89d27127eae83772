//! What `keepwatch.compat.backuphandler` is made of: BackupHandler's encrypted files, and files on
//! their way into a backup and out of it.
//!
//! The functions for many files take a callable `done(index, result)`; see [`each`].

mod each;
mod files;
mod keys;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keepwatch_core::crypto::backuphandler::{decrypt, encrypt};
use keepwatch_core::crypto::zeroize::Zeroizing;
use keepwatch_core::crypto::{Error as CryptoError, Key, Passphrase};
use keepwatch_core::fs::{AtomicFile, Replace};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use sha2::{Digest, Sha256};

use crate::errors::{Raise, Result};
use crate::work::{Stop, Stoppable, run};
use each::{each, is_small};
use files::{Links, Placed, is_unchanged, like, make_dir, open, place, put_link, sync_dir};
use keys::{Keys, at};

const BUFFER: usize = 256 << 10;
/// BackupHandler's, for files of a passphrase.
const ITERATIONS: u32 = 600_000;

/// The keys of a passphrase, of a key file's 32 bytes, or of both.
///
/// They are derived at first use, and remembered for as long as the process lives.
#[pyclass(frozen, module = "keepwatch._keepwatch", name = "_bh_Session")]
struct Session {
    keys: Arc<Keys>,
}

#[pymethods]
impl Session {
    #[new]
    fn new(passphrase: Option<String>, key: Option<Vec<u8>>) -> PyResult<Self> {
        let key = key.map(Zeroizing::new);
        let key = match key.as_deref().map(|key| <[u8; 32]>::try_from(&key[..])) {
            Some(Ok(bytes)) => Some(Key::from_bytes(bytes)),
            Some(Err(_)) => return Err(Raise::value("key", "it has 32 bytes").into()),
            None => None,
        };
        Ok(Self {
            keys: Keys::of(passphrase.map(Passphrase::from), key),
        })
    }

    fn __repr__(&self) -> &'static str {
        "Session(…)"
    }
}

/// A file on its way: from where, the root of where to, the path beneath that, whether it is to be
/// decrypted, and what the SHA-256 of the content may be.
type Transfer = (PathBuf, PathBuf, PathBuf, bool, Option<Vec<String>>);

/// The length and SHA-256 of a content, and whether it changed while it was read.
type Content = (u64, String, bool);

/// The key of a passphrase and salt.
fn derive(passphrase: &Zeroizing<String>, salt: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let password = passphrase.as_bytes();
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, ITERATIONS, key.as_mut_slice());
    key
}

/// Hashes what passes through it.
struct Hashing<W> {
    writer: W,
    hash: Sha256,
    len: u64,
}

impl<W: Write> Hashing<W> {
    fn new(writer: W) -> Self {
        Self {
            writer,
            hash: Sha256::new(),
            len: 0,
        }
    }

    fn content(self, changed: bool) -> Content {
        (self.len, hex::encode(self.hash.finalize()), changed)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let len = self.writer.write(data)?;
        self.hash.update(&data[..len]);
        self.len += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Copies what is left of a file; an error names the one of the two that it is of.
fn pump(from: &Path, file: &File, stop: &Stop, writer: &mut impl Write, to: &Path) -> Result<()> {
    let mut reader = Stoppable::new(file, stop.clone());
    let mut buf = vec![0; BUFFER];
    loop {
        let len = match reader.read(&mut buf) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Raise::file("read", from)(error)),
        };
        writer
            .write_all(&buf[..len])
            .map_err(Raise::file("write", to))?;
    }
}

fn unseal(
    keys: &Keys,
    path: &Path,
    file: &File,
    stop: &Stop,
    writer: &mut impl Write,
) -> Result<()> {
    let key = keys.reading(path, file)?;
    decrypt(Stoppable::new(file, stop.clone()), writer, &key).map_err(|error| at(path, error))?;
    Ok(())
}

fn digest_one(keys: Option<&Keys>, path: &Path, stop: &Stop) -> Result<Content> {
    let (file, is) = open(path)?;
    let mut hashing = Hashing::new(io::sink());
    match keys {
        Some(keys) => unseal(keys, path, &file, stop, &mut hashing)?,
        None => pump(path, &file, stop, &mut hashing, path)?,
    }
    let changed = !is_unchanged(path, &file, &is)?;
    Ok(hashing.content(changed))
}

/// Whether a file holds what these keys have sealed.
fn is_sealed_with(keys: &Keys, path: &Path, stop: &Stop) -> Result<bool> {
    match digest_one(Some(keys), path, stop) {
        Ok(_) => Ok(true),
        Err(Raise::Crypto(
            CryptoError::Open | CryptoError::Malformed { .. } | CryptoError::OtherCredential { .. },
        )) => Ok(false),
        Err(error) => Err(error),
    }
}

fn encrypt_one(keys: &Keys, path: &Path, sealed: &Path, stop: &Stop) -> Result<u64> {
    let (file, is) = open(path)?;
    // First: what is to be replaced may be of the same key, which is not derived again then.
    let key = keys.writing()?;
    let replace = match fs::symlink_metadata(sealed) {
        // What an earlier run has made of the same file, or somebody's own.
        Ok(_) if is_sealed_with(keys, sealed, stop)? => Replace::Files,
        _ => Replace::Never,
    };
    let mut out = AtomicFile::create(sealed, replace)?;
    let len = encrypt(Stoppable::new(&file, stop.clone()), &mut out, &key)
        .map_err(|error| at(path, error))?;
    like(&out, sealed, &file, &is)?;
    if !is_unchanged(path, &file, &is)? {
        let error = io::Error::other("it was changed while it was encrypted");
        return Err(Raise::file("encrypt", path)(error));
    }
    out.commit()?;
    fs::remove_file(path).map_err(Raise::file("remove", path))?;
    Ok(len)
}

fn decrypt_one(keys: &Keys, sealed: &Path, path: &Path, stop: &Stop) -> Result<u64> {
    let (file, is) = open(sealed)?;
    let len = if fs::symlink_metadata(path).is_ok_and(|there| there.is_file()) {
        // A run that was cut off after it had written the file and before it removed the other.
        let mut hashing = Hashing::new(io::sink());
        unseal(keys, sealed, &file, stop, &mut hashing)?;
        let content = hashing.content(false);
        if digest_one(None, path, stop)? != content {
            let error = io::Error::new(io::ErrorKind::AlreadyExists, "it has another content");
            return Err(Raise::file("replace", path)(error));
        }
        content.0
    } else {
        let mut out = AtomicFile::create(path, Replace::Never)?;
        let mut hashing = Hashing::new(&mut out);
        unseal(keys, sealed, &file, stop, &mut hashing)?;
        let len = hashing.len;
        like(&out, path, &file, &is)?;
        out.commit()?;
        len
    };
    fs::remove_file(sealed).map_err(Raise::file("remove", sealed))?;
    Ok(len)
}

fn transfer_one(
    keys: Option<&Keys>,
    transfer: &Transfer,
    links: Links,
    stop: &Stop,
) -> Result<Content> {
    let (from, root, relative, sealed, expected) = transfer;
    let to = place(root, relative, links)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let (file, is) = open(from)?;
        let mut out = Placed::create(&to)?;
        let mut hashing = Hashing::new(out.file());
        match (sealed, keys) {
            (false, _) => pump(from, &file, stop, &mut hashing, &to)?,
            (true, Some(keys)) => unseal(keys, from, &file, stop, &mut hashing)?,
            (true, None) => return Err(Raise::value("passphrase", "give it or a key file")),
        }
        let changed = !is_unchanged(from, &file, &is)?;
        let content = hashing.content(changed);
        // A file that never holds still is kept as it was read last.
        if changed && tries == 1 {
            continue;
        }
        if expected
            .as_ref()
            .is_some_and(|may_be| !may_be.contains(&content.1))
        {
            return Err(Raise::Core(keepwatch_core::Error::Damaged {
                object: from.display().to_string(),
                detail: "its content is not the one that the manifest says".to_owned(),
            }));
        }
        like(out.file(), &to, &file, &is)?;
        out.commit()?;
        return Ok(content);
    }
}

fn links(replace_links: bool) -> Links {
    match replace_links {
        true => Links::Replace,
        false => Links::Refuse,
    }
}

/// Puts all of it into the module. None is public, so `__all__` does not name it.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let functions = [
        wrap_pyfunction!(derive_key, module)?,
        wrap_pyfunction!(encrypt_files, module)?,
        wrap_pyfunction!(decrypt_files, module)?,
        wrap_pyfunction!(digest_files, module)?,
        wrap_pyfunction!(transfer_files, module)?,
        wrap_pyfunction!(make_link, module)?,
        wrap_pyfunction!(make_directory, module)?,
        wrap_pyfunction!(place_beneath, module)?,
        wrap_pyfunction!(write_file, module)?,
        wrap_pyfunction!(sync_directory, module)?,
        wrap_pyfunction!(scan_tree, module)?,
    ];
    for function in functions {
        module.setattr(function.getattr("__name__")?.cast::<PyString>()?, &function)?;
    }
    module.setattr("_bh_Session", module.py().get_type::<Session>())
}

/// The key that BackupHandler derives from a passphrase and a file's salt.
#[pyfunction(name = "_bh_derive_key")]
fn derive_key(py: Python<'_>, passphrase: String, salt: Vec<u8>) -> PyResult<Py<PyBytes>> {
    let passphrase = Zeroizing::new(passphrase);
    let key = run(py, &Stop::default(), || derive(&passphrase, &salt))?;
    Ok(PyBytes::new(py, key.as_slice()).unbind())
}

/// Replaces every file by `sealed`, encrypted; gives lengths of plaintext.
#[pyfunction(name = "_bh_encrypt_files")]
fn encrypt_files(
    py: Python<'_>,
    session: &Session,
    files: Vec<(PathBuf, PathBuf)>,
    workers: usize,
    done: Py<PyAny>,
) -> PyResult<()> {
    let keys = &session.keys;
    let small = |(path, _): &(PathBuf, PathBuf)| is_small(path);
    each(py, &files, workers, small, &done, |(path, sealed), stop| {
        encrypt_one(keys, path, sealed, stop)
    })
}

/// Replaces every `sealed` file by its content; gives its length.
#[pyfunction(name = "_bh_decrypt_files")]
fn decrypt_files(
    py: Python<'_>,
    session: &Session,
    files: Vec<(PathBuf, PathBuf)>,
    workers: usize,
    done: Py<PyAny>,
) -> PyResult<()> {
    let keys = &session.keys;
    let small = |(sealed, _): &(PathBuf, PathBuf)| is_small(sealed);
    each(py, &files, workers, small, &done, |(sealed, path), stop| {
        decrypt_one(keys, sealed, path, stop)
    })
}

/// Length and SHA-256 of files, or of what is in sealed ones, of which nothing is written.
#[pyfunction(name = "_bh_digest_files")]
fn digest_files(
    py: Python<'_>,
    session: Option<&Session>,
    files: Vec<(PathBuf, bool)>,
    workers: usize,
    done: Py<PyAny>,
) -> PyResult<()> {
    let keys = session.map(|session| &*session.keys);
    let none = |_: &(PathBuf, bool)| false;
    each(
        py,
        &files,
        workers,
        none,
        &done,
        |(path, sealed), stop| match (sealed, keys) {
            (false, _) => digest_one(None, path, stop),
            (true, Some(_)) => digest_one(keys, path, stop),
            (true, None) => Err(Raise::value("passphrase", "give it or a key file")),
        },
    )
}

/// Copies files, or the content of sealed ones, with mode and times; gives their content.
#[pyfunction(name = "_bh_transfer_files")]
fn transfer_files(
    py: Python<'_>,
    session: Option<&Session>,
    files: Vec<Transfer>,
    workers: usize,
    replace_links: bool,
    done: Py<PyAny>,
) -> PyResult<()> {
    let keys = session.map(|session| &*session.keys);
    let small = |transfer: &Transfer| is_small(&transfer.0);
    each(py, &files, workers, small, &done, |transfer, stop| {
        transfer_one(keys, transfer, links(replace_links), stop)
    })
}

/// Makes a symbolic link beneath a root.
#[pyfunction(name = "_bh_make_link")]
#[allow(clippy::needless_pass_by_value, reason = "as they come from Python")]
fn make_link(
    target: PathBuf,
    root: PathBuf,
    relative: PathBuf,
    replace_links: bool,
) -> PyResult<()> {
    let path = place(&root, &relative, links(replace_links))?;
    Ok(put_link(&path, &target)?)
}

/// Makes a directory beneath a root.
#[pyfunction(name = "_bh_make_directory")]
#[allow(clippy::needless_pass_by_value, reason = "as they come from Python")]
fn make_directory(root: PathBuf, relative: PathBuf, replace_links: bool) -> PyResult<()> {
    let path = place(&root, &relative, links(replace_links))?;
    Ok(make_dir(&path, links(replace_links))?)
}

/// Where beneath a root a file is to be; its directories are made. Nothing leads out of it.
#[pyfunction(name = "_bh_place_beneath")]
#[allow(clippy::needless_pass_by_value, reason = "as they come from Python")]
fn place_beneath(root: PathBuf, relative: PathBuf) -> PyResult<PathBuf> {
    Ok(place(&root, &relative, Links::Refuse)?)
}

/// Writes a file for its owner only, under a name that nobody has; on disk when this returns.
#[pyfunction(name = "_bh_write_file")]
fn write_file(py: Python<'_>, path: PathBuf, data: Vec<u8>) -> PyResult<()> {
    let written: Result<()> = run(py, &Stop::default(), || {
        let mut file = AtomicFile::create(&path, Replace::Never)?;
        file.write_all(&data).map_err(Raise::file("write", &path))?;
        Ok(file.commit()?)
    })?;
    Ok(written?)
}

/// Makes the names in a directory last.
#[pyfunction(name = "_bh_sync_directory")]
fn sync_directory(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    Ok(run(py, &Stop::default(), || sync_dir(&path))??)
}

/// What is beneath a directory, but for those to skip: path, kind, size, mtime, ctime; and what
/// could not be looked at, with the reason.
#[pyfunction(name = "_bh_scan")]
#[allow(clippy::type_complexity, reason = "as Python takes it")]
fn scan_tree(
    py: Python<'_>,
    root: PathBuf,
    skip: Vec<PathBuf>,
) -> PyResult<(Vec<files::Found>, Vec<(PathBuf, Py<PyAny>)>)> {
    let stop = Stop::default();
    let (found, failed) = run(py, &stop, || files::scan(&root, &skip, &stop))??;
    let failed = failed
        .into_iter()
        .map(|(path, raise)| (path, PyErr::from(raise).into_value(py).into_any()))
        .collect();
    Ok((found, failed))
}
