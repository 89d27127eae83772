//! The restore drill: a sample of a snapshot is restored where nothing else is, and compared with
//! what the snapshot holds. The source is not looked at.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keepwatch_crypto::random_bytes;
use serde::Serialize;

use crate::backup::PathError;
use crate::browse::Listed;
use crate::error::{Error, Result, with_causes};
use crate::id::Id;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::restore::{Overwrite, RestoreOptions};
use crate::snapshot::Snapshot;

/// How much is restored.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// At most so many files, chosen at random.
    pub files: u32,
    /// At most so many bytes.
    pub bytes: u64,
    /// Everything, whatever the two above say, and links and directories as well.
    pub all: bool,
    /// What was restored stays in the target, under the paths that the snapshot has, for somebody
    /// else to look at.
    pub keep: bool,
    /// Ends it early.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for DrillOptions {
    fn default() -> Self {
        Self {
            files: 50,
            bytes: 1 << 30,
            all: false,
            keep: false,
            stop: None,
        }
    }
}

/// What was proved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrillReport {
    /// The snapshot.
    pub snapshot: Id,
    /// When it was made.
    pub time: Timestamp,
    /// Files that came back as they were.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files in the snapshot.
    pub of_files: u64,
    /// What did not come back, or otherwise.
    pub errors: Vec<PathError>,
    /// How long restoring took, in seconds.
    pub restore_s: f64,
}

impl DrillReport {
    fn new(id: &Id, snapshot: &Snapshot, of_files: u64) -> Self {
        Self {
            snapshot: *id,
            time: snapshot.time,
            files: 0,
            bytes: 0,
            of_files,
            errors: Vec::new(),
            restore_s: 0.0,
        }
    }

    /// What became of a file.
    fn count(&mut self, file: &Listed, same: Result<()>, progress: &dyn Progress) -> Result<()> {
        match same {
            Ok(()) => {
                self.files += 1;
                self.bytes += file.size;
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                let problem = PathError::new(&file.path.0, &with_causes(&error));
                progress.message(&format!("{}: {}", problem.path, problem.error));
                self.errors.push(problem);
            }
        }
        Ok(())
    }

    /// Whether everything came back.
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty()
    }
}

impl Repository {
    /// Restores some files of a snapshot, or all, into `target`, an empty or missing directory, and
    /// compares what is there then with what the snapshot holds. What it has restored it removes
    /// again, unless it is to stay.
    ///
    /// What cannot be restored, or is not the same, is in the report and no error of this function.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the snapshot holds no file: a drill of nothing proves nothing.
    /// [`Error::Interrupted`] when it was asked to stop.
    pub fn drill(
        &self,
        id: &Id,
        snapshot: &Snapshot,
        target: &Path,
        options: &DrillOptions,
        progress: &dyn Progress,
    ) -> Result<DrillReport> {
        if options.all {
            return self.drill_all(id, snapshot, target, options, progress);
        }
        let (sample, of_files) = self.sample(snapshot, options)?;
        if sample.is_empty() {
            return Err(nothing());
        }
        let total = sample.iter().map(|file| file.size).sum();
        progress.total(sample.len() as u64, total);
        let mut report = DrillReport::new(id, snapshot, of_files);
        let mut took = Duration::ZERO;
        for (number, file) in sample.iter().enumerate() {
            go_on(options)?;
            let folder = match options.keep {
                true => parent_in(target, &file.path.0),
                false => target.join(number.to_string()),
            };
            let begun = Instant::now();
            let restored = self.restore_one(id, snapshot, file, &folder, options);
            took += begun.elapsed();
            let same = restored.and_then(|()| self.compare(snapshot, file, &folder));
            report.count(file, same, progress)?;
            if !options.keep {
                std::fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
            }
            progress.advance(1, file.size);
        }
        report.restore_s = took.as_secs_f64();
        Ok(report)
    }

    fn drill_all(
        &self,
        id: &Id,
        snapshot: &Snapshot,
        target: &Path,
        options: &DrillOptions,
        progress: &dyn Progress,
    ) -> Result<DrillReport> {
        progress.total(snapshot.files, snapshot.bytes);
        let mut report = DrillReport::new(id, snapshot, 0);
        let begun = Instant::now();
        let restored = self.restore(id, snapshot, b"", target, &restoring(options), progress)?;
        report.restore_s = begun.elapsed().as_secs_f64();
        for problem in restored.errors {
            progress.message(&format!("{}: {}", problem.path, problem.error));
            report.errors.push(problem);
        }
        let mut failed: HashSet<Vec<u8>> = HashSet::new();
        failed.extend(report.errors.iter().map(|problem| problem.path.0.clone()));
        self.list_tree(snapshot, b"", true, &mut |listed| {
            go_on(options)?;
            if listed.kind != "file" {
                return Ok(());
            }
            report.of_files += 1;
            if failed.contains(&listed.path.0) {
                return Ok(());
            }
            let same = self.compare(snapshot, &listed, &parent_in(target, &listed.path.0));
            report.count(&listed, same, progress)
        })?;
        if report.of_files == 0 {
            return Err(nothing());
        }
        if !options.keep {
            std::fs::remove_dir_all(target).map_err(Error::io("remove", target))?;
        }
        Ok(report)
    }

