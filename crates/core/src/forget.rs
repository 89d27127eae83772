//! Forgetting snapshots, and taking that back (FORMAT.md, section 5).
//!
//! A forgotten snapshot is moved to the trash: the trash object is written before the snapshot is
//! removed, so that a collector sees it in one place or the other. `prune` empties the trash.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::Segment;
use crate::repository::{Repository, to_json};
use crate::retention::{Candidate, PIN_TAG, Policy, Reason};
use crate::snapshot::{Name, Pending, Snapshot, Trashed};
use crate::storage::{ObjectKind, ObjectName, StorageError};

/// Which snapshots are meant. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Made on this machine.
    pub host: Option<String>,
    /// With all tags of one of these lists.
    pub tags: Vec<Vec<String>>,
    /// Of all these paths, and perhaps others.
    pub paths: Vec<Name>,
}

impl Filter {
    /// Whether it means this snapshot.
    pub fn matches(&self, snapshot: &Snapshot) -> bool {
        let has_tags = |list: &Vec<String>| list.iter().all(|tag| snapshot.tags.contains(tag));
        self.host.as_ref().is_none_or(|host| *host == snapshot.host)
            && (self.tags.is_empty() || self.tags.iter().any(has_tags))
            && self.paths.iter().all(|path| snapshot.paths.contains(path))
    }
}

/// A snapshot in a report of `forget`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForgetEntry {
    /// Its id.
    pub id: Id,
    /// When it was made.
    pub time: Timestamp,
    /// On which machine.
    pub host: String,
    /// Of which paths.
    pub paths: Vec<Name>,
    /// With which tags.
    pub tags: Vec<String>,
    /// Why it stays; nothing for those that go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl ForgetEntry {
    fn new(id: Id, snapshot: &Snapshot, reasons: Vec<Reason>) -> Self {
        Self {
            id,
            time: snapshot.time,
            host: snapshot.host.clone(),
            paths: snapshot.paths.clone(),
            tags: snapshot.tags.clone(),
            reasons,
        }
    }
}

/// What was forgotten, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForgetReport {
    /// Those that a policy kept.
    pub kept: Vec<ForgetEntry>,
    /// Those that are in the trash now.
    pub removed: Vec<ForgetEntry>,
}

impl Repository {
    /// The newest snapshot that the filter means.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`] when there is none; what is wrong with the first unreadable one
    /// when there is none that can be read.
    pub fn latest(&self, filter: &Filter) -> Result<(Id, Snapshot)> {
        self.needs_full("reading snapshots")?;
        let (snapshots, problems) = self.snapshots()?;
        let newest = snapshots
            .into_iter()
            .rev()
            .find(|(_, snapshot)| filter.matches(snapshot));
        newest.ok_or_else(|| match problems.into_iter().next() {
            Some((_, error)) => error,
            None => Error::NoSuchSnapshot {
                name: "latest".to_owned(),
            },
        })
    }

    /// Moves snapshots to the trash, whether or not they can be reached by a policy.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one of them is pinned; then nothing has been forgotten.
    pub fn forget(&self, ids: &[Id], now: Timestamp, dry_run: bool) -> Result<ForgetReport> {
        self.forget_these(ids, now, dry_run, false)
    }

    /// As [`Repository::forget`], and takes pinned snapshots too.
    ///
    /// # Errors
    /// When a snapshot cannot be read or moved.
    pub fn forget_pinned(&self, ids: &[Id], now: Timestamp, dry_run: bool) -> Result<ForgetReport> {
        self.forget_these(ids, now, dry_run, true)
    }

