//! The vault: repositories, what goes in and what comes out.

pub mod iterate;
mod options;
mod read;
mod remove;
pub mod reports;

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use keepwatch_core::chunker::ChunkerParams;
use keepwatch_core::fs::ExcludesBuilder;
use keepwatch_core::storage::Storage;
use keepwatch_core::{
    self as core, BackupOptions, CachePlace, InitOptions, Role, Source, Stream as CoreStream,
};
use keepwatch_crypto::Credential;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use self::options::Paths;
use self::reports::{BackupReport, KeyInfo, role_name};
use crate::credential::{IdentitySource, KeySource, Secret, borrowed, credential, kdf, new_locks};
use crate::errors::{self, Raise, Result, wrong_type};
use crate::handle::Handle;
use crate::record::{FilePath, Strings, Whole};
use crate::remote::{Place, Remote};
use crate::stream::PyFile;
use crate::work::{self, Stop, Teller};

/// The program, as snapshots record it.
const PROGRAM: &str = concat!("keepwatch-python ", env!("CARGO_PKG_VERSION"));

/// What an open repository is.
struct Opened {
    repository: Arc<core::Repository>,
    storage: Arc<dyn Storage>,
    credential: Option<Credential>,
    cache: CachePlace,
}

/// An encrypted, deduplicated repository of backups.
///
/// Threads may share it. In a `with` block it is closed at the end.
#[pyclass(frozen, module = "keepwatch")]
pub struct Repository {
    opened: Handle<Opened>,
    path: PathBuf,
}

impl Repository {
    fn new(opened: Opened, path: PathBuf) -> Self {
        Self {
            opened: Handle::new(opened, "the repository"),
            path,
        }
    }

    fn opened(&self, py: Python<'_>) -> Result<Arc<Opened>> {
        self.opened.get(py)
    }

    fn repository(&self, py: Python<'_>) -> Result<Arc<core::Repository>> {
        Ok(self.opened(py)?.repository.clone())
    }
}

