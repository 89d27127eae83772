//! What a backup leaves out.

use crate::backup::BackupOptions;
use crate::fs::{FileKind, Ignore, SourceDir, Stat};

/// How a valid `CACHEDIR.TAG` begins (bford.info/cachedir).
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const GITIGNORE: &[u8] = b".gitignore";
/// A longer `.gitignore` is none.
const MAX_GITIGNORE: u64 = 4 << 20;

/// The rules, with the ignore files of the directories that are being walked.
pub(crate) struct Rules<'a> {
    options: &'a BackupOptions,
    /// Inodes of directories that are never entered.
    skipped: Vec<(u64, u64)>,
    /// One for each open directory.
    ignores: Vec<Option<Ignore>>,
}

impl<'a> Rules<'a> {
    pub fn new(options: &'a BackupOptions) -> Self {
        let skipped = options
            .skip
            .iter()
            .filter_map(|path| SourceDir::open(path).and_then(|dir| dir.stat()).ok())
            .map(|stat| (stat.dev, stat.ino))
            .collect();
        Self {
            options,
            skipped,
            ignores: Vec::new(),
        }
    }

    pub fn is_skipped(&self, stat: &Stat) -> bool {
        self.skipped.contains(&(stat.dev, stat.ino))
    }

    pub fn leave_out(&self, path: &[u8], stat: &Stat) -> bool {
        let is_dir = stat.kind == FileKind::Dir;
        if self.options.excludes.matches(path, is_dir, stat.size) {
            return true;
        }
        // The nearest file that says anything about it decides, as in git.
        self.ignores
            .iter()
            .rev()
            .flatten()
            .find_map(|ignore| ignore.matches(path, is_dir))
            .unwrap_or(false)
    }

    /// Begins a directory; gives the names in it that count.
    pub fn enter(&mut self, dir: &SourceDir, path: &[u8], mut names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let ignore = if self.options.gitignore && names.iter().any(|name| name == GITIGNORE) {
            let content = dir.read_small(GITIGNORE, MAX_GITIGNORE).ok().flatten();
            content.map(|content| Ignore::parse(path, &content))
        } else {
            None
        };
        self.ignores.push(ignore);
        if self.options.exclude_caches && is_cache(dir, &names) {
            names.retain(|name| name == CACHE_TAG);
        }
        let marked = self
            .options
            .exclude_if_present
            .iter()
            .find(|mark| names.contains(mark));
        if let Some(mark) = marked {
            names.retain(|name| name == mark);
        }
        names
    }

    /// Ends the directory that began last.
    pub fn leave(&mut self) {
        self.ignores.pop();
    }
}

fn is_cache(dir: &SourceDir, names: &[Vec<u8>]) -> bool {
    names.iter().any(|name| name == CACHE_TAG)
        && dir
            .read_small(CACHE_TAG, CACHE_SIGNATURE.len() as u64)
            .is_ok_and(|content| content.as_deref() == Some(CACHE_SIGNATURE))
}