    fn forget_these(
        &self,
        ids: &[Id],
        now: Timestamp,
        dry_run: bool,
        even_pinned: bool,
    ) -> Result<ForgetReport> {
        self.needs_full("forget")?;
        let mut seen = HashSet::new();
        let mut chosen = Vec::new();
        for &id in ids.iter().filter(|id| seen.insert(**id)) {
            let snapshot = self
                .read_record::<Snapshot>(ObjectKind::Snapshot, id)
                .map_err(|error| match error {
                    Error::Storage(StorageError::NotFound { .. }) => Error::NoSuchSnapshot {
                        name: id.to_string(),
                    },
                    error => error,
                })?;
            if !even_pinned && snapshot.tags.iter().any(|tag| tag == PIN_TAG) {
                return Err(Error::Invalid {
                    what: "snapshot",
                    problem: format!("{id} is pinned"),
                });
            }
            chosen.push((id, snapshot));
        }
        self.move_to_trash(chosen, now, dry_run, ForgetReport::default())
    }

    /// Moves to the trash what the policy does not keep of the snapshots that the filter means.
    ///
    /// Snapshots that cannot be read are neither counted nor forgotten.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the policy is empty or keeps nothing of a group; then nothing has
    /// been forgotten.
    pub fn forget_by_policy(
        &self,
        filter: &Filter,
        policy: &Policy,
        now: Timestamp,
        dry_run: bool,
    ) -> Result<ForgetReport> {
        self.needs_full("forget")?;
        let (mut snapshots, problems) = self.snapshots()?;
        for (object, error) in problems {
            tracing::warn!(%object, %error, "a snapshot cannot be read and is left alone");
        }
        snapshots.retain(|(_, snapshot)| filter.matches(snapshot));
        let candidates: Vec<Candidate<'_>> = snapshots
            .iter()
            .map(|(id, snapshot)| Candidate {
                id: *id,
                time: snapshot.time,
                host: &snapshot.host,
                paths: &snapshot.paths,
                tags: &snapshot.tags,
            })
            .collect();
        let decisions = policy
            .apply(&candidates, now)
            .map_err(|error| Error::Invalid {
                what: "retention policy",
                problem: error.to_string(),
            })?;
        let mut report = ForgetReport::default();
        let mut chosen = Vec::new();
        for decision in decisions {
            let (id, snapshot) = &snapshots[decision.index];
            if decision.reasons.is_empty() {
                chosen.push((*id, snapshot.clone()));
            } else {
                let entry = ForgetEntry::new(*id, snapshot, decision.reasons);
                report.kept.push(entry);
            }
        }
        self.move_to_trash(chosen, now, dry_run, report)
    }

    fn move_to_trash(
        &self,
        chosen: Vec<(Id, Snapshot)>,
        now: Timestamp,
        dry_run: bool,
        mut report: ForgetReport,
    ) -> Result<ForgetReport> {
        let session = self.session()?;
        for (id, snapshot) in chosen {
            report
                .removed
                .push(ForgetEntry::new(id, &snapshot, Vec::new()));
            if dry_run {
                continue;
            }
            let trashed = Trashed {
                version: 1,
                snapshot: id,
                forgotten: now,
                record: snapshot,
            };
            let bytes = session.seal(ObjectKind::Trash, &to_json(&trashed))?;
            self.write_raw(ObjectKind::Trash, &bytes)?;
            self.remove(ObjectKind::Snapshot, id)?;
        }
        Ok(report)
    }

    /// Takes a snapshot back out of the trash. It is sealed anew and has another id from now on.
    ///
    /// `name` is the id it had, or its first digits.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`] and [`Error::AmbiguousSnapshot`]; [`Error::Busy`] when a `prune`
    /// removes it for good at this moment.
    pub fn unforget(&self, name: &str) -> Result<(Id, Snapshot)> {
        self.needs_full("taking back a forgotten snapshot")?;
        let prefix = name.to_ascii_lowercase();
        let mut trash = self.trash()?;
        trash.retain(|(_, trashed)| trashed.snapshot.to_string().starts_with(&prefix));
        let ids: HashSet<Id> = trash.iter().map(|(_, trashed)| trashed.snapshot).collect();
        if ids.len() > 1 {
            return Err(Error::AmbiguousSnapshot {
                name: name.to_owned(),
                count: ids.len(),
            });
        }
        let Some((last, trashed)) = trash.last().filter(|_| name.len() >= 4) else {
            return Err(Error::NoSuchSnapshot {
                name: name.to_owned(),
            });
        };
        let old = trashed.snapshot;
        // A crash, or another process, may have left the snapshot itself.
        let id = if self.list(ObjectKind::Snapshot)?.contains(&old) {
            old
        } else {
            self.restore_from_trash(*last, trashed)?
        };
        for (object, _) in &trash {
            self.remove(ObjectKind::Trash, *object)?;
        }
        Ok((id, trashed.record.clone()))
    }