    /// Files at random, no more than are wanted; and how many there are.
    fn sample(&self, snapshot: &Snapshot, options: &DrillOptions) -> Result<(Vec<Listed>, u64)> {
        let most = options.files as usize;
        let mut sample: Vec<Listed> = Vec::with_capacity(most.min(1024));
        let mut seen = 0_u64;
        self.list_tree(snapshot, b"", true, &mut |listed| {
            go_on(options)?;
            if listed.kind != "file" || listed.size > options.bytes {
                return Ok(());
            }
            seen += 1;
            // Each file is as likely as any other (Vitter, algorithm R).
            if sample.len() < most {
                sample.push(listed);
            } else {
                let place = u64::from_le_bytes(random_bytes()?) % seen;
                if let Some(place) = usize::try_from(place)
                    .ok()
                    .and_then(|at| sample.get_mut(at))
                {
                    *place = listed;
                }
            }
            Ok(())
        })?;
        let mut bytes = 0_u64;
        let mut fits = |file: &Listed| {
            bytes = bytes.saturating_add(file.size);
            bytes <= options.bytes
        };
        let first_too_much = sample.iter().position(|file| !fits(file));
        sample.truncate(first_too_much.unwrap_or(sample.len()));
        Ok((sample, seen))
    }

    fn restore_one(
        &self,
        id: &Id,
        snapshot: &Snapshot,
        file: &Listed,
        folder: &Path,
        options: &DrillOptions,
    ) -> Result<()> {
        let restore = RestoreOptions {
            // Others of the sample may be there already.
            overwrite: options.keep.then_some(Overwrite::Always),
            ..restoring(options)
        };
        let silent = crate::progress::Silent;
        let report = self.restore(id, snapshot, &file.path.0, folder, &restore, &silent)?;
        // Without its content there is nothing to compare; what else failed does not matter here.
        match report.errors.first() {
            Some(problem) if report.files == 0 => Err(Error::Io {
                operation: "restore",
                path: Path::new(OsStr::from_bytes(&file.path.0)).to_owned(),
                source: io::Error::other(problem.error.clone()),
            }),
            _ => Ok(()),
        }
    }

    fn compare(&self, snapshot: &Snapshot, file: &Listed, folder: &Path) -> Result<()> {
        let name = file.path.0.rsplit(|byte| *byte == b'/').next();
        let path = folder.join(OsStr::from_bytes(name.unwrap_or_default()));
        let restored = File::open(&path).map_err(Error::io("open", &path))?;
        let len = restored.metadata().map_err(Error::io("read", &path))?.len();
        if len != file.size {
            return Err(Error::damaged(
                "the restored file",
                format!("it has {len} bytes, not {}", file.size),
            ));
        }
        let mut same = Same {
            file: BufReader::new(restored),
            buffer: Vec::new(),
        };
        self.dump(snapshot, &file.path.0, &mut same)?;
        Ok(())
    }
}

/// What a drill restores is for looking at, and gone afterwards.
fn restoring(options: &DrillOptions) -> RestoreOptions {
    RestoreOptions {
        // Owners are for who may set them, and no part of the content.
        numeric_owner: true,
        stop: options.stop.clone(),
        ..RestoreOptions::default()
    }
}

/// The directory beneath the target that what has this path in the snapshot is in.
fn parent_in(target: &Path, path: &[u8]) -> PathBuf {
    let mut names: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
        .collect();
    names.pop();
    let mut place = target.to_owned();
    place.extend(names.into_iter().map(OsStr::from_bytes));
    place
}

fn nothing() -> Error {
    Error::Invalid {
        what: "snapshot",
        problem: "it holds no file that could be restored".to_owned(),
    }
}

fn go_on(options: &DrillOptions) -> Result<()> {
    let stop = options.stop.as_ref();
    match stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
        true => Err(Error::Interrupted),
        false => Ok(()),
    }
}

/// Takes what a file should hold, and fails where it holds something else.
struct Same {
    file: BufReader<File>,
    buffer: Vec<u8>,
}

impl Write for Same {
    fn write(&mut self, expected: &[u8]) -> io::Result<usize> {
        self.buffer.resize(expected.len(), 0);
        self.file.read_exact(&mut self.buffer)?;
        match self.buffer == expected {
            true => Ok(expected.len()),
            false => Err(io::Error::other(
                "the restored file differs from the snapshot",
            )),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
