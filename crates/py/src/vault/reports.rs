//! What the vault tells: snapshots, entries, reports.

use keepwatch_core as core;
use pyo3::prelude::*;

use crate::record::{Hex, Text, Time, Tuple, record};

record! {
    /// A snapshot.
    Snapshot {
        /// Its id.
        id: Hex,
        /// When the backup began.
        time: Time,
        /// The machine it was made on.
        host: String,
        /// The user who made it.
        user: String,
        /// What was backed up.
        paths: Tuple,
        /// Words given by the user.
        tags: Tuple,
        /// How many files it holds.
        files: u64,
        /// How many bytes its files have.
        bytes: u64,
        /// How many entries could not be read.
        failed: u64,
        /// The snapshot it was compared with.
        parent: Option<Hex>,
        /// The program that made it.
        program: String,
    }
}

impl Snapshot {
    pub fn new(py: Python<'_>, id: core::Id, snapshot: &core::Snapshot) -> PyResult<Self> {
        Ok(Self {
            id: Hex(id),
            time: Time(snapshot.time),
            host: snapshot.host.clone(),
            user: snapshot.user.clone(),
            paths: Tuple::new(py, texts(&snapshot.paths))?,
            tags: Tuple::new(py, &snapshot.tags)?,
            files: snapshot.files,
            bytes: snapshot.bytes,
            failed: snapshot.failed,
            parent: snapshot.parent.map(Hex),
            program: snapshot.program.clone(),
        })
    }
}

fn texts(names: &[core::Name]) -> Vec<Text> {
    names.iter().cloned().map(Text).collect()
}

record! {
    /// Something that could not be done with one path, or one object.
    Problem {
        /// The path.
        path: Text,
        /// What is wrong.
        error: String,
    }
}

fn problems(py: Python<'_>, errors: &[core::PathError]) -> PyResult<Tuple> {
    let problems: Vec<Problem> = errors
        .iter()
        .map(|problem| Problem {
            path: Text(problem.path.clone()),
            error: problem.error.clone(),
        })
        .collect();
    Tuple::new(py, problems)
}

record! {
    /// Files by what became of them.
    FileCounts {
        /// Not in the last backup.
        new: u64,
        /// Other content than in the last backup.
        changed: u64,
        /// The same content as in the last backup.
        unmodified: u64,
        /// Not readable.
        failed: u64,
    }
}

record! {
    /// Bytes by what became of them.
    ByteCounts {
        /// In all files of the snapshot.
        scanned: u64,
        /// Not in the repository before.
        new: u64,
        /// Added to the repository, sealed and compressed.
        stored: u64,
    }
}

record! {
    /// What a backup did.
    BackupReport {
        /// The id of the snapshot; nothing after a dry run.
        snapshot: Option<Hex>,
        /// The snapshot it was compared with.
        parent: Option<Hex>,
        /// Files.
        files: Py<FileCounts>,
        /// Directories.
        dirs: u64,
        /// Bytes.
        bytes: Py<ByteCounts>,
        /// What could not be read, or not in one piece.
        errors: Tuple,
        /// How long it took, in seconds.
        duration_s: f64,
    }
}

impl BackupReport {
    pub fn new(py: Python<'_>, report: &core::BackupReport) -> PyResult<Self> {
        let files = FileCounts {
            new: report.files.new,
            changed: report.files.changed,
            unmodified: report.files.unmodified,
            failed: report.files.failed,
        };
        let bytes = ByteCounts {
            scanned: report.bytes.scanned,
            new: report.bytes.new,
            stored: report.bytes.stored,
        };
        Ok(Self {
            snapshot: report.snapshot.map(Hex),
            parent: report.parent.map(Hex),
            files: Py::new(py, files)?,
            dirs: report.dirs,
            bytes: Py::new(py, bytes)?,
            errors: problems(py, &report.errors)?,
            duration_s: report.duration_s,
        })
    }
}

record! {
    /// What a restore did.
    RestoreReport {
        /// Files, links and other entries that were written.
        files: u64,
        /// Directories that were made or updated.
        dirs: u64,
        /// Bytes of content that were written.
        bytes: u64,
        /// Entries that were there and stayed.
        skipped: u64,
        /// Entries that `delete` removed.
        deleted: u64,
        /// Whether something could not be restored because the repository is damaged.
        damaged: bool,
        /// Entries that could not be restored, or not wholly.
        errors: Tuple,
    }
}

impl RestoreReport {
    pub fn new(py: Python<'_>, report: &core::RestoreReport) -> PyResult<Self> {
        Ok(Self {
            files: report.files,
            dirs: report.dirs,
            bytes: report.bytes,
            skipped: report.skipped,
            deleted: report.deleted,
            damaged: report.damaged,
            errors: problems(py, &report.errors)?,
        })
    }
}

