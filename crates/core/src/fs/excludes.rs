//! What a backup or restore leaves out: glob patterns as users of restic and git know them.
//!
//! - `*.o` has no slash: it matches an entry of this name in any directory.
//! - `/home/*/tmp` begins with a slash: it matches whole paths from the root.
//! - `target/debug` has a slash inside: it matches at any depth.
//! - `cache/` ends with a slash: it matches directories only.
//! - `**` stands for any number of directories, `?` and `*` never for a slash, `[a-z]` and
//!   `{jpg,png}` for one of several.
//! - `!keep.o` takes back what earlier patterns matched; the last pattern that matches decides.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{Candidate, Glob, GlobBuilder, GlobSet};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pattern {pattern:?}: {problem}")]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Decides which entries are left out. The default matches nothing.
#[derive(Clone, Debug, Default)]
pub struct Excludes {
    set: GlobSet,
    rules: Vec<Rule>,
    /// Whether some rule is negated or for directories only, so that it matters which one matches.
    ordered: bool,
    larger_than: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    negated: bool,
    dir_only: bool,
}

impl Excludes {
    /// Whether it can match nothing at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.larger_than.is_none()
    }

    /// Whether this entry matches, whatever is above it.
    ///
    /// `path` is absolute, or relative to the root of a snapshot, and `size` counts for files
    /// only. A walk asks this for every entry and does not go into directories that match: so
    /// what is beneath them is left out too, but not a directory that the user named himself
    /// just because of its parent's name.
    pub fn matches(&self, path: &[u8], is_dir: bool, size: u64) -> bool {
        if !is_dir && self.larger_than.is_some_and(|limit| size > limit) {
            return true;
        }
        if self.rules.is_empty() {
            return false;
        }
        let path = Path::new(OsStr::from_bytes(without_root(path)));
        let candidate = Candidate::new(path);
        if !self.ordered {
            return self.set.is_match_candidate(&candidate);
        }
        // Without a match nothing is allocated.
        let mut matching = Vec::new();
        self.set.matches_candidate_into(&candidate, &mut matching);
        matching
            .iter()
            .rev()
            .map(|&at| self.rules[at])
            .find(|rule| is_dir || !rule.dir_only)
            .is_some_and(|rule| !rule.negated)
    }

    /// Whether the entry or a directory above it matches, for those who do not walk.
    pub fn covers(&self, path: &[u8], is_dir: bool, size: u64) -> bool {
        let end_of_dirs = |at: &usize| *at > 0 && path[*at] == b'/';
        (0..path.len())
            .filter(end_of_dirs)
            .any(|at| self.matches(&path[..at], true, 0))
            || self.matches(path, is_dir, size)
    }
}

/// Collects patterns for [`Excludes`].
#[derive(Debug, Default)]
pub struct ExcludesBuilder {
    globs: Vec<Glob>,
    rules: Vec<Rule>,
    larger_than: Option<u64>,
}

impl ExcludesBuilder {
    /// No pattern yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pattern, taken as it is: `#` begins no comment and blanks at the end count.
    ///
    /// # Errors
    /// A pattern that is empty or malformed, or that can never match.
    pub fn glob(mut self, pattern: &str) -> Result<Self, PatternError> {
        let (glob, rule) = parse(pattern)?;
        self.globs.push(glob);
        self.rules.push(rule);
        Ok(self)
    }

    /// Adds the patterns of a file, one a line.
    ///
    /// As in `.gitignore`, blank lines and lines that begin with `#` say nothing, and blanks at
    /// the end of a line are dropped unless a backslash stands before them.
    ///
    /// # Errors
    /// As [`ExcludesBuilder::glob`].
    pub fn file_lines(mut self, content: &str) -> Result<Self, PatternError> {
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        for line in content.lines() {
            let pattern = without_trailing_blanks(line);
            if !pattern.is_empty() && !pattern.starts_with('#') {
                self = self.glob(pattern)?;
            }
        }
        Ok(self)
    }

