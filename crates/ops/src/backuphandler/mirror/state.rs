//! The state after a run, as far as it is still there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use keepwatch_core::{VirtualEntry, VirtualKind};

use super::super::content::Wanted;
use super::super::finding::{FindingKind, Log};
use super::super::manifest::Version;
use super::super::scan::FoundKind;
use super::{Mirror, Named, is_content};

/// What a file of the encrypted form has before and after the ciphertext.
const OVERHEAD: u64 = 44;
/// What permissions an encrypted file had before is not known.
const MODE_OF_SEALED: u32 = 0o600;

impl Mirror<'_> {
    /// All that is there, after the last run.
    pub(super) fn last_state(
        &self,
        run: usize,
        without_deleted: bool,
        log: &Arc<Log>,
    ) -> Vec<VirtualEntry> {
        let newest = self.newest(run);
        for named in &self.named {
            let is_required = named.last_seen(run) == newest.get(&named.source).copied();
            if let Some((_, reason)) = named
                .failed
                .as_ref()
                .filter(|(failed, _)| is_required && Some(*failed) == named.last_seen(run))
            {
                log.add(&named.path, FindingKind::NotCopied, reason.clone());
            }
            if named.holder.is_none() && is_required {
                log.add(&named.path, FindingKind::Missing, "a manifest names it");
            }
        }
        let relatives: HashSet<&[u8]> = self
            .named
            .iter()
            .map(|named| named.relative.as_slice())
            .collect();
        let claimed: HashSet<&[u8]> = self
            .claimed
            .keys()
            .map(|entry| self.path_of(*entry))
            .collect();
        let mut entries = Vec::new();
        for (number, found) in self.scan.entries.iter().enumerate() {
            if matches!(found.kind, FoundKind::Dir) {
                entries.push(VirtualEntry {
                    path: found.path.clone(),
                    meta: found.meta.clone(),
                    kind: VirtualKind::Dir,
                });
                continue;
            }
            let Some(&named) = self.claimed.get(&number) else {
                if is_content(found, &relatives) {
                    entries.extend(self.unnamed(number, &claimed, log));
                }
                continue;
            };
            let named = &self.named[named];
            if named.last_seen(run) != newest.get(&named.source).copied() {
                let detail = match without_deleted {
                    true => "it was no longer in the source at the last run, and is left out",
                    false => "it was no longer in the source at the last run",
                };
                log.add(&found.path, FindingKind::Deleted, detail);
                if without_deleted {
                    continue;
                }
            }
            entries.push(self.entry(number, named.versions(run), log));
        }
        self.without_clashes(&mut entries, log);
        self.judge_links(&entries, log);
        entries
    }

    /// What is there of the state after an earlier run; and whether that is not all.
    pub(super) fn earlier_state(&self, run: usize, log: &Arc<Log>) -> (Vec<VirtualEntry>, bool) {
        let newest = self.newest(run);
        let mut is_partial = false;
        let mut entries = Vec::new();
        for named in self.named.iter().filter(|named| {
            named.last_seen(run).is_some()
                && named.last_seen(run) == newest.get(&named.source).copied()
        }) {
            match named.holder.filter(|_| self.is_still(named, run)) {
                Some(holder) => entries.push(self.entry(holder, named.versions(run), log)),
                None => {
                    is_partial = true;
                    log.add(
                        &named.path,
                        FindingKind::Overwritten,
                        "a later run has put something else in its place",
                    );
                }
            }
        }
        let mut above = HashSet::new();
        for entry in &entries {
            let mut path = entry.path.as_slice();
            while let Some(cut) = path.iter().rposition(|byte| *byte == b'/') {
                path = &path[..cut];
                above.insert(path.to_vec());
            }
        }
        for found in &self.scan.entries {
            if matches!(found.kind, FoundKind::Dir) && above.contains(&found.path) {
                entries.push(VirtualEntry {
                    path: found.path.clone(),
                    meta: found.meta.clone(),
                    kind: VirtualKind::Dir,
                });
            }
        }
        self.without_clashes(&mut entries, log);
        self.judge_links(&entries, log);
        (entries, is_partial)
    }

    /// How many files of a run's state are gone, and how many it had.
    pub(super) fn overwritten(&self, run: usize) -> (usize, usize) {
        let newest = self.newest(run);
        let (mut gone, mut all) = (0, 0);
        for named in &self.named {
            let seen = named.last_seen(run);
            if seen.is_some() && seen == newest.get(&named.source).copied() {
                all += 1;
                gone += usize::from(named.holder.is_none() || !self.is_still(named, run));
            }
        }
        (gone, all)
    }

    /// Whether what is there may be what a run left: nothing was copied over it that differs.
    fn is_still(&self, named: &Named, run: usize) -> bool {
        if !named.is_copied_after(run) {
            return true;
        }
        let known = |versions: &[Version]| {
            !versions.is_empty() && versions.iter().all(|version| version.checksum.is_some())
        };
        let (then, now) = (named.versions(run), named.versions(usize::MAX));
        known(then) && known(now) && now.iter().all(|version| then.contains(version))
    }

    /// The last of the runs until `run` that were about a source: databases have runs of their own.
    fn newest(&self, run: usize) -> HashMap<usize, usize> {
        let mut newest = HashMap::new();
        for named in &self.named {
            if let Some(seen) = named.last_seen(run) {
                let last = newest.entry(named.source).or_insert(seen);
                *last = seen.max(*last);
            }
        }
        newest
    }

    /// A file that no manifest names.
    fn unnamed(
        &self,
        number: usize,
        claimed: &HashSet<&[u8]>,
        log: &Arc<Log>,
    ) -> Option<VirtualEntry> {
        let found = &self.scan.entries[number];
        if self.is_sealed(number) && claimed.contains(self.path_of(number)) {
            let detail =
                "it is an older, encrypted form of a file that is there as it is, and is left out";
            log.add(&found.path, FindingKind::Superseded, detail);
            return None;
        }
        if !self.named.is_empty() {
            log.add(&found.path, FindingKind::Unnamed, "no manifest names it");
        }
        Some(self.entry(number, &[], log))
    }

    fn entry(&self, number: usize, versions: &[Version], log: &Arc<Log>) -> VirtualEntry {
        let found = &self.scan.entries[number];
        let is_sealed = self.is_sealed(number);
        let mut meta = found.meta.clone();
        let kind = match &found.kind {
            FoundKind::Dir => VirtualKind::Dir,
            FoundKind::Link(target) => VirtualKind::Symlink {
                target: target.clone(),
            },
            FoundKind::File => {
                if is_sealed {
                    meta.mode = MODE_OF_SEALED;
                } else if self.is_sealed {
                    let detail = "it is not encrypted, and the backup is";
                    log.add(&found.path, FindingKind::Plaintext, detail);
                }
                let is_known = versions.iter().any(|version| version.checksum.is_some());
                if !is_known && self.claimed.contains_key(&number) {
                    let detail = "no manifest has its checksum";
                    log.add(&found.path, FindingKind::Unverified, detail);
                }
                // Where a link was copied, its target may have been put in its place: of other size.
                let versions = if is_known {
                    versions.to_vec()
                } else {
                    Vec::new()
                };
                let size = match is_sealed {
                    true => found.size.saturating_sub(OVERHEAD),
                    false => found.size,
                };
                let wanted = Wanted {
                    path: found.path.clone(),
                    is_sealed,
                    versions,
                };
                VirtualKind::File(self.reading.content(wanted, size, log))
            }
        };
        VirtualEntry {
            path: self.path_of(number).to_vec(),
            meta,
            kind,
        }
    }

    /// A file and its encrypted form, or an encrypted file and a directory, may have come to one path.
    fn without_clashes(&self, entries: &mut Vec<VirtualEntry>, log: &Arc<Log>) {
        let directories: HashSet<Vec<u8>> = entries
            .iter()
            .filter(|entry| matches!(entry.kind, VirtualKind::Dir))
            .map(|entry| entry.path.clone())
            .collect();
        let mut taken = HashSet::new();
        entries.retain(|entry| {
            let is_dir = matches!(entry.kind, VirtualKind::Dir);
            let is_free =
                is_dir || (!directories.contains(&entry.path) && taken.insert(entry.path.clone()));
            if !is_free {
                let detail = "something else has its path, and it is left out";
                log.add(&entry.path, FindingKind::Superseded, detail);
            }
            is_free
        });
    }
}
