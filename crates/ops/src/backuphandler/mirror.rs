//! A directory and its manifests, put together: which file is what, and what each run has left.

mod links;
mod state;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_core::{VirtualKind, VirtualTree};
use keepwatch_crypto::Error as CryptoError;
use keepwatch_crypto::backuphandler::Plaintext;

use super::content::{Reading, is_one_of};
use super::error::Result;
use super::finding::{FindingKind, Log};
use super::manifest::{Manifest, Version};
use super::names::{SUFFIX, stamp_of_manifest, stamp_of_zip, time_of};
use super::probe::{Tried, probe};
use super::scan::{Found, FoundKind, Scan};
use super::{Run, RunKind, place};

/// What is wanted of a directory.
pub(super) struct Choice<'a> {
    pub time_zone: &'a TimeZone,
    pub all_runs: bool,
    pub without_deleted: bool,
    /// Of the backup itself, where the source is not known.
    pub name: &'a Path,
}

/// A file that manifests name.
struct Named {
    /// Its path in the first manifest that names it.
    path: Vec<u8>,
    /// Beneath the source.
    relative: Vec<u8>,
    /// Which source it is of.
    source: usize,
    /// The runs that copied it, in order, with what they copied.
    copies: Vec<(usize, Vec<Version>)>,
    /// The runs that saw it in the source, in order.
    seen: Vec<usize>,
    /// The run that could not copy it, and why.
    failed: Option<(usize, String)>,
    /// Which entry of the directory it is.
    holder: Option<usize>,
}

impl Named {
    /// What it was after a run; nothing is known where this is empty.
    fn versions(&self, run: usize) -> &[Version] {
        let until = self.copies.iter().rev().find(|(number, _)| *number <= run);
        until.map_or(&[], |(_, versions)| versions)
    }

    fn last_seen(&self, run: usize) -> Option<usize> {
        self.seen
            .iter()
            .rev()
            .find(|number| **number <= run)
            .copied()
    }

    fn is_copied_after(&self, run: usize) -> bool {
        self.copies.last().is_some_and(|(last, _)| *last > run)
    }
}

/// The directory, with what its manifests say of it.
struct Mirror<'a> {
    reading: &'a Reading,
    scan: &'a Scan,
    named: Vec<Named>,
    sources: Vec<Vec<u8>>,
    /// Of each entry, which of `named` it is.
    claimed: HashMap<usize, usize>,
    /// Whether anything is encrypted.
    is_sealed: bool,
}

/// What the runs have left, the oldest first.
pub(super) fn runs(
    reading: &Reading,
    scan: &Scan,
    manifests: &[Manifest],
    choice: &Choice<'_>,
    log: &Log,
) -> Result<Vec<Run>> {
    let has_files = scan
        .entries
        .iter()
        .any(|found| is_content(found, &HashSet::new()));
    if manifests.is_empty() && !has_files {
        return Ok(Vec::new());
    }
    let mirror = Mirror::new(reading, scan, manifests);
    mirror.try_keys()?;
    if manifests.is_empty() {
        log.add(
            b"",
            FindingKind::NoManifest,
            "nothing says what should be there",
        );
    }
    let last = manifests.len().saturating_sub(1);
    let first = if choice.all_runs { 0 } else { last };
    for (number, manifest) in manifests.iter().enumerate().take(first) {
        let (gone, all) = mirror.overwritten(number);
        if gone > 0 {
            let detail =
                format!("{gone} of the {all} files it left were overwritten or removed later");
            log.add(manifest.name.as_bytes(), FindingKind::Overwritten, detail);
        }
    }
    let mut runs = Vec::new();
    for number in first..=last {
        let log = Arc::new(Log::default());
        let manifest = manifests.get(number);
        let (entries, is_partial) = match number == last {
            true => (
                mirror.last_state(number, choice.without_deleted, &log),
                false,
            ),
            false => mirror.earlier_state(number, &log),
        };
        let newest = || {
            let times = entries
                .iter()
                .filter(|entry| !matches!(entry.kind, VirtualKind::Dir));
            times
                .map(|entry| entry.meta.mtime)
                .max()
                .unwrap_or_default()
        };
        let time = match manifest {
            // Its stamp was read when it was found.
            Some(manifest) => time_of(&manifest.stamp, choice.time_zone).unwrap_or_default(),
            None => Timestamp::new(newest().secs, 0).unwrap_or_default(),
        };
        runs.push(Run {
            name: manifest.map(|manifest| manifest.name.clone()),
            time,
            kind: RunKind::Directory {
                mode: manifest
                    .map_or_else(|| "unknown".to_owned(), |manifest| manifest.mode.clone()),
            },
            place: mirror.place(choice.name),
            tree: VirtualTree::new(scan.top.clone(), entries)?,
            is_partial,
            log,
        });
    }
    Ok(runs)
}