record! {
    /// How much was checked.
    Checked {
        /// Snapshots whose trees were walked.
        snapshots: u64,
        /// Packs that were compared with the index.
        packs: u64,
        /// Chunks that were opened and compared with their ids, or else only found in the index.
        chunks: u64,
        /// Bytes of packs that were read.
        bytes: u64,
    }
}

record! {
    /// One thing that is wrong with a repository.
    CheckError {
        /// The object, as its path in the repository.
        object: String,
        /// What is wrong with it.
        error: String,
    }
}

record! {
    /// What a check says about parity.
    ParityCheck {
        /// Parity objects.
        objects: u64,
        /// Packs that come neither back from damage nor from loss, although there is parity.
        packs_unprotected: u64,
        /// Damaged and missing objects that `keepwatch repair` would bring back from it.
        mendable: Tuple,
    }
}

record! {
    /// What a check found; true if nothing is wrong.
    CheckReport {
        /// Whether nothing is wrong.
        ok: bool,
        /// How much was checked.
        checked: Py<Checked>,
        /// All that is wrong.
        errors: Tuple,
        /// What interrupted operations have left. No snapshot lacks anything for it.
        warnings: Tuple,
        /// What parity there is, and what it would mend.
        parity: Py<ParityCheck>,
    }
}

#[pymethods]
impl CheckReport {
    fn __bool__(&self) -> bool {
        self.ok
    }
}

impl CheckReport {
    pub fn new(py: Python<'_>, report: &core::CheckReport) -> PyResult<Self> {
        let errors = |errors: &[core::CheckError]| {
            let errors: Vec<CheckError> = errors
                .iter()
                .map(|found| CheckError {
                    object: found.object.clone(),
                    error: found.error.clone(),
                })
                .collect();
            Tuple::new(py, errors)
        };
        let checked = Checked {
            snapshots: report.checked.snapshots,
            packs: report.checked.packs,
            chunks: report.checked.chunks,
            bytes: report.checked.bytes,
        };
        let parity = ParityCheck {
            objects: report.parity.objects,
            packs_unprotected: report.parity.packs_unprotected,
            mendable: Tuple::new(py, report.parity.mendable.clone())?,
        };
        Ok(Self {
            ok: report.ok,
            checked: Py::new(py, checked)?,
            errors: errors(&report.errors)?,
            warnings: errors(&report.warnings)?,
            parity: Py::new(py, parity)?,
        })
    }
}

record! {
    /// A snapshot in a report of `forget`.
    ForgetEntry {
        /// Its id.
        id: Hex,
        /// When it was made.
        time: Time,
        /// On which machine.
        host: String,
        /// Of which paths.
        paths: Tuple,
        /// With which tags.
        tags: Tuple,
        /// Why it stays; nothing for those that go.
        reasons: Tuple,
    }
}

record! {
    /// What was forgotten, or would be.
    ForgetReport {
        /// Those that a policy kept.
        kept: Tuple,
        /// Those that are in the trash now.
        removed: Tuple,
    }
}

impl ForgetReport {
    pub fn new(py: Python<'_>, report: &core::ForgetReport) -> PyResult<Self> {
        let entries = |entries: &[core::ForgetEntry]| {
            let entries = entries.iter().map(|entry| {
                let reasons: Vec<String> = entry.reasons.iter().map(ToString::to_string).collect();
                Ok(ForgetEntry {
                    id: Hex(entry.id),
                    time: Time(entry.time),
                    host: entry.host.clone(),
                    paths: Tuple::new(py, texts(&entry.paths))?,
                    tags: Tuple::new(py, &entry.tags)?,
                    reasons: Tuple::new(py, reasons)?,
                })
            });
            Tuple::new(py, entries.collect::<PyResult<Vec<_>>>()?)
        };
        Ok(Self {
            kept: entries(&report.kept)?,
            removed: entries(&report.removed)?,
        })
    }
}

record! {
    /// What `prune` did, or would do.
    PruneReport {
        /// Packs removed without replacement.
        packs_removed: u64,
        /// Packs whose live chunks were copied to others.
        packs_rewritten: u64,
        /// How many bytes the repository became smaller.
        bytes_freed: u64,
        /// Packs that no index names: removed by the next run unless a backup needs them.
        packs_waiting: u64,
        /// Forgotten snapshots that are gone for good now.
        snapshots_purged: u64,
    }
}

