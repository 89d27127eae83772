//! The paths of a backup in snapshots of their file systems, if the job wants that.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use keepwatch_core::{BackupOptions, Error, Name, PathError, Source, with_causes};
use keepwatch_ops::volume::{NotIn, SNAPSHOT_SIZE, SnapshotRequest, VolumeSnapshots};

use crate::work::Task;

/// Snapshots of file systems, or none.
pub(super) struct Volumes(Option<VolumeSnapshots>);

impl Volumes {
    pub fn take(task: &Task) -> Result<Self, Error> {
        let Some(kind) = task.job.from_snapshot else {
            return Ok(Self(None));
        };
        let request = SnapshotRequest {
            kind,
            size: task.job.snapshot_size.as_deref().unwrap_or(SNAPSHOT_SIZE),
            job: &task.facts.job,
            state: task.state,
            environment: task.environment,
        };
        let taken = VolumeSnapshots::take(&task.job.paths, &request);
        let taken = taken.map_err(|error| Error::SourceFailed {
            name: "from_snapshot".to_owned(),
            problem: format!("{}; {}", with_causes(&error), error.hint()),
        })?;
        Ok(Self(Some(taken)))
    }

    /// The paths of the job, each under its own name wherever it is read. One that is not there is
    /// read where it should be, so that it is told.
    pub fn sources(&self, task: &Task) -> Result<Vec<Source>, Error> {
        let places = self.0.as_ref().map_or(&[][..], VolumeSnapshots::places);
        let source = |path: &PathBuf| match places.iter().find(|(of, _)| of == path) {
            Some((_, place)) => Source::read_from(path, place),
            None => Source::at(path),
        };
        task.job.paths.iter().map(source).collect()
    }

    /// What is never entered is not entered in a snapshot either, where it has another inode.
    pub fn skip_in_snapshots(&self, skip: &mut Vec<PathBuf>) {
        let Some(taken) = &self.0 else { return };
        let there = skip.iter().filter_map(|dir| taken.place_of(dir));
        let there: Vec<PathBuf> = there.collect();
        skip.extend(there);
    }

    /// What lies beneath the paths and is in no snapshot, but for what is left out anyway.
    pub fn not_in(&self, options: &BackupOptions) -> Vec<PathError> {
        let all = self.0.as_ref().map_or(&[][..], VolumeSnapshots::not_in);
        let missed = all.iter().filter(|not_in| !left_out(not_in, options));
        missed.map(tell).collect()
    }

    /// Removes the snapshots; gives what could not be removed.
    pub fn remove(self) -> Vec<String> {
        let left = self.0.map(VolumeSnapshots::remove).unwrap_or_default();
        left.iter()
            .map(|error| format!("{}; {}", with_causes(error), error.hint()))
            .collect()
    }
}

fn tell(not_in: &NotIn) -> PathError {
    PathError {
        path: Name(not_in.path.as_os_str().as_bytes().to_vec()),
        error: format!(
            "it is {}, which the snapshot of the file system does not have: what is in it was not \
             backed up; name it in `paths` or in `exclude`",
            not_in.what
        ),
    }
}

/// Whether it or a directory on the way to it is not entered.
fn left_out(not_in: &NotIn, options: &BackupOptions) -> bool {
    let way = not_in.path.ancestors();
    way.take_while(|dir| *dir != not_in.beneath).any(|dir| {
        let excluded = options
            .excludes
            .matches(dir.as_os_str().as_bytes(), true, 0);
        excluded || options.skip.iter().any(|skip| skip == dir)
    })
}