/// Whether an entry is part of the source, and not what BackupHandler put beside it.
fn is_content(found: &Found, named: &HashSet<&[u8]>) -> bool {
    match found.kind {
        FoundKind::Dir => false,
        FoundKind::Link(_) => true,
        FoundKind::File if named.contains(found.path.as_slice()) => true,
        FoundKind::File => std::str::from_utf8(&found.path).map_or(true, |path| {
            stamp_of_manifest(path).is_none() && stamp_of_zip(path).is_none()
        }),
    }
}

impl<'a> Mirror<'a> {
    fn new(reading: &'a Reading, scan: &'a Scan, manifests: &[Manifest]) -> Self {
        let there: HashMap<&[u8], usize> = scan
            .entries
            .iter()
            .enumerate()
            .filter(|(_, found)| !matches!(found.kind, FoundKind::Dir))
            .map(|(number, found)| (found.path.as_slice(), number))
            .collect();
        let mut mirror = Self {
            reading,
            scan,
            named: Vec::new(),
            sources: Vec::new(),
            claimed: HashMap::new(),
            is_sealed: false,
        };
        mirror.name(manifests, &there);
        mirror.claim(&there);
        mirror.is_sealed = (0..scan.entries.len()).any(|number| mirror.is_sealed(number));
        mirror
    }

    /// Collects what manifests say of each file.
    fn name(&mut self, manifests: &[Manifest], there: &HashMap<&[u8], usize>) {
        let has = |path: &[u8]| {
            there.contains_key(path) || there.contains_key([path, SUFFIX].concat().as_slice())
        };
        let mut paths: Vec<&[u8]> = manifests.iter().flat_map(paths_of).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut numbers: HashMap<&[u8], usize> = HashMap::new();
        let mut sources: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (path, cut) in paths.iter().zip(place::sources(&paths, has)) {
            // Of those nothing is here.
            let cut = cut.unwrap_or_else(|| {
                path.iter()
                    .rposition(|byte| *byte == b'/')
                    .map_or(0, |at| at + 1)
            });
            let count = sources.len();
            let source = *sources.entry(path[..cut].to_vec()).or_insert(count);
            numbers.insert(path, self.named.len());
            self.named.push(Named {
                path: path.to_vec(),
                relative: path[cut..].to_vec(),
                source,
                copies: Vec::new(),
                seen: Vec::new(),
                failed: None,
                holder: None,
            });
        }
        let mut in_order: Vec<(Vec<u8>, usize)> = sources.into_iter().collect();
        in_order.sort_by_key(|(_, number)| *number);
        self.sources = in_order.into_iter().map(|(source, _)| source).collect();
        for (run, manifest) in manifests.iter().enumerate() {
            for copied in &manifest.copied {
                let named = &mut self.named[numbers[copied.path.as_slice()]];
                match named.copies.last_mut() {
                    // Once for each of several destinations.
                    Some((last, versions)) if *last == run => {
                        if !versions.contains(&copied.version) {
                            versions.push(copied.version.clone());
                        }
                    }
                    _ => named.copies.push((run, vec![copied.version.clone()])),
                }
            }
            for (path, reason) in &manifest.failed {
                self.named[numbers[path.as_slice()]].failed = Some((run, reason.clone()));
            }
            for path in paths_of(manifest) {
                let seen = &mut self.named[numbers[path]].seen;
                if seen.last() != Some(&run) {
                    seen.push(run);
                }
            }
        }
    }