    /// Leaves out files of more than `bytes` bytes, whatever their names. A later call replaces
    /// an earlier one.
    #[must_use]
    pub fn larger_than(mut self, bytes: u64) -> Self {
        self.larger_than = Some(bytes);
        self
    }

    /// Makes the patterns fast.
    ///
    /// # Errors
    /// When all of them together are too much for the matcher.
    pub fn build(self) -> Result<Excludes, PatternError> {
        let set = GlobSet::new(&self.globs).map_err(|error| PatternError {
            pattern: error.glob().unwrap_or_default().to_owned(),
            problem: error.kind().to_string(),
        })?;
        Ok(Excludes {
            set,
            ordered: self.rules.iter().any(|rule| rule.negated || rule.dir_only),
            rules: self.rules,
            larger_than: self.larger_than,
        })
    }
}

/// The rules of one `.gitignore` file.
#[derive(Clone, Debug)]
pub struct Ignore(Gitignore);

impl Ignore {
    /// The rules that `content` sets for what lies beneath `dir`.
    ///
    /// As git does it, lines that are no valid patterns are passed over: they must not keep
    /// anybody from backing up the directory.
    pub fn parse(dir: &[u8], content: &[u8]) -> Self {
        let mut builder = GitignoreBuilder::new(OsStr::from_bytes(dir));
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        for line in content.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Ok(line) = std::str::from_utf8(line) else {
                tracing::debug!(dir = %dir.escape_ascii(), "an ignore rule is not UTF-8");
                continue;
            };
            if let Err(error) = builder.add_line(None, line) {
                tracing::debug!(dir = %dir.escape_ascii(), %error, "an ignore rule is malformed");
            }
        }
        Self(builder.build().unwrap_or_else(|error| {
            tracing::debug!(dir = %dir.escape_ascii(), %error, "ignore rules cannot be used");
            Gitignore::empty()
        }))
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the entry is ignored, or expressly not; nothing when no rule speaks of it.
    ///
    /// The file nearest to the entry decides: ask the innermost directory's rules first.
    pub fn matches(&self, path: &[u8], is_dir: bool) -> Option<bool> {
        match self.0.matched(OsStr::from_bytes(path), is_dir) {
            ignore::Match::None => None,
            ignore::Match::Ignore(_) => Some(true),
            ignore::Match::Whitelist(_) => Some(false),
        }
    }
}

fn parse(pattern: &str) -> Result<(Glob, Rule), PatternError> {
    let bad = |problem: &str| PatternError {
        pattern: pattern.to_owned(),
        problem: problem.to_owned(),
    };
    let (negated, rest) = match pattern.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let dir_only = rest.ends_with('/');
    let anchored = rest.starts_with('/');
    let parts: Vec<&str> = rest
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.is_empty() {
        return Err(bad("it names nothing"));
    }
    if parts.contains(&"..") {
        return Err(bad("no path holds `..`"));
    }
    let joined = parts.join("/");
    let text = if anchored {
        joined
    } else {
        format!("**/{joined}")
    };
    let glob = GlobBuilder::new(&text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| bad(&error.kind().to_string()))?;
    Ok((glob, Rule { negated, dir_only }))
}

fn without_root(path: &[u8]) -> &[u8] {
    let start = path
        .iter()
        .position(|byte| *byte != b'/')
        .unwrap_or(path.len());
    &path[start..]
}

fn without_trailing_blanks(line: &str) -> &str {
    let end = line.trim_end_matches([' ', '\t', '\r']);
    let blanks = &line[end.len()..];
    // An odd number of backslashes before the first blank escapes it.
    let escapes = end.len() - end.trim_end_matches('\\').len();
    if escapes % 2 == 1 && blanks.starts_with(' ') {
        &line[..end.len() + 1]
    } else {
        end
    }
}

#[cfg(test)]
mod tests;
