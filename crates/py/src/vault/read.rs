//! What comes out of a repository: lists, comparisons, files, restores, checks.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keepwatch_core::fs::overlap;
use keepwatch_core::{self as core, ReadData, RestoreOptions};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Repository;
use super::iterate::{ChangeIterator, EntryIterator};
use super::options::{self, Paths, Subset};
use super::reports::{CheckReport, Chunk, RestoreReport, Snapshot, Stats};
use crate::errors::{self, Raise, Result, wrong_type};
use crate::record::{FilePath, Strings};
use crate::stream::BinaryReader;
use crate::work::{self, Counter, Stop, Stopping, Teller};

/// A snapshot by its name: `latest`, its id, or the first digits of it; or itself.
pub struct SnapshotName(pub String);

impl<'py> FromPyObject<'_, 'py> for SnapshotName {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(snapshot) = object.cast::<Snapshot>() {
            return Ok(Self(snapshot.get().id.0.to_string()));
        }
        match object.extract::<String>() {
            Ok(name) => Ok(Self(name)),
            Err(_) => Err(wrong_type(
                "a Snapshot, the id of one, or 'latest' is needed",
            )),
        }
    }
}

/// A path in a snapshot.
fn bytes_of(path: FilePath) -> Vec<u8> {
    path.0.into_os_string().into_vec()
}

#[pymethods]
impl Repository {
    /// All snapshots that answer to what is given, oldest first.
    #[pyo3(signature = (*, host=None, tags=None, paths=None, skip_damaged=false))]
    fn snapshots(
        &self,
        py: Python<'_>,
        host: Option<String>,
        tags: Option<Strings>,
        paths: Option<Paths>,
        skip_damaged: bool,
    ) -> Result<Vec<Snapshot>> {
        let repository = self.repository(py)?;
        let filter = options::filter(host, tags, paths);
        let (found, problems) = work::run(py, &Stop::default(), || repository.snapshots())??;
        if let Some((_, error)) = problems.into_iter().next().filter(|_| !skip_damaged) {
            return Err(error.into());
        }
        let found = found
            .iter()
            .filter(|(_, snapshot)| filter.matches(snapshot))
            .map(|(id, snapshot)| Snapshot::new(py, *id, snapshot));
        Ok(found.collect::<PyResult<_>>()?)
    }

    /// The snapshot of a name: `latest`, its id, or the first digits of it.
    #[pyo3(signature = (name=None, *, host=None, tags=None, paths=None))]
    fn snapshot(
        &self,
        py: Python<'_>,
        name: Option<SnapshotName>,
        host: Option<String>,
        tags: Option<Strings>,
        paths: Option<Paths>,
    ) -> Result<Snapshot> {
        let repository = self.repository(py)?;
        let filter = options::filter(host, tags, paths);
        let (id, snapshot) = work::run(py, &Stop::default(), || {
            match name.as_ref().map(|name| name.0.as_str()) {
                None | Some("latest") => repository.latest(&filter),
                Some(name) => repository.find_snapshot(name),
            }
        })??;
        Ok(Snapshot::new(py, id, &snapshot)?)
    }

    /// Iterates over the entries of a snapshot, beneath a path if one is given.
    #[pyo3(signature = (snapshot, path=None, *, recursive=true))]
    fn ls(
        &self,
        py: Python<'_>,
        snapshot: SnapshotName,
        path: Option<FilePath>,
        recursive: bool,
    ) -> Result<EntryIterator> {
        let repository = self.repository(py)?;
        let (_, snapshot) = self.find(py, &repository, &snapshot)?;
        let path = bytes_of(path.unwrap_or_default());
        Ok(EntryIterator::start(move |sink| {
            repository.list_tree(&snapshot, &path, recursive, &mut |entry| sink.push(entry))
        }))
    }

    /// Iterates over the differences between two snapshots.
    #[pyo3(signature = (before, after, path=None))]
    fn diff(
        &self,
        py: Python<'_>,
        before: SnapshotName,
        after: SnapshotName,
        path: Option<FilePath>,
    ) -> Result<ChangeIterator> {
        let repository = self.repository(py)?;
        let (_, before) = self.find(py, &repository, &before)?;
        let (_, after) = self.find(py, &repository, &after)?;
        let path = bytes_of(path.unwrap_or_default());
        Ok(ChangeIterator::start(move |sink| {
            repository.diff(&before, &after, &path, &mut |change| sink.push(change))
        }))
    }

    /// Opens a file of a snapshot as a binary file that can seek.
    fn open_file(
        &self,
        py: Python<'_>,
        snapshot: SnapshotName,
        path: FilePath,
    ) -> Result<BinaryReader> {
        let repository = self.repository(py)?;
        let (_, snapshot) = self.find(py, &repository, &snapshot)?;
        let reader = py.detach(|| repository.open_file(&snapshot, path.as_os_str().as_bytes()))?;
        Ok(BinaryReader::new(reader, path.display().to_string()))
    }

    /// The chunks that a file of a snapshot is stored as, in order.
    fn chunks(&self, py: Python<'_>, snapshot: SnapshotName, path: FilePath) -> Result<Vec<Chunk>> {
        let repository = self.repository(py)?;
        let (_, snapshot) = self.find(py, &repository, &snapshot)?;
        let stop = Stop::default();
        let stopping = stop.clone();
        let found = work::run(py, &stop, || {
            let mut reader = repository.open_file(&snapshot, path.as_os_str().as_bytes())?;
            let mut found = Vec::new();
            while let Some(chunk) = reader.chunk(found.len())? {
                if stopping.load(Ordering::Relaxed) {
                    return Err(core::Error::Interrupted);
                }
                found.push(chunk);
            }
            Ok(found)
        })??;
        Ok(found.into_iter().map(Chunk::from).collect())
    }