/// Where the cache goes: as the command line has it.
fn cache_place(dir: Option<PathBuf>, use_cache: bool) -> Result<CachePlace> {
    if !use_cache {
        return Ok(CachePlace::Temporary(std::env::temp_dir()));
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let cache = || {
        let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        named
            .filter(absolute)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
    };
    match dir.or_else(|| cache().map(|cache| cache.join("keepwatch"))) {
        Some(dir) => Ok(CachePlace::Dir(dir)),
        None => Err(Raise::value(
            "cache_dir",
            "there is no home directory for the cache; name a directory, or use_cache=False",
        )),
    }
}

#[pymethods]
impl Repository {
    /// Makes a repository in an empty or missing directory, or at an address as
    /// `s3://bucket/prefix`, and opens it.
    ///
    /// Packs are closed at `pack_size` bytes, 16 MiB if it is not given.
    #[staticmethod]
    #[pyo3(signature = (
        path, *, passphrase=None, key_file=None, recipients=None, kdf="argon2id", suite=None,
        chunker="gear-keyed", pack_size=None, padding="none", label="first", cache_dir=None,
        use_cache=true, remote=None
    ))]
    fn init(
        py: Python<'_>,
        path: FilePath,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        recipients: Option<Strings>,
        kdf: &str,
        suite: Option<&str>,
        chunker: &str,
        pack_size: Option<Whole<u32>>,
        padding: &str,
        label: &str,
        cache_dir: Option<FilePath>,
        use_cache: bool,
        remote: Option<&Remote>,
    ) -> Result<Self> {
        let place = Place::find(&path, remote)?;
        let kdf = self::kdf(kdf)?;
        let locks = new_locks(passphrase, key_file, recipients)?;
        let defaults = InitOptions::default();
        let init = InitOptions {
            suite: suite.map_or(Ok(defaults.suite), options::suite)?,
            chunker: options::chunker(chunker)?,
            params: ChunkerParams::default(),
            pack_size: pack_size.map_or(defaults.pack_size, |size| size.0),
            padding: options::padding(padding)?,
        };
        let cache = cache_place(cache_dir.map(|dir| dir.0), use_cache)?;
        let opened = work::run(py, &Stop::default(), || {
            let storage = place.create()?;
            let now = Timestamp::now();
            let locks = borrowed(&locks, kdf);
            let shared = storage.clone();
            let repository = core::Repository::init(shared, &locks[0], label, &init, now, &cache)?;
            for (nth, lock) in locks.iter().enumerate().skip(1) {
                repository.add_key(lock, Role::Full, &format!("key {}", nth + 1), now)?;
            }
            Ok::<_, Raise>(Opened {
                repository: Arc::new(repository),
                storage,
                credential: None,
                cache,
            })
        })??;
        Ok(Self::new(opened, path.0))
    }

    /// Opens a repository: a directory, or an address as `s3://bucket/prefix`.
    #[staticmethod]
    #[pyo3(signature = (
        path, *, passphrase=None, key_file=None, identity=None, cache_dir=None, use_cache=true,
        remote=None
    ))]
    fn open(
        py: Python<'_>,
        path: FilePath,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        identity: Option<IdentitySource>,
        cache_dir: Option<FilePath>,
        use_cache: bool,
        remote: Option<&Remote>,
    ) -> Result<Self> {
        let place = Place::find(&path, remote)?;
        let credential = credential(passphrase, key_file, identity)?;
        let cache = cache_place(cache_dir.map(|dir| dir.0), use_cache)?;
        let opened = work::run(py, &Stop::default(), || {
            let storage = place.open()?;
            let repository = core::Repository::open(storage.clone(), &credential, &cache)?;
            Ok::<_, Raise>(Opened {
                repository: Arc::new(repository),
                storage,
                credential: Some(credential),
                cache,
            })
        })??;
        Ok(Self::new(opened, path.0))
    }

    /// Backs files and directories up into a new snapshot.
    ///
    /// `progress` is called with a `Progress` at the beginning, some twenty times a second, and at
    /// the end; what it raises stops the backup, leaves the repository whole and comes out.
    #[pyo3(signature = (
        paths, *, exclude=None, exclude_files=None, exclude_caches=false, exclude_if_present=None,
        exclude_larger_than=None, gitignore=false, one_file_system=false, tags=None, host=None,
        mode="incremental", compression="fast", dry_run=false, allow_partial=false, progress=None
    ))]
    fn backup(
        &self,
        py: Python<'_>,
        paths: Paths,
        exclude: Option<Strings>,
        exclude_files: Option<Paths>,
        exclude_caches: bool,
        exclude_if_present: Option<Strings>,
        exclude_larger_than: Option<Whole<u64>>,
        gitignore: bool,
        one_file_system: bool,
        tags: Option<Strings>,
        host: Option<String>,
        mode: &str,
        compression: &str,
        dry_run: bool,
        allow_partial: bool,
        progress: Option<Py<PyAny>>,
    ) -> Result<BackupReport> {
        let opened = self.opened(py)?;
        if paths.0.is_empty() {
            return Err(Raise::value("paths", "there is nothing to back up"));
        }
        let mut patterns = ExcludesBuilder::new();
        // Files come first, so that the call has the last word.
        for path in &exclude_files.unwrap_or_default().0 {
            let content = std::fs::read_to_string(path).map_err(Raise::file("read", path))?;
            patterns = patterns.file_lines(&content)?;
        }
        for pattern in &exclude.unwrap_or_default().0 {
            patterns = patterns.glob(pattern)?;
        }
        if let Some(bytes) = exclude_larger_than {
            patterns = patterns.larger_than(bytes.0);
        }
        let names = exclude_if_present.unwrap_or_default().0;
        let options = BackupOptions {
            mode: options::mode(mode)?,
            excludes: patterns.build()?,
            one_file_system,
            exclude_caches,
            exclude_if_present: names.into_iter().map(String::into_bytes).collect(),
            gitignore,
            compression: options::compression(compression)?,
            dry_run,
            ..self.backup_options(&opened, tags, host)
        };
        let sources = paths
            .0
            .iter()
            .map(|path| Source::at(path))
            .collect::<core::Result<Vec<_>>>()?;
        let report = run_backup(py, &opened, sources, options, progress)?;
        finish(py, &report, allow_partial)
    }

    /// Backs what a binary file gives up as a file of the name.
    ///
    /// There is no snapshot if reading raises; the exception comes out.
    #[pyo3(signature = (
        name, source, *, tags=None, host=None, compression="fast", progress=None
    ))]
    fn backup_stream(
        &self,
        py: Python<'_>,
        name: &str,
        source: &Bound<'_, PyAny>,
        tags: Option<Strings>,
        host: Option<String>,
        compression: &str,
        progress: Option<Py<PyAny>>,
    ) -> Result<BackupReport> {
        let opened = self.opened(py)?;
        let path = CoreStream::parse_path(name).map_err(|problem| Raise::value("name", problem))?;
        if source.extract::<PathBuf>().is_ok() {
            return Err(wrong_type("source: a binary file with read() is needed").into());
        }
        let raised = Arc::new(Mutex::new(None));
        let reader = Raising {
            file: PyFile::with_method("source", source, "read")?,
            raised: raised.clone(),
        };
        let options = BackupOptions {
            compression: options::compression(compression)?,
            ..self.backup_options(&opened, tags, host)
        };
        let stream = Source::stream(CoreStream {
            path,
            reader: Box::new(reader),
            finish: Box::new(|| Ok(())),
        });
        let report = run_backup(py, &opened, vec![stream], options, progress);
        if let Some(error) = raised.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(Raise::Python(error));
        }
        finish(py, &report?, false)
    }

    /// All key slots that can be read.
    fn keys(&self, py: Python<'_>) -> Result<Vec<KeyInfo>> {
        let repository = self.repository(py)?;
        let keys = work::run(py, &Stop::default(), || repository.keys())??;
        Ok(keys.into_iter().map(KeyInfo::new).collect())
    }

    /// Adds a key slot: a `full` one, or that of a `writer`, who adds backups and reads nothing.
    #[pyo3(signature = (
        *, passphrase=None, key_file=None, recipient=None, role="full", label="", kdf="argon2id"
    ))]
    fn add_key(
        &self,
        py: Python<'_>,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        recipient: Option<String>,
        role: &str,
        label: &str,
        kdf: &str,
    ) -> Result<KeyInfo> {
        let repository = self.repository(py)?;
        let (role, kdf) = (options::role(role)?, self::kdf(kdf)?);
        let lock = one_lock(passphrase, key_file, recipient)?;
        let key = work::run(py, &Stop::default(), || {
            repository.add_key(&lock.lock(kdf), role, label, Timestamp::now())
        })??;
        Ok(KeyInfo::new(key))
    }

    /// Removes the key slot of a label, or of the first digits of an id.
    #[pyo3(signature = (name, /))]
    fn remove_key(&self, py: Python<'_>, name: &str) -> Result<KeyInfo> {
        let repository = self.repository(py)?;
        let key = work::run(py, &Stop::default(), || repository.remove_key(name))??;
        Ok(KeyInfo::new(key))
    }

    /// Changes what opens the key slot that this repository was opened with.
    #[pyo3(signature = (*, passphrase=None, key_file=None, recipient=None, kdf="argon2id"))]
    fn change_key(
        &self,
        py: Python<'_>,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        recipient: Option<String>,
        kdf: &str,
    ) -> Result<KeyInfo> {
        let opened = self.opened(py)?;
        let Some(old) = &opened.credential else {
            return Err(Raise::value(
                "passphrase",
                "a repository that was just made is opened anew before its key is changed",
            ));
        };
        let kdf = self::kdf(kdf)?;
        let lock = one_lock(passphrase, key_file, recipient)?;
        let key = work::run(py, &Stop::default(), || {
            opened
                .repository
                .change_key(old, &lock.lock(kdf), Timestamp::now())
        })??;
        Ok(KeyInfo::new(key))
    }

    /// Starts a new key epoch; gives its number. Open the repository anew to write under it.
    fn rotate_key(&self, py: Python<'_>) -> Result<u32> {
        let repository = self.repository(py)?;
        Ok(work::run(py, &Stop::default(), || {
            repository.rotate_key()
        })??)
    }

    /// The repository's own id.
    #[getter]
    fn id(&self, py: Python<'_>) -> Result<String> {
        Ok(hex::encode(self.repository(py)?.config().id()))
    }

    /// What the key that opened it may do: `full` or `writer`.
    #[getter]
    fn role(&self, py: Python<'_>) -> Result<&'static str> {
        Ok(role_name(self.repository(py)?.role()))
    }

    /// Where it is.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Ends the use of it; a second call does nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.opened.take()));
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.opened.is_closed()
    }

    fn __enter__(slf: PyRef<'_, Self>) -> Result<PyRef<'_, Self>> {
        slf.opened(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        let closed = if self.closed() { ", closed" } else { "" };
        format!("<Repository {:?}{closed}>", self.path.display().to_string())
    }
}

impl Repository {
    fn backup_options(
        &self,
        opened: &Opened,
        tags: Option<Strings>,
        host: Option<String>,
    ) -> BackupOptions {
        let mut skip = vec![self.path.clone()];
        if let CachePlace::Dir(cache) = &opened.cache {
            skip.push(cache.clone());
        }
        let system = rustix::system::uname();
        let uid = rustix::process::getuid();
        BackupOptions {
            tags: tags.unwrap_or_default().0,
            host: host.unwrap_or_else(|| system.nodename().to_string_lossy().into_owned()),
            user: uzers::get_user_by_uid(uid.as_raw()).map_or_else(
                || uid.as_raw().to_string(),
                |user| user.name().to_string_lossy().into_owned(),
            ),
            program: PROGRAM.to_owned(),
            // What cannot be resolved does not exist, and is not entered either.
            skip: skip
                .iter()
                .filter_map(|dir| dir.canonicalize().ok())
                .collect(),
            ..BackupOptions::at(Timestamp::now())
        }
    }
}

fn run_backup(
    py: Python<'_>,
    opened: &Opened,
    sources: Vec<Source>,
    mut options: BackupOptions,
    progress: Option<Py<PyAny>>,
) -> Result<core::BackupReport> {
    let teller = Teller::begin(py, progress)?;
    let counter = teller.counter();
    let stop = Stop::default();
    options.stop = Some(stop.clone());
    Ok(teller.run(py, &stop, || {
        let report = opened.repository.backup(sources, &options, &*counter)?;
        if report.snapshot.is_some() {
            opened.repository.renew_holds(options.time, &stop)?;
        }
        Ok::<_, core::Error>(report)
    })??)
}

/// What could not be read is an error, unless the caller has said that he looks.
fn finish(
    py: Python<'_>,
    report: &core::BackupReport,
    allow_partial: bool,
) -> Result<BackupReport> {
    let partial = report.errors.first().filter(|_| !allow_partial);
    let Some(first) = partial else {
        return Ok(BackupReport::new(py, report)?);
    };
    let text = format!(
        "{} paths could not be backed up, the first: {}: {}",
        report.errors.len(),
        first.path,
        first.error
    );
    let hint = "there is a snapshot of the rest; report.errors says what it lacks";
    let error = errors::make(py, "PartialBackupError", &text, Some(hint))?;
    error
        .value(py)
        .setattr("report", BackupReport::new(py, report)?)?;
    Err(Raise::Python(error))
}

fn one_lock(
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    recipient: Option<String>,
) -> Result<keepwatch_crypto::NewLock> {
    let recipients = recipient.map(|recipient| Strings(vec![recipient]));
    let mut locks = new_locks(passphrase, key_file, recipients)?;
    match locks.len() {
        1 => Ok(locks.swap_remove(0)),
        _ => Err(Raise::value(
            "passphrase",
            "give one of passphrase, key_file and recipient, not several",
        )),
    }
}

/// Keeps what reading raised: the vault tells its own error.
struct Raising {
    file: PyFile,
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl Read for Raising {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file
            .read(buffer)
            .map_err(|error| match error.downcast::<PyErr>() {
                Ok(error) => {
                    *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    std::io::Error::other("the file raised an exception")
                }
                Err(error) => error,
            })
    }
}