    /// Finds the entry of each file.
    fn claim(&mut self, there: &HashMap<&[u8], usize>) {
        let names: HashMap<Vec<u8>, usize> = self
            .named
            .iter()
            .enumerate()
            .map(|(number, named)| (named.relative.clone(), number))
            .collect();
        for number in 0..self.named.len() {
            let relative = &self.named[number].relative;
            let sealed = [relative.as_slice(), SUFFIX].concat();
            let is_free = |holder: &usize| !self.claimed.contains_key(holder);
            let plain = there.get(relative.as_slice()).copied().filter(is_free);
            let encrypted = there.get(sealed.as_slice()).copied().filter(is_free);
            let holder = match (plain, encrypted) {
                // What is not encrypted was copied later than what is.
                (Some(plain), _) if !relative.ends_with(SUFFIX) => Some(plain),
                (None, Some(encrypted)) => match names.get(&sealed) {
                    // A file of the source has that name, too: whose is it?
                    Some(other) if self.is_as_it_was(encrypted, *other) => None,
                    _ => Some(encrypted),
                },
                (Some(plain), None) => {
                    let stem = &relative[..relative.len() - SUFFIX.len()];
                    match names.contains_key(stem) && !there.contains_key(stem) {
                        true => self.is_as_it_was(plain, number).then_some(plain),
                        false => Some(plain),
                    }
                }
                (_, encrypted) => encrypted,
            };
            if let Some(holder) = holder {
                self.claimed.insert(holder, number);
                self.named[number].holder = Some(holder);
            }
        }
    }

    fn is_as_it_was(&self, entry: usize, named: usize) -> bool {
        let versions = self.named[named].versions(usize::MAX);
        is_one_of(&self.reading.root, &self.scan.entries[entry].path, versions)
    }

    /// Whether an entry is an encrypted form of a file.
    fn is_sealed(&self, entry: usize) -> bool {
        let found = &self.scan.entries[entry];
        if !matches!(found.kind, FoundKind::File) || !found.path.ends_with(SUFFIX) {
            return false;
        }
        // `.enc` alone is a name, and hides nothing.
        if found.path.rsplit(|byte| *byte == b'/').next() == Some(SUFFIX) {
            return false;
        }
        match self.claimed.get(&entry) {
            Some(named) => self.named[*named].relative != found.path,
            None => true,
        }
    }

    /// Where an entry is in the source.
    fn path_of(&self, entry: usize) -> &[u8] {
        let path = &self.scan.entries[entry].path;
        match self.is_sealed(entry) {
            true => &path[..path.len() - SUFFIX.len()],
            false => path,
        }
    }

    /// Tries the keys on the smallest encrypted files.
    fn try_keys(&self) -> Result<()> {
        let sealed = (0..self.scan.entries.len()).filter(|entry| self.is_sealed(*entry));
        let files = sealed.map(|entry| {
            let found = &self.scan.entries[entry];
            (found.size, found.path.as_slice(), found.path.clone())
        });
        let keys = &self.reading.keys;
        let has_key = keys.passphrase().is_some() || keys.key_file().is_some();
        probe(files.collect(), has_key, |path| {
            let Ok(file) = self.reading.root.file(path) else {
                return Tried::Fails;
            };
            match keys
                .for_file(&file)
                .and_then(|key| Plaintext::of_file(file, &key))
            {
                Ok(_) => Tried::Opens,
                Err(error @ CryptoError::OtherCredential { .. }) => Tried::Other(error),
                Err(_) => Tried::Fails,
            }
        })
    }

    /// The source as manifests have it, if it is one.
    fn place(&self, name: &Path) -> PathBuf {
        let mut sources: Vec<usize> = self
            .named
            .iter()
            .filter(|named| named.holder.is_some())
            .map(|named| named.source)
            .collect();
        sources.sort_unstable();
        sources.dedup();
        let [source] = sources[..] else {
            return name.to_owned();
        };
        let source = self.sources[source].strip_suffix(b"/").unwrap_or_default();
        let path = Path::new(OsStr::from_bytes(source));
        let is_plain =
            |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
        match path.file_name().is_some() && path.components().all(is_plain) {
            true => path.to_owned(),
            // Relative to somewhere else: its last name is what is left of it.
            false => match path.file_name() {
                Some(last) => last.into(),
                None => name.to_owned(),
            },
        }
    }
}

/// All paths of a manifest.
fn paths_of(manifest: &Manifest) -> impl Iterator<Item = &[u8]> {
    let copied = manifest.copied.iter().map(|copied| copied.path.as_slice());
    let skipped = manifest.skipped.iter().map(Vec::as_slice);
    let failed = manifest.failed.iter().map(|(path, _)| path.as_slice());
    copied.chain(skipped).chain(failed)
}
