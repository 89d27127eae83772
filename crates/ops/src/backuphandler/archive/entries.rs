//! The entries of a zip as a tree: names made safe and told apart.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use keepwatch_core::tree::{Metadata, Time};
use keepwatch_core::{VirtualEntry, VirtualKind};
use zip::read::OwnedZipFileEntry;

use super::super::finding::{FindingKind, Log};
use super::{Archive, MAX_EXTRA, MAX_RATIO};

/// Names of a file system are no longer.
const MAX_NAME: usize = 255;
/// What permissions a file had is not known where its archive does not say it.
const MODE: u32 = 0o600;

/// The entries that can be taken over.
pub(super) fn listed(
    archive: &Archive,
    entries: &[Arc<OwnedZipFileEntry>],
    top: &Metadata,
    zone: &TimeZone,
    log: &Arc<Log>,
) -> Vec<VirtualEntry> {
    let given: Vec<(&[u8], &Arc<OwnedZipFileEntry>)> = entries
        .iter()
        .map(|entry| {
            let name = entry.name_raw();
            (name.strip_suffix(b"/").unwrap_or(name), entry)
        })
        .filter(|(path, _)| {
            let is_safe = is_safe(path);
            if !is_safe {
                log.add(
                    path,
                    FindingKind::BadName,
                    "its name leads elsewhere, and it is left out",
                );
            }
            is_safe
        })
        .collect();
    let files: HashSet<&[u8]> = given
        .iter()
        .filter(|(_, entry)| !entry.is_dir())
        .map(|(path, _)| *path)
        .collect();
    let mut taken: HashSet<Vec<u8>> = HashSet::new();
    let mut listed = Vec::new();
    for (path, entry) in &given {
        if above(path).any(|above| files.contains(above))
            || (entry.is_dir() && files.contains(path))
        {
            log.add(
                path,
                FindingKind::BadName,
                "its name leads through a file, and it is left out",
            );
            continue;
        }
        let mut meta = top.clone();
        meta.mtime = modified(entry, zone).unwrap_or(top.mtime);
        if entry.is_dir() {
            if taken.insert(path.to_vec()) {
                listed.push(VirtualEntry {
                    path: path.to_vec(),
                    meta,
                    kind: VirtualKind::Dir,
                });
            }
            continue;
        }
        if entry.is_symlink() {
            log.add(
                path,
                FindingKind::Special,
                "it is a link in a zip, and is left out",
            );
            continue;
        }
        if entry.size()
            > entry
                .compressed_size()
                .saturating_mul(MAX_RATIO)
                .saturating_add(MAX_EXTRA)
        {
            log.add(
                path,
                FindingKind::Damaged,
                "it says that it is larger than it can be",
            );
            continue;
        }
        let Some(path) = free(path, &files, &mut taken, log) else {
            continue;
        };
        meta.mode = entry.unix_mode().map_or(MODE, |mode| mode & 0o777);
        if meta.mode == 0 {
            meta.mode = MODE;
        }
        let content = archive.content(entry, &path, log);
        listed.push(VirtualEntry {
            path,
            meta,
            kind: VirtualKind::File(content),
        });
    }
    listed
}

/// Whether all names of a path are names.
pub(in super::super) fn is_safe(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(|name| {
        !matches!(name, b"" | b"." | b"..") && name.len() <= MAX_NAME && !name.contains(&0)
    })
}

/// The directories that a path leads through.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let cuts = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    cuts.map(|(at, _)| &path[..at])
}

/// The path, or one like it if another entry has it: `notes.md`, `notes (2).md`.
fn free(
    path: &[u8],
    files: &HashSet<&[u8]>,
    taken: &mut HashSet<Vec<u8>>,
    log: &Log,
) -> Option<Vec<u8>> {
    if taken.insert(path.to_vec()) {
        return Some(path.to_vec());
    }
    let start = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let (dir, name) = path.split_at(start);
    // A name that begins with its only dot has no ending.
    let dot = name
        .iter()
        .rposition(|byte| *byte == b'.')
        .filter(|at| *at > 0);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    let mut other =
        (2_u64..).map(|number| [stem, format!(" ({number})").as_bytes(), ending].concat());
    let other = other.find(|name| {
        let path = [dir, name].concat();
        !files.contains(path.as_slice()) && !taken.contains(&path)
    });
    let other = other.filter(|name| name.len() <= MAX_NAME);
    let Some(other) = other else {
        log.add(
            path,
            FindingKind::BadName,
            "another entry has its name, and it is left out",
        );
        return None;
    };
    let new = [dir, &other].concat();
    let detail = format!(
        "another entry has its name: it is called {} now",
        String::from_utf8_lossy(&other)
    );
    log.add(path, FindingKind::Renamed, detail);
    taken.insert(new.clone());
    Some(new)
}

/// Zips have the local time without a zone, to two seconds.
fn modified(entry: &OwnedZipFileEntry, zone: &TimeZone) -> Option<Time> {
    let time = entry.last_modified()?;
    let small = |value: u8| i8::try_from(value).ok();
    let civil = DateTime::new(
        i16::try_from(time.year()).ok()?,
        small(time.month())?,
        small(time.day())?,
        small(time.hour())?,
        small(time.minute())?,
        small(time.second())?,
        0,
    );
    let time = zone.to_timestamp(civil.ok()?).ok()?;
    Some(Time {
        secs: time.as_second(),
        nanos: 0,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn entries_of_one_name_are_told_apart() {
        let files: HashSet<&[u8]> = [&b"notes.md"[..], b"notes (2).md", b"d/.rc", b"none"].into();
        let (mut taken, log) = (HashSet::new(), Log::default());
        let mut named = |path: &str| {
            let free = free(path.as_bytes(), &files, &mut taken, &log).unwrap();
            String::from_utf8(free).unwrap()
        };
        assert_eq!(named("notes.md"), "notes.md");
        // There is a file of that very name.
        assert_eq!(named("notes.md"), "notes (3).md");
        assert_eq!(named("notes (2).md"), "notes (2).md");
        assert_eq!(named("notes.md"), "notes (4).md");
        assert_eq!(named("d/.rc"), "d/.rc");
        assert_eq!(named("d/.rc"), "d/.rc (2)");
        assert_eq!(named("none"), "none");
        assert_eq!(named("none"), "none (2)");
        assert_eq!(log.all().len(), 4);
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_safe() {
        for path in ["", "/a", "a//b", "..", "a/../b", ".", "a\0"] {
            assert!(!is_safe(path.as_bytes()), "{path:?}");
        }
        assert!(is_safe("a/b c/\u{65e5}\\..".as_bytes()));
    }
}
