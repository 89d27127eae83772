//! What makes a repository smaller: forget and prune.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_core::retention::{GroupBy, Policy};
use keepwatch_core::{self as core, PruneOptions};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::Repository;
use super::options::{self, Age, Paths};
use super::read::SnapshotName;
use super::reports::{ForgetReport, PruneReport, Snapshot};
use crate::errors::{Raise, Result};
use crate::record::{Strings, Whole};
use crate::work::{self, Stop};

/// One snapshot, or several.
pub struct SnapshotNames(Vec<SnapshotName>);

impl<'py> FromPyObject<'_, 'py> for SnapshotNames {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.cast::<PyString>().is_ok() || object.cast::<Snapshot>().is_ok() {
            return Ok(Self(vec![object.extract()?]));
        }
        let names = object.try_iter()?.map(|name| name?.extract());
        Ok(Self(names.collect::<PyResult<_>>()?))
    }
}

#[pymethods]
impl Repository {
    /// Moves snapshots to the trash: those that are named, or those that a policy does not keep.
    ///
    /// `prune` removes what is in the trash for good; until then `unforget` takes it back.
    #[pyo3(signature = (
        snapshots=None, *, keep_last=None, keep_hourly=None, keep_daily=None, keep_weekly=None,
        keep_monthly=None, keep_yearly=None, keep_within=None, keep_tags=None, max_age=None,
        max_count=None, group_by=None, allow_empty=false, host=None, tags=None, paths=None,
        pinned=false, dry_run=false
    ))]
    fn forget(
        &self,
        py: Python<'_>,
        snapshots: Option<SnapshotNames>,
        keep_last: Option<Whole<u32>>,
        keep_hourly: Option<Whole<u32>>,
        keep_daily: Option<Whole<u32>>,
        keep_weekly: Option<Whole<u32>>,
        keep_monthly: Option<Whole<u32>>,
        keep_yearly: Option<Whole<u32>>,
        keep_within: Option<Age>,
        keep_tags: Option<Strings>,
        max_age: Option<Age>,
        max_count: Option<Whole<u32>>,
        group_by: Option<Strings>,
        allow_empty: bool,
        host: Option<String>,
        tags: Option<Strings>,
        paths: Option<Paths>,
        pinned: bool,
        dry_run: bool,
    ) -> Result<ForgetReport> {
        let repository = self.repository(py)?;
        let policy = Policy {
            keep_last: keep_last.map(|count| count.0),
            keep_hourly: keep_hourly.map(|count| count.0),
            keep_daily: keep_daily.map(|count| count.0),
            keep_weekly: keep_weekly.map(|count| count.0),
            keep_monthly: keep_monthly.map(|count| count.0),
            keep_yearly: keep_yearly.map(|count| count.0),
            keep_within: keep_within.map(|age| age.span("keep_within")).transpose()?,
            keep_tags: keep_tags.map(|tags| vec![tags.0]).unwrap_or_default(),
            max_age: max_age.map(|age| age.span("max_age")).transpose()?,
            max_count: max_count.map(|count| count.0),
            group_by: group_by.map_or(Ok(GroupBy::default()), |words| options::group_by(&words))?,
            time_zone: Some(TimeZone::system()),
            allow_empty,
        };
        let filter = options::filter(host, tags, paths);
        let now = Timestamp::now();
        let report = match (snapshots, policy.is_empty()) {
            (Some(names), true) => work::run(py, &Stop::default(), || {
                let ids = names
                    .0
                    .iter()
                    .map(|name| Ok(repository.find_snapshot(&name.0)?.0))
                    .collect::<core::Result<Vec<_>>>()?;
                match pinned {
                    true => repository.forget_pinned(&ids, now, dry_run),
                    false => repository.forget(&ids, now, dry_run),
                }
            })??,
            (None, false) if pinned => {
                return Err(Raise::value(
                    "pinned",
                    "a policy never forgets pinned snapshots",
                ));
            }
            (None, false) => work::run(py, &Stop::default(), || {
                repository.forget_by_policy(&filter, &policy, now, dry_run)
            })??,
            (None, true) => {
                return Err(Raise::value(
                    "snapshots",
                    "nothing says what to forget: name snapshots, or what to keep",
                ));
            }
            (Some(_), false) => {
                return Err(Raise::value(
                    "snapshots",
                    "name snapshots, or say what to keep, not both",
                ));
            }
        };
        Ok(ForgetReport::new(py, &report)?)
    }

    /// Takes a forgotten snapshot back; it has another id from now on.
    #[pyo3(signature = (name, /))]
    fn unforget(&self, py: Python<'_>, name: &str) -> Result<Snapshot> {
        let repository = self.repository(py)?;
        let (id, snapshot) = work::run(py, &Stop::default(), || repository.unforget(name))??;
        Ok(Snapshot::new(py, id, &snapshot)?)
    }

    /// Frees what no snapshot needs.
    ///
    /// `max_unused` is how much may stay unused rather than be copied, in percent; snapshots
    /// forgotten more recently than `keep_trash` ago stay in the trash.
    #[pyo3(signature = (*, max_unused=5.0, keep_trash=None, drop_pending=false, dry_run=false))]
    fn prune(
        &self,
        py: Python<'_>,
        max_unused: f64,
        keep_trash: Option<Age>,
        drop_pending: bool,
        dry_run: bool,
    ) -> Result<PruneReport> {
        let opened = self.opened(py)?;
        if !(0.0..=100.0).contains(&max_unused) {
            return Err(Raise::value("max_unused", "it is not between 0 and 100"));
        }
        let defaults = PruneOptions::default();
        let stop = Stop::default();
        let options = PruneOptions {
            dry_run,
            max_unused_percent: max_unused,
            keep_trash: keep_trash
                .map_or(Ok(defaults.keep_trash), |age| age.duration("keep_trash"))?,
            drop_pending,
            stop: Some(stop.clone()),
        };
        let report = work::run(py, &stop, || {
            let report = opened.repository.prune(&options, Timestamp::now())?;
            if !dry_run {
                // Files that writers who died were writing; what cannot be removed is in nobody's way.
                let _ = opened.storage.sweep_temporaries();
            }
            Ok::<_, core::Error>(report)
        })??;
        Ok(PruneReport::new(&report))
    }
}