    /// Writes the snapshot anew. The trash object keeps collectors off until it is there.
    fn restore_from_trash(&self, object: Id, trashed: &Trashed) -> Result<Id> {
        let bytes = self
            .session()?
            .seal(ObjectKind::Snapshot, &to_json(&trashed.record))?;
        let id = Id::of(&bytes);
        // The index names a snapshot before it is there, and a pending object says why.
        let pending = self.write_record(
            ObjectKind::Pending,
            &Pending {
                version: 1,
                client: self.cache().client()?,
                set: Id::of(b"unforget"),
                packs: Vec::new(),
                snapshot: Some(id),
            },
        )?;
        self.publish_index(&Segment {
            published: vec![id],
            ..Segment::default()
        })?;
        self.write_raw(ObjectKind::Snapshot, &bytes)?;
        // A prune removes the trash object before it looks at snapshots. As long as the object is
        // there, every prune that removes it later will see the snapshot; if it is gone, one may
        // have looked before, and chunks may be gone with it.
        let name = ObjectName::new(ObjectKind::Trash, object);
        let in_time = match self.storage().size(&name) {
            Ok(_) => true,
            Err(StorageError::NotFound { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        self.publish_index(&Segment {
            forgotten: vec![if in_time { trashed.snapshot } else { id }],
            ..Segment::default()
        })?;
        if !in_time {
            self.remove(ObjectKind::Snapshot, id)?;
        }
        self.remove(ObjectKind::Pending, pending)?;
        match in_time {
            true => Ok(id),
            false => Err(Error::Busy {
                what: "a prune that removes this snapshot for good".to_owned(),
            }),
        }
    }

    /// Removes for good what has been in the trash for `keep`, and what no longer belongs there;
    /// gives how many snapshots are gone. The caller is `prune`, which frees their chunks.
    pub(crate) fn purge_trash(&self, keep: SignedDuration, now: Timestamp) -> Result<u64> {
        let trash = self.trash()?;
        let present: HashSet<Id> = self.list(ObjectKind::Snapshot)?.into_iter().collect();
        // Without a time to keep, a clock that was ahead makes no difference. A snapshot that is
        // still there is being forgotten at this moment, or a crash came between: its trash object
        // stays, or else nothing would say what became of it.
        let due = |trashed: &Trashed| {
            (keep.is_zero() || now.duration_since(trashed.forgotten) >= keep)
                && !present.contains(&trashed.snapshot)
        };
        // It may have been forgotten twice: what counts is the last time.
        let kept: HashSet<Id> = trash
            .iter()
            .filter(|(_, trashed)| !due(trashed))
            .map(|(_, trashed)| trashed.snapshot)
            .collect();
        let chosen: Vec<&(Id, Trashed)> = trash
            .iter()
            .filter(|(_, trashed)| !kept.contains(&trashed.snapshot))
            .collect();
        if chosen.is_empty() {
            return Ok(0);
        }
        let mut forgotten: Vec<Id> = chosen.iter().map(|(_, t)| t.snapshot).collect();
        forgotten.sort();
        forgotten.dedup();
        let count = forgotten.len() as u64;
        // A crash must bring back neither the snapshot nor, below, its trash object once the chunks
        // that they need are gone.
        self.storage().settle(ObjectKind::Snapshot)?;
        self.publish_index(&Segment {
            forgotten,
            ..Segment::default()
        })?;
        for (object, _) in chosen {
            self.remove(ObjectKind::Trash, *object)?;
        }
        self.storage().settle(ObjectKind::Trash)?;
        Ok(count)
    }
}
