//! What a backup has that one should know of.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepwatch_core::Name;
use serde::Serialize;

use super::name_of;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// To be known; what it is about came over whole.
    Note,
    /// Something was left out, or it is not known whether it is right.
    Doubt,
    /// Something is damaged, and was left out.
    Damage,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// There is no manifest: nothing says what should be there.
    NoManifest,
    /// A manifest cannot be read, and counts for nothing.
    BadManifest,
    /// A link leads nowhere.
    Dangling,
    /// A link leads to a file that is encrypted in the backup: restored, it leads there again.
    Broken,
    /// A zip opens with another password, and was left out.
    Locked,
    /// A link leads out of the backup.
    LinkOut,
    /// A file of an encrypted backup is not encrypted.
    Plaintext,
    /// No manifest names a file.
    Unnamed,
    /// A file has no checksum in any manifest.
    Unverified,
    /// A later run has overwritten what this run left.
    Overwritten,
    /// A file was no longer in the source at the last run.
    Deleted,
    /// The last run could not copy a file.
    NotCopied,
    /// A file is not in the backup.
    Missing,
    /// A newer form of the same file is there, and this one was left out.
    Superseded,
    /// It is no file, directory or link, and was left out.
    Special,
    /// An entry of a zip had the name of another one, and got a new one.
    Renamed,
    /// An entry of a zip has a name that leads elsewhere, and was left out.
    BadName,
    /// A file could not be read.
    Unreadable,
    /// A content is not what its manifest says.
    Changed,
    /// An encrypted file or an entry of a zip does not open.
    Damaged,
}

impl FindingKind {
    /// How much it matters.
    pub fn weight(self) -> Weight {
        match self {
            Self::Broken | Self::LinkOut | Self::Deleted | Self::Renamed => Weight::Note,
            Self::Changed | Self::Damaged => Weight::Damage,
            _ => Weight::Doubt,
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What was found.
    pub kind: FindingKind,
    /// Where, beneath the backup or in its zip.
    pub path: Name,
    /// More about it, in words.
    pub detail: String,
}

/// What was found so far; readers add to it from any thread, and once only.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<BTreeSet<Finding>>);

impl Log {
    pub fn add(&self, path: &[u8], kind: FindingKind, detail: impl Into<String>) {
        self.lock().insert(Finding {
            weight: kind.weight(),
            kind,
            path: name_of(path),
            detail: detail.into(),
        });
    }

    pub fn all(&self) -> Vec<Finding> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Finding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
