//! Lists that are read again when their file changes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ListKind, PlateList, PlateLists, Warning};
use crate::error::{Error, Result};

/// How often a file is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of a list when it was looked at.
#[derive(Debug)]
pub enum ListChange {
    /// It was read again.
    Reloaded {
        /// How many plates it has now.
        plates: usize,
    },
    /// It has changed and cannot be used; what was read before is still in force. Said once for each
    /// change.
    Broken(Error),
}

impl ListChange {
    /// What is to be said of it, without a plate.
    pub fn describe(&self, list: ListKind) -> String {
        match self {
            Self::Reloaded { plates } => {
                format!("the {} list has {plates} plates now", list.name())
            }
            Self::Broken(error) => format!(
                "the {} list stays as it was: {}",
                list.name(),
                keepwatch_core::with_causes(error)
            ),
        }
    }
}

/// What tells that a file is another one, or has other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Also changes when somebody sets the time of the last change.
    changed: (i64, i64),
}

impl Stamp {
    /// None if there is no such file that can be looked at.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// A list and its file.
#[derive(Debug)]
pub struct ListFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    checked: Option<Duration>,
}

impl ListFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// As [`PlateList::read`].
    pub fn open(path: &Path) -> Result<(Self, PlateList)> {
        // Before it is read: what changes meanwhile is read once more.
        let stamp = Stamp::of(path);
        let list = PlateList::read(path)?;
        let file = Self {
            path: path.to_owned(),
            stamp,
            checked: None,
        };
        Ok((file, list))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file if that was not done within the last second, and reads it again if it is
    /// another than last time: another time, size or place on the disk. `now` is any clock that
    /// nobody sets.
    ///
    /// # Errors
    /// As [`PlateList::read`], once for each change.
    pub fn check(&mut self, now: Duration) -> Result<Option<PlateList>> {
        // A clock that went back is another clock.
        if self.checked.is_some_and(|last| now.abs_diff(last) < PAUSE) {
            return Ok(None);
        }
        self.checked = Some(now);
        let stamp = Stamp::of(&self.path);
        if stamp == self.stamp {
            return Ok(None);
        }
        self.stamp = stamp;
        if stamp.is_none() {
            return Err(self.gone());
        }
        PlateList::read(&self.path).map(Some)
    }

    fn gone(&self) -> Error {
        let source = fs::metadata(&self.path).err();
        Error::Read {
            path: self.path.clone(),
            source: source.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

/// Both lists, each with its file if it has one.
#[derive(Debug, Default)]
pub struct ListFiles {
    lists: PlateLists,
    allow: Option<ListFile>,
    deny: Option<ListFile>,
}

impl ListFiles {
    /// Reads the files. A list without a file is empty.
    ///
    /// # Errors
    /// As [`PlateList::read`].
    pub fn open(allow: Option<&Path>, deny: Option<&Path>) -> Result<Self> {
        let open = |path: Option<&Path>| -> Result<(Option<ListFile>, PlateList)> {
            let Some(path) = path else {
                return Ok((None, PlateList::default()));
            };
            let (file, list) = ListFile::open(path)?;
            Ok((Some(file), list))
        };
        let (allow_file, allow) = open(allow)?;
        let (deny_file, deny) = open(deny)?;
        let lists = PlateLists {
            allow,
            deny,
            ..PlateLists::default()
        };
        Ok(Self {
            lists,
            allow: allow_file,
            deny: deny_file,
        })
    }

    /// Sets how far a reading may be from a plate of each list.
    #[must_use]
    pub fn with_distances(mut self, allow: f32, deny: f32) -> Self {
        (self.lists.allow_distance, self.lists.deny_distance) = (allow, deny);
        self
    }

    /// The lists as they are now.
    pub fn lists(&self) -> &PlateLists {
        &self.lists
    }

    /// What is odd in them, as [`PlateLists::warnings`].
    pub fn warnings(&self) -> Vec<Warning> {
        self.lists.warnings()
    }

    /// The same in words, as they are said of both lists.
    pub fn odd(&self) -> Vec<String> {
        let warnings = self.warnings().into_iter();
        warnings
            .map(|warning| format!("the lists of plates: {warning}"))
            .collect()
    }

    /// Reads again what has changed, as [`ListFile::check`], and tells of it; mostly there is
    /// nothing to tell.
    pub fn check(&mut self, now: Duration) -> Vec<(ListKind, ListChange)> {
        let mut changes = Vec::new();
        let both = [
            (ListKind::Allow, &mut self.allow, &mut self.lists.allow),
            (ListKind::Deny, &mut self.deny, &mut self.lists.deny),
        ];
        for (kind, file, list) in both {
            match file.as_mut().map(|file| file.check(now)) {
                None | Some(Ok(None)) => {}
                Some(Ok(Some(new))) => {
                    let plates = new.len();
                    *list = new;
                    changes.push((kind, ListChange::Reloaded { plates }));
                }
                Some(Err(error)) => changes.push((kind, ListChange::Broken(error))),
            }
        }
        changes
    }
}