    /// The content of a chunk, verified.
    #[pyo3(signature = (id, /))]
    fn read_chunk<'py>(&self, py: Python<'py>, id: &str) -> Result<Bound<'py, PyBytes>> {
        let repository = self.repository(py)?;
        let id = id
            .parse()
            .map_err(|_| Raise::value("id", format!("{id:?} is no id of a chunk")))?;
        let content = py.detach(|| repository.read_data_chunk(id))?;
        Ok(PyBytes::new(py, &content))
    }

    /// Restores a snapshot, or what is at a path of it, into a directory.
    ///
    /// A target that is not empty is refused unless `overwrite` says what to do with files that
    /// are there: `never`, `if-changed` or `always`.
    #[pyo3(signature = (
        snapshot, target, *, path=None, include=None, exclude=None, overwrite=None,
        delete=false, numeric_owner=false, dry_run=false, allow_partial=false, progress=None
    ))]
    fn restore(
        &self,
        py: Python<'_>,
        snapshot: SnapshotName,
        target: FilePath,
        path: Option<FilePath>,
        include: Option<Strings>,
        exclude: Option<Strings>,
        overwrite: Option<&str>,
        delete: bool,
        numeric_owner: bool,
        dry_run: bool,
        allow_partial: bool,
        progress: Option<Py<PyAny>>,
    ) -> Result<RestoreReport> {
        let repository = self.repository(py)?;
        // No snapshot has the repository in it: to `delete`, it would be one thing too much.
        if delete && overlap(&self.path, &target) {
            return Err(Raise::value(
                "delete",
                "it would remove the repository as well: restore into another directory",
            ));
        }
        let stop = Stop::default();
        let options = RestoreOptions {
            overwrite: overwrite.map(options::overwrite).transpose()?,
            include: options::patterns("include", include.as_ref())?,
            exclude: options::patterns("exclude", exclude.as_ref())?,
            delete,
            numeric_owner,
            dry_run,
            stop: Some(stop.clone()),
        };
        let (id, snapshot) = self.find(py, &repository, &snapshot)?;
        let path = bytes_of(path.unwrap_or_default());
        let teller = Teller::begin(py, progress)?;
        let counter = teller.counter();
        let report = teller.run(py, &stop, || {
            repository.restore(&id, &snapshot, &path, &target, &options, &*counter)
        })??;
        finish(py, &report, allow_partial)
    }

    /// Looks for damage: structure always, all data with `read_data`, a part of it with `subset`
    /// (`1/7`, `5%`, or bytes).
    ///
    /// What is wrong is in the report, which is true only if nothing is.
    #[pyo3(signature = (*, read_data=false, subset=None, progress=None))]
    fn check(
        &self,
        py: Python<'_>,
        read_data: bool,
        subset: Option<Subset>,
        progress: Option<Py<PyAny>>,
    ) -> Result<CheckReport> {
        let repository = self.repository(py)?;
        let read = match (subset, read_data) {
            (Some(_), true) => {
                return Err(Raise::value(
                    "subset",
                    "it goes not with read_data, which is all",
                ));
            }
            (Some(subset), false) => subset.parse()?,
            (None, true) => ReadData::All,
            (None, false) => ReadData::No,
        };
        let teller = Teller::begin(py, progress)?;
        let counter = teller.counter();
        let stop = Stop::default();
        let report = teller.run(py, &stop, || {
            let progress = Stopping {
                counter: &counter,
                stop: &stop,
            };
            repository.check(read, &progress)
        })??;
        Ok(CheckReport::new(py, &report)?)
    }

    /// Counts what the snapshots that answer to what is given hold.
    #[pyo3(signature = (*, host=None, tags=None, paths=None))]
    fn stats(
        &self,
        py: Python<'_>,
        host: Option<String>,
        tags: Option<Strings>,
        paths: Option<Paths>,
    ) -> Result<Stats> {
        let repository = self.repository(py)?;
        let filter = options::filter(host, tags, paths);
        let stop = Stop::default();
        let stats = work::run(py, &stop, || {
            let (mut snapshots, problems) = repository.snapshots()?;
            if let Some((_, error)) = problems.into_iter().next() {
                return Err(error);
            }
            snapshots.retain(|(_, snapshot)| filter.matches(snapshot));
            let progress = Stopping {
                counter: &Counter::default(),
                stop: &stop,
            };
            repository.stats(&snapshots, &progress)
        })??;
        Ok(Stats::new(&stats))
    }
}

impl Repository {
    /// The snapshot of a name.
    pub(super) fn find(
        &self,
        py: Python<'_>,
        repository: &Arc<core::Repository>,
        name: &SnapshotName,
    ) -> Result<(core::Id, core::Snapshot)> {
        Ok(py.detach(|| repository.find_snapshot(&name.0))?)
    }
}

/// What could not be restored is an error, unless the caller has said that he looks.
fn finish(
    py: Python<'_>,
    report: &core::RestoreReport,
    allow_partial: bool,
) -> Result<RestoreReport> {
    let partial = report.errors.first().filter(|_| !allow_partial);
    let Some(first) = partial else {
        return Ok(RestoreReport::new(py, report)?);
    };
    let class = match report.damaged {
        true => "DamagedError",
        false => "PartialRestoreError",
    };
    let text = format!(
        "{} entries could not be restored, the first: {}: {}",
        report.errors.len(),
        first.path,
        first.error
    );
    let hint = "the rest is restored; report.errors says what is missing";
    let error = errors::make(py, class, &text, Some(hint))?;
    error
        .value(py)
        .setattr("report", RestoreReport::new(py, report)?)?;
    Err(Raise::Python(error))
}
