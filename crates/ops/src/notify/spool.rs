//! What is still to be told, on disk.
//!
//! One file for each message and target, readable by the owner alone, written beside and renamed.
//! No token, address or password of a target is in it: a target is its name.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Notification, Severity};

/// A message with all its facts is smaller.
const MAX_FILE: u64 = 512 * 1024;
/// And so is the list of what was told lately.
pub(super) const MAX_STATE: u64 = 8 * 1024 * 1024;

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLimits {
    /// How many messages; the least bad and oldest go first.
    pub count: usize,
    /// How old they may become.
    pub age: Duration,
}

impl Default for SpoolLimits {
    /// 1000 messages, a week.
    fn default() -> Self {
        Self {
            count: 1000,
            age: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// The spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the spool of notifications at {}: {problem}", path.display())]
pub struct SpoolError {
    /// The file or directory.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub problem: io::Error,
}

impl SpoolError {
    /// How to put it right.
    pub fn hint(&self) -> &'static str {
        "look whether the disk is full and the directory belongs to the user as whom this runs"
    }
}

/// A message to one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) target: String,
    pub(super) created: Timestamp,
    pub(super) attempts: u32,
    /// Not before this.
    pub(super) next: Timestamp,
    pub(super) notification: Notification,
}

/// Files in a directory.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    limits: SpoolLimits,
}

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, SpoolError> {
    result.map_err(|problem| SpoolError {
        path: path.to_owned(),
        problem,
    })
}

impl Spool {
    pub(super) fn open(dir: PathBuf, limits: SpoolLimits) -> Result<Self, SpoolError> {
        at(
            &dir,
            DirBuilder::new().recursive(true).mode(0o700).create(&dir),
        )?;
        Ok(Self { dir, limits })
    }

    /// A file whose lock is held as long as it is open.
    pub(super) fn lock(&self, name: &str) -> Result<File, SpoolError> {
        let file = self.lock_file(name)?;
        at(&self.dir.join(name), file.lock())?;
        Ok(file)
    }

    /// The same, if nobody else holds it.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<File>, SpoolError> {
        let file = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(problem)) => at(&self.dir.join(name), Err(problem)),
        }
    }

    fn lock_file(&self, name: &str) -> Result<File, SpoolError> {
        let path = self.dir.join(name);
        let options = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        at(&path, options)
    }

    /// Adds a message, and gives how many others had to go for it.
    pub(super) fn add(&self, entry: &Entry) -> Result<usize, SpoolError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| SpoolError {
            path: self.dir.clone(),
            problem: io::ErrorKind::Unsupported.into(),
        })?;
        let mut names = self.names()?;
        // In the order in which they came, also at one moment and with a clock that was set back. The
        // severity is read from the name without opening the file.
        let last = names.last().map(|name| order_of(name).saturating_add(1));
        let order = entry.created.as_nanosecond().max(0).unsigned_abs();
        let name = format!(
            "{:020}-{}-{}.json",
            order.max(last.unwrap_or_default()),
            entry.notification.severity as u8,
            hex::encode(random)
        );
        self.write(&name, entry)?;
        names.push(name);
        let excess = names.len().saturating_sub(self.limits.count);
        names.sort_by_key(|name| (severity_of(name), name.clone()));
        for name in &names[..excess] {
            self.remove(name)?;
        }
        Ok(excess)
    }

    /// Writes a file as a whole or not at all.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> Result<(), SpoolError> {
        let path = self.dir.join(name);
        let write = || {
            let bytes = serde_json::to_vec(value)?;
            // Made with mode 0600.
            let mut file = tempfile::Builder::new()
                .prefix(".new-")
                .tempfile_in(&self.dir)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            File::open(&self.dir)?.sync_all()
        };
        at(&path, write())
    }

    /// Removes a file that may be gone already.
    pub(super) fn remove(&self, name: &str) -> Result<(), SpoolError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => at(&path, Err(error)),
            _ => Ok(()),
        }
    }

    /// A message, unless it is too old, or gone, or its file is damaged.
    pub(super) fn entry(&self, name: &str, now: Timestamp) -> Result<Option<Entry>, SpoolError> {
        let entry: Option<Entry> = self.read(name, MAX_FILE)?;
        let oldest = SignedDuration::try_from(self.limits.age).unwrap_or(SignedDuration::MAX);
        Ok(entry.filter(|entry| now.duration_since(entry.created) <= oldest))
    }

    /// A file, if it is there and what it should be.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        most: u64,
    ) -> Result<Option<T>, SpoolError> {
        let path = self.dir.join(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => at(&path, opened)?,
        };
        let mut bytes = Vec::new();
        at(&path, file.take(most).read_to_end(&mut bytes))?;
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// The names of all messages, oldest first.
    pub(super) fn names(&self) -> Result<Vec<String>, SpoolError> {
        let mut names = Vec::new();
        for entry in at(&self.dir, fs::read_dir(&self.dir))? {
            let name = at(&self.dir, entry)?.file_name();
            if let Some(name) = name.to_str()
                && name.ends_with(".json")
                && name.starts_with(|c: char| c.is_ascii_digit())
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

fn order_of(name: &str) -> u128 {
    let digits = name
        .split('-')
        .next()
        .and_then(|digits| digits.parse().ok());
    digits.unwrap_or_default()
}

fn severity_of(name: &str) -> u8 {
    let digit = name.split('-').nth(1).and_then(|digit| digit.parse().ok());
    digit.unwrap_or(Severity::Success as u8)
}