impl PruneReport {
    pub fn new(report: &core::PruneReport) -> Self {
        Self {
            packs_removed: report.packs_removed,
            packs_rewritten: report.packs_rewritten,
            bytes_freed: report.bytes_freed,
            packs_waiting: report.packs_waiting,
            snapshots_purged: report.snapshots_purged,
        }
    }
}

record! {
    /// A key slot, as far as it may be shown.
    KeyInfo {
        /// The object's id; it changes when the slot is renewed.
        id: Hex,
        /// The slot's own id, which stays.
        slot: String,
        /// What it may do: `full` or `writer`.
        role: &'static str,
        /// The name given to it.
        label: String,
        /// What opens it.
        credential: String,
        /// When it was made.
        created: Time,
        /// The newest key epoch it can read.
        epoch: u32,
    }
}

impl KeyInfo {
    pub fn new(key: core::KeyInfo) -> Self {
        Self {
            id: Hex(key.id),
            slot: key.slot,
            role: role_name(key.role),
            label: key.label,
            credential: key.credential,
            created: Time(key.created),
            epoch: key.epoch,
        }
    }
}

/// What a key may do, in a word.
pub fn role_name(role: core::Role) -> &'static str {
    match role {
        core::Role::Full => "full",
        core::Role::Writer => "writer",
    }
}

record! {
    /// What a repository holds.
    Stats {
        /// Snapshots counted.
        snapshots: u64,
        /// Files in them.
        files: u64,
        /// Directories in them.
        dirs: u64,
        /// Bytes that a restore of all of them would write.
        restore_bytes: u64,
        /// Different chunks that they need.
        chunks: u64,
        /// Bytes of plaintext in those chunks.
        chunk_bytes: u64,
        /// Bytes that those chunks take in packs.
        stored_bytes: u64,
        /// Packs in the repository.
        packs: u64,
        /// Bytes of all packs.
        pack_bytes: u64,
    }
}

impl Stats {
    pub fn new(stats: &core::Stats) -> Self {
        Self {
            snapshots: stats.snapshots,
            files: stats.files,
            dirs: stats.dirs,
            restore_bytes: stats.restore_bytes,
            chunks: stats.chunks,
            chunk_bytes: stats.chunk_bytes,
            stored_bytes: stats.stored_bytes,
            packs: stats.packs,
            pack_bytes: stats.pack_bytes,
        }
    }
}

record! {
    /// An entry of a snapshot.
    Entry {
        /// Its path in the snapshot, from `/`.
        path: Text,
        /// `file`, `dir`, `symlink`, `chardev`, `blockdev`, `fifo` or `socket`.
        r#type: &'static str,
        /// Bytes of content; 0 for all but files.
        size: u64,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// The owner's name on the machine it comes from.
        user: Option<Text>,
        /// The group's name on the machine it comes from.
        group: Option<Text>,
        /// Modification time.
        mtime: Time,
        /// Where a symbolic link points.
        target: Option<Text>,
        /// Whether the file changed while it was read.
        changed_during_read: bool,
    }
}

impl From<core::Listed> for Entry {
    fn from(entry: core::Listed) -> Self {
        Self {
            path: Text(entry.path),
            r#type: entry.kind,
            size: entry.size,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.map(Text),
            group: entry.group.map(Text),
            mtime: Time(entry.mtime),
            target: entry.target.map(Text),
            changed_during_read: entry.changed_during_read,
        }
    }
}

record! {
    /// A difference between two snapshots.
    Change {
        /// The path in the snapshots.
        path: Text,
        /// What differs: `added`, `removed`, `modified`, `metadata` or `type`.
        change: &'static str,
        /// Bytes in the first snapshot.
        size_before: u64,
        /// Bytes in the second snapshot.
        size_after: u64,
    }
}

impl From<core::Change> for Change {
    fn from(change: core::Change) -> Self {
        Self {
            path: Text(change.path),
            change: match change.change {
                core::ChangeKind::Added => "added",
                core::ChangeKind::Removed => "removed",
                core::ChangeKind::Modified => "modified",
                core::ChangeKind::Metadata => "metadata",
                core::ChangeKind::Type => "type",
            },
            size_before: change.size_before,
            size_after: change.size_after,
        }
    }
}

record! {
    /// A chunk of a file: its place in what is stored of the file, which leaves out holes.
    Chunk {
        /// Its id.
        id: Hex,
        /// Where it begins, in bytes.
        offset: u64,
        /// Its length in bytes.
        size: u32,
    }
}

impl From<core::FileChunk> for Chunk {
    fn from(chunk: core::FileChunk) -> Self {
        Self {
            id: Hex(chunk.id),
            offset: chunk.offset,
            size: chunk.len,
        }
    }
}
